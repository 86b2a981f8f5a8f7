"""Indexes with platforms and subjects with referrers: ours deletes nothing that the other system keeps, on any of them.

The models are small ones of acr purge and zot, with what belongs to what, written from their sources' rules.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.policy.importers.models import Image, UnclearError, first
from tests.policy.importers.replay import gone

from jettison.policy.importers import convert
from jettison.policy.importers.model import Options

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TAGS = ("v1", "v2", "dev-1", "dev-2", "latest")


@st.composite
def repositories(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a repository: images, indexes of later images, and referrers of any, also of what is not there."""
    moments = draw(st.permutations(range(40)))
    left = list(draw(st.permutations(TAGS)))
    count = draw(st.integers(2, 8))
    names = [f"m{number}" for number in range(count)]
    images: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        tags = [left.pop() for _ in range(draw(st.sampled_from((0, 0, 1, 2)))) if left]
        pushed = NOW - timedelta(hours=6 * moments[number])
        image: dict[str, Any] = {"repository": "app", "digest": name, "tags": tags, "pushed": pushed}
        later = names[number + 1 :]
        what = draw(st.sampled_from(("image", "index", "referrer")))
        if what == "index" and later:
            image["children"] = draw(st.lists(st.sampled_from(later), min_size=1, max_size=3, unique=True))
        elif what == "referrer":
            image["subject"] = draw(st.sampled_from([*names[:number], "gone"]))
        images.append(image)
    return {"images": images, "now": NOW}


def below(images: Mapping[str, Image], roots: Sequence[str]) -> set[str]:
    """Return the children of `roots`, and theirs."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        fresh = [each for each in images[waiting.pop()].get("children", ()) if each in images and each not in found]
        found.update(fresh)
        waiting += fresh
    return found


def acr(tag_expression: str, days: int, keep: int, untagged: str, images: Sequence[Image]) -> set[str]:
    limit = NOW - timedelta(days=days)
    there = {image["digest"]: image for image in images}
    expired = [
        (tag, image["pushed"])
        for image in images
        for tag in image["tags"]
        if untagged != "only" and re.search(tag_expression, tag) and image["pushed"] < limit
    ]
    stay = first(keep, expired, lambda pair: pair[1])
    tags = {pair[0] for pair in expired if pair not in stay}
    deleted: set[str] = set()
    if untagged:
        candidates, staying = [], []
        for name, image in there.items():
            if set(image["tags"]) - tags or image["pushed"] > limit:
                staying.append(name)
            elif "subject" not in image:
                candidates.append(image)
        kept = {image["digest"] for image in first(keep, candidates, lambda image: image["pushed"])}
        deleted = {image["digest"] for image in candidates} - below(there, staying) - kept
        while True:  # the server deletes referrers with their subject
            following = {name for name, image in there.items() if image.get("subject") in deleted} - deleted
            if not following:
                break
            deleted |= following
    return {f"app:{tag}" for tag in tags} | {
        each for name in deleted for each in (f"app@{name}", *(f"app:{tag}" for tag in there[name]["tags"]))
    }


@settings(max_examples=300, deadline=None)
@given(
    expression=st.sampled_from((".*", "^dev", "1$", "^$")),
    days=st.integers(0, 9),
    keep=st.integers(0, 3),
    untagged=st.sampled_from(("", "--untagged", "only")),
    case=repositories(),
)
def test_acr_purge(expression: str, days: int, keep: int, untagged: str, case: dict[str, Any]) -> None:
    try:
        theirs = acr(expression, days, keep, untagged, case["images"])
    except UnclearError:
        assume(False)
    flags = "--untagged-only" if untagged == "only" else untagged
    command = f"acr purge -r example --filter 'app:{expression}' --ago {days}d --keep {keep} {flags}"
    ours = gone(convert("acr", command, Options()).yaml, case, by_digest=True)
    assert ours <= theirs, ours - theirs
    if not keep and not any("subject" in image for image in case["images"]):
        assert ours == theirs


def zot(policy: Mapping[str, Any], delay: timedelta, images: Sequence[Image]) -> set[str]:
    entries = policy.get("keepTags", [])
    deleted_tags: set[str] = set()
    if entries:
        (entry,) = entries
        deleted_tags = {
            tag
            for image in images
            for tag in image["tags"]
            if not any(re.search(each, tag) for each in entry["patterns"])
        }
    there = {image["digest"]: image for image in images}
    deleted: set[str] = set()
    while True:
        listed = {name: image for name, image in there.items() if name not in deleted}
        old = {name for name, image in listed.items() if image["pushed"] + delay <= NOW}
        fresh: set[str] = set()
        if policy["deleteReferrers"]:
            fresh |= {name for name in old if "subject" in listed[name] and listed[name]["subject"] not in listed}
        if policy["deleteUntagged"]:
            children = below(listed, list(listed))
            rows = [image for image in listed.values() if not set(image["tags"]) - deleted_tags]
            count = policy.get("keepUntagged", {}).get("mostRecentlyPushedCount", 0)
            kept = {image["digest"] for image in first(count, rows, lambda image: image["pushed"])}
            fresh |= {
                image["digest"] for image in rows if image["digest"] in old - children - kept and "subject" not in image
            }
        if not fresh:
            break
        deleted |= fresh
    return {f"app:{tag}" for tag in deleted_tags} | {
        each for name in deleted for each in (f"app@{name}", *(f"app:{tag}" for tag in there[name]["tags"]))
    }


@settings(max_examples=300, deadline=None)
@given(
    policy=st.fixed_dictionaries(
        {"repositories": st.just(["**"]), "deleteReferrers": st.booleans(), "deleteUntagged": st.booleans()},
        optional={
            "keepTags": st.sampled_from(([{"patterns": ["^v"]}], [{"patterns": ["1$", "latest"]}])),
            "keepUntagged": st.sampled_from(({"mostRecentlyPushedCount": 1}, {"mostRecentlyPushedCount": 3})),
        },
    ),
    hours=st.sampled_from((0, 24, 72)),
    case=repositories(),
)
def test_zot_retention(policy: dict[str, Any], hours: int, case: dict[str, Any]) -> None:
    theirs = zot(policy, timedelta(hours=hours), case["images"])
    retention = {"delay": f"{hours}h", "policies": [policy]}
    document = {"storage": {"rootDirectory": "/tmp/zot", "gc": True, "gcDelay": "0s", "retention": retention}}
    ours = gone(convert("zot", json.dumps(document), Options()).yaml, case, by_digest=True)
    assert ours <= theirs, ours - theirs
    if "keepUntagged" not in policy and not any("subject" in image for image in case["images"]):
        assert ours == theirs
