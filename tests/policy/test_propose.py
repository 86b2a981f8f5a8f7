"""Proposed policies: they are policies, nothing in them is idle, and what is not recognised stays."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.oci.inventory import Inventory
from jettison.policy.evaluate import decide
from jettison.policy.lint import lint
from jettison.policy.parse import parse_policy
from jettison.policy.propose import Wishes, look, propose
from jettison.testing.images import image
from jettison.testing.inventories import NOW, inventory, repository

BUILT = image(seed="any")
TAGS = {
    "releases": ["1.2.3", "v2.0", "2026.11.24", "1.0-alpine"],
    "requests": ["pr-12", "mr_7-fix", "pull-3"],
    "branches": ["main-0867a188", "fix-a-b-6ba5aa034f"],
    "commits": ["0867a188abc", "sha-1c8402d"],
    "numbers": ["build-12", "ci.7"],
    "others": ["main", "my-branch", "feature-x"],
}


def of(*names: str) -> Inventory:
    return inventory(repository("team/app", dict.fromkeys(names, BUILT)))


@pytest.mark.parametrize("kind", TAGS)
def test_kinds_of_tags(kind: str) -> None:
    for name in TAGS[kind]:
        seen = look(of(name))
        found = getattr(seen, kind)
        assert (found.count, found.examples) == (1, (name,)), name
        assert [each for each in TAGS if getattr(seen, each) is not None] == [kind]


def test_moving_tags_are_protected() -> None:
    text = propose(look(of("stable", "latest", "1.0")), Wishes())
    assert "  tags: [latest, stable]\n" in text


def test_the_whole_proposal() -> None:
    every = of(*(name for names in TAGS.values() for name in names), "latest")
    text = propose(look(every), Wishes(5, 2, "7d", "1d", "20%"))
    policy = parse_policy(text, "proposal")
    assert lint(policy, text, "proposal") == ()
    rules = [rule.name for rule in policy.policies[0].rules]
    assert rules == ["releases", "pull requests", "commits", "branches", "builds"]
    assert "keep: {newest: 5}" in text
    assert "keep: {newest: 2, by: pushed, per: branch, within: 7d}" in text
    assert "untagged: {keep: {within: 1d}}" in text
    assert "deletions: 20%" in text
    assert "pulled_within" not in text


def test_pulls_are_used_where_they_are_known() -> None:
    kept = replace(repository("team/app", {"1.0": BUILT}), pulls_since=NOW - timedelta(days=9))
    assert "keep: {newest: 10, pulled_within: 90d}" in propose(look(inventory(kept)), Wishes())


def test_an_empty_registry_gives_a_policy_too() -> None:
    text = propose(look(inventory()), Wishes())
    assert parse_policy(text, "proposal").policies[0].rules == ()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([name for names in TAGS.values() for name in names]),
            st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True),
        ),
        unique=True,
        max_size=12,
    )
)
def test_any_tags_give_a_sound_policy_which_keeps_what_it_does_not_know(names: list[str]) -> None:
    found = of(*names)
    seen = look(found)
    text = propose(seen, Wishes(releases=1, builds=1))
    policy = parse_policy(text, "proposal")
    assert [each for each in lint(policy, text, "proposal") if each.code != "hidden-rule"] == []
    unknown = set(seen.others.examples) if seen.others is not None else set()
    for decided in decide(found, policy, NOW):
        assert {each.tag.name for each in decided.tags if each.kept} >= unknown
