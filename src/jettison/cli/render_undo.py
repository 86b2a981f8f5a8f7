"""What an undo will do and did, as a person reads it and as JSON."""

from typing import TYPE_CHECKING, Any, Final

from jettison.app.undo_plan import Restoration
from jettison.cli.output import console, counted, exact_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.app.clean import Recorder
    from jettison.app.undo import UndoReport
    from jettison.app.undo_look import Lost, UndoPlan
    from jettison.history.model import RunRecord

_LISTED: Final = 20
_WORDS: Final = {
    Restoration.MANIFEST: "manifest",
    Restoration.TAG: "tag",
    Restoration.BLOB: "blob",
    Restoration.LINK: "layer link",
}


def print_undo_plan(record: "RunRecord", plan: "UndoPlan") -> None:
    """Print what will be done, and what cannot."""
    out = console()
    summary = record.summary
    out.print(
        f"Run {summary.id}: {summary.command} of {summary.registry}, {summary.started.astimezone():%Y-%m-%d %H:%M}",
        markup=False,
    )
    counts = {kind: plan.count(kind) for kind in Restoration}
    if plan.steps:
        size = sum(step.piece.size for step in plan.steps if step.piece is not None)
        quarantined = f", {exact_text(size)} of them from quarantine" if size else ""
        out.print(f"To bring back: {_counts(counts)}{quarantined}.", markup=False)
    if plan.removals:
        manifests = sum(len(taken.manifests) for taken in plan.removals.values())
        tags = sum(len(taken.tags) for taken in plan.removals.values())
        out.print(f"To delete again: {counted(manifests, 'manifest')}, {counted(tags, 'tag')}.", markup=False)
    if plan.there:
        out.print(f"There already: {plan.there:,}.", markup=False)
    if plan.is_empty and not plan.lost:
        out.print("Nothing to take back.")
    _print_lost(plan.lost)


def print_undo(recorder: "Recorder", report: "UndoReport") -> None:
    """Print what was done, and what was found out on the way."""
    out = console()
    _print_lost(report.lost[len(report.plan.lost) :])
    if any(report.restored.values()):
        size = f" ({exact_text(report.restored_bytes)} from quarantine)" if report.restored_bytes else ""
        out.print(f"Brought back: {_counts(report.restored)}{size}.", markup=False)
    deletions = report.deletions
    if deletions is not None:
        done = deletions.count("done") + deletions.count("gone")
        out.print(f"Deleted again: {done:,} of {len(deletions.done):,}.", markup=False)
        for each in [each for each in deletions.done if each.result in {"skipped", "failed"}][:_LISTED]:
            name = f"{each.action.repository}:{','.join(each.action.tags) or each.action.digest.short}"
            out.print(f"{each.result}: {name}: {each.detail}", markup=False)
    if report.plan.left_blobs:
        out.print(
            f"{counted(report.plan.left_blobs, 'blob')} from quarantine stay until `jettison gc` finds them unneeded.",
            markup=False,
        )
    if report.stopped:
        out.print("Stopped as asked. The same command goes on; what is back stays back.")
    out.print(f"Run {recorder.run.id}; `jettison undo {recorder.run.id}` takes this back.", markup=False)


def undo_document(recorder: "Recorder", registry: str, record: "RunRecord", report: "UndoReport") -> dict[str, Any]:
    """Return the JSON object of an undo; docs/undo.md describes it."""
    deletions = report.deletions
    return {
        "version": 1,
        "run": recorder.run.id,
        "registry": registry,
        "undone": record.summary.id,
        "exit_status": recorder.status,
        "restored": {f"{_WORDS[kind].replace(' ', '_')}s": report.restored.get(kind, 0) for kind in _SHOWN},
        "restored_bytes": report.restored_bytes,
        "there": report.there,
        "lost": [
            {
                "kind": _WORDS[each.kind],
                "repository": each.repository,
                "digest": each.digest,
                "tag": each.tag,
                "code": each.code,
                "text": each.text,
            }
            for each in report.lost
        ],
        "deleted": None
        if deletions is None
        else {result: deletions.count(result) for result in ("done", "gone", "skipped", "failed")},
        "left_blobs": report.plan.left_blobs,
        "stopped": report.stopped,
    }


_SHOWN: Final = (Restoration.MANIFEST, Restoration.TAG, Restoration.BLOB)


def _counts(counts: "Mapping[Restoration, int]") -> str:
    return ", ".join(counted(counts[kind], _WORDS[kind]) for kind in _WORDS if counts.get(kind))


def _print_lost(lost: "list[Lost]") -> None:
    out = console()
    for each in lost[:_LISTED]:
        if each.tag:
            name = f"{each.repository}:{each.tag}: "
        elif each.repository:
            name = f"{each.repository}@{each.digest}: " if each.digest else f"{each.repository}: "
        else:
            name = ""
        out.print(f"cannot come back: {name}{each.text}", markup=False)
    if len(lost) > _LISTED:
        out.print(f"cannot come back: ... and {len(lost) - _LISTED:,} more; --json lists all")
