"""`jettison quarantine`: look at what was collected; bring it back, or purge it before its time."""

from typing import TYPE_CHECKING

import click

from jettison.cli.collection_options import metrics_option, replica_option
from jettison.cli.options import (
    Connection,
    confirm,
    connection_options,
    json_option,
    registry_argument,
    storage_options,
    yes_option,
)

if TYPE_CHECKING:
    from jettison.app.clean import Recorder
    from jettison.app.collection_report import CollectionReport
    from jettison.app.quarantine import Returned
    from jettison.cli.ground import Ground
    from jettison.collect.quarantine import Collected
    from jettison.storage.lease import Lease

_settle = click.option("--settle", metavar="AGE", help="Wait this long for the servers' requests.")
_collection = click.argument("collection", required=False, metavar="[COLLECTION]")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Look at what was collected; bring it back, or purge it."""


@command.command("list")
@registry_argument
@connection_options
@storage_options
@json_option
def list_(connection: Connection, *, as_json: bool) -> int:
    """List what is in quarantine, collection by collection. Writes nothing."""
    from jettison.app.quarantine import waiting
    from jettison.cli.ground import find_ground
    from jettison.cli.output import console, counted, exact_text, print_json, size_text, table

    storage = find_ground(connection).known_storage
    found = waiting(storage)
    if as_json:
        print_json(
            {
                "version": 1,
                "storage": storage.name,
                "collections": [
                    {
                        "id": each.collected.id,
                        "run": each.collected.run,
                        "begun": each.collected.begun,
                        "until": each.collected.until,
                        "online": each.collected.online,
                        "blobs": each.blobs,
                        "bytes": each.size,
                    }
                    for each in found
                ],
            }
        )
        return 0
    out = console()
    if not found:
        out.print("Nothing is in quarantine.")
        return 0
    made = table("collection", "run", "begun", "until", "blobs", "size", right=("blobs", "size"))
    for each in found:
        collected = each.collected
        begun, until = (f"{moment.astimezone():%Y-%m-%d %H:%M}" for moment in (collected.begun, collected.until))
        made.add_row(collected.id, collected.run, begun, until, f"{each.blobs:,}", size_text(each.size))
    out.print(made)
    total = sum(each.size for each in found)
    out.print(f"{counted(sum(each.blobs for each in found), 'blob')}, {exact_text(total)}.", markup=False)
    return 0


@command.command()
@_collection
@registry_argument
@connection_options
@storage_options
@click.option("--digest", multiple=True, metavar="DIGEST", help="Only this blob.")
@_settle
@yes_option
@json_option
def restore(
    connection: Connection,
    *,
    collection: str | None,
    digest: tuple[str, ...],
    settle: str | None,
    yes: bool,
    as_json: bool,
) -> int:
    """Bring the blobs of COLLECTION, or of all, back with the layer links that they had.

    What no manifest needs is collected again; `jettison undo` brings manifests and tags back too.
    """
    import asyncio

    from jettison.app.clean import recorded_run
    from jettison.app.outcome import FAILED, PART
    from jettison.app.quarantine import bring_back, chosen
    from jettison.app.undo_target import Shelf
    from jettison.cli.collection_options import span
    from jettison.cli.ground import find_ground
    from jettison.cli.identifiers import told_apart
    from jettison.cli.output import console, counted, exact_text, print_json
    from jettison.collect.safety import Barriers
    from jettison.errors import UsageError
    from jettison.oci.digest import Digest
    from jettison.storage.lease import take_lease

    try:
        digests = frozenset(Digest(text) for text in digest)
    except ValueError as error:
        raise UsageError(f"--digest: {error}") from error
    seconds = span(settle, "--settle").total_seconds() if settle is not None else Barriers().short
    collection, connection = told_apart(collection, connection)
    ground = find_ground(connection)
    storage = ground.known_storage
    confirm(f"Bring back what is in quarantine to {storage.name}?", yes=yes)

    async def settled() -> None:
        await asyncio.sleep(seconds)

    with (
        recorded_run(connection.open_history(), ground.name, "quarantine restore") as recorder,
        take_lease(storage.name, "quarantine restore") as lease,
    ):
        shelf = Shelf(lease, storage)
        collections = chosen(shelf.collections, collection)
        barrier = None if connection.offline else settled
        returned: Returned = asyncio.run(bring_back(shelf, collections, digests, recorder.run, barrier=barrier))
        if returned.problems:
            recorder.worsen(PART if returned.blobs else FAILED)
        recorder.totals |= {"restored_blobs": returned.blobs}
    if as_json:
        print_json(
            {
                "version": 1,
                "run": recorder.run.id,
                "exit_status": recorder.status,
                "blobs": returned.blobs,
                "bytes": returned.size,
                "problems": returned.problems,
            }
        )
        return recorder.status
    out = console()
    for problem in returned.problems[:20]:
        out.print(f"not back: {problem}", markup=False)
    out.print(f"Brought back: {counted(returned.blobs, 'blob')}, {exact_text(returned.size)}.", markup=False)
    return recorder.status


@command.command()
@_collection
@registry_argument
@connection_options
@storage_options
@_settle
@replica_option
@metrics_option
@yes_option
@json_option
def purge(
    connection: Connection,
    *,
    collection: str | None,
    settle: str | None,
    replica: tuple[str, ...],
    metrics: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Purge COLLECTION, or all of them, before their time; what something needs by now comes back instead.

    Beside a serving registry (with its URL) the servers are asked once more and waited for; --offline is for a
    registry that is stopped or read-only.
    """
    from jettison.app.clean import recorded_run
    from jettison.app.outcome import PART
    from jettison.app.quarantine import chosen
    from jettison.cli.ground import find_ground
    from jettison.cli.identifiers import told_apart
    from jettison.cli.output import console, counted, exact_text, print_json
    from jettison.cli.render_collection import print_barriers
    from jettison.history.model import PlannedAction
    from jettison.storage.lease import take_lease
    from jettison.storage.quarantine import Quarantine

    collection, connection = told_apart(collection, connection)
    ground = find_ground(connection)
    storage = ground.known_storage
    confirm(f"Purge what is in quarantine of {storage.name}? It cannot be brought back then.", yes=yes)
    with (
        recorded_run(connection.open_history(), ground.name, "quarantine purge") as recorder,
        take_lease(storage.name, "quarantine purge") as lease,
    ):
        collections = chosen(Quarantine(lease).collections(), collection)
        names = ", ".join(each.id for each in collections) or "nothing"
        (number,) = recorder.run.plan(
            [PlannedAction("purge", reason_code="requested", reason_text=f"purge of {names} before its time")]
        )
        recorder.run.begin(number)
        report = _purge(ground, lease, collections, recorder, settle, replica, metrics)
        recorder.run.record(number, "done", f"{report.purged} blobs purged, {report.restored} restored")
        recorder.totals |= {"purged_blobs": report.purged, "purged_bytes": report.purged_bytes}
        if report.problems:
            recorder.worsen(PART)
    if as_json:
        print_json(
            {
                "version": 1,
                "run": recorder.run.id,
                "exit_status": recorder.status,
                "purged": report.purged,
                "purged_bytes": report.purged_bytes,
                "restored": report.restored,
                "waiting": report.waiting,
                "waiting_bytes": report.waiting_bytes,
                "barriers": report.barriers,
                "barriers_early": report.barriers_early,
                "barriers_doubt": report.barriers_doubt or None,
                "problems": [{"code": each.code, "text": each.text} for each in report.problems],
            }
        )
        return recorder.status
    out = console()
    for problem in report.problems[:20]:
        out.print(f"problem: {problem.text}", markup=False)
    out.print(f"Purged: {counted(report.purged, 'blob')}, {exact_text(report.purged_bytes)}.", markup=False)
    if report.restored:
        out.print(f"Restored, since something needs them: {counted(report.restored, 'blob')}.", markup=False)
    if report.waiting:
        waiting = exact_text(report.waiting_bytes)
        out.print(f"Still in quarantine: {counted(report.waiting, 'blob')}, {waiting}.", markup=False)
    print_barriers(report)
    return recorder.status


def _purge(
    ground: "Ground",
    lease: "Lease",
    collections: "tuple[Collected, ...]",
    recorder: "Recorder",
    settle: str | None,
    replica: tuple[str, ...],
    metrics: tuple[str, ...],
) -> "CollectionReport":
    from datetime import UTC, datetime

    from jettison.app.find_storage import reference_cache
    from jettison.app.quarantine import purge_offline, purge_online
    from jettison.cli.collection_options import span
    from jettison.cli.interrupt import Interruption, run_interruptibly
    from jettison.collect import safety

    storage = ground.known_storage
    known = reference_cache(storage)
    if ground.offline:
        from jettison.app.serving import refuse_serving

        refuse_serving(ground.access, ground.running)
        return purge_offline(lease, storage, collections, known)
    from jettison.app.collect_served import Replicas

    barriers = safety.Barriers()
    if settle is not None:
        seconds = span(settle, "--settle").total_seconds()
        barriers = safety.Barriers(short=seconds, long=seconds)

    async def work(interruption: Interruption) -> "CollectionReport":
        return await purge_online(
            lease,
            storage,
            Replicas(ground.known_access, replica, ground.server_facts(), metrics=ground.metrics(metrics)),
            collections,
            recorder,
            margins=safety.DEFAULT,
            barriers=barriers,
            now=lambda: datetime.now(UTC),
            known=known,
        )

    return run_interruptibly(work)
