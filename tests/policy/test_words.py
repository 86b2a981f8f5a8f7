"""Clauses in words are what a policy file says: read again they are the same clause."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.policy.clause import Clause
from jettison.policy.model import Policy
from jettison.policy.parse import parse_policy
from jettison.policy.spans import parse_duration
from jettison.policy.words import clause_text, span_text


def clause_of(keep: str) -> Clause:
    text = f'policies: [{{repositories: "**", rules: [{{tags: {{version: "*"}}, keep: {{{keep}}}}}]}}]'
    policy: Policy = parse_policy(text, "policy")
    return policy.policies[0].rules[0].keep


@pytest.mark.parametrize(
    "keep",
    [
        "newest: 3, by: version",
        "newest: 3, by: pushed, per: [minor, variant], of: tags, unknown: oldest",
        "daily: 7, by: created, per: major",
        "monthly: 12, by: pushed, among: {not: {within: 30d}}",
        "within: 14d",
        "within: 1d12h, by: active, inclusive: true, unknown: newest",
        "pulled_within: 90d, or_pushed: true, inclusive: true",
        "any: [{newest: 3, by: name}, {everything: true}]",
        "all: [{within: 5m}, {nothing: true}, {tagged: true}]",
        "not: {digest: sha256*}",
    ],
)
def test_a_clause_in_words_is_the_clause(keep: str) -> None:
    assert clause_text(clause_of(keep)) == keep
    assert clause_of(clause_text(clause_of(keep))) == clause_of(keep)


@settings(deadline=None)
@given(st.integers(1, 10**9).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_span_in_words_is_the_span(span: timedelta) -> None:
    assert parse_duration(span_text(span)) == span
