"""The warnings of `policy check`: each is right where it is given, and is not given where it would be wrong."""

from collections.abc import Sequence

import pytest

from jettison.policy.lint import PolicyWarning, lint
from jettison.policy.model import RepositoryPolicy
from jettison.policy.parse import parse_policy
from jettison.policy.reach import Reach


def warnings(text: str) -> list[PolicyWarning]:
    return list(lint(parse_policy(text, "policy.yaml"), text, "policy.yaml"))


def of_rules(*rules: str, unit: str = "tag", protect: str = "") -> list[PolicyWarning]:
    head = f"protect: {{tags: [{protect}]}}\n" if protect else ""
    lines = "".join(f"      - {{name: r{i}, {rule}}}\n" for i, rule in enumerate(rules))
    return warnings(f'{head}policies:\n  - repositories: ["**"]\n    unit: {unit}\n    rules:\n{lines}')


def codes(found: list[PolicyWarning]) -> list[str]:
    return [each.code for each in found]


TEN = "keep: {newest: 10}"


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ('"v*"', True),
        ('"a/b"', False),
        ('"a:b"', False),
        ('".hidden"', False),
        (f'"{"x" * 128}"', True),
        (f'"{"x" * 129}"', False),
        ("{regex: '.{129,}'}", False),
        ("{regex: 'v[ ]1'}", False),
        ("{regex: '(?i)^MAIN$'}", True),
        ("{regex: '(?<!x)main'}", True),  # look-around: nobody can tell, so nobody is warned
        ("{regex: '(?=y)main'}", True),
        ("{version: release}", False),
        ('{version: "1.*"}', True),
        ('{version: "x*"}', True),
        ('{all: ["v*", {not: "v*"}]}', False),
        ('{all: ["v*", "*-rc"]}', True),
        ('{all: [{version: "*"}, {not: {version: "*"}}]}', False),
        ("{all: [{regex: '[a-f]+'}, {regex: '[0-9]+'}]}", False),
        ("{search: '^-'}", False),
        ("{search: '-'}", True),
        ('{not: "*"}', False),
    ],
)
def test_a_rule_that_can_never_match(selector: str, matches: bool) -> None:
    found = of_rules(f"tags: {selector}, {TEN}")
    assert ("never-matches" not in codes(found)) is matches


@pytest.mark.parametrize(
    ("first", "second", "hidden"),
    [
        ('"*"', '{version: "*"}', True),
        ('{version: "*"}', '"*"', False),
        ('{version: "*"}', '{version: "1.*"}', True),
        ('{version: "1.*"}', '{version: "*"}', False),
        ('{version: "*"}', '"1.2"', False),  # what is a version is no question of grammar alone
        ('"v*"', '"v1*"', True),
        ('"v?*"', '"v*"', False),
        ('["a*", "b*"]', "{regex: '[ab].*'}", True),
        ("{regex: '[a-f].*'}", "{regex: 'a|b|c'}", True),
        ("{search: '-'}", "{regex: '^(?P<branch>.+)-[0-9a-f]{7,40}$'}", True),
        ("{regex: 'x-[0-9a-f]{7,39}'}", "{regex: 'x-[0-9a-f]{7,40}'}", False),
        ('{not: {version: "*"}}', '"latest"', True),
        ("{regex: '(?<!x)main'}", '"main"', False),
        ('"release-*"', '"*"', False),
    ],
)
def test_a_rule_hidden_by_an_earlier_one(first: str, second: str, hidden: bool) -> None:
    found = of_rules(f"tags: {first}, {TEN}", f"tags: {second}, keep: {{within: 1d}}")
    assert ("hidden-rule" in codes(found)) is hidden


def test_the_warning_names_who_hides() -> None:
    (found,) = of_rules(f'tags: "*", {TEN}', f'tags: "v*", {TEN}')
    assert str(found) == (
        "policy.yaml:6:20: policies[0].rules[1].tags: every tag that 'r1' selects is taken by the rule 'r0' already, "
        "so this rule never decides"
    )
    (together,) = of_rules(f'tags: "a*", {TEN}', f'tags: "b*", {TEN}', f"tags: {{regex: '[ab].*'}}, {TEN}")
    assert "what stands before" in together.text
    (protected,) = of_rules(f'tags: "latest", {TEN}', protect="latest")
    assert "`protect`" in protected.text


def test_protection_of_what_cannot_be_a_tag() -> None:
    (found,) = of_rules(f'tags: "x*", {TEN}', protect='"latest", "team/app:1"')
    assert (found.code, found.path, found.text) == ("never-matches", "protect.tags", "no tag can match team/app:1")


def test_images_are_matched_by_some_tag_for_each_part() -> None:
    assert codes(of_rules(f'tags: {{all: ["a*", "b*"]}}, {TEN}', unit="tag")) == ["never-matches"]
    assert of_rules(f'tags: {{all: ["a*", "b*"]}}, {TEN}', unit="image") == []
    both = f'tags: {{all: ["a*", "b*"]}}, {TEN}'
    assert codes(of_rules(f'tags: "a*", {TEN}', both, unit="image")) == ["hidden-rule"]
    assert codes(of_rules(both, f'tags: "a*", {TEN}', unit="image")) == []
    assert codes(of_rules(both, f'tags: {{all: ["ax", "b*", "c"]}}, {TEN}', unit="image")) == ["hidden-rule"]
    assert codes(
        of_rules(f'tags: {{glob: "*", untagged: true}}, {TEN}', f"tags: {{untagged: true}}, {TEN}", unit="image")
    ) == ["hidden-rule"]
    assert codes(of_rules(f'tags: "*", {TEN}', f"tags: {{untagged: true}}, {TEN}", unit="image")) == []
    assert codes(of_rules(f'tags: {{all: ["a", {{untagged: true}}]}}, {TEN}', unit="image")) == ["never-matches"]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("{newest: 3}", []),
        ("{nothing: true, newest: 3}", []),
        ("{newest: 3, everything: true}", ["no-effect"]),
        ('{newest: 3, tags: "*"}', ["no-effect"]),
        ("{all: [{within: 7d}, {not: {within: 30d}}]}", ["never-keeps"]),
        ("{all: [{within: 30d}, {not: {within: 7d}}]}", []),
        ("{all: [{newest: 3}, {nothing: true}]}", ["never-keeps"]),
        ("{newest: 3, among: {nothing: true}}", ["never-keeps"]),
        ("{nothing: true}", []),
        ("{newest: 3, by: version}", ["no-version"]),
        ("{newest: 3, by: version, unknown: oldest}", []),
    ],
)
def test_clauses(keep: str, expected: list[str]) -> None:
    found = of_rules(f"tags: [{'main' if 'version' in keep else 'main*'}], keep: {keep}", f'tags: "x*", {TEN}')
    assert codes(found) == expected


def test_policies() -> None:
    rules = "rules: [{name: a, tags: '*', keep: {newest: 3}}]"
    found = warnings(
        "policies:\n"
        f"  - {{repositories: ['team/**', '!team/base/**'], {rules}}}\n"
        f"  - {{repositories: ['team/app/*'], {rules}}}\n"
        f"  - {{repositories: ['team/base/**'], {rules}}}\n"
        f"  - {{repositories: ['Team/*'], {rules}}}\n"
        f"  - {{repositories: ['a/**', 'b/*'], {rules}}}\n"
        f"  - {{repositories: ['[ab]/c'], {rules}}}\n"
        f"  - {{repositories: ['c/**'], rules: [{{name: all, tags: '*', keep: {{everything: true}}}}]}}\n"
        f"  - {{repositories: ['d/**'], enabled: false, {rules}}}\n"
    )
    assert [(each.code, each.path) for each in found] == [
        ("hidden-policy", "policies[1].repositories"),
        ("never-applies", "policies[3].repositories"),
        ("hidden-policy", "policies[5].repositories"),
        ("no-effect", "policies[6]"),
        ("no-effect", "policies[7].enabled"),
    ]


def test_rules_of_sets_and_defaults_are_found_where_they_stand() -> None:
    found = warnings(
        "rule_sets:\n"
        "  standard:\n"
        "    - {name: all, tags: '*', keep: {newest: 3}}\n"
        "    - {name: late, tags: 'v*', keep: {newest: 3}}\n"
        "  idle:\n"
        "    - {name: x, tags: 'x', keep: {newest: 3}}\n"
        "defaults:\n"
        "  rules: [{name: rest, tags: 'a/b', keep: {newest: 3}}]\n"
        "policies:\n"
        "  - repositories: '**'\n"
        "    rules: [{use: standard}]\n"
    )
    assert [(each.code, each.where, each.path) for each in found] == [
        ("hidden-rule", "policy.yaml:4:20", "rule_sets.standard[1].tags"),
        ("never-matches", "policy.yaml:8:24", "defaults.rules[0].tags"),
        ("unused", "policy.yaml:5:3", "rule_sets.idle"),
    ]


def test_expressions_that_are_too_much_to_work_out_give_no_warning() -> None:
    """Each of these would take minutes; it is left after half a second, and the rest is looked at."""
    large = ["{regex: '(a|b)*a(a|b){14}'}", "{regex: '((a|ab|b){1,50}){1,50}'}", "{regex: '(.*a.*b.*c){5}'}"]
    found = of_rules(*(f"tags: {each}, {TEN}" for each in large), f'tags: "*", {TEN}', f'tags: "x", {TEN}')
    assert [(each.code, each.path) for each in found] == [("hidden-rule", "policies[0].rules[4].tags")]


def test_hundreds_of_policies_are_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    compared = Reach.no_repository

    def count(self: Reach, policy: RepositoryPolicy, earlier: Sequence[RepositoryPolicy] = ()) -> bool:
        asked.append(len(earlier))
        return compared(self, policy, earlier)

    monkeypatch.setattr(Reach, "no_repository", count)
    rule = "rules: [{tags: '*', keep: {newest: 1}}]"
    names = [f"team{number}/**" for number in range(60)]
    text = "policies:\n" + "".join(f"  - {{repositories: '{name}', {rule}}}\n" for name in [*names, "team7/x/**"])
    assert [(each.code, each.path) for each in warnings(text)] == [("hidden-policy", "policies[60].repositories")]
    assert sum(asked) < 2 * len(names)
