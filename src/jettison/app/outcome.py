"""Outcome: exit statuses, and what an incomplete plan means for them. Light, for the verbs that only look."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jettison.plan.model import Plan

INTERRUPTED: Final = 130
PART: Final = 4
FAILED: Final = 1


def blocking(plan: "Plan") -> list[str]:
    """Return the repositories that could not be read completely, and so lost nothing."""
    return [each.name for each in plan.repositories if not each.complete]


def unlisted(plan: "Plan") -> bool:
    """Whether there may be repositories that the plan does not know: the catalogue could not be read to its end."""
    return any(not problem.repository for problem in plan.problems)
