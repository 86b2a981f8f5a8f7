"""What a run did, as a person reads it and as JSON."""

from typing import TYPE_CHECKING, Any

from jettison.app.clean import freed
from jettison.app.outcome import blocking
from jettison.cli.output import console, counted, exact_text
from jettison.cli.render_collection import collected_document, print_collected

if TYPE_CHECKING:
    from jettison.app.apply_plan import ApplyReport, Done, Result
    from jettison.app.clean import Recorder
    from jettison.app.collect import Collection
    from jettison.app.collect_ours import Collected
    from jettison.plan.model import Plan

_LISTED = 50


def print_report(
    recorder: "Recorder",
    plan: "Plan",
    report: "ApplyReport",
    collection: "Collection | None" = None,
    ours: "Collected | None" = None,
) -> None:
    """Print what was done, what was not and why, and how to go on."""
    out = console()
    odd = [each for each in report.done if each.result in ("skipped", "failed")]
    for each in odd[:_LISTED]:
        out.print(f"{each.result}: {_what(each)}: {each.detail}", markup=False)
    if len(odd) > _LISTED:
        out.print(f"... and {len(odd) - _LISTED:,} more; `jettison history {recorder.run.id}` lists them")
    for problem in plan.problems:
        where = f"{problem.repository}: " if problem.repository else ""
        out.print(f"could not be read: {where}{problem.text}", markup=False)
    if plan.actions:
        out.print(_sentence(plan, report), markup=False)
    if collection is not None:
        print_collection(collection)
    elif ours is not None:
        print_collected(ours)
    elif report.count("done"):
        out.print(
            "The space comes back when garbage is collected: jettison gc, with --storage DIR or --control docker",
            markup=False,
        )
    if report.stopped:
        out.print("Stopped as asked. Run the same command again to go on; what is done stays done.")
    out.print(f"Run {recorder.run.id}; `jettison history {recorder.run.id}` shows each step.", markup=False)


def print_collection(collection: "Collection") -> None:
    """Print what the collector did."""
    out = console()
    report = collection.report
    if report.empty:
        out.print(f"{collection.described} holds nothing: nothing to collect.", markup=False)
        return
    away = f"; the registry was away for {report.outage_seconds:.1f} s" if report.restarted else ""
    out.print(f"Collected: {counted(report.blobs_deleted, 'blob')} deleted{away}.", markup=False)
    for warning in report.warnings:
        out.print(f"warning: {warning}", markup=False)


def report_document(
    recorder: "Recorder",
    plan: "Plan",
    report: "ApplyReport",
    exit_status: int,
    collection: "Collection | None" = None,
    ours: "Collected | None" = None,
) -> dict[str, Any]:
    """Return the JSON object of `apply` and `run`; docs/json.md describes it."""
    collected = None if collection is None else collection_document(collection)
    if ours is not None:
        collected = collected_document(ours)
    return {
        "version": 1,
        "run": recorder.run.id,
        "registry": plan.registry,
        "exit_status": exit_status,
        "plan": {"fingerprint": plan.fingerprint, "totals": plan.totals},
        "results": {result: report.count(result) for result in ("done", "gone", "skipped", "failed")},
        "frees": freed(plan, report),
        "not_done": [
            {
                "action": each.action.action,
                "repository": each.action.repository,
                "digest": each.action.digest,
                "tags": each.action.tags,
                "result": each.result,
                "detail": each.detail,
            }
            for each in report.done
            if each.result in ("skipped", "failed")
        ],
        "incomplete": blocking(plan),
        "problems": plan.problems,
        "stopped": report.stopped,
        "collection": collected,
    }


def collection_document(collection: "Collection") -> dict[str, Any]:
    """Return the JSON object of a collection."""
    report = collection.report
    return {
        "collector": "registry",
        "registry": collection.described,
        "blobs_deleted": report.blobs_deleted,
        "outage_seconds": round(report.outage_seconds, 3),
        "restarted": report.restarted,
        "empty": report.empty,
        "warnings": report.warnings,
    }


def _what(done: "Done") -> str:
    action = done.action
    return f"{action.repository}:{','.join(action.tags)}" if action.tags else f"{action.repository}@{action.digest}"


def _sentence(plan: "Plan", report: "ApplyReport") -> str:
    done = report.count("done")
    words: dict[Result, str] = {"gone": "gone already", "skipped": "skipped", "failed": "failed"}
    rest = [f"{report.count(result):,} {word}" for result, word in words.items() if report.count(result)]
    bound = "" if report.is_whole else "at least "
    tail = f" ({', '.join(rest)})" if rest else ""
    of = f"{done:,} of " if done != len(plan.actions) else ""
    deletions = counted(len(plan.actions), "deletion")
    free = "frees" if len(plan.actions) == 1 else "free"
    return f"Done: {of}{deletions}{tail}, which {free} {bound}{exact_text(freed(plan, report))}."
