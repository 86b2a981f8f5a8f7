"""Examine a storage as a collection would, and foretell its figures. Nothing here writes."""

from dataclasses import dataclass
from datetime import datetime

from jettison.app.collection_report import CollectionReport
from jettison.collect.decide import decide, unreachable
from jettison.collect.mark import IncompleteMark
from jettison.collect.safety import Margins
from jettison.storage.housekeeping import Chore, blob_folders, find_chores, stale_uploads
from jettison.storage.local import LocalStorage
from jettison.storage.quarantine import QuarantineReader
from jettison.storage.roots import KnownReferences, read_roots
from jettison.storage.sweep import Survey


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found: `survey` about the blobs, and the `chores` of housekeeping."""

    survey: Survey
    chores: tuple[Chore, ...] = ()


def examine(
    storage: LocalStorage,
    now: datetime,
    margins: Margins,
    known: KnownReferences | None = None,
    *,
    serving: bool,
    housekeeping: bool = True,
) -> Examined:
    """Look at a storage. `serving`: a registry works on it meanwhile, so fewer chores are safe.

    Blobs are listed before roots are read, and sizes and times are read after them, as `storage.sweep` tells. Raises
    StorageError where the storage as a whole cannot be read.
    """
    listing = storage.blobs()
    roots = read_roots(storage, listing.digests, known)
    mark = roots.mark()
    if isinstance(mark, IncompleteMark):
        found = Survey(len(listing.digests), None, mark.broken, mark.problems)
        # Nobody knows what is needed; only uploads belong to nobody.
        return Examined(found, stale_uploads(storage, now) if housekeeping else ())
    unneeded = unreachable(listing.digests, mark)
    stored = storage.stored(unneeded)
    decided = decide(stored.values(), mark, now, margins)
    found = Survey(len(listing.digests), decided, mark.broken, (*listing.problems, *roots.harmless))
    if not housekeeping:
        return Examined(found)
    if serving:
        return Examined(found, stale_uploads(storage, now))
    condemned = frozenset(str(blob.digest) for blob in decided.blobs)
    broken = frozenset(each.repository for each in mark.broken)
    chores = find_chores(storage, roots, broken=broken, condemned=condemned, now=now, grace=margins.grace)
    return Examined(found, (*chores, *blob_folders(unneeded - stored.keys())))


def foretell(
    storage: LocalStorage, examined: Examined, now: datetime, *, serving: bool, cacheless: bool = False
) -> CollectionReport:
    """Return what a collection would report now: the figures of a dry run.

    What is in quarantine and due counts as purged. Beside a serving registry the manifests' own bodies wait for the
    servers' next start, unless these are `cacheless`; whether some have waited for it already, only a run finds out.
    """
    report = CollectionReport()
    report.note(examined.survey)
    condemned = examined.survey.condemned
    if condemned is not None:
        going = condemned.blobs
        if serving and not cacheless:
            from jettison.storage.bodies import manifest_bodies

            bodies = manifest_bodies(storage.name, going)
            report.bodies = len(bodies)
            going = tuple(blob for blob in going if blob.digest not in bodies)
        report.condemned, report.condemned_bytes = len(going), sum(blob.size for blob in going)
    quarantine = QuarantineReader(storage.name)
    for collected in quarantine.collections():
        held = quarantine.held(collected)
        if collected.until <= now:
            report.purged += len(held)
            report.purged_bytes += sum(held.values())
        else:
            report.waiting += len(held)
            report.waiting_bytes += sum(held.values())
    return report
