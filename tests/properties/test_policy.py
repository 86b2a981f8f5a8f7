"""What holds of every policy, on random repositories and random clauses."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository, Tag
from jettison.oci.manifest import Descriptor, Kind, Manifest
from jettison.policy.clause import (
    AllOf,
    AnyOf,
    Clause,
    Everything,
    Newest,
    Not,
    Order,
    Period,
    Periods,
    PulledWithin,
    Unknown,
    Within,
)
from jettison.policy.decision import RepositoryDecisions
from jettison.policy.evaluate import decide_repository
from jettison.policy.in_use import InUse
from jettison.policy.model import Counts, Policy, Referrers, RepositoryPolicy, Rule, Unit
from jettison.policy.pattern import Glob, Regex, RepositoryPatterns, TagPattern, VersionPattern
from jettison.policy.selectors import Untagged
from jettison.testing.inventories import NOW

NAMES = ["1.0", "1.1", "1.1-alpine", "2.0", "2.0-rc.1", "main-1a2b3c4", "main-5d6e7f8", "login-1234567", "x", "y", "zz"]
DIGESTS = [Digest.of(bytes([n])) for n in range(6)]
DAYS = st.integers(-2, 40)
ANYWHERE = RepositoryPatterns((Glob("**"),))

dates = DAYS.map(lambda days: NOW - timedelta(days=days, hours=3))
counts = st.integers(1, 4)
ages = st.integers(1, 30).map(lambda days: timedelta(days=days))


@st.composite
def repositories(draw: st.DrawFn, *, undated: bool = True) -> Repository:
    """Return tags at random over a few images, some of them untagged, with times of push and pull."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    times: st.SearchStrategy[datetime | None] = st.none() | dates if undated else dates
    return Repository(
        "app",
        tuple(Tag(name, draw(st.sampled_from(DIGESTS)), draw(times)) for name in sorted(names)),
        {digest: Manifest(digest, "", 0, Kind.IMAGE) for digest in DIGESTS},
        pushed={digest: when for digest in DIGESTS if (when := draw(times)) is not None},
        pulled=draw(st.dictionaries(st.sampled_from(NAMES), dates, max_size=3)),
        pulls_since=draw(st.none() | dates),
    )


def _is_written(clause: Newest) -> bool:
    """Whether a policy file may say it: `now` is a date, so no version counts as that."""
    return clause.unknown is not Unknown.NOW or clause.by not in (Order.VERSION, Order.NAME)


def leaves(orders: list[Order], unknown: st.SearchStrategy[Unknown]) -> st.SearchStrategy[Clause]:
    """Return clauses that the passing of time, and newer images, can only tighten."""
    by = st.sampled_from(orders)
    dated = st.sampled_from([order for order in orders if order not in (Order.NAME, Order.VERSION)])
    per = st.sampled_from([(), (), ("minor",), ("variant",)])
    return st.one_of(
        st.builds(Newest, counts, by, per, unknown=unknown).filter(_is_written),
        st.builds(Periods, st.sampled_from(list(Period)), counts, dated, unknown=unknown),
        st.builds(Within, ages, dated, unknown=unknown),
    )


def composed(inner: st.SearchStrategy[Clause]) -> st.SearchStrategy[Clause]:
    lists = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return lists.map(AnyOf) | lists.map(AllOf)


ANY_LEAF = leaves(list(Order), st.sampled_from(list(Unknown))) | st.builds(PulledWithin, ages, st.booleans())
CLAUSES: st.SearchStrategy[Clause] = st.recursive(
    ANY_LEAF | st.just(Everything()),
    lambda inner: (
        composed(inner)
        | inner.map(Not)
        | st.builds(Newest, counts, st.just(Order.PUSHED), of_tags=st.booleans(), among=inner)
    ),
    max_leaves=5,
)
BY_PUSH: st.SearchStrategy[Clause] = st.recursive(
    leaves([Order.PUSHED], st.just(Unknown.KEEP)).filter(lambda clause: not getattr(clause, "per", ())),
    composed,
    max_leaves=4,
)
SELECTORS: list[tuple[TagPattern, ...]] = [
    (Glob("*"),),
    (Glob("*"), Untagged()),
    (VersionPattern(Glob("*")),),
    (Regex("(?P<branch>.+)-[0-9a-f]{7}"),),
    (Glob("[x-z]*"), Glob("1.*")),
]


@st.composite
def policies(draw: st.DrawFn, clauses: st.SearchStrategy[Clause] = CLAUSES) -> Policy:
    rules = tuple(
        Rule(f"rule {n}", draw(st.sampled_from(SELECTORS)), draw(clauses), draw(st.sampled_from(list(Counts))))
        for n in range(draw(st.integers(1, 3)))
    )
    untagged = draw(st.none() | clauses)
    unit = draw(st.sampled_from(list(Unit)))
    protect = draw(st.sampled_from([(), (Glob("x"),)]))
    mine = RepositoryPolicy(ANYWHERE, rules, untagged if unit is Unit.TAG else None, unit=unit)
    if unit is Unit.TAG:
        mine = replace(mine, images_outlive_tags=draw(st.booleans()))
    return Policy((mine,), protect)


@st.composite
def families(draw: st.DrawFn) -> Repository:
    """Return a repository in which images are indexes of later ones, or refer to any, also to what is not there."""
    repo = draw(repositories())
    descriptors = {each: Descriptor("", each, 0) for each in [*DIGESTS, Digest.of(b"gone")]}
    manifests: dict[Digest, Manifest] = {}
    for number, digest in enumerate(DIGESTS):
        later = DIGESTS[number + 1 :]
        children = draw(st.lists(st.sampled_from(later), max_size=2, unique=True)) if later else []
        subject = draw(st.none() | st.sampled_from([each for each in descriptors if each != digest]))
        manifests[digest] = Manifest(
            digest,
            "",
            0,
            Kind.INDEX if children else Kind.IMAGE,
            children=tuple(descriptors[each] for each in children),
            subject=None if subject is None else descriptors[subject],
        )
    return replace(repo, manifests=manifests)


def of_one_rule(clause: Clause, unit: Unit = Unit.TAG) -> Policy:
    return Policy((RepositoryPolicy(ANYWHERE, (Rule("all", (Glob("*"),), clause),), unit=unit),))


def verdicts(decisions: RepositoryDecisions) -> dict[str, tuple[bool, str]]:
    tags = {each.tag.name: (each.kept, each.reason.text) for each in decisions.tags}
    return tags | {str(each.digest): (each.kept, each.reason.code) for each in decisions.manifests.values()}


def expired(decisions: RepositoryDecisions) -> set[str]:
    return {each.tag.name for each in decisions.tags if not each.kept}


@given(repositories(), policies(), st.integers(0, 1000))
def test_the_order_in_which_a_source_lists_things_decides_nothing(repo: Repository, by: Policy, seed: int) -> None:
    chance = random.Random(seed)
    tags, manifests = list(repo.tags), list(repo.manifests.items())
    chance.shuffle(tags)
    chance.shuffle(manifests)
    shuffled = replace(repo, tags=tuple(tags), manifests=dict(manifests))
    assert verdicts(decide_repository(shuffled, by, NOW)) == verdicts(decide_repository(repo, by, NOW))


@given(repositories(), policies(), st.dictionaries(st.sampled_from(NAMES), st.just("a pod"), max_size=1))
def test_an_images_tags_all_go_or_all_stay(repo: Repository, by: Policy, used: dict[str, str]) -> None:
    whole = [replace(each, unit=Unit.IMAGE, untagged=None, images_outlive_tags=False) for each in by.policies]
    of_images = Policy(tuple(whole), by.protect)
    decisions = decide_repository(repo, of_images, NOW, InUse({"app": used}))
    for digest in DIGESTS:
        assert len({each.kept for each in decisions.tags if each.tag.digest == digest}) <= 1
    for each in decisions.tags:
        assert decisions.manifests[each.tag.digest].kept is each.kept


@given(families(), policies(), CLAUSES, CLAUSES)
@settings(max_examples=200)
def test_what_is_spared_is_whole_and_takes_nothing_away(
    repo: Repository, by: Policy, platforms: Clause, of_expired: Clause
) -> None:
    sparing = replace(by.policies[0], platforms=platforms, referrers=Referrers(of_expired=of_expired))
    before = decide_repository(repo, by, NOW)
    after = decide_repository(repo, Policy((sparing,), by.protect), NOW)
    assert set(after.order) <= set(before.order)
    assert expired(after) <= expired(before)
    for digest, decision in after.manifests.items():
        if decision.kept and before.manifests[digest].kept is False:
            assert decision.reason.rule in ("platforms", "referrers") or "-of-kept" in decision.reason.code
        if decision.kept:
            assert all(after.manifests[child.digest].kept for child in repo.manifests[digest].children)
    for each in after.tags:
        assert after.manifests[each.tag.digest].kept or not each.kept


@given(families(), policies())
def test_a_kept_tag_keeps_its_digest(repo: Repository, by: Policy) -> None:
    decisions = decide_repository(repo, by, NOW)
    assert all(decisions.manifests[each.tag.digest].kept for each in decisions.tags if each.kept)


@given(repositories(), BY_PUSH)
def test_an_undated_tag_stays_and_takes_no_place(repo: Repository, clause: Clause) -> None:
    decisions = decide_repository(repo, of_one_rule(clause), NOW)
    undated = {tag.name for tag in repo.tags if tag.pushed is None}
    assert not undated & expired(decisions)
    without = replace(repo, tags=tuple(tag for tag in repo.tags if tag.name not in undated))
    assert expired(decide_repository(without, of_one_rule(clause), NOW)) == expired(decisions)


@given(repositories(), st.data())
def test_what_goes_would_go_whatever_the_unknown_dates_are(repo: Repository, data: st.DataObject) -> None:
    """An undated tag was counted nowhere; had it a date, it could only take places, and free none."""
    clause = data.draw(BY_PUSH)
    before = expired(decide_repository(repo, of_one_rule(clause), NOW))
    guessed = tuple(tag if tag.pushed else Tag(tag.name, tag.digest, data.draw(dates)) for tag in repo.tags)
    fresh = {tag.name for tag in repo.tags if tag.pushed is None}
    # A guessed tag may bring an old image forward, since a digest stands where its newest tag does.
    shared = {tag.digest for tag in repo.tags if tag.name in fresh}
    after = expired(decide_repository(replace(repo, tags=guessed), of_one_rule(clause), NOW))
    assert {tag.name for tag in repo.tags if tag.name in before and tag.digest not in shared} <= after


@given(repositories(), BY_PUSH, st.sampled_from(list(Unit)))
def test_a_newer_image_never_brings_an_expired_tag_back(repo: Repository, clause: Clause, unit: Unit) -> None:
    new = Digest.of(b"new")
    before = decide_repository(repo, of_one_rule(clause, unit), NOW)
    when = NOW + timedelta(days=3)
    more = replace(
        repo,
        tags=(*repo.tags, Tag("new", new, when)),
        manifests={**repo.manifests, new: Manifest(new, "", 0, Kind.IMAGE)},
        pushed={**repo.pushed, new: when},
    )
    after = decide_repository(more, of_one_rule(clause, unit), NOW)
    assert expired(before) <= expired(after)
    assert "new" not in expired(after) or isinstance(clause, AllOf | AnyOf)


@given(repositories(), st.sampled_from(list(Unit)), st.integers(0, 60), st.data())
def test_what_expired_does_not_come_back_as_time_passes(
    repo: Repository, unit: Unit, days: int, data: st.DataObject
) -> None:
    # Undated things that count as of now are younger than anything tomorrow, too, so they are left out.
    steady = st.sampled_from([Unknown.KEEP, Unknown.OLDEST, Unknown.NEWEST])
    tightening = leaves(list(Order), steady) | st.builds(PulledWithin, ages, st.booleans())
    clause = data.draw(st.recursive(tightening, composed, max_leaves=4))
    before = decide_repository(repo, of_one_rule(clause, unit), NOW)
    after = decide_repository(repo, of_one_rule(clause, unit), NOW + timedelta(days=days))
    assert expired(before) <= expired(after)


@given(repositories(undated=False), counts)
def test_newest_keeps_what_a_plain_count_keeps(repo: Repository, count: int) -> None:
    """Counted again, another way: the digests by their newest tag."""
    newest: dict[Digest, datetime] = {}
    for tag in repo.tags:
        assert tag.pushed is not None
        newest[tag.digest] = max(tag.pushed, newest.get(tag.digest, tag.pushed))
    decisions = decide_repository(repo, of_one_rule(Newest(count, Order.PUSHED)), NOW)
    kept = {each.tag.digest for each in decisions.tags if each.kept}
    assert len(kept) == min(count, len(newest))
    gone = newest.keys() - kept
    assert all(newest[one] >= newest[other] for one in kept for other in gone)


@given(repositories(), policies(), st.dictionaries(st.sampled_from([*NAMES, *DIGESTS]), st.just("a pod")))
@settings(max_examples=200)
def test_use_keeps_and_changes_no_count(repo: Repository, by: Policy, used: dict[str, str]) -> None:
    free = decide_repository(repo, by, NOW)
    held = decide_repository(repo, by, NOW, InUse({"app": used}))
    in_use = {each.tag.name for each in held.tags if each.tag.name in used or each.tag.digest in used}
    assert not in_use & expired(held)
    assert all(held.manifests[digest].kept for digest in DIGESTS if digest in used)
    if by.policies[0].unit is Unit.IMAGE:
        whole = {each.tag.digest for each in held.tags if each.tag.name in in_use}
        in_use |= {each.tag.name for each in held.tags if each.tag.digest in whole}
    assert expired(held) == expired(free) - in_use
