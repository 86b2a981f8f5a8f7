"""Propose: a first policy for a registry, from the kinds of tags that are in it. Pure.

Only kinds that are surely made by machines get a rule that lets them go. What is not recognised gets none, and stays.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from jettison.oci.inventory import Inventory
from jettison.oci.reference import subject_of_tag
from jettison.oci.version import parse_version

BRANCHES: Final = "^(?P<branch>.+)-[0-9a-f]{7,40}$"
COMMITS: Final = "^(sha-)?[0-9a-f]{7,40}$"
REQUESTS: Final = "^(pr|mr|pull|merge)[-_.]?[0-9]+([-_.].*)?$"
NUMBERS: Final = "^(build|ci|run|b)[-_.]?[0-9]+$"
_MOVING: Final = ("latest", "stable", "production", "prod", "release", "current", "lts")
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """Tags that look alike: how many there are, and some of them."""

    name: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """The kinds of tags in a registry, in the order in which their rules would stand; `others` fit none."""

    releases: Kind | None
    requests: Kind | None
    commits: Kind | None
    branches: Kind | None
    numbers: Kind | None
    others: Kind | None
    moving: tuple[str, ...]
    pulls_are_known: bool


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants: counts and spans of time as a policy writes them."""

    releases: int = 10
    builds: int = 3
    age: str = "14d"
    untagged: str = "7d"
    limit: str = "30%"


def look(inventory: Inventory) -> Seen:
    """Sort the tags of a registry into kinds."""
    found: dict[str, list[str]] = {}
    moving: set[str] = set()
    for repository in inventory.repositories:
        for tag in repository.tags:
            if subject_of_tag(tag.name) is not None:
                continue
            if tag.name in _MOVING:
                moving.add(tag.name)
            else:
                found.setdefault(_kind(tag.name), []).append(tag.name)
    kinds = {name: _shown(name, names) for name, names in found.items()}
    return Seen(
        releases=kinds.get("releases"),
        requests=kinds.get("requests"),
        commits=kinds.get("commits"),
        branches=kinds.get("branches"),
        numbers=kinds.get("numbers"),
        others=kinds.get("others"),
        moving=tuple(name for name in _MOVING if name in moving),
        pulls_are_known=any(each.pulls_since is not None for each in inventory.repositories),
    )


def _kind(name: str) -> str:
    if parse_version(name) is not None:
        return "releases"
    for kind, expression in (
        ("requests", REQUESTS),
        ("commits", COMMITS),
        ("branches", BRANCHES),
        ("numbers", NUMBERS),
    ):
        if re.fullmatch(expression, name):
            return kind
    return "others"


def _shown(name: str, names: Sequence[str]) -> Kind:
    distinct = sorted(set(names))
    step = max(len(distinct) // _SHOWN, 1)
    return Kind(name, len(names), tuple(distinct[::step][:_SHOWN]))


def propose(seen: Seen, wishes: Wishes) -> str:
    """Return a policy file, with comments that tell what each rule is for."""
    rules = list(_rules(seen, wishes))
    lines = [
        "# Proposed by `jettison policy new` from the tags that are in the registry. Read it, change it, and look at",
        "# what it would do before anything is deleted: jettison plan REGISTRY --policy FILE",
    ]
    if seen.moving:
        lines += ["", "protect:", f"  tags: [{', '.join(seen.moving)}]"]
    lines += ["", "policies:", '  - repositories: ["**"]']
    if rules:
        lines += ["    rules:", *rules]
    if seen.others is not None:
        lines.append(f"      # No rule for {_counted(seen.others)}: what no rule claims stays.")
    lines += [f"    untagged: {{keep: {{within: {wishes.untagged}}}}}", ""]
    lines += [
        "# A run stops before its first deletion where it would delete more, or the last image of a repository.",
        f"limits: {{deletions: {wishes.limit}, last_image: refuse}}",
        "",
    ]
    return "\n".join(lines)


def _rules(seen: Seen, wishes: Wishes) -> Iterable[str]:
    pulled = ", pulled_within: 90d" if seen.pulls_are_known else ""
    builds = f"newest: {wishes.builds}, by: pushed, {{per}}within: {wishes.age}{pulled}"
    if seen.releases is not None:
        yield from _rule(
            "releases",
            seen.releases,
            '{version: "*"}',
            f"newest: {wishes.releases}{pulled}",
            "each variant (-alpine) has a count of its own",
        )
    for kind, name, expression, per, about in (
        (seen.requests, "pull requests", REQUESTS, "", ""),
        (seen.commits, "commits", COMMITS, "", ""),
        (seen.branches, "branches", BRANCHES, "per: branch, ", "each branch has a count of its own"),
        (seen.numbers, "builds", NUMBERS, "", ""),
    ):
        if kind is not None:
            yield from _rule(name, kind, f"{{regex: '{expression}'}}", builds.format(per=per), about)


def _rule(name: str, kind: Kind, selector: str, keep: str, about: str) -> Iterable[str]:
    yield f"      # {_counted(kind)}{'; ' + about if about else ''}"
    yield f"      - name: {name}"
    yield f"        tags: {selector}"
    yield f"        keep: {{{keep}}}"


def _counted(kind: Kind) -> str:
    tags = "1 tag" if kind.count == 1 else f"{kind.count:,} tags"
    return f"{tags} such as {', '.join(kind.examples)}"
