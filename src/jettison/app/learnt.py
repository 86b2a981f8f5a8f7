"""Learnt: what the history knows of the images in an inventory, put into it: pulls, and when tags were first seen."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository
from jettison.oci.tag import Tag

if TYPE_CHECKING:
    from jettison.history.store import History


def with_history(history: "History", registry: str, inventory: Inventory) -> Inventory:
    """Return the inventory with what is known of its images; `registry` is how the history knows it.

    Tags that are seen for the first time now are noted, for the next look. Raises HistoryError.
    """
    repositories, now = inventory.repositories, inventory.taken
    since = history.pulls.known_since(registry, now)
    pulled = history.pulls.pulled(registry, [each.name for each in repositories])
    seen = history.first_seen.look(registry, _undated(repositories), now)
    found = tuple(
        replace(
            each,
            tags=_dated(each.tags, seen.get(each.name, {})),
            pulled=_with_indexes(each, pulled.get(each.name, {})),
            pulls_since=since,
        )
        for each in repositories
    )
    return replace(inventory, repositories=found)


def _with_indexes(repository: Repository, pulled: Mapping[str, datetime]) -> Mapping[str, datetime]:
    """Add to the pulls that of each index of which a platform was pulled by its own digest: it goes with its index."""
    found = dict(pulled)
    for digest, manifest in repository.manifests.items() if pulled else ():
        if manifest.children:
            moments = [pulled[each] for each in _with_children(repository, digest) if each in pulled]
            if moments:
                found[digest] = max(moments)
    return found


def _with_children(repository: Repository, digest: Digest) -> set[Digest]:
    """Return an index and everything below it, whatever its loops."""
    seen, waiting = {digest}, [digest]
    while waiting:
        manifest = repository.manifests.get(waiting.pop())
        fresh = {each.digest for each in manifest.children} - seen if manifest is not None else set()
        seen |= fresh
        waiting += fresh
    return seen


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
    return tuple(tag._replace(pushed=seen[tag.name]) if tag.name in seen else tag for tag in tags) if seen else tags
