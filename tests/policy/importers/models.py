"""Small models of how other systems decide, written from their sources' rules, without any of our code.

Each takes a policy as the system stores it, and images as the cases have them (no indexes, no referrers), and returns
what goes. None stands for "nobody can say": equal dates stand on the edge of a count.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

Image = Mapping[str, Any]
TagDates = Mapping[str, datetime]
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


class UnclearError(Exception):
    """Which of two things comes first is not told there."""


def first(count: int, things: Sequence[Any], key: Callable[[Any], Any]) -> list[Any]:
    """Return the `count` things with the highest keys."""
    ordered = sorted(things, key=key, reverse=True)
    if 0 < count < len(ordered) and key(ordered[count - 1]) == key(ordered[count]):
        raise UnclearError
    return ordered[:count]


def by_repository(images: Iterable[Image]) -> dict[str, list[Image]]:
    found: dict[str, list[Image]] = {}
    for image in images:
        found.setdefault(image["repository"], []).append(image)
    return found


def tags_of(images: Iterable[Image], dates: TagDates) -> dict[str, tuple[Image, datetime | None]]:
    """Return each tag with its image and its own date."""
    return {
        tag: (image, dates.get(f"{image['repository']}:{tag}", image.get("pushed")))
        for image in images
        for tag in image["tags"]
    }


# --- Harbor: src/pkg/retention/launcher.go, policy/alg/or/processor.go, lib/selector/selectors/doublestar/selector.go


def harbor(  # noqa: C901  (one system in one place)
    policy: Mapping[str, Any], images: Sequence[Image], dates: TagDates, now: datetime, globs: Mapping[str, str]
) -> set[str]:
    """`globs` tells for each pattern that is used the expression that it means."""

    def like(pattern: str, name: str) -> bool:
        return re.fullmatch(globs[pattern], name) is not None

    def in_scope(rule: Mapping[str, Any], name: str) -> bool:
        if not name.startswith("team/"):
            return False
        return all(
            like(each["pattern"], name.removeprefix("team/")) == (each["decoration"] == "repoMatches")
            for each in rule["scope_selectors"]["repository"]
        )

    def takes(selector: Mapping[str, Any], image: Image) -> bool:
        excludes = selector["decoration"] == "excludes"
        untagged = selector.get("untagged", not excludes)
        if not image["tags"]:
            return bool(untagged) is not excludes
        return any(like(selector["pattern"], tag) is not excludes for tag in image["tags"])

    def pushed(image: Image) -> datetime:
        mine = [dates[key] for tag in image["tags"] if (key := f"{image['repository']}:{tag}") in dates]
        latest: datetime = max([image["pushed"], *mine])
        return latest

    def pulled(image: Image) -> datetime:
        pull: datetime = image.get("pulled", LONG_AGO)
        return pull

    def retained(rule: Mapping[str, Any], selected: Sequence[Image]) -> list[Image]:
        template = rule["template"]
        value = rule["params"].get(template, 0)
        match template:
            case "latestPushedK":
                return first(value, selected, pushed)
            case "latestPulledN":
                return first(value, selected, pulled)
            case "nDaysSinceLastPush":
                return [image for image in selected if pushed(image) >= now - timedelta(days=value)]
            case "nDaysSinceLastPull":
                return [image for image in selected if pulled(image) >= now - timedelta(days=value)]
            case "lastXDays":
                return [image for image in selected if pushed(image) > now - timedelta(days=value)]
            case _:
                return list(selected)

    gone: set[str] = set()
    for name, mine in by_repository(images).items():
        rules = [rule for rule in policy["retention"]["rules"] if not rule["disabled"] and in_scope(rule, name)]
        if not any(rule["tag_selectors"] for rule in rules):
            continue
        kept: list[Image] = []
        for rule in rules:
            if rule["tag_selectors"]:
                kept += retained(rule, [image for image in mine if all(takes(s, image) for s in rule["tag_selectors"])])
        for rule in policy["immutabletagrules"]:
            if in_scope(rule, name):
                selector = {**rule["tag_selectors"][0], "untagged": False}
                kept += [image for image in mine if takes(selector, image)]
        gone |= whole(image for image in mine if not any(image is each for each in kept))
    return gone


def whole(images: Iterable[Image]) -> set[str]:
    """Return all that goes with these images."""
    return {
        each
        for image in images
        for each in (
            [f"{image['repository']}:{tag}" for tag in image["tags"]] or [f"{image['repository']}@{image['digest']}"]
        )
    }


def untagged_by(gone: set[str], images: Iterable[Image]) -> list[Image]:
    """Return the images of which no tag is left."""
    return [image for image in images if all(f"{image['repository']}:{tag}" in gone for tag in image["tags"])]


def by_digest(images: Iterable[Image]) -> set[str]:
    return {f"{image['repository']}@{image['digest']}" for image in images}


# --- GitLab: app/services/projects/container_repository/cleanup_tags_base_service.rb


def gitlab(
    policy: Mapping[str, Any], images: Sequence[Image], dates: TagDates, now: datetime, *, third_party: bool
) -> set[str]:
    """With `third_party` a tag's date is its image's creation."""
    if not policy["enabled"]:
        return set()
    gone: set[str] = set()
    for name, mine in by_repository(images).items():
        if name != "team/app" and not name.startswith("team/app/"):
            continue
        tags = [
            (tag, image.get("created") if third_party else date)
            for tag, (image, date) in tags_of(mine, dates).items()
            if tag != "latest"
            and re.search(rf"\A{policy['name_regex']}\Z", tag)
            and not re.search(rf"\A{policy['name_regex_keep'] or ''}\Z", tag)
        ]
        if policy["keep_n"] is not None:
            kept = first(policy["keep_n"], tags, lambda pair: pair[1] or now)
            tags = [pair for pair in tags if pair not in kept]
        if policy["older_than"] is not None:
            limit = now - timedelta(days=int(policy["older_than"].removesuffix("d")))
            tags = [(tag, date) for tag, date in tags if date is not None and date < limit]
        gone |= {f"{name}:{tag}" for tag, _ in tags}
    return gone


# --- acr purge: cmd/acr/purge.go, cmd/repository/image_functions.go


def acr(
    filters: Sequence[tuple[str, str]],
    days: int,
    keep: int,
    untagged: bool,
    images: Sequence[Image],
    dates: TagDates,
    now: datetime,
) -> set[str]:
    """What goes is told of tags, and of all manifests by their digest, also of those that lose their tags here."""
    limit = now - timedelta(days=days)
    gone: set[str] = set()
    for name, mine in by_repository(images).items():
        wanted = [tag for repository, tag in filters if re.search(f"^{repository}$", name)]
        if not wanted:
            continue
        expired = [
            (tag, date)
            for tag, (_, date) in tags_of(mine, dates).items()
            if any(re.search(each, tag) for each in wanted) and date is not None and date < limit
        ]
        kept = first(keep, expired, lambda pair: pair[1])
        gone |= {f"{name}:{pair[0]}" for pair in expired if pair not in kept}
        if untagged:
            old = [image for image in untagged_by(gone, mine) if image["pushed"] <= limit]
            stay = first(keep, old, lambda image: image["pushed"])
            gone |= by_digest(image for image in old if not any(image is each for each in stay))
    return gone


# --- zot: pkg/retention/retention.go, rules.go, pkg/storage/gc/gc.go


def zot(  # noqa: C901  (one system in one place)
    retention: Mapping[str, Any], images: Sequence[Image], now: datetime, globs: Mapping[str, str]
) -> set[str]:
    """Ages are in whole hours (`24h`). `globs` tells for each pattern the expression that it means.

    What goes is told as in `acr`.
    """

    def hours(text: str) -> timedelta:
        return timedelta(hours=int(text.removesuffix("h")))

    def stay(rules: Mapping[str, Any], things: Sequence[Any], image: Callable[[Any], Image]) -> list[Any]:
        kept: list[Any] = []
        kept += first(rules.get("mostRecentlyPulledCount", 0), things, lambda each: image(each).get("pulled", LONG_AGO))
        kept += first(rules.get("mostRecentlyPushedCount", 0), things, lambda each: image(each)["pushed"])
        for each in things:
            pushed, pulled = image(each)["pushed"], image(each).get("pulled", LONG_AGO)
            if "pulledWithin" in rules and max(pulled, pushed) > now - hours(rules["pulledWithin"]):
                kept.append(each)
            if "pushedWithin" in rules and pushed > now - hours(rules["pushedWithin"]):
                kept.append(each)
        return kept

    def ruled(rules: Mapping[str, Any]) -> bool:
        return any(
            rules.get(key)
            for key in ("mostRecentlyPulledCount", "mostRecentlyPushedCount", "pulledWithin", "pushedWithin")
        )

    gone: set[str] = set()
    delay = hours(retention["delay"])
    for name, mine in by_repository(images).items():
        policy: Mapping[str, Any] = next(
            (
                each
                for each in retention["policies"]
                if any(re.fullmatch(globs[glob], name) for glob in each["repositories"])
            ),
            {},
        )
        entries = policy.get("keepTags", [])
        claimed: dict[int, list[tuple[str, Image]]] = {}
        for tag, (image, _) in tags_of(mine, {}).items():
            number = next(
                (
                    i
                    for i, entry in enumerate(entries)
                    if not entry.get("patterns") or any(re.search(each, tag) for each in entry["patterns"])
                ),
                None,
            )
            if number is not None:
                claimed.setdefault(number, []).append((tag, image))
            elif entries:
                gone.add(f"{name}:{tag}")
        for number, tags in claimed.items():
            if ruled(entries[number]):
                kept = [tag for tag, _ in stay(entries[number], tags, lambda pair: pair[1])]
                gone |= {f"{name}:{tag}" for tag, _ in tags if tag not in kept}
        if policy.get("deleteUntagged", True):
            untagged = untagged_by(gone, mine)
            kept_images = stay(policy.get("keepUntagged", {}), untagged, lambda image: image)
            gone |= by_digest(
                image
                for image in untagged
                if not any(image is each for each in kept_images) and image["pushed"] + delay <= now
            )
    return gone
