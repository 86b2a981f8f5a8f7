"""The language beyond rules over tags: images, referrers, sets of rules, switches, pulls, and mistakes in them."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, reset_tzpath

import pytest

from jettison.errors import ConfigurationError
from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository, Tag
from jettison.oci.manifest import Kind, Manifest
from jettison.policy.clause import Newest, Order, Period, Periods, PulledWithin, Unknown, Within
from jettison.policy.counting import period_of
from jettison.policy.decision import RepositoryDecisions
from jettison.policy.evaluate import decide_repository
from jettison.policy.in_use import InUse
from jettison.policy.model import LastImage, Share, Unit
from jettison.policy.parse import parse_duration, parse_policy
from jettison.testing.images import artifact, image, index, referrers_tag, signature_of, signature_tag
from jettison.testing.inventories import NOW, repository


def days(number: float) -> datetime:
    return NOW - timedelta(days=number)


def plain(tags: dict[str, tuple[str, float]], **more: object) -> Repository:
    """Return a repository by (image, age in days) of each tag; images are named by letters."""
    digests = {letter: Digest.of(letter.encode()) for letter, _ in tags.values()}
    return Repository(
        "team/app",
        tuple(Tag(name, digests[letter], days(age)) for name, (letter, age) in sorted(tags.items())),
        {digest: Manifest(digest, "", 0, Kind.IMAGE) for digest in digests.values()},
        **more,  # type: ignore[arg-type]  # the other fields, as they are
    )


def decided(repo: Repository, text: str, in_use: InUse | None = None) -> RepositoryDecisions:
    return decide_repository(repo, parse_policy(text, "policy.yaml"), NOW, in_use)


def gone(decisions: RepositoryDecisions) -> list[str]:
    return [each.tag.name for each in decisions.tags if not each.kept]


def reasons(decisions: RepositoryDecisions) -> dict[str, str]:
    return {each.tag.name: each.reason.code for each in decisions.tags}


def test_a_set_of_rules_stands_where_it_is_used_and_defaults_come_last() -> None:
    policy = parse_policy(
        """
        rule_sets:
          standard: [{name: releases, tags: {version: "*"}, keep: {newest: 3}}, {tags: "x", keep: {nothing: true}}]
        defaults:
          untagged: {keep: {within: 1d}}
          limits: {deletions: 10%}
          rules: [{name: rest, tags: "*", keep: {within: 30d}}]
        limits: {last_image: allow}
        policies:
          - {name: one, repositories: "a/**", rules: [{name: own, tags: "dev", keep: {newest: 1}}, {use: standard}]}
          - {repositories: ["b/**"], untagged: {keep: {within: 9d}}, limits: {deletions: 5}}
          - {repositories: [{regex: 'c[0-9]+'}, "!c7"], unit: image}
        """,
        "policy.yaml",
    )
    one, two, three = policy.policies
    assert [rule.name for rule in one.rules] == ["own", "releases", "rule 3", "rest"]
    assert one.rules[1].keep == Newest(3, Order.VERSION)
    assert (one.untagged, two.untagged) == (Within(timedelta(days=1)), Within(timedelta(days=9)))
    assert three.untagged is None, "with unit: image untagged images belong to rules"
    assert one.limits is not None
    assert (one.limits.deletions, one.limits.last_image) == (Share(10), LastImage.ALLOW)
    assert two.limits is not None
    assert two.limits.deletions == 5
    assert three.unit is Unit.IMAGE
    assert three.repositories.matches("c12")
    assert not three.repositories.matches("c7")
    assert not three.repositories.matches("abc12")


def test_options_belong_to_what_stands_beside_them() -> None:
    policy = parse_policy(
        """
        timezone: Europe/Berlin
        policies:
          - repositories: ["**"]
            rules:
              - name: counts
                tags: {regex: '(?P<branch>.+)-[0-9]+'}
                keep: {newest: 3, by: active, per: [branch, minor], of: tags, among: {tagged: true}, unknown: oldest}
              - {name: periods, tags: "a", keep: {weekly: 4, by: created}}
              - {name: ages, tags: "b", keep: {within: 1d12h, by: pulled, inclusive: true, unknown: newest}}
              - {name: pulls, tags: "c", keep: {pulled_within: 2w, or_pushed: true}}
        """,
        "policy.yaml",
    )
    counts, weekly, ages, pulls = (rule.keep for rule in policy.policies[0].rules)
    assert isinstance(counts, Newest)
    assert (counts.by, counts.per, counts.of_tags, counts.unknown) == (
        Order.ACTIVE,
        ("branch", "minor"),
        True,
        Unknown.OLDEST,
    )
    assert weekly == Periods(Period.WEEKLY, 4, Order.CREATED)
    assert ages == Within(timedelta(hours=36), Order.PULLED, True, Unknown.NEWEST)
    assert pulls == PulledWithin(timedelta(days=14), or_pushed=True)
    assert policy.timezone == ZoneInfo("Europe/Berlin")


RULES = "policies:\n  - repositories: ['**']\n    rules:\n      - tags: '*'\n        keep: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (RULES + "{newest: 1, per: miner}", r":5:27: .*'miner' is neither .*; did you mean 'minor'"),
        (RULES + "{newest: 1, per: branch}", "neither a part of versions nor a named group"),
        (RULES + "{daily: 7, weekly: 4, by: created}", "not plain whether it belongs to `daily` or `weekly`"),
        (RULES + "{daily: 7, by: name}", "'name' is not known here"),
        (RULES + "{daily: 0}", "0 is no count"),
        (RULES + "{within: 3d, of: tags}", "`of` belongs to one of `newest`, which is missing"),
        (RULES + "{newest: 1, or_pushed: true}", "`or_pushed` belongs to one of `pulled_within`"),
        (RULES + "{pulled_within: 3d, or_pushed: maybe}", "expected true or false"),
        (RULES + "{newest: 1, among: {newst: 1}}", r"keep\.among\.newst: .*did you mean 'newest'"),
        (RULES + "{tags: []}", "selects no tags"),
        (RULES + "{nothing: false}", "write `nothing: true`"),
        (RULES + "[{newest: 1}]", "expected a mapping"),
        (RULES + "{nothing: true}", r"no rule keeps anything, .* `limits: \{last_image: allow\}`"),
        (RULES + "{newest: 1}\ntimezone: Europe/Berln", "did you mean 'Europe/Berlin'"),
        (RULES + "{newest: 1}\nprotect: {}", "selects no tags"),
        (RULES.replace("'*'", "{untagged: true}") + "{newest: 1}", "a tag is never untagged; write `unit: image`"),
        (RULES.replace("'*'", "{untagged: false}") + "{newest: 1}", "write `untagged: true`"),
        (RULES.replace("'*'", "{all: []}") + "{newest: 1}", "`all` is empty"),
        ("rule_sets: {a: [{tags: x}]}\n" + RULES + "{newest: 1}", r"rule_sets\.a\[0\]: `keep` is missing"),
        ("policies: [{repositories: '**', rules: [{use: standrd}]}]", "there is no rule set 'standrd'; known: none"),
        (
            (
                "rule_sets: {standard: [{tags: x, keep: {newest: 1}}]}\n"
                "policies: [{repositories: '**', rules: [{use: standrd}]}]"
            ),
            "did you mean 'standard'",
        ),
        ("policies: [{repositories: '**', unit: images, rules: []}]", "did you mean 'image'"),
        (
            "policies: [{repositories: '**', unit: image, untagged: {keep: {within: 1d}}}]",
            "untagged images belong to a rule",
        ),
        (
            "policies: [{repositories: '**', unit: image, rules: [{tags: '*', keep: {newest: 1, of: tags}}]}]",
            "a count counts images",
        ),
        (
            (
                "policies: [{repositories: a, name: x, enabled: false}, "
                "{repositories: b, name: x, rules: [{tags: a, keep: {newest: 1}}]}]"
            ),
            "'x' names an earlier policy already",
        ),
        ("policies: [{repositories: [{regex: '('}], enabled: false}]", r"the regular expression '\('"),
    ],
)
def test_a_mistake_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_policy(text, "policy.yaml")


@pytest.mark.parametrize(
    "spared",
    [
        "protect: {tags: [latest]}",
        "protect: {in_use: [docker]}",
        "limits: {last_image: allow}",
    ],
)
def test_a_policy_that_keeps_nothing_is_refused_unless_something_else_keeps(spared: str) -> None:
    parse_policy(RULES + "{nothing: true}\n" + spared, "policy.yaml")


@pytest.mark.parametrize(
    "policy",
    [
        "{repositories: 'tmp/**', rules: [{tags: '*', keep: {nothing: true}}]}",
        "{repositories: '**', rules: [{tags: 'tmp-*', keep: {nothing: true}}]}",
        "{repositories: '**', enabled: false, rules: [{tags: '*', keep: {nothing: true}}]}",
        "{repositories: '**', rules: [{tags: '*', keep: {nothing: true}}], limits: {last_image: allow}}",
        "{repositories: '**', rules: [{tags: 'v*', keep: {newest: 1}}, {tags: '*', keep: {nothing: true}}]}",
    ],
)
def test_a_policy_that_leaves_something_is_not_refused(policy: str) -> None:
    parse_policy(f"policies: [{policy}]", "policy.yaml")


@pytest.mark.parametrize(
    "keep", ["{all: [{nothing: true}, {newest: 1}]}", "{not: {everything: true}}", "{any: [{nothing: true}]}"]
)
def test_nothing_is_seen_through(keep: str) -> None:
    with pytest.raises(ConfigurationError, match="no rule keeps anything"):
        parse_policy(RULES + keep, "policy.yaml")


def test_a_policy_that_is_switched_off_keeps_everything() -> None:
    off = "policies: [{repositories: '**', enabled: false, rules: [{tags: '*', keep: {within: 1d}}]}]"
    decisions = decided(plain({"a": ("a", 9)}), off)
    assert gone(decisions) == []
    assert reasons(decisions) == {"a": "switched-off"}


def test_reasons_name_the_policy_and_the_rule() -> None:
    decisions = decided(
        plain({"a": ("a", 9)}),
        "policies: [{name: apps, repositories: '**', rules: [{name: young, tags: '*', keep: {within: 1d}}]}]",
    )
    (tag,) = decisions.tags
    assert (tag.reason.policy, tag.reason.rule, tag.reason.code) == ("apps", "young", "too-old")


def test_one_protected_tag_keeps_the_whole_image_and_takes_no_place() -> None:
    repo = plain({"latest": ("c", 1), "c": ("c", 1), "b": ("b", 2), "a": ("a", 3)})
    text = """
        protect: {tags: [latest]}
        policies: [{repositories: '**', unit: image, rules: [{tags: '*', keep: {newest: 1}}]}]
    """
    decisions = decided(repo, text)
    assert gone(decisions) == ["a"]
    assert reasons(decisions)["c"] == "protected"


def test_an_image_is_ordered_by_its_highest_version_and_kept_by_any_of_its_groups() -> None:
    repo = plain({"1.0": ("a", 1), "2.0-alpine": ("a", 1), "2.0": ("b", 9), "1.9-alpine": ("c", 9)})
    text = "policies: [{repositories: '**', unit: image, rules: [{tags: {version: '*'}, keep: {newest: 1}}]}]"
    assert gone(decided(repo, text)) == ["1.9-alpine"], "a is the newest of -alpine, b of the others"


def test_an_image_in_use_by_one_tag_or_by_digest_keeps_all_its_tags() -> None:
    repo = plain({"b": ("b", 2), "b-too": ("b", 2), "a": ("a", 3), "c": ("c", 4)})
    text = "policies: [{repositories: '**', unit: image, rules: [{tags: '*', keep: {within: 1d}}]}]"
    used = InUse({"team/app": {"b-too": "pod shop/web", Digest.of(b"a"): "pod shop/db"}})
    decisions = decided(repo, text, used)
    assert gone(decisions) == ["c"]
    reason = next(each.reason for each in decisions.tags if each.tag.name == "b")
    assert (reason.code, reason.text) == ("in-use", "in use: pod shop/web")


def test_an_untagged_image_in_use_stays() -> None:
    lonely = image(seed="lonely", created=days(9))
    repo = repository("team/app", {"1.0": image(seed="x")}, untagged=(lonely,))
    text = "policies: [{repositories: '**', untagged: {keep: {within: 1d}}}]"
    assert decided(repo, text).order == (lonely.digest,)
    assert decided(repo, text, InUse({"team/app": {lonely.digest: "container c1"}})).order == ()


def test_orphaned_referrers_stay_unless_the_policy_says_more() -> None:
    stranger = image(seed="gone")
    sbom = artifact([b"sbom"], subject=stranger)
    signature = signature_of(stranger.digest)
    tags = {"1.0": image(seed="x"), signature_tag(stranger.digest): signature}
    repo = repository("team/app", tags, untagged=(sbom,), pushed={signature_tag(stranger.digest): days(90)})
    untagged = "untagged: {keep: {nothing: true}}"
    decisions = decided(repo, f"policies: [{{repositories: '**', {untagged}}}]")
    assert decisions.order == ()
    assert decisions.manifests[sbom.digest].reason.code == "orphan-referrer"
    decisions = decided(repo, "policies: [{repositories: '**', referrers: {orphaned: {keep: {within: 30d}}}}]")
    assert decisions.order == (signature.digest,)
    assert decisions.manifests[sbom.digest].reason.code == "unknown-date"


def test_referrers_of_a_kept_subject_can_be_few() -> None:
    subject = image(seed="subject")
    sboms = {n: artifact([f"sbom {n}".encode()], subject=subject) for n in range(3)}
    repo = repository("team/app", {"1.0": subject}, untagged=tuple(sboms.values()))
    dated = Repository(
        repo.name, repo.tags, repo.manifests, repo.facts, pushed={sboms[n].digest: days(n) for n in range(3)}
    )
    text = "policies: [{repositories: '**', referrers: {of_kept: {keep: {newest: 2}}}}]"
    decisions = decided(dated, text)
    assert decisions.order == (sboms[2].digest,)
    assert decisions.manifests[sboms[2].digest].reason.rule == "referrers"
    assert gone(decisions) == []


def test_referrers_that_an_index_lists_stay_with_it() -> None:
    subject = image(seed="subject")
    sbom = artifact([b"sbom"], subject=subject)
    tags = {"1.0": subject, referrers_tag(subject.digest): index([sbom])}
    decisions = decided(
        repository("team/app", tags), "policies: [{repositories: '**', referrers: {of_kept: {keep: {nothing: true}}}}]"
    )
    assert decisions.order == ()


def pulled(since: float | None, **times: float) -> Repository:
    tags = {"a": ("a", 100.0), "b": ("b", 200.0), "c": ("c", 300.0)}
    return plain(
        tags,
        pulled={name: days(age) for name, age in times.items()},
        pulls_since=None if since is None else days(since),
    )


ACTIVE = "policies: [{repositories: '**', rules: [{tags: '*', keep: {newest: 1, by: active}}]}]"


def test_a_count_by_use_keeps_what_may_have_been_used_since() -> None:
    assert gone(decided(pulled(None), ACTIVE)) == [], "nothing is known of pulls"
    assert gone(decided(pulled(60), ACTIVE)) == [], "each may be the one that was used last before that"
    assert gone(decided(pulled(60, b=3), ACTIVE)) == ["a", "c"], "b was used since, and the others were not"
    assert gone(decided(pulled(400), ACTIVE)) == ["b", "c"], "their whole life is known"


def test_a_count_by_pull_keeps_what_was_never_pulled_unless_told_otherwise() -> None:
    by_pull = ACTIVE.replace("active", "pulled")
    assert gone(decided(pulled(60, b=3, c=4), by_pull)) == ["c"]
    oldest = by_pull.replace("by: pulled", "by: pulled, unknown: oldest")
    assert gone(decided(pulled(60, b=3, c=4), oldest)) == ["a", "c"]
    assert gone(decided(pulled(None), oldest)) == [], "nothing is known of pulls"


def test_a_pull_by_digest_counts_for_each_tag() -> None:
    repo = plain({"a": ("a", 9), "b": ("b", 9)}, pulled={Digest.of(b"a"): days(1)}, pulls_since=days(60))
    text = "policies: [{repositories: '**', rules: [{tags: '*', keep: {pulled_within: 5d}}]}]"
    assert gone(decided(repo, text)) == ["b"]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        ("{within: 9d}", ["nine"]),
        ("{within: 9d, inclusive: true}", []),
        ("{within: 8d, inclusive: true}", ["nine"]),
    ],
)
def test_exactly_as_old(keep: str, expected: list[str]) -> None:
    text = f"policies: [{{repositories: '**', rules: [{{tags: '*', keep: {keep}}}]}}]"
    assert gone(decided(plain({"nine": ("a", 9)}), text)) == expected


def test_predicates() -> None:
    repo = plain({"a": ("a", 9), "v1": ("b", 9)})
    for keep, expected in (
        ("{tags: 'v*'}", ["a"]),
        ("{repositories: ['team/*']}", []),
        ("{repositories: ['other/*']}", ["a", "v1"]),
        (f"{{digest: '{Digest.of(b'a')[:12]}*'}}", ["v1"]),
        ("{tagged: true}", []),
        ("{tagged: false}", ["a", "v1"]),
    ):
        text = f"policies: [{{repositories: '**', rules: [{{tags: '*', keep: {keep}}}]}}]"
        assert gone(decided(repo, text)) == expected, keep


def test_periods_of_the_calendar() -> None:
    moment = datetime(2027, 1, 1, 1, tzinfo=UTC)
    assert period_of(moment, Period.WEEKLY, UTC) == "2026-W53", "ISO 8601's first week of 2027 begins on the 4th"
    assert period_of(moment, Period.MONTHLY, ZoneInfo("America/New_York")) == "2026-12"
    assert period_of(moment, Period.YEARLY, UTC) == "2027"
    last = datetime.max.replace(tzinfo=UTC)
    assert period_of(last, Period.DAILY, ZoneInfo("Asia/Tokyo")) == "9999-12-31", "the day after is none"


def test_sums_of_spans() -> None:
    assert parse_duration("1d12h") == timedelta(hours=36)
    assert parse_duration("1h 30m") == timedelta(minutes=90)
    for wrong in ("1d12", "d1", "1.5d", "1d-1h"):
        with pytest.raises(ValueError, match="no span of time"):
            parse_duration(wrong)


@pytest.fixture
def no_system_zones() -> Iterator[None]:
    """A slim image: the system has no time zone data."""
    ZoneInfo.clear_cache()
    reset_tzpath([])
    yield
    reset_tzpath()
    ZoneInfo.clear_cache()


ZONED = "timezone: {}\npolicies: [{{repositories: '**', rules: [{{tags: '*', keep: {{daily: 7}}}}]}}]"


@pytest.mark.usefixtures("no_system_zones")
def test_time_zones_need_no_data_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = parse_policy(ZONED.format("Europe/Berlin"), "policy.yaml").timezone
    assert datetime(2026, 7, 1, tzinfo=zone).utcoffset() == timedelta(hours=2)
    ZoneInfo.clear_cache()
    for name in [name for name in sys.modules if name.partition(".")[0] == "tzdata"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=r"policy.yaml:1:1: timezone: .* knows no time zones"):
        parse_policy(ZONED.format("Europe/Berlin"), "policy.yaml")
    assert parse_policy(ZONED.format("UTC"), "policy.yaml").timezone is UTC
