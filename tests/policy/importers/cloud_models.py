"""How ECR, Artifact Registry and Quay decide, written down once more, as plainly as their documentation tells it.

Images are dictionaries as in the cases (see replay.py); each function returns what goes.
"""

import fnmatch
import re
from datetime import datetime, timedelta
from typing import Any

Image = dict[str, Any]


def named(image: Image) -> set[str]:
    """Return what goes with an image: each of its tags, or itself where it has none."""
    name = image["repository"]
    return {f"{name}:{tag}" for tag in image["tags"]} or {f"{name}@{image['digest']}"}


def ecr(policy: dict[str, Any], images: list[Image], now: datetime) -> set[str]:
    """Evaluate a lifecycle policy over one repository. Nothing is archived."""
    gone: set[str] = set()
    taken: list[Image] = []
    for rule in sorted(policy["rules"], key=lambda rule: rule["rulePriority"]):
        selection = rule["selection"]
        if selection.get("storageClass") == "archive":
            continue
        matched = [image for image in images if _ecr_matches(selection, image)]
        matched.sort(key=lambda image: image["pushed"], reverse=True)
        if selection["countType"] == "imageCountMoreThan":
            hit = matched[selection["countNumber"] :]
        else:
            age = timedelta(days=selection["countNumber"])
            hit = [image for image in matched if now - image["pushed"] > age]
        if rule["action"]["type"] == "expire":
            for image in hit:
                if image not in taken:
                    gone |= named(image)
        taken += matched
    return gone


def _ecr_matches(selection: dict[str, Any], image: Image) -> bool:
    match selection["tagStatus"]:
        case "any":
            return True
        case "untagged":
            return not image["tags"]
    patterns = selection.get("tagPatternList") or [f"{prefix}*" for prefix in selection["tagPrefixList"]]
    return all(any(fnmatch.fnmatchcase(tag, pattern) for tag in image["tags"]) for pattern in patterns)


def artifact_registry(policies: list[dict[str, Any]], images: list[Image], now: datetime) -> set[str]:
    """Evaluate cleanup policies over packages; ages are whole days."""
    gone: set[str] = set()
    for image in images:
        doomed = any(
            _ar_matches(policy["condition"], image, now) for policy in policies if policy["action"]["type"] == "Delete"
        )
        saved = any(
            _ar_matches(policy["condition"], image, now)
            if "condition" in policy
            else _among_newest(policy["mostRecentVersions"], image, images)
            for policy in policies
            if policy["action"]["type"] == "Keep"
        )
        if doomed and not saved:
            gone |= named(image)
    return gone


def _ar_matches(condition: dict[str, Any], image: Image, now: datetime) -> bool:
    age = now - image["pushed"]
    state = condition.get("tagState", "any")
    tests = [state == "any" or (state == "tagged") == bool(image["tags"])]
    if condition.get("tagPrefixes"):
        tests.append(any(tag.startswith(prefix) for tag in image["tags"] for prefix in condition["tagPrefixes"]))
    if condition.get("packageNamePrefixes"):
        tests.append(any(image["repository"].startswith(prefix) for prefix in condition["packageNamePrefixes"]))
    if "olderThan" in condition:
        tests.append(age > timedelta(days=int(condition["olderThan"][:-1])))
    if "newerThan" in condition:
        tests.append(age < timedelta(days=int(condition["newerThan"][:-1])))
    return all(tests)


def _among_newest(recent: dict[str, Any], image: Image, images: list[Image]) -> bool:
    prefixes = recent.get("packageNamePrefixes")
    if prefixes and not any(image["repository"].startswith(prefix) for prefix in prefixes):
        return False
    package = [each for each in images if each["repository"] == image["repository"]]
    package.sort(key=lambda each: each["pushed"], reverse=True)
    return image in package[: recent["keepCount"]]


def quay(policies: list[dict[str, Any]], tags: dict[str, datetime], now: datetime) -> set[str]:
    """Evaluate auto-prune policies over the tags of one repository: first ages, then counts, each on what is left."""
    left = dict(tags)
    for policy in sorted(policies, key=lambda policy: policy["method"] != "creation_date"):
        seen = [
            tag
            for tag in left
            if policy["tagPattern"] is None or bool(re.search(policy["tagPattern"], tag)) is policy["tagPatternMatches"]
        ]
        seen.sort(key=lambda tag: left[tag], reverse=True)
        if policy["method"] == "creation_date":
            age = timedelta(days=int(policy["value"][:-1]))
            hit = [tag for tag in seen if now - left[tag] > age]
        else:
            hit = seen[policy["value"] :]
        for tag in hit:
            del left[tag]
    return set(tags) - set(left)
