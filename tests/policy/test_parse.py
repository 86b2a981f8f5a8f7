"""Policy files: what they say, and what a mistake in one says back."""

import re
from datetime import timedelta

import pytest

from jettison.errors import ConfigurationError
from jettison.policy.lint import lint
from jettison.policy.model import AllOf, AnyOf, Everything, LastImage, Newest, Not, Order, Share, Within
from jettison.policy.parse import parse_duration, parse_limit, parse_policy

FULL = """
protect:
  tags: [latest, {regex: 'stable-.*'}]
policies:
  - repositories: ["team/**", "!team/base/**"]
    rules:
      - name: releases
        tags: {version: "*"}
        keep: {newest: 10}
      - name: branches
        tags: {regex: '^.+-[0-9a-f]{7,40}$'}
        keep: {newest: 3, within: 14d}
      - tags: ["*"]
        keep: {all: [{newest: 20}, {within: 90d}]}
    untagged: {keep: {within: 24h}}
  - repositories: "**"
    rules:
      - tags: {glob: ["tmp-*", "test-*"]}
        keep: {any: [{newest: 2, by: created}, {not: {within: 1h}}]}
      - tags: "*"
        keep: {everything: true}
limits: {deletions: 30%, last_image: allow}
"""


def refused(text: str) -> str:
    """Return what is said of a policy that is refused."""
    with pytest.raises(ConfigurationError) as caught:
        parse_policy(text, "policy.yaml")
    return str(caught.value)


def test_everything_is_read() -> None:
    policy = parse_policy(FULL, "policy.yaml")
    first, second = policy.policies
    assert [rule.name for rule in first.rules] == ["releases", "branches", "rule 3"]
    assert first.rules[0].keep == Newest(10, Order.VERSION)
    assert first.rules[1].keep == AnyOf((Newest(3, Order.PUSHED), Within(timedelta(days=14))))
    assert first.rules[2].keep == AllOf((Newest(20, Order.PUSHED), Within(timedelta(days=90))))
    assert first.untagged == Within(timedelta(days=1))
    assert second.rules[0].keep == AnyOf((Newest(2, Order.CREATED), Not(Within(timedelta(hours=1)))))
    assert second.rules[1].keep == Everything()
    assert policy.limits.deletions == Share(30)
    assert policy.limits.last_image is LastImage.ALLOW
    assert policy.protects("stable-2")
    assert not policy.protects("stable")
    assert policy.for_repository("team/base/debian") is second


RULE = "policies:\n  - repositories: ['**']\n    rules:\n      - tags: ['*']\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the policy is empty"),
        ("policies: []", "no policy is given"),
        ("- a\n", "expected a mapping"),
        ("policies: [\n", r"policy\.yaml:\d+:\d+: this is no YAML"),
        ("a: 1\na: 2\n", "this is no YAML"),
        ("polices: []\n", r"policy\.yaml:1:1: polices: unknown key 'polices'; did you mean 'policies'"),
        (RULE + "        kep: {newest: 1}\n", r"policy\.yaml:5:9: policies\[0\]\.rules\[0\]\.kep: .*'keep'"),
        (
            RULE + "        keep: {newst: 1}\n",
            r":5:16: policies\[0\]\.rules\[0\]\.keep\.newst: .*did you mean 'newest'",
        ),
        (RULE, "`keep` is missing"),
        (RULE + "        keep: {newest: 0}\n", r"newest: 0 is no count"),
        (RULE + "        keep: {newest: true}\n", r"True is no count"),
        (RULE + "        keep: {newest: ten}\n", r"'ten' is no count"),
        (RULE + "        keep: {within: soon}\n", "'soon' is no span of time"),
        (RULE + "        keep: {within: 5}\n", "'5' is no span of time"),
        (RULE + "        keep: {newest: 1, by: pushd}\n", "did you mean 'pushed'"),
        (RULE + "        keep: {everything: true, by: pushed}\n", "`newest`, .*, which is missing"),
        (RULE + "        keep: {everything: false}\n", "write `everything: true`"),
        (RULE + "        keep: {any: []}\n", "`any` is empty"),
        (RULE + "        keep: {}\n", "no clause is given"),
        (
            RULE.replace("'*'", "1.10") + "        keep: {newest: 1}\n",
            "expected text, found a number 1.1; put it in quotes",
        ),
        (RULE.replace("['*']", "{regex: '('}") + "        keep: {newest: 1}\n", r"regex: the regular expression '\('"),
        (RULE.replace("['*']", "[]") + "        keep: {newest: 1}\n", "selects no tags"),
        (RULE.replace("['**']", "['!x']") + "        keep: {newest: 1}\n", "only take out"),
        ("policies:\n  - repositories: ['**']\n", "it would do nothing"),
        (
            "policies: [{repositories: ['**'], untagged: {keep: {within: 1d}}}]\nlimits: {deletions: 130%}\n",
            "is no limit",
        ),
        (
            "policies: [{repositories: ['**'], untagged: {keep: {within: 1d}}}]\nlimits: {last_image: yes}\n",
            "not known here",
        ),
        (
            (
                "policies:\n  - repositories: ['**']\n    rules:\n"
                "      - {name: a, tags: x, keep: {newest: 1}}\n      - {name: a, tags: y, keep: {newest: 1}}\n"
            ),
            r":5:10: policies\[0\]\.rules\[1\]\.name: 'a' names an earlier rule already",
        ),
    ],
)
def test_a_mistake_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse_policy(text, "policy.yaml")
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("text", "hours"),
    [("30m", 0.5), ("24h", 24), ("14d", 336), ("2w", 336), ("1mo", 720), ("1y", 8760), ("90 s", 0.025)],
)
def test_spans_of_time(text: str, hours: float) -> None:
    assert parse_duration(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "d", "1", "-1d", "1.5d", "1 fortnight", "9" * 30 + "y"])
def test_what_is_no_span_of_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"span of time|longer than time"):
        parse_duration(text)


def test_limits() -> None:
    assert parse_limit("30%") == Share(30)
    assert parse_limit(" 2.5 % ") == Share(2.5)
    assert parse_limit("200") == parse_limit(200) == 200
    for wrong in ("101%", "-1", "many", "", True, -5):
        with pytest.raises(ValueError, match="is no limit"):
            parse_limit(wrong)


MERGED = """
rule_sets:
  standard:
    - &base {name: base, tags: "*", keep: {newest: 3}}
    - <<: *base
      name: versions
      tags: {version: "*"}
policies:
  - &first
    repositories: "a/**"
    rules: [{<<: *base, name: own}]
  - <<: [*first, {untagged: {keep: {within: 1d}}, repositories: "c"}]
    repositories: "b/**"
"""


def test_merge_keys_are_resolved() -> None:
    policy = parse_policy(MERGED, "policy.yaml")
    first, second = policy.policies
    assert (str(first.repositories), str(second.repositories)) == ("a/**", "b/**")
    assert first.rules == second.rules
    assert (first.untagged, second.untagged) == (None, Within(timedelta(days=1)))
    assert [warning.code for warning in lint(policy, MERGED, "policy.yaml")] == ["unused"]


def test_a_mistake_in_what_is_merged_stands_where_it_is_written() -> None:
    text = "policies:\n  - repositories: a\n    <<:\n      rules:\n        - {tags: '*', keep: {newst: 3}}\n"
    assert refused(text).startswith("policy.yaml:5:30: policies[0].rules[0].keep.newst: ")


@pytest.mark.parametrize("value", ["3", "[3]", "[{a: 1}, b]", "&x {<<: *x}"])
def test_only_mappings_are_merged(value: str) -> None:
    text = refused(f"policies:\n  - repositories: a\n    <<: {value}\n")
    assert re.match(r"policy\.yaml:3:\d+: .*(`<<` takes a mapping, or a list of mappings|alias)", text)


USUAL = "policies: [{repositories: a, rules: [{tags: '*', keep: {newest: 1}}], untagged: {keep: {within: 1d}}}]\n"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (
            f"{USUAL}protect:\n  tags:\n    - latest\n    - 1.10\n",
            "5:7: protect.tags[1]: expected text, found a number",
        ),
        (f"{USUAL}protect:\n  tags:\n    - 'a['\n", "4:7: protect.tags[0]: "),
        (f"{USUAL}protect: {{in_use: [docker, 5]}}\n", "2:28: protect.in_use[1]: "),
        ("policies:\n  - repositories:\n      - a\n      - 5\n", "4:9: policies[0].repositories[1]: "),
        ("policies:\n  - a\n", "2:5: policies[0]: expected a mapping"),
        ("policies:\n  - repositories: a\n    rules:\n      - a\n", "4:9: policies[0].rules[0]: expected a mapping"),
        (
            "policies:\n  - repositories: a\n    rules:\n      - tags: {regex: [a, (]}\n",
            "4:27: policies[0].rules[0].tags.regex[1]: the regular expression '('",
        ),
        (
            "policies:\n  - repositories: a\n    untagged:\n      keep: {any: [{newest: 1}, x]}\n",
            "4:33: policies[0].untagged.keep.any[1]: expected a mapping",
        ),
    ],
)
def test_a_mistake_in_a_list_is_told_of_its_entry(text: str, where: str) -> None:
    assert refused(text).startswith(f"policy.yaml:{where}")


def test_defaults_that_no_policy_takes_are_read() -> None:
    text = refused(f"defaults: {{untagged: {{keep: {{wihtin: 1d}}}}}}\n{USUAL}")
    assert text.startswith("policy.yaml:1:30: defaults.untagged.keep.wihtin: unknown key")


@pytest.mark.parametrize("key", ["protect", "limits", "defaults", "timezone", "rule_sets"])
def test_a_key_without_a_value_is_refused(key: str) -> None:
    assert refused(f"{key}:\n{USUAL}") == (
        f"policy.yaml:1:1: {key}: `{key}` has no value; write one, or leave the key out"
    )
