"""Policies that overlap, contradict themselves or never end, and tags and dates at the edge of what is legal."""

import string
from datetime import UTC, datetime, timedelta

import pytest

from jettison.errors import ConfigurationError
from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository, Tag
from jettison.oci.manifest import Kind, Manifest
from jettison.oci.reference import is_tag
from jettison.policy.evaluate import decide_repository
from jettison.policy.parse import parse_policy
from jettison.policy.pattern import Glob, Regex
from jettison.testing.inventories import NOW

LEGAL = string.ascii_letters + string.digits + "._-"
FIRST = string.ascii_letters + string.digits + "_"


def repository(tags: dict[str, datetime | None]) -> Repository:
    digests = {name: Digest.of(name.encode()) for name in tags}
    manifests = {digest: Manifest(digest, "", 0, Kind.IMAGE) for digest in digests.values()}
    return Repository(
        "app", tuple(Tag(name, digests[name], pushed) for name, pushed in sorted(tags.items())), manifests
    )


def gone(repo: Repository, text: str) -> list[str]:
    return [each.tag.name for each in decide_repository(repo, parse_policy(text, "p"), NOW).tags if not each.kept]


def of_rules(*rules: str) -> str:
    return "policies: [{repositories: '**', rules: [" + ", ".join(rules) + "]}]"


OLD = NOW - timedelta(days=99)


def test_of_policies_that_overlap_the_first_applies() -> None:
    text = """
        policies:
          - {repositories: "a*", rules: [{tags: "*", keep: {everything: true}}]}
          - {repositories: "**", rules: [{tags: "*", keep: {within: 1d}}]}
    """
    assert gone(repository({"x": OLD}), text) == []


def test_of_rules_that_contradict_each_other_the_first_decides() -> None:
    keep, drop = "{tags: 'x*', keep: {everything: true}}", "{tags: '*x', keep: {nothing: true}}"
    repo = repository({"x": OLD, "xy": OLD, "yx": OLD})
    assert gone(repo, of_rules(keep, drop)) == ["yx"]
    assert gone(repo, of_rules(drop, keep)) == ["x", "yx"]


@pytest.mark.parametrize("keep", ["{all: [{within: 1d}, {not: {within: 1d}}]}", "{not: {any: [{everything: true}]}}"])
def test_a_clause_that_no_tag_can_meet_keeps_none(keep: str) -> None:
    assert gone(repository({"x": OLD, "y": NOW}), of_rules(f"{{tags: 'x', keep: {keep}}}")) == ["x"]


def test_every_legal_tag_is_taken_as_it_is() -> None:
    tags = {first + (LEGAL * 2)[:127] for first in FIRST} | {
        "_" * 128,
        "1" * 128,
        "1." * 64,
        "v1" + ".0" * 63,
        "a" + "-" * 127,
    }
    tags |= {first + other for first in FIRST for other in LEGAL}
    assert all(is_tag(tag) for tag in tags)
    repo = repository(dict.fromkeys(tags, OLD))
    assert gone(repo, of_rules("{tags: {version: '*'}, keep: {everything: true}}", "{tags: '**', keep: {within: 1d}}"))
    assert set(gone(repo, of_rules("{tags: {regex: '.{1,128}'}, keep: {within: 1d}}"))) == tags
    for tag in tags:
        assert Glob(tag).matches(tag)
        assert not Glob(tag[:-1] + "?x").matches(tag)


@pytest.mark.parametrize("by", ["pushed", "created", "active", "stored", "tagged"])
def test_a_date_in_the_future_is_the_newest(by: str) -> None:
    future = {"z": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "soon": NOW + timedelta(minutes=5)}
    repo = repository({**future, "now": NOW, "old": OLD})
    assert gone(repo, of_rules(f"{{tags: '*', keep: {{newest: 2, by: {by}, unknown: oldest}}}}")) in (
        ["now", "old"],
        [],  # by use, nothing is known of pulls, so that none can be told to be older than another
    )
    assert gone(repo, of_rules("{tags: '*', keep: {within: 1s}}")) == ["old"]
    assert "z" not in gone(repo, "timezone: Asia/Tokyo\n" + of_rules("{tags: '*', keep: {daily: 1}}"))


def test_a_clock_that_is_a_little_ahead_makes_nothing_unknown() -> None:
    repo = repository({"ahead": NOW + timedelta(seconds=90), "b": NOW, "c": OLD})
    assert gone(repo, of_rules("{tags: '*', keep: {newest: 1}}")) == ["b", "c"]


def test_spans_longer_than_time_keep_everything() -> None:
    assert gone(repository({"x": OLD}), of_rules("{tags: '*', keep: {within: 2700000y}}")) == []
    with pytest.raises(ConfigurationError, match="longer than time itself"):
        parse_policy(of_rules("{tags: '*', keep: {within: 99999999999999y}}"), "p")


@pytest.mark.parametrize("text", ["(a+)+b", "(a|a)*c", "(.*)*x{2}", "(a?){60}a{60}b", ".*" * 20 + "!"])
def test_a_catastrophe_elsewhere_is_linear_here(text: str) -> None:
    repo = repository({"a" * 127 + str(n): OLD for n in range(10)})
    assert gone(repo, of_rules(f"{{tags: {{regex: '{text}'}}, keep: {{within: 1d}}}}")) == []


@pytest.mark.parametrize("text", ["(?=a)(a|a)+b", r"(a|aa)+(?<!c)$\B", "(?!x)(a|a|aa)+!"])
def test_one_that_is_not_linear_is_stopped(text: str) -> None:
    repo = repository({"a" * 120 + str(n): OLD for n in range(10)})
    with pytest.raises(ConfigurationError, match="took more than"):
        gone(repo, of_rules(f"{{tags: {{regex: '{text}'}}, keep: {{within: 1d}}}}"))


def test_one_that_is_slow_on_every_tag_is_stopped_before_the_last() -> None:
    """Each tag alone takes less than the limit, 100,000 of them would take an hour."""
    slow = Regex("(?=a)(a|a)+b")
    names = iter([f"{'a' * 15}{n}" for n in range(100_000)])
    with pytest.raises(ConfigurationError, match="on all tags together"):
        any(map(slow.matches, names))
    left = sum(1 for _ in names)
    assert 0 < left < 99_990, "the first ones are let pass"


def test_an_expression_too_large_for_the_quick_test_matches_all_the_same() -> None:
    large = Regex("(?:[0-9a-f]{900}x?){2}|.*-rc[0-9]{1,900}")
    assert large.matches("1.2-rc7")
    assert large.matches("0" * 1800)
    assert not large.matches("1.2-rc")


def test_a_hundred_thousand_tags_in_one_repository() -> None:
    tags = {f"{n // 1000}.{n % 1000}": NOW - timedelta(minutes=n) for n in range(50_000)}
    tags |= {f"main-{n:07x}": NOW - timedelta(minutes=n) for n in range(50_000)}
    rules = of_rules(
        "{tags: {version: '*'}, keep: {newest: 100}}",
        "{tags: {regex: '(?P<branch>.+)-[0-9a-f]{7}'}, keep: {newest: 5, per: branch, within: 2h}}",
    )
    expired = gone(repository(dict(tags)), rules)
    assert len(expired) == 100_000 - 100 - 120
    assert "49.900" not in expired
    assert "49.899" in expired


@pytest.mark.parametrize(
    "text",
    [
        "policies: " + "[" * 1000,
        "a: &a [*a]\npolicies: *a",
        "policies: [{repositories: '**', rules: &r [{use: *r}]}]",
        "policies: &p [{repositories: '**', rules: *p}]",
    ],
    ids=["deep", "a list in itself", "rules in themselves", "policies in themselves"],
)
def test_yaml_that_is_deep_or_endless_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_policy(text, "p")


def test_a_clause_in_itself_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"found nothing|too deep"):
        parse_policy(of_rules("{tags: '*', keep: &k {any: [*k]}}"), "p")


def test_a_selector_in_itself_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"found nothing|too deep"):
        parse_policy(of_rules("{tags: &k {any: [*k]}, keep: {newest: 1}}"), "p")


@pytest.mark.parametrize(
    ("repositories", "tags", "keep"),
    [
        ("'**'", "'*'", "{nothing: true}"),
        ("'**/*'", "['v*', '*']", "{not: {everything: true}}"),
        ("[a, {regex: '.*'}]", "{regex: '.+'}", "{any: [{nothing: true}, {all: [{within: 1d}, {not: {within: 1d}}]}]}"),
    ],
)
def test_a_policy_that_can_keep_nothing_is_refused_unless_it_says_so(repositories: str, tags: str, keep: str) -> None:
    text = f"policies: [{{repositories: {repositories}, rules: [{{tags: {tags}, keep: {keep}}}]}}]\n"
    with pytest.raises(ConfigurationError, match="every tag of the registry would go"):
        parse_policy(text, "p")
    assert parse_policy(text + "limits: {last_image: allow}", "p")
