"""Explanations say what a decision says, and what it rests on."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from jettison.oci.inventory import Repository
from jettison.policy.evaluate import decide_repository
from jettison.policy.explain import Weighed, explain
from jettison.policy.model import Policy
from jettison.policy.parse import parse_policy
from jettison.testing.built import BuiltManifest
from jettison.testing.images import image, index, signature_of, signature_tag
from jettison.testing.inventories import NOW, repository

RULES = """
protect: {tags: [latest]}
policies:
  - name: team
    repositories: ["**"]
    rules:
      - {name: releases, tags: {version: "*"}, keep: {newest: 3, within: 20d}}
      - name: branches
        tags: {regex: '^(?P<branch>.+)-[0-9a-f]{7,40}$'}
        keep: {newest: 2, by: pushed, per: branch, within: 14d}
      - {name: composed, tags: "c*", keep: {all: [{newest: 2, by: name}, {within: 30d}]}}
    untagged: {keep: {within: 30d}}
"""


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def policy(text: str = RULES) -> Policy:
    return parse_policy(text, "policy.yaml")


def filled(ages: dict[str, float], **more: BuiltManifest) -> Repository:
    tags = {name: image(seed=name) for name in ages} | more
    return repository("team/app", tags, pushed={name: days_ago(age) for name, age in ages.items()})


VERSIONS = {f"1.{number}.0": 100 - number * 10.0 for number in range(6)}


def keeping(weighed: Weighed) -> list[tuple[str, bool | None]]:
    return [(part.clause, part.keeps) for part in weighed.parts]


def test_the_rule_each_clause_and_the_place() -> None:
    found = explain(filled(VERSIONS), policy(), NOW, "1.3.0")
    assert found.kept
    assert found.claimed is not None
    assert (found.policy, found.claimed.rule, found.claimed.number, found.claimed.claims) == ("team", "releases", 1, 6)
    weighed = found.claimed.weighed
    assert keeping(weighed) == [("newest: 3, by: version", True), ("within: 20d", False)]
    count = weighed.parts[0]
    assert (count.place, count.counted, count.room) == (3, 6, 1)
    assert [(each.place, each.name, each.kept, each.is_this) for each in count.around] == [
        (1, "1.5.0", True, False),
        (2, "1.4.0", True, False),
        (3, "1.3.0", True, True),
        (4, "1.2.0", False, False),
        (5, "1.1.0", False, False),
        (6, "1.0.0", False, False),
    ]
    assert found.expiry.moment is None


def test_groups_are_counted_apart() -> None:
    tags = {f"{branch}-{number:07x}": 20.0 + number for branch in ("main", "fix") for number in range(3)}
    found = explain(filled(tags), policy(), NOW, "fix-0000001")
    assert found.claimed is not None
    count = found.claimed.weighed.parts[0]
    assert [each.name for each in count.around] == ["fix-0000000", "fix-0000001", "fix-0000002"]


def test_when_it_expires_if_nothing_changes() -> None:
    tags = {f"main-{number:07x}": 5.0 + number for number in range(4)}
    stays, goes = (explain(filled(tags), policy(), NOW, name).expiry for name in ("main-0000000", "main-0000003"))
    assert stays.moment is None
    assert goes.moment == days_ago(8) + timedelta(days=14)
    assert goes.reason.code == "not-newest"
    expired = explain(filled(VERSIONS), policy(), NOW, "1.0.0")
    assert (expired.kept, expired.expiry.moment) == (False, NOW)


def test_what_an_expiry_frees_a_place_for_is_played() -> None:
    """c3 keeps c1 from the two newest until it goes itself: then c1 has place 2, and its own age to come."""
    found = explain(filled({"c1": 1, "c2": 1, "c3": 25}), policy(), NOW, "c2").expiry
    assert found.moment is not None
    assert timedelta(days=29) <= found.moment - NOW < timedelta(days=30)
    assert found.reason.code == "too-old"


def test_an_inclusive_age_ends_right_after_it() -> None:
    text = 'policies: [{repositories: "**", rules: [{name: a, tags: "*", keep: {within: 10d, inclusive: true}}]}]'
    found = explain(filled({"a": 4}), policy(text), NOW, "a").expiry
    assert found.moment == days_ago(4) + timedelta(days=10, seconds=1)


def test_pulls_let_it_go_when_they_have_been_known_for_long_enough() -> None:
    text = 'policies: [{repositories: "**", rules: [{name: a, tags: "*", keep: {pulled_within: 30d}}]}]'
    kept = replace(filled({"a": 90, "b": 90}), pulls_since=days_ago(20), pulled={"b": days_ago(3)})
    assert explain(kept, policy(text), NOW, "a").expiry.moment == days_ago(20) + timedelta(days=30)
    assert explain(kept, policy(text), NOW, "b").expiry.moment == days_ago(3) + timedelta(days=30)
    unknown = replace(kept, pulls_since=None)
    assert explain(unknown, policy(text), NOW, "a").expiry.moment is None


def test_relations_and_what_deleting_frees() -> None:
    amd, arm = image(seed="amd"), image(seed="arm", platform="linux/arm64")
    both = index([amd, arm])
    signature = signature_of(both.digest)
    tags = {"1.0.0": both, "latest": both, signature_tag(both.digest): signature, "amd": amd}
    kept = repository("team/app", tags, pushed=dict.fromkeys(tags, days_ago(50)))
    found = explain(kept, policy(), NOW, "1.0.0")
    assert [(each.tag, each.kept) for each in found.shares] == [("latest", True)]
    assert {(each.bond, each.digest) for each in found.relations} == {
        ("platform", amd.digest),
        ("platform", arm.digest),
        ("referrer", signature.digest),
    }
    # `amd` is a tag of its own, so that platform stays.
    assert found.deletes[0] == both.digest
    assert set(found.deletes) == {both.digest, arm.digest, signature.digest}
    child = explain(kept, policy(), NOW, arm.digest)
    assert [(each.bond, each.digest, each.tags) for each in child.relations] == [
        ("index", both.digest, ("1.0.0", "latest"))
    ]
    follower = explain(kept, policy(), NOW, signature_tag(both.digest))
    assert ("subject", both.digest) in {(each.bond, each.digest) for each in follower.relations}
    assert follower.claimed is None


def test_an_image_as_a_unit() -> None:
    text = """
policies:
  - {repositories: "**", unit: image, rules: [{name: all, tags: {glob: "*", untagged: true}, keep: {newest: 2}}]}
"""
    built = [image(seed=number) for number in range(3)]
    tags = {"a": built[0], "b": built[0], "c": built[1]}
    kept = repository(
        "team/app", tags, untagged=(built[2],), pushed={"a": days_ago(9), "b": days_ago(1), "c": days_ago(3)}
    )
    found = explain(kept, policy(text), NOW, "a")
    assert found.claimed is not None
    assert [each.name for each in found.claimed.weighed.around] == ["a, b", "c"]
    untagged = explain(kept, policy(text), NOW, built[2].digest)
    assert untagged.claimed is not None
    assert untagged.reason.code == "unknown-date"


@pytest.mark.parametrize("wanted", ["9.9", image(seed="none").digest])
def test_what_is_not_there(wanted: str) -> None:
    with pytest.raises(KeyError):
        explain(filled(VERSIONS), policy(), NOW, wanted)


def test_it_says_the_same_as_the_decision() -> None:
    tags = (
        VERSIONS
        | {f"main-{number:07x}": number * 5.0 for number in range(5)}
        | {"c1": 1, "c2": 40, "latest": 3, "x": 9}
    )
    kept = filled(tags)
    for decision in decide_repository(kept, policy(), NOW).tags:
        found = explain(kept, policy(), NOW, decision.tag.name)
        assert (found.kept, found.reason) == (decision.kept, decision.reason)
        if decision.reason.rule is not None:
            assert found.claimed is not None
            assert (found.claimed.rule, found.claimed.weighed.keeps is not False) == (
                decision.reason.rule,
                decision.kept,
            )


@pytest.mark.parametrize(
    "keep",
    ["{not: {newest: 1}}", "{any: [{nothing: true}, {not: {daily: 1}}]}", "{newest: 1, by: name, among: {newest: 3}}"],
)
def test_what_hangs_on_others_alone_is_not_said_to_stay_for_ever(keep: str) -> None:
    text = f"policies: [{{repositories: '**', rules: [{{tags: '*', keep: {keep}}}]}}]"
    repo = filled({"a": 2, "b": 1})
    kept = next(each.tag.name for each in decide_repository(repo, policy(text), NOW).tags if each.kept)
    expiry = explain(repo, policy(text), NOW, kept).expiry
    assert (expiry.moment, expiry.is_known) == (None, False)
