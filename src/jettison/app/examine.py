"""Examine a storage as a collection would, and foretell its figures. Nothing here writes."""

from datetime import datetime
from typing import NamedTuple

from jettison.app.collection_report import CollectionReport
from jettison.collect.safety import Margins
from jettison.storage import layout
from jettison.storage.chores import Chore, blob_folders, find_chores, is_missing, stale_uploads
from jettison.storage.dry_run import DryRun
from jettison.storage.local import LocalStorage
from jettison.storage.roots import KnownReferences
from jettison.storage.survey import Survey, find


class Examined(NamedTuple):
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
    dry_run: DryRun | None = None,
) -> Examined:
    """Look at a storage. `serving`: a registry works on it meanwhile, so fewer chores are safe.

    Raises StorageError where the storage as a whole cannot be read.
    """
    found, roots, without_data = find(storage, now, margins, known, dry_run)
    if not housekeeping:
        return Examined(found)
    if found.condemned is None or serving:
        # Where nobody knows what is needed, only uploads belong to nobody.
        return Examined(found, stale_uploads(storage, now))
    condemned = frozenset(str(blob.digest) for blob in found.condemned.blobs)
    broken = frozenset(each.repository for each in found.broken)
    chores = find_chores(storage, roots, broken=broken, condemned=condemned, now=now, grace=margins.grace)
    return Examined(found, (*chores, *blob_folders(without_data)))


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
    if is_missing(f"{storage.name}/{layout.QUARANTINE}"):
        return report
    from jettison.storage.quarantine import QuarantineReader

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
