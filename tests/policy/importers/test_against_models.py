"""Any policy on any images: what ours deletes is what a plain model of the other system deletes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.importers import cloud_models
from tests.policy.importers.replay import gone

from jettison.policy.importers import convert
from jettison.policy.importers.model import Options

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TAGS = ("v1", "v1.2", "v2", "dev-1", "dev-2", "pr-1", "latest", "prod", "a-prod", "x")
DAYS = st.integers(1, 12)


@st.composite
def images(draw: st.DrawFn, repositories: tuple[str, ...] = ("app",)) -> list[dict[str, Any]]:
    """Draw images pushed at different times: some at midnight, where ages end, some in the future."""
    made: list[dict[str, Any]] = []
    hours = draw(st.lists(st.integers(-8, 80).map(lambda quarter: 6 * quarter), unique=True, max_size=9))
    free = {name: draw(st.permutations(TAGS)) for name in repositories}
    for number, age in enumerate(hours):
        name = draw(st.sampled_from(repositories))
        count = draw(st.sampled_from((0, 1, 1, 2, 3)))
        tags, free[name] = free[name][:count], free[name][count:]
        pushed = NOW - timedelta(hours=age)
        made.append({"repository": name, "digest": f"d{number}", "tags": list(tags), "pushed": pushed})
    return made


def deleted(
    system: str, policy: object, found: list[dict[str, Any]], project: str | None = None, **more: Any
) -> set[str]:
    imported = convert(system, json.dumps(policy), Options(project=project))
    return gone(imported.yaml, {"now": NOW, "images": found, **more})


PATTERNS = st.lists(st.sampled_from(("v*", "*prod", "dev-*", "v1*", "*", "latest", "*-1")), min_size=1, max_size=2)
PREFIXES = st.lists(st.sampled_from(("v", "v1", "dev", "p")), min_size=1, max_size=2, unique=True)


@st.composite
def lifecycle_policies(draw: st.DrawFn) -> dict[str, Any]:
    rules: list[dict[str, Any]] = []
    prefixes: set[frozenset[str]] = set()
    untagged = draw(st.booleans())
    for _ in range(draw(st.integers(0, 4))):
        selection: dict[str, Any] = {"tagStatus": "tagged"}
        if draw(st.booleans()):
            selection["tagPatternList"] = draw(PATTERNS)
        else:
            selection["tagPrefixList"] = draw(PREFIXES.filter(lambda each: frozenset(each) not in prefixes))
            prefixes.add(frozenset(selection["tagPrefixList"]))
        rules.append({"selection": selection})
    if untagged:
        rules.insert(draw(st.integers(0, len(rules))), {"selection": {"tagStatus": "untagged"}})
    if not rules or draw(st.booleans()):
        rules.append({"selection": {"tagStatus": "any"}})
    for number, rule in enumerate(rules):
        rule["rulePriority"] = 3 * number + 1
        rule["action"] = {"type": "expire"}
        if draw(st.integers(0, 5)) == 0:
            rule["action"] = {"type": "transition", "targetStorageClass": "archive"}
        rule["selection"]["countNumber"] = draw(DAYS) if draw(st.booleans()) else draw(st.integers(1, 3))
        rule["selection"]["countType"] = draw(st.sampled_from(("imageCountMoreThan", "sinceImagePushed")))
        if rule["selection"]["countType"] == "sinceImagePushed":
            rule["selection"]["countUnit"] = "days"
    return {"rules": draw(st.permutations(rules))}


@settings(deadline=None)
@given(lifecycle_policies(), images())
def test_a_lifecycle_policy_of_ecr(policy: dict[str, Any], found: list[dict[str, Any]]) -> None:
    assert deleted("ecr", policy, found) == cloud_models.ecr(policy, found, NOW)


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    condition: dict[str, Any] = {"tagState": draw(st.sampled_from(("any", "tagged", "untagged")))}
    if condition["tagState"] == "tagged" and draw(st.booleans()):
        condition["tagPrefixes"] = draw(PREFIXES)
    if draw(st.integers(0, 3)) == 0:
        condition["packageNamePrefixes"] = draw(st.sampled_from((["a"], ["web"], ["ap", "w"])))
    for key in ("olderThan", "newerThan"):
        if draw(st.integers(0, 2)) == 0:
            condition[key] = f"{draw(DAYS)}d"
    return condition


@st.composite
def cleanup_policies(draw: st.DrawFn) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 5))):
        action = draw(st.sampled_from(("Delete", "Delete", "Keep")))
        policy: dict[str, Any] = {"name": f"p{number}", "action": {"type": action}}
        if action == "Keep" and draw(st.booleans()):
            policy["mostRecentVersions"] = {"keepCount": draw(st.integers(1, 3))}
            if draw(st.booleans()):
                policy["mostRecentVersions"]["packageNamePrefixes"] = draw(st.sampled_from((["a"], ["w", "x"])))
        else:
            policy["condition"] = draw(conditions())
        made.append(policy)
    return made


@settings(deadline=None)
@given(cleanup_policies(), images(("app", "web")))
def test_cleanup_policies_of_artifact_registry(policies: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    # An hour off the steps: what happens exactly on an age's limit is not documented.
    found = [image | {"pushed": image["pushed"] - timedelta(hours=1)} for image in found]
    assert deleted("artifact-registry", policies, found) == cloud_models.artifact_registry(policies, found, NOW)


@st.composite
def prune_policies(draw: st.DrawFn) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 5))):
        policy: dict[str, Any] = {"uuid": str(number), "tagPattern": None, "tagPatternMatches": True}
        if draw(st.integers(0, 2)):
            policy["tagPattern"] = draw(st.sampled_from(("^v", "1", "^(dev|pr)-", "prod$", "v1|latest", "^(?!v)")))
            policy["tagPatternMatches"] = draw(st.booleans())
        age = draw(st.booleans())
        policy["method"] = "creation_date" if age else "number_of_tags"
        policy["value"] = f"{draw(DAYS)}d" if age else draw(st.integers(1, 4))
        same = [each | {"uuid": None} for each in made]
        if policy | {"uuid": None} not in same:
            made.append(policy)
    return made


@settings(deadline=None)
@given(prune_policies(), images(), st.permutations(range(len(TAGS))))
def test_auto_prune_policies_of_quay(
    policies: list[dict[str, Any]], found: list[dict[str, Any]], order: list[int]
) -> None:
    found = [image | {"repository": "acme/app"} for image in found]
    tags = {
        tag: image["pushed"] + timedelta(minutes=order[TAGS.index(tag)]) for image in found for tag in image["tags"]
    }
    pushed = {f"acme/app:{tag}": moment for tag, moment in tags.items()}
    expected = {f"acme/app:{tag}" for tag in cloud_models.quay(policies, tags, NOW)}
    assert deleted("quay", {"policies": policies}, found, "acme", tag_pushed=pushed) == expected
