"""The forecast is what runs would do, whatever the policy."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.app.forecast import forecast
from jettison.oci.inventory import Repository
from jettison.plan.build import build_plan
from jettison.plan.model import Server
from jettison.policy.evaluate import decide, decide_repository
from jettison.policy.forecast import expiry, foretell, without
from jettison.policy.model import Policy
from jettison.policy.parse import parse_policy
from jettison.testing.images import image, index, signature_of, signature_tag
from jettison.testing.inventories import NOW, inventory, repository

DAY = timedelta(days=1)
IMAGES = [image(seed=number) for number in range(12)]


def policy(keep: str, more: str = "") -> Policy:
    return parse_policy(
        f'policies: [{{repositories: "**", rules: [{{name: r, tags: "*", keep: {keep}}}]{more}}}]', "policy"
    )


KEEPS = [
    "{within: 10d}",
    "{newest: 2, within: 10d}",
    "{all: [{newest: 2}, {within: 10d}]}",
    "{newest: 2, among: {not: {within: 5d}}}",
    "{any: [{all: [{newest: 3, by: name}, {within: 20d}]}, {within: 3d}]}",
    "{pulled_within: 10d, or_pushed: true}",
    "{newest: 1, by: active, within: 6d}",
    "{within: 10d, by: created, inclusive: true}",
    "{daily: 2, within: 4d}",
    "{not: {within: 3d}, newest: 1}",
]
AGES = st.lists(st.integers(0, 40), min_size=1, max_size=6)


def filled(ages: list[int], pulls: list[int]) -> Repository:
    tags = {f"t{number}": IMAGES[number] for number in range(len(ages))}
    pushed = {f"t{number}": NOW - age * DAY - timedelta(minutes=7) for number, age in enumerate(ages)}
    pulled: dict[str, datetime] = {f"t{number}": NOW - age * DAY for number, age in enumerate(pulls)}
    return replace(repository("team/app", tags, pushed=pushed), pulled=pulled, pulls_since=NOW - 25 * DAY)


FAMILY = index([IMAGES[10], IMAGES[11]])
WHOLE = """
policies:
  - repositories: "**"
    rules:
      - {name: main, tags: "t*", keep: {newest: 1, within: 9d}}
      - {name: rest, tags: "s*", keep: {within: 12d, by: active}}
    untagged: {keep: {within: 7d}}
    referrers: {of_kept: {keep: {within: 15d}}, orphaned: {keep: {within: 5d}}}
"""


def with_family(ages: list[int]) -> Repository:
    """A signed index, tags that share digests with it, an untagged image and a signature without a subject."""
    signature, lonely = signature_of(FAMILY.digest), signature_of(image(seed="gone").digest)
    tags = {"t0": FAMILY, "s0": FAMILY, "t1": IMAGES[10], "s1": IMAGES[1], "t2": IMAGES[2]}
    tags |= {signature_tag(FAMILY.digest): signature}
    pushed = {name: NOW - age * DAY - timedelta(minutes=7) for name, age in zip(tags, ages, strict=False)}
    made = repository("team/app", tags, untagged=(IMAGES[5], lonely), pushed=pushed)
    dates = dict(zip(sorted(made.manifests), (NOW - age * DAY for age in ages * 2), strict=False))
    return replace(made, pushed=dates, pulled={"s1": NOW - 3 * DAY}, pulls_since=NOW - 20 * DAY)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 30), min_size=6, max_size=6))
def test_the_expiry_of_manifests_and_what_follows_them(ages: list[int]) -> None:
    kept, by = with_family(ages), parse_policy(WHOLE, "policy")
    when: dict[str, datetime] = {}
    left = kept
    for number in range(61):
        decided = decide_repository(left, by, NOW + number * DAY)
        gone = [*decided.order, *(each.tag.name for each in decided.tags if not each.kept)]
        when |= dict.fromkeys(gone, NOW + number * DAY)
        left = without(decided)
    for name in (*kept.manifests, *(tag.name for tag in kept.tags)):
        found = expiry(kept, by, NOW, name)
        assert (found.moment is None) is (name not in when), name
        if found.moment is not None:
            assert timedelta() <= when[name] - found.moment < DAY, name


def played(kept: Repository, by: Policy, days: int) -> Iterator[tuple[datetime, set[str]]]:
    """Run every day, which is what the forecast must come to without deciding every day."""
    for number in range(days + 1):
        decided = decide_repository(kept, by, NOW + number * DAY)
        gone = {each.tag.name for each in decided.tags if not each.kept}
        if gone:
            yield NOW + number * DAY, gone
        kept = without(decided)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(KEEPS), AGES, st.lists(st.integers(0, 30), max_size=3))
def test_it_is_what_a_run_every_day_does(keep: str, ages: list[int], pulls: list[int]) -> None:
    kept, by = filled(ages, pulls), policy(keep)
    told = [
        (going.moment, {each.tag.name for each in going.decisions.tags if not each.kept})
        for going in foretell(kept, by, NOW, NOW + 60 * DAY, DAY)
    ]
    assert told == list(played(kept, by, 60))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(KEEPS), AGES, st.lists(st.integers(0, 30), max_size=3))
def test_the_expiry_of_each_tag_is_within_the_day_before_its_run(keep: str, ages: list[int], pulls: list[int]) -> None:
    kept, by = filled(ages, pulls), policy(keep)
    when = {name: moment for moment, names in played(kept, by, 60) for name in names}
    for tag in kept.tags:
        found = expiry(kept, by, NOW, tag.name)
        assert found.is_known
        assert (found.moment is None) is (tag.name not in when)
        if found.moment is not None:
            assert timedelta() <= when[tag.name] - found.moment < DAY


def test_what_follows_an_image_goes_with_it_and_bytes_are_counted_once() -> None:
    both = index([IMAGES[0], IMAGES[1]])
    tags = {"a": both, "b": IMAGES[1], signature_tag(both.digest): signature_of(both.digest)}
    kept = repository("team/app", tags, pushed={"a": NOW - 5 * DAY, "b": NOW - 2 * DAY})
    copied = repository("team/copy", {"c": IMAGES[0]}, pushed={"c": NOW - 1 * DAY})
    told = forecast(inventory(kept, copied), policy("{within: 10d}"), NOW, 15, DAY)
    # The index goes with its signature and one platform, whose bytes the copy keeps; `b` keeps the other one.
    gone = [(number, each.tags, each.manifests) for number, each in enumerate(told.steps) if each.tags]
    assert gone == [(5, 2, 3), (8, 1, 1), (9, 1, 1)]
    assert told.steps[8].frees == told.steps[9].frees > told.steps[5].frees > 0
    assert told.frees == told.size


def test_the_first_step_is_the_plan() -> None:
    kept = filled([1, 5, 20, 30], [])
    by = policy("{newest: 1, within: 10d}")
    found = inventory(kept, replace(kept, name="team/other"))
    plan = build_plan(found, decide(found, by, NOW), policy="", limits=by.limits, server=Server(), now=NOW)
    first = forecast(found, by, NOW, 7, DAY).steps[0]
    assert (first.tags, first.manifests, first.frees) == (
        plan.totals.deleted_tags,
        plan.totals.deleted_manifests,
        plan.totals.frees,
    )


def test_the_steps_reach_to_the_end_of_the_time_asked_for() -> None:
    told = forecast(inventory(filled([1], [])), policy("{within: 90d}"), NOW, 90, 7 * DAY)
    assert told.until == told.steps[-1].moment == NOW + 90 * DAY
    assert [each.tags for each in told.steps if each.tags] == [1]
    assert [each.moment for each in told.steps[-3:-1]] == [NOW + 77 * DAY, NOW + 84 * DAY]


def test_what_expires_behind_the_time_asked_for_is_not_foretold() -> None:
    told = forecast(inventory(filled([1], [])), policy("{within: 92d}"), NOW, 90, 7 * DAY)
    assert told.frees == 0


@pytest.mark.parametrize("keep", ["{within: 99999y}", "{all: [{within: 99999y}, {newest: 9}]}"])
def test_spans_longer_than_time(keep: str) -> None:
    by = policy(keep)
    assert expiry(filled([3], []), by, NOW, "t0").moment is None
    assert list(foretell(filled([3], []), by, NOW, NOW + 60 * DAY, DAY)) == []


def test_dates_in_the_future() -> None:
    kept = repository("team/app", {"t": IMAGES[0]}, pushed={"t": NOW + 5 * DAY})
    assert expiry(kept, policy("{within: 10d}"), NOW, "t").moment == NOW + 15 * DAY


def test_without_a_policy_or_when_it_is_switched_off_nothing_goes() -> None:
    kept = filled([100], [])
    other = parse_policy('policies: [{repositories: "x", rules: [{tags: "*", keep: {within: 1d}}]}]', "policy")
    off = policy("{within: 1d}", ", enabled: false")
    for by in (other, off):
        assert expiry(kept, by, NOW, "t0").moment is None
        assert list(foretell(kept, by, NOW, NOW + 60 * DAY, DAY)) == []
