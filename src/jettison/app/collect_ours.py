"""Collect with our own collector, journalled: under the storage's lease, the blobs first, then the housekeeping."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jettison.app.clean import Recorder
from jettison.app.collect_offline import OfflineCollector
from jettison.app.collection_report import CollectionReport
from jettison.app.housekeeping import keep_house
from jettison.collect.safety import Barriers, Margins
from jettison.history.model import PlannedAction
from jettison.storage.chores import Chore, stale_uploads
from jettison.storage.housekeeping import Housekeeper
from jettison.storage.lease import take_lease
from jettison.storage.local import LocalStorage
from jettison.storage.roots import KnownReferences

if TYPE_CHECKING:
    from jettison.app.collect_served import Replicas


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did, and until when what it moved can be taken back (None: nothing was moved)."""

    storage: str
    serving: bool
    report: CollectionReport
    chores: tuple[Chore, ...]
    until: datetime | None = None


def collect_offline(
    storage: LocalStorage,
    recorder: Recorder,
    *,
    margins: Margins,
    purge_now: bool,
    housekeeping: bool,
    now: Callable[[], datetime],
    known: KnownReferences | None = None,
    step: Callable[[str], None] = lambda name: None,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Collected:
    """Collect while no registry serves; `app.serving.refuse_serving` comes first.

    Raises LockedError where another collector is at work, StorageError, HistoryError.
    """
    with take_lease(storage.name, "gc --offline") as lease:
        collector = OfflineCollector(
            lease,
            storage,
            margins=margins,
            run=recorder.run.id,
            now=now,
            known=known,
            step=step,
            progress=progress,
        )
        with _journalled(recorder, f"collection of {storage.name}, offline", collector.report):
            examined = collector.collect(purge_now=purge_now, housekeeping=housekeeping)
        chores, problems = keep_house(Housekeeper(lease, storage), examined.chores, recorder)
        collector.report.problems += problems
    until = now() + margins.retention if collector.report.quarantined else None
    return Collected(storage.name, False, collector.report, chores, until)


async def collect_online(
    storage: LocalStorage,
    replicas: "Replicas",
    recorder: Recorder,
    *,
    margins: Margins,
    barriers: Barriers,
    purge_now: bool,
    housekeeping: bool,
    now: Callable[[], datetime],
    known: KnownReferences | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> Collected:
    """Collect beside the serving registry, and do the chores that are safe there.

    Raises what `app.collect_served.opened_collector` and the collector raise, LockedError, StorageError, HistoryError.
    """
    from jettison.app.collect_served import opened_collector

    chores: tuple[Chore, ...] = ()
    with take_lease(storage.name, "gc") as lease:
        report = CollectionReport()
        with _journalled(recorder, f"collection of {storage.name}, beside the registry", report) as journal:
            async with opened_collector(
                lease,
                storage,
                replicas,
                recorder,
                margins=margins,
                barriers=barriers,
                now=now,
                known=known,
                step=step,
            ) as collector:
                report = await collector.collect(purge_now=purge_now)
            journal.report = report
        if housekeeping:
            chores, problems = keep_house(Housekeeper(lease, storage), stale_uploads(storage, now()), recorder)
            report.problems += problems
    until = now() + margins.retention if report.quarantined and not purge_now else None
    return Collected(storage.name, True, report, chores, until)


@dataclass(slots=True)
class _Journal:
    report: CollectionReport


@contextmanager
def _journalled(recorder: Recorder, what: str, report: CollectionReport) -> Iterator[_Journal]:
    """Journal a collection as one action, before and after. Each blob of it stands in the quarantine's record."""
    (sequence,) = recorder.run.plan([PlannedAction("collect", reason_code="requested", reason_text=what)])
    recorder.run.begin(sequence)
    journal = _Journal(report)
    try:
        yield journal
    except Exception as error:
        recorder.run.record(sequence, "failed", str(error))
        raise
    done = journal.report
    recorder.run.record(
        sequence,
        "done",
        f"{done.quarantined} blobs ({done.quarantined_bytes} bytes) into quarantine {done.collection or '-'}, "
        f"{done.purged} purged ({done.purged_bytes} bytes), {done.restored} restored, {done.given_up} given up",
    )
    recorder.totals |= {
        # What is purged in the run that quarantined it is one blob, not two.
        "collected_blobs": max(done.quarantined, done.purged),
        "purged_bytes": done.purged_bytes,
        "quarantined_bytes": done.quarantined_bytes,
    }
