"""Guards: the brakes that stop a run before its first deletion (promise 6). Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from jettison.plan.model import Plan, RepositoryTotals
from jettison.policy.model import LastImage, Limits, Share
from jettison.policy.spans import parse_limit


@dataclass(frozen=True, slots=True)
class Brake:
    """A reason to stop, and the way to go on nevertheless."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Seen:
    """How much the last finished run left in the registry, for telling a listing that lost its tail."""

    repositories: int
    tags: int


def brakes(plan: Plan, limits: Limits, seen: Seen | None = None) -> tuple[Brake, ...]:
    """Return every brake that `plan` meets; none means go.

    `limits` are the plan's own, or what a command line says instead, which then goes for the policies' brakes too.
    """
    return (*_truncated(plan, seen), *_last_images(plan, limits), *_all_shares(plan, limits))


def may_lose_all(plan: Plan, limits: Limits) -> Callable[[str], bool]:
    """Return whether a repository, by its name, may lose all its tags."""
    own: dict[str, str] = {}
    if limits.last_image.value == plan.limits.last_image:
        own = {name: each.last_image for each in plan.limits.policies for name in each.repositories}
    return lambda name: own.get(name, limits.last_image) == LastImage.ALLOW


def _last_images(plan: Plan, limits: Limits) -> Iterator[Brake]:
    allowed = may_lose_all(plan, limits)
    emptied = [
        each.name
        for each in plan.repositories
        if each.tags and each.deleted_tags >= each.tags and not allowed(each.name)
    ]
    if emptied:
        names = ", ".join(emptied[:5]) + (f" and {len(emptied) - 5} more" if len(emptied) > 5 else "")
        yield Brake(
            "last-image",
            f"{names} would lose every tag; allow it with `limits: {{last_image: allow}}` or --allow-last-image",
        )


def _all_shares(plan: Plan, limits: Limits) -> Iterator[Brake]:
    yield from _shares(plan.repositories, limits.deletions, "the registry")
    written = None if limits.deletions is None else str(limits.deletions)
    for each in plan.limits.policies if written == plan.limits.deletions else ():
        names = frozenset(each.repositories)
        mine = [repository for repository in plan.repositories if repository.name in names]
        limit = None if each.deletions is None else parse_limit(each.deletions)
        yield from _shares(mine, limit, f"policy {each.policy}")


def _shares(repositories: Sequence[RepositoryTotals], limit: Share | int | None, whose: str) -> Iterator[Brake]:
    if limit is None:
        return
    way_out = "raise it with `limits: {deletions: …}` or --max-deletions"
    deleted, tags = sum(each.deleted_tags for each in repositories), sum(each.tags for each in repositories)
    if isinstance(limit, int):
        if deleted > limit:
            where = "" if whose == "the registry" else f" of {whose}"
            yield Brake("deletions", f"{deleted} tags{where} would go, the limit is {limit}; {way_out}")
        return
    if _exceeds(deleted, tags, limit):
        yield Brake("deletions", f"{deleted} of {tags} tags of {whose} would go, the limit is {limit}; {way_out}")
    over = [each for each in repositories if _exceeds(each.deleted_tags, each.tags, limit)]
    if over:
        worst = max(over, key=lambda each: each.deleted_tags / each.tags)
        more = f" (and so in {len(over) - 1} more)" if len(over) > 1 else ""
        text = (
            f"{worst.deleted_tags} of {worst.tags} tags of {worst.name} would go{more}, the limit is {limit}; {way_out}"
        )
        yield Brake("deletions", text)


def _truncated(plan: Plan, seen: Seen | None) -> Iterator[Brake]:
    """Stop where less than half is left of what was there last time: a listing lost its tail."""
    if seen is None:
        return
    now = plan.totals
    for what, before, after in (("repositories", seen.repositories, now.repositories), ("tags", seen.tags, now.tags)):
        if after * 2 < before:
            text = f"only {after} of {before} {what} are listed that the last run left; if so, add --accept-listing"
            yield Brake("truncated", text)


def _exceeds(part: int, whole: int, limit: Share) -> bool:
    return part * 100 > whole * limit.percent
