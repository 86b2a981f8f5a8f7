"""Collect with the registry's own collector, journalled."""

from dataclasses import dataclass

from jettison.app.clean import Recorder
from jettison.control.collector import CollectorReport, collect_with_registry
from jettison.control.running import RunningRegistry
from jettison.control.status import read_status
from jettison.errors import ControlError, JettisonError
from jettison.history.model import PlannedAction


@dataclass(frozen=True, slots=True)
class Collection:
    """What a collection did."""

    described: str
    report: CollectorReport


def collect(running: RunningRegistry, recorder: Recorder, *, delete_untagged: bool = False) -> Collection:
    """Run the registry's own garbage-collect where the registry runs, and journal it before and after.

    Raises ControlError where that fails; then the registry runs, and what was not collected stays.
    """
    status = read_status(running)
    if status.frozen:
        raise ControlError(
            f"{running.describe()} is stopped by a signal, perhaps by a run that was killed; bring it back first with "
            "`jettison registry restart`"
        )
    (sequence,) = recorder.run.plan(
        [PlannedAction("collect", reason_code="requested", reason_text=f"garbage-collect of {running.describe()}")]
    )
    recorder.run.begin(sequence)
    try:
        report = collect_with_registry(running, status.configuration, status.version, delete_untagged=delete_untagged)
    except JettisonError as error:
        recorder.run.record(sequence, "failed", str(error))
        raise
    recorder.run.record(sequence, "done", f"{report.blobs_deleted} blobs, away for {report.outage_seconds:.1f} s")
    recorder.totals |= {"collected_blobs": report.blobs_deleted}
    return Collection(running.describe(), report)
