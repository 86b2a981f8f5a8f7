"""Imported policies decide as small models of the other systems do, on policies and images that nobody thought of."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.policy.importers import models
from tests.policy.importers.replay import gone

from jettison.policy.importers import convert
from jettison.policy.importers.model import Options

NOW = datetime(2026, 6, 1, tzinfo=UTC)
REPOSITORIES = ("team/app", "team/app/worker", "team/web/api", "team/db", "other/app", "app")
TAGS = ("v1", "v2", "v3", "latest", "dev-1", "dev-2", "release-1", "x")
SLASHED = r"[^/]*"
GLOBS = {
    "**": ".*", "*": SLASHED, "v*": "v[^/]*", "{v*,latest}": "v[^/]*|latest", "dev-?": "dev-[^/]", "": ".*",
    "[^v]*": "[^v/][^/]*", "app": "app", "web/*": "web/[^/]*", "{app,db}": "app|db", "**/api": "(?:.*/)?api",
}  # fmt: skip
ZOT_GLOBS = {
    "**": ".*", "team/**": "team(?:/.*)?", "team/*": "team/[^/]*", "{app,other/*}": "app|other/[^/]*",
    "**/app": "(?:.*/)?app", "team/[!a]*": "team/[^a/][^/]*",
}  # fmt: skip


@st.composite
def registries(draw: st.DrawFn) -> dict[str, Any]:
    """Draw images, no two with the same date. Dates are six hours apart, so that some stand exactly on a limit."""
    moments = iter(draw(st.permutations(range(100))))

    def moment() -> datetime:
        return NOW - timedelta(hours=6 * next(moments))

    images: list[dict[str, Any]] = []
    dates: dict[str, datetime] = {}
    for repository in draw(st.lists(st.sampled_from(REPOSITORIES), min_size=1, max_size=2, unique=True)):
        left = list(draw(st.permutations(TAGS)))
        for number in range(draw(st.integers(1, 6))):
            tags = [left.pop() for _ in range(draw(st.integers(0, min(2, len(left)))))]
            image = {"repository": repository, "digest": f"{repository}-{number}", "tags": tags, "pushed": moment()}
            if draw(st.booleans()):
                image["pulled"] = moment()
            if draw(st.booleans()):
                image["created"] = moment()
            images.append(image)
            for tag in tags:
                if draw(st.integers(0, 3)) == 0:
                    dates[f"{repository}:{tag}"] = moment()
    return {"images": images, "tag_pushed": dates, "now": NOW}


def decided(system: str, text: str, case: Mapping[str, Any], *, by_digest: bool = False, **options: str) -> set[str]:
    imported = convert(system, text, Options(**options))  # type: ignore[arg-type]  # all texts
    return gone(imported.yaml, case, by_digest=by_digest)


def selectors(decorations: tuple[str, str], patterns: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "kind": st.just("doublestar"),
            "decoration": st.sampled_from(decorations),
            "pattern": st.sampled_from(patterns),
        }
    )


@st.composite
def harbor_tag_selectors(draw: st.DrawFn) -> dict[str, Any]:
    patterns = ["**", "*", "v*", "{v*,latest}", "dev-?", "", "[^v]*"]
    selector = draw(selectors(("matches", "excludes"), patterns))
    untagged = draw(st.sampled_from([None, True, False]))
    return selector if untagged is None else {**selector, "untagged": untagged}


HARBOR_SCOPES = st.fixed_dictionaries(
    {
        "repository": st.lists(
            selectors(("repoMatches", "repoExcludes"), ["**", "*", "app", "web/*", "{app,db}", "**/api", ""]),
            max_size=2,
        )
    }
)
TEMPLATES = ("latestPushedK", "latestPulledN", "nDaysSinceLastPush", "nDaysSinceLastPull", "lastXDays", "always")


@st.composite
def harbor_policies(draw: st.DrawFn) -> dict[str, Any]:
    rules = []
    for number in range(draw(st.integers(0, 3))):
        template = draw(st.sampled_from(TEMPLATES))
        rules.append(
            {
                "id": number, "priority": number, "action": "retain", "template": template,
                "params": {template: draw(st.integers(0, 6))},
                "disabled": draw(st.integers(0, 5)) == 0,
                "tag_selectors": draw(st.lists(harbor_tag_selectors(), max_size=2)),
                "scope_selectors": draw(HARBOR_SCOPES),
            }
        )  # fmt: skip
    immutable = [
        {
            "tag_selectors": [draw(selectors(("matches", "excludes"), ["v*", "dev-?", "**"]))],
            "scope_selectors": {
                "repository": [draw(selectors(("repoMatches", "repoExcludes"), ["**", "app", "web/*"]))]
            },
        }
        for _ in range(draw(st.integers(0, 1)))
    ]
    retention = {"algorithm": "or", "scope": {"level": "project", "ref": 1}, "trigger": {"kind": "Schedule"}}
    return {"retention": {**retention, "rules": rules}, "immutabletagrules": immutable}


def as_harbor_stores(policy: dict[str, Any]) -> str:
    """Write `untagged` as Harbor does: JSON in a text."""
    stored = json.loads(json.dumps(policy))
    for rule in stored["retention"]["rules"]:
        for selector in rule["tag_selectors"]:
            if "untagged" in selector:
                selector["extras"] = json.dumps({"untagged": selector.pop("untagged")})
    return json.dumps(stored)


@settings(max_examples=150, deadline=None)
@given(policy=harbor_policies(), case=registries())
def test_harbor(policy: dict[str, Any], case: dict[str, Any]) -> None:
    try:
        expected = models.harbor(policy, case["images"], case["tag_pushed"], NOW, GLOBS)
    except models.UnclearError:
        assume(False)
    assert decided("harbor", as_harbor_stores(policy), case, project="team") == expected


@settings(max_examples=150, deadline=None)
@given(
    policy=st.fixed_dictionaries(
        {
            "enabled": st.sampled_from([True, True, True, False]),
            "cadence": st.just("1d"),
            "keep_n": st.sampled_from([None, 1, 5]),
            "older_than": st.sampled_from([None, "7d", "14d"]),
            "name_regex": st.sampled_from([".*", "v.*", "dev|x", "dev|test.*|release", "(?:v|dev-)[0-9]", "lat.*"]),
            "name_regex_keep": st.sampled_from([None, "", "v1", "v1|x", "release.*|", "(?:v|dev-)1"]),
        }
    ),
    case=registries(),
    undated=st.booleans(),
    third_party=st.booleans(),
)
def test_gitlab(policy: dict[str, Any], case: dict[str, Any], undated: bool, third_party: bool) -> None:
    if undated:
        case["images"][0].pop("pushed")
        case["images"][0].pop("created", None)
    try:
        expected = models.gitlab(policy, case["images"], case["tag_pushed"], NOW, third_party=third_party)
    except models.UnclearError:
        assume(False)
    registry = "third-party" if third_party else "gitlab"
    assert decided("gitlab", json.dumps(policy), case, project="team/app", registry=registry) == expected


ACR_REPOSITORIES = ("team/app", "app", ".*", "team/.*", "app|db", ".*/api", "team/app|x", "team/(?:db|app)")
ACR_TAGS = (".*", "^v", "1", "^dev-|^x$", "latest$", "^$", "^(?!v).*", "(?<!-)1")


@settings(max_examples=150, deadline=None)
@given(
    filters=st.lists(st.tuples(st.sampled_from(ACR_REPOSITORIES), st.sampled_from(ACR_TAGS)), min_size=1, max_size=3),
    days=st.integers(0, 10),
    keep=st.integers(0, 3),
    untagged=st.booleans(),
    case=registries(),
)
def test_acr(filters: list[tuple[str, str]], days: int, keep: int, untagged: bool, case: dict[str, Any]) -> None:
    try:
        expected = models.acr(filters, days, keep, untagged, case["images"], case["tag_pushed"], NOW)
    except models.UnclearError:
        assume(False)
    flags = " ".join(f"--filter '{repository}:{tag}'" for repository, tag in filters)
    command = f"acr purge -r example {flags} --ago {days}d --keep {keep}{' --untagged' if untagged else ''}"
    assert decided("acr", command, case, by_digest=True) == expected


ZOT_RULES = {
    "mostRecentlyPushedCount": st.integers(0, 3),
    "mostRecentlyPulledCount": st.integers(0, 3),
    "pushedWithin": st.sampled_from(["24h", "72h", "240h"]),
    "pulledWithin": st.sampled_from(["24h", "72h", "240h"]),
}
ZOT_ENTRY = st.fixed_dictionaries(
    {},
    optional={
        **ZOT_RULES,
        "patterns": st.lists(st.sampled_from(["^v", "1", "latest", "^dev-[0-9]$", ".*", "x|release"]), max_size=2),
    },
)
ZOT_POLICY = st.fixed_dictionaries(
    {"repositories": st.lists(st.sampled_from(list(ZOT_GLOBS)), min_size=1, max_size=2)},
    optional={
        "keepTags": st.lists(ZOT_ENTRY, max_size=3),
        "deleteUntagged": st.booleans(),
        "keepUntagged": st.fixed_dictionaries({}, optional=ZOT_RULES),
    },
)


@settings(max_examples=150, deadline=None)
@given(
    retention=st.fixed_dictionaries(
        {"delay": st.sampled_from(["0h", "24h", "48h"]), "policies": st.lists(ZOT_POLICY, max_size=3)}
    ),
    case=registries(),
)
def test_zot(retention: dict[str, Any], case: dict[str, Any]) -> None:
    try:
        expected = models.zot(retention, case["images"], NOW, ZOT_GLOBS)
    except models.UnclearError:
        assume(False)
    document = {"storage": {"rootDirectory": "/tmp/zot", "gc": True, "retention": retention}}
    assert decided("zot", json.dumps(document), case, by_digest=True) == expected
