"""Guards: the brakes that stop a run before its first deletion (promise 6). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from jettison.plan.model import Plan
from jettison.policy.model import LastImage, Limits, Share


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
    """Return every brake that `plan` meets; none means go."""
    return (*_truncated(plan, seen), *_last_images(plan, limits), *_shares(plan, limits))


def _last_images(plan: Plan, limits: Limits) -> Iterator[Brake]:
    if limits.last_image is LastImage.ALLOW:
        return
    emptied = [each.name for each in plan.repositories if each.tags and each.deleted_tags >= each.tags]
    if emptied:
        names = ", ".join(emptied[:5]) + (f" and {len(emptied) - 5} more" if len(emptied) > 5 else "")
        yield Brake(
            "last-image",
            f"{names} would lose every tag; allow it with `limits: {{last_image: allow}}` or --allow-last-image",
        )


def _shares(plan: Plan, limits: Limits) -> Iterator[Brake]:
    limit = limits.deletions
    if limit is None:
        return
    way_out = "raise it with `limits: {deletions: …}` or --max-deletions"
    totals = plan.totals
    if isinstance(limit, int):
        if totals.deleted_tags > limit:
            yield Brake("deletions", f"{totals.deleted_tags} tags would go, the limit is {limit}; {way_out}")
        return
    if _exceeds(totals.deleted_tags, totals.tags, limit):
        text = f"{totals.deleted_tags} of {totals.tags} tags of the registry would go, the limit is {limit}; {way_out}"
        yield Brake("deletions", text)
    over = [each for each in plan.repositories if _exceeds(each.deleted_tags, each.tags, limit)]
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
