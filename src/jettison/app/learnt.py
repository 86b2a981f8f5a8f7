"""Learnt: what the history knows of the images in an inventory, put into it: pulls, and when tags were first seen."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository
from jettison.oci.tag import Tag
from jettison.pulls.spans import DEFAULT_GAP, known_since

if TYPE_CHECKING:
    from jettison.history.store import History


def with_history(history: "History", registry: str, inventory: Inventory, gap: timedelta = DEFAULT_GAP) -> Inventory:
    """Return the inventory with what is known of its images; `registry` is how the history knows it.

    What is seen for the first time now is noted, for the next look. Raises HistoryError.
    """
    found = with_history_of(history, registry, inventory.repositories, inventory.taken, gap)
    return replace(inventory, repositories=found)


def with_history_of(
    history: "History",
    registry: str,
    repositories: tuple[Repository, ...],
    now: datetime,
    gap: timedelta = DEFAULT_GAP,
) -> tuple[Repository, ...]:
    """Do the same for repositories as they stood at `now`."""
    spans = history.pulls.spans(registry)
    since = known_since(spans, now, gap)
    # Where no log was ever imported there is nothing to be looked up.
    pulled = history.pulls.pulled(registry, [each.name for each in repositories]) if spans else {}
    seen = history.first_seen.look(registry, _undated(repositories), now)
    return tuple(
        replace(
            each, tags=_dated(each.tags, seen.get(each.name, {})), pulled=pulled.get(each.name, {}), pulls_since=since
        )
        for each in repositories
    )


def _undated(repositories: tuple[Repository, ...]) -> dict[str, dict[str, Digest]]:
    """Return the tags of repositories whose source does not tell when tags were pushed.

    A repository that could not be read completely may have tags that are not seen now; they would look new next time,
    which keeps them longer than need be, but says what is not so.
    """
    return {
        each.name: {tag.name: tag.digest for tag in each.tags}
        for each in repositories
        if each.is_complete and all(tag.pushed is None for tag in each.tags)
    }


def _dated(tags: tuple[Tag, ...], seen: Mapping[str, datetime]) -> tuple[Tag, ...]:
    return tuple(replace(tag, pushed=seen[tag.name]) if tag.name in seen else tag for tag in tags) if seen else tags
