"""The quarantine as a person uses it: what is in it, bringing back, and purging before its time."""

from collections.abc import Awaitable, Callable, Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from jettison.app.collection_report import CollectionReport
from jettison.app.reexamine import Reexamination
from jettison.app.undo import UndoJournal, taken_back_reason
from jettison.app.undo_plan import Restoration
from jettison.app.undo_target import Piece, Shelf
from jettison.collect.quarantine import Collected, Suspect
from jettison.errors import StorageError, UsageError
from jettison.history.model import PlannedAction
from jettison.oci.digest import Digest
from jettison.storage.lease import Lease
from jettison.storage.local import LocalStorage
from jettison.storage.quarantine import Quarantine, QuarantineReader
from jettison.storage.roots import KnownReferences

if TYPE_CHECKING:
    from jettison.app.clean import Recorder
    from jettison.app.collect_served import Replicas
    from jettison.collect.safety import Barriers, Margins


@dataclass(frozen=True, slots=True)
class Waiting:
    """A collection with what is still in quarantine of it: blobs, bytes."""

    collected: Collected
    blobs: int
    size: int


@dataclass(slots=True)
class Returned:
    """What a restore did: blobs and bytes that are back, and why others are not."""

    blobs: int = 0
    size: int = 0
    problems: list[str] = field(default_factory=list)


def waiting(storage: LocalStorage) -> tuple[Waiting, ...]:
    """Return what is in quarantine, the oldest collection first. Needs no lease. Raises StorageError."""
    reader = QuarantineReader(storage.name)
    found = []
    for collected in reader.collections():
        held = reader.held(collected)
        found.append(Waiting(collected, len(held), sum(held.values())))
    return tuple(found)


def chosen(collections: Collection[Collected], wanted: str | None) -> tuple[Collected, ...]:
    """Return the collection whose id begins with `wanted`, all for None. Raises UsageError for none or several."""
    if wanted is None:
        return tuple(collections)
    found = tuple(each for each in collections if each.id.startswith(wanted))
    if len(found) == 1:
        return found
    names = ", ".join(each.id for each in (found or tuple(collections))[:8]) or "none"
    what = f"several collections in quarantine begin with {wanted!r}" if found else f"no collection {wanted!r}"
    raise UsageError(f"{what}; there are: {names}")


async def bring_back(
    shelf: Shelf,
    collections: Collection[Collected],
    digests: AbstractSet[Digest],
    journal: UndoJournal,
    *,
    barrier: Callable[[], Awaitable[None]] | None = None,
) -> Returned:
    """Bring blobs back to their place, with the layer links that they had; all of the collections without `digests`.

    What no manifest needs is garbage again, and the next collection finds it. `barrier` as in `app.undo.restore`.
    Raises UsageError for a digest that is not there, HistoryError where it cannot be journalled.
    """
    pieces = [(collected, piece) for collected in collections for piece in _pieces(shelf, collected, digests)]
    missing = digests - {piece.digest for _, piece in pieces}
    if missing:
        raise UsageError(f"blob {min(missing)} is not in quarantine; `jettison quarantine list` shows what is")
    if barrier is not None and any(piece.links for _, piece in pieces):
        await barrier()
    numbers = journal.plan([_planned(collected, piece) for collected, piece in pieces])
    journal.begin(*numbers)
    returned = Returned()
    for number, (_, piece) in zip(numbers, pieces, strict=True):
        try:
            problem = shelf.bring(piece)
        except StorageError as error:
            problem = str(error)
        if problem:
            returned.problems.append(f"blob {piece.digest}: {problem}")
            journal.record(number, "failed", problem)
            continue
        returned.blobs += 1
        returned.size += piece.size
        journal.record(number, "done")
    for collected in collections:
        shelf.finish(collected)
    return returned


def purge_offline(
    lease: Lease,
    storage: LocalStorage,
    collections: Collection[Collected],
    known: KnownReferences | None = None,
) -> CollectionReport:
    """Purge collections before their time, as far as nothing needs them. No registry may serve meanwhile."""
    report = CollectionReport()
    quarantine = Quarantine(lease)
    reexamination = Reexamination(lease, storage, report, known)
    for collected in collections:
        held = frozenset(quarantine.held(collected))
        reexamination.rescan(collected, may_purge=held)
        reexamination.finish(collected)
    reexamination.count_waiting()
    return report


async def purge_online(
    lease: Lease,
    storage: LocalStorage,
    replicas: "Replicas",
    collections: Collection[Collected],
    recorder: "Recorder",
    *,
    margins: "Margins",
    barriers: "Barriers",
    now: Callable[[], datetime],
    known: KnownReferences | None = None,
) -> CollectionReport:
    """Purge collections before their time beside the serving registry, after the long barrier (steps 5 to 7)."""
    from jettison.app.collect_served import opened_collector

    async with opened_collector(
        lease, storage, replicas, recorder, margins=margins, barriers=barriers, now=now, known=known
    ) as collector:
        return await collector.purge({collected.id for collected in collections})


def _pieces(shelf: Shelf, collected: Collected, digests: AbstractSet[Digest]) -> list[Piece]:
    """Return what of a collection comes back. One that lost its record has blobs, and links that nobody knows."""
    suspects = {Digest(suspect.digest): suspect for suspect in collected.suspects}
    for held in shelf.held_of(collected):
        suspects.setdefault(held, Suspect(held, 0, collected.begun))
    found = []
    for digest, suspect in suspects.items():
        if digests and digest not in digests:
            continue
        piece = shelf.whole(collected, suspect)
        if isinstance(piece, Piece):
            found.append(piece)
    return found


def _planned(collected: Collected, piece: Piece) -> PlannedAction:
    reason = taken_back_reason(collected.run)
    return PlannedAction(Restoration.BLOB.value, digest=piece.digest, reason_code="undo", reason_text=reason)
