"""Offline collection: what is condemned leaves the disk, layer links first, then data.

The registry must be stopped or read-only (`gc --offline` sees to that): a running one remembers blobs that are gone and
then accepts images that nobody can pull. The order of steps:

1. list the blobs, then read the roots of every repository, so that a blob which comes later is not in the list;
2. mark; where the mark is incomplete, nothing is swept;
3. look at size and time of what is unreachable, and condemn what is older than the grace period;
4. remove the layer links of what is condemned from every repository that has one, and flush;
5. remove the data.

Killed after 1, 2 or 3: nothing has happened. In 4: a repository lost links to blobs that no manifest needs; the next
push of such a blob uploads it again, and the next run finds it unreachable still. In 5: the same for data, and what is
left of it is unreachable still. Played by tests/storage/test_sweep.py.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

from jettison.collect.decide import Condemned
from jettison.collect.packed import DigestText
from jettison.errors import StorageError
from jettison.oci.problem import Problem
from jettison.storage.contract import StorageReader, StorageWriter
from jettison.storage.layout import readable
from jettison.storage.symbolic import behind_symbolic_link, told


class Swept(NamedTuple):
    """What a collection did: blobs and layer links removed, bytes that the disk got back, and what stays, and why."""

    blobs: int
    links: int
    freed: int
    problems: tuple[Problem, ...]


def sweep(
    storage: StorageReader,
    changes: StorageWriter,
    condemned: Condemned,
    *,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Swept:
    """Remove what is condemned. `stop` is asked between blobs; `progress` is given blobs done and all of them.

    Where layer links of a repository cannot be removed, the blobs that it links stay. Raises StorageError where nothing
    can be removed at all.
    """
    changes.check()
    links, kept, problems = _remove_links(storage, changes, {blob.digest for blob in condemned.blobs})
    going = [blob for blob in condemned.blobs if blob.digest not in kept]
    blobs = freed = 0
    progress(0, len(going))
    removing = changes.remove_blobs(going)
    for done, removed in enumerate(removing, start=1):
        if removed.problem is None:
            blobs += 1
            freed += removed.freed
        elif removed.problem.blocks:
            problems.append(removed.problem)
        progress(done, len(going))
        if stop():
            break
    return Swept(blobs, links, freed, tuple(problems))


def _remove_links(
    storage: StorageReader, changes: StorageWriter, condemned: Collection[DigestText]
) -> tuple[int, set[DigestText], list[Problem]]:
    """Remove the layer links of all that is condemned, and return how many there were.

    Also returned are the blobs that must stay, since links of them cannot be removed: a symbolic link leads there, or
    the system refuses.
    """
    listing = storage.repositories()
    problems: list[Problem] = []
    kept: set[DigestText] = set()
    links = 0
    condemned = set(condemned)
    for name in listing.names:
        layers = storage.layers(name, canonical=True)
        others = {digest for digest, stored in layers.stored_as.items() if stored in condemned}
        going = (layers.digests & condemned) | others
        if not going:
            continue
        behind = going if name in listing.linked else behind_symbolic_link(storage.name, name, going)
        if behind:
            stay = {layers.stored_as.get(digest, digest) for digest in behind}
            kept |= stay
            problems.append(told(name, len(stay)))
        try:
            links += changes.remove_layer_links(name, going - behind)
        except StorageError as error:
            kept |= {layers.stored_as.get(digest, digest) for digest in going}
            problems.append(Problem("refused", f"{readable(name)}: blobs that are linked there stay: {error}"))
    return links, kept, problems
