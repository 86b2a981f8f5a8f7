"""What our own collector did or would do, as a person reads it and as JSON."""

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from jettison.storage.chores import Chore, ChoreKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from jettison.app.collect_ours import Collected
    from jettison.app.collection_report import CollectionReport

_LISTED: Final = 20
_CHORES: Final = {
    ChoreKind.UPLOAD: ("stale upload", "stale uploads"),
    ChoreKind.TAG_FOLDER: ("tag that points to nothing", "tags that point to nothing"),
    ChoreKind.LINK: ("layer link that nothing needs", "layer links that nothing needs"),
    ChoreKind.LINK_FOLDER: ("empty folder of a layer link", "empty folders of layer links"),
    ChoreKind.REPOSITORY: ("empty repository", "empty repositories"),
    ChoreKind.BLOB_FOLDERS: ("empty blob folder", "empty blob folders"),
}


def document(
    report: "CollectionReport",
    storage: str,
    chores: "Sequence[Chore]",
    *,
    serving: bool,
    dry_run: bool = False,
    until: "datetime | None" = None,
) -> dict[str, Any]:
    """Return the JSON object of a collection; docs/json.md describes it. A dry run has the same fields."""
    return {
        "collector": "own",
        "mode": "online" if serving else "offline",
        "dry_run": dry_run,
        "storage": storage,
        "blobs": report.blobs,
        "condemned": report.condemned,
        "condemned_bytes": report.condemned_bytes,
        "young": report.young,
        "young_bytes": report.young_bytes,
        "bodies": report.bodies,
        "quarantined": report.quarantined,
        "quarantined_bytes": report.quarantined_bytes,
        "purged": report.purged,
        "purged_bytes": report.purged_bytes,
        "restored": report.restored,
        "given_up": report.given_up,
        "repaired": report.repaired,
        "waiting": report.waiting,
        "waiting_bytes": report.waiting_bytes,
        "barriers": report.barriers,
        "barriers_early": report.barriers_early,
        "barriers_doubt": report.barriers_doubt or None,
        "collection": report.collection,
        "until": until,
        "broken": list(report.broken),
        "problems": [{"code": problem.code, "text": problem.text} for problem in report.problems],
        "housekeeping": [
            {
                "action": chore.kind.value,
                "repository": chore.repository,
                "name": chore.name,
                "reason": chore.reason,
                "bytes": chore.size,
            }
            for chore in chores
        ],
    }


def collected_document(collected: "Collected") -> dict[str, Any]:
    """Return the JSON object of a collection that was done."""
    return document(
        collected.report,
        collected.storage,
        collected.chores,
        serving=collected.serving,
        until=collected.until,
    )


def print_foretold(report: "CollectionReport", chores: "Sequence[Chore]", *, serving: bool) -> None:
    """Print what a run would do."""
    from jettison.cli.output import console, counted, exact_text

    out = console()
    _print_problems(report)
    out.print(
        f"{counted(report.blobs, 'blob')}; to collect: {report.condemned:,}, {exact_text(report.condemned_bytes)}.",
        markup=False,
    )
    if report.young:
        out.print(
            f"Too young to be sure: {counted(report.young, 'blob')}, {exact_text(report.young_bytes)}.", markup=False
        )
    if serving and report.bodies:
        out.print(
            f"{counted(report.bodies, 'manifest')} besides may have to wait until the registry was restarted.",
            markup=False,
        )
    if report.purged:
        out.print(f"To purge, their time is over: {report.purged:,}, {exact_text(report.purged_bytes)}.", markup=False)
    if report.waiting:
        out.print(
            f"In quarantine: {counted(report.waiting, 'blob')}, {exact_text(report.waiting_bytes)}.", markup=False
        )
    _print_chores(chores, "To tidy up")
    out.print("Nothing was written.")


def print_collected(collected: "Collected") -> None:
    """Print what was done: which bytes are back now, and which come back when."""
    from jettison.cli.output import console, counted, exact_text

    out, report = console(), collected.report
    _print_problems(report)
    out.print(f"Back now: {exact_text(report.purged_bytes)}, {counted(report.purged, 'blob')}.", markup=False)
    if report.waiting:
        when = f" The {counted(report.quarantined, 'blob')} of this run can be taken back until "
        until = f"{collected.until.astimezone():%Y-%m-%d %H:%M}." if collected.until is not None else ""
        out.print(
            f"In quarantine: {exact_text(report.waiting_bytes)}, {counted(report.waiting, 'blob')}; they come back "
            f"with the first `jettison gc` after their time is over.{when + until if until else ''}",
            markup=False,
        )
    if report.restored:
        out.print(f"Restored, since something needs them again: {counted(report.restored, 'blob')}.", markup=False)
    if report.repaired:
        out.print(f"Written back: {counted(report.repaired, 'layer link')}.", markup=False)
    if report.given_up:
        out.print(f"Left to the next run: {counted(report.given_up, 'blob')}.", markup=False)
    if report.young:
        out.print(
            f"Too young to be sure: {counted(report.young, 'blob')}, {exact_text(report.young_bytes)}.", markup=False
        )
    if report.bodies:
        out.print(
            f"{counted(report.bodies, 'manifest')} that nothing refers to must wait until the registry was restarted, "
            "or has no descriptor cache (`jettison registry prepare`).",
            markup=False,
        )
    print_barriers(report)
    _print_chores(collected.chores, "Tidied up")


def print_barriers(report: "CollectionReport") -> None:
    """Print how often waiting for the servers' requests ended early, where the servers' metrics were looked at."""
    from jettison.cli.output import console

    if not report.barriers_early and not report.barriers_doubt:
        return
    doubt = f"; the others took their full time: {report.barriers_doubt}" if report.barriers_doubt else ""
    console().print(
        f"Of {report.barriers} waits for the servers' requests {report.barriers_early} ended early, since the metrics "
        f"showed that none was left{doubt}.",
        markup=False,
    )


def _print_problems(report: "CollectionReport") -> None:
    from jettison.cli.output import console

    out = console()
    for problem in report.problems[:_LISTED]:
        out.print(f"problem: {problem.text}", markup=False)
    if len(report.problems) > _LISTED:
        out.print(f"problem: ... and {len(report.problems) - _LISTED:,} more; --json lists all")
    for name in report.broken:
        out.print(f"{name} is broken, so it keeps everything that it links.", markup=False)


def _print_chores(chores: "Sequence[Chore]", title: str) -> None:
    from jettison.cli.output import console, counted, exact_text

    if not chores:
        return
    out = console()
    counts: Counter[ChoreKind] = Counter()
    for chore in chores:
        counts[chore.kind] += len(chore.digests) or 1
    size = sum(chore.size for chore in chores)
    what = ", ".join(counted(count, *_CHORES[kind]) for kind, count in counts.items())
    out.print(f"{title}: {what}{f'; {exact_text(size)}' if size else ''}.", markup=False)
    for chore in chores[:_LISTED]:
        name = f"{chore.repository} {chore.name}".strip()
        out.print(f"  {chore.kind.value} {name}: {chore.reason}", markup=False)
    if len(chores) > _LISTED:
        out.print(f"  ... and {len(chores) - _LISTED:,} more; --json lists all")
