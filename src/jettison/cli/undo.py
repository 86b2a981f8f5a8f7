"""`jettison undo`: take back what a run did."""

from typing import TYPE_CHECKING

import click

from jettison.cli.options import (
    Connection,
    confirm,
    connection_options,
    json_option,
    storage_options,
    yes_option,
)
from jettison.errors import UsageError

if TYPE_CHECKING:
    from jettison.app.undo_look import Selection
    from jettison.cli.ground import Ground
    from jettison.history.model import RunRecord


@click.command()
@click.argument("run", required=False, metavar="[RUN]")
@click.argument("registry", required=False, metavar="[REGISTRY]")
@connection_options
@storage_options
@click.option("--tag", multiple=True, metavar="GLOB", help="Only these tags, with all that belongs to them.")
@click.option("--settle", metavar="AGE", help="Wait this long for the servers' requests (10s), before links come back.")
@yes_option
@json_option
def command(
    connection: Connection, run: str | None, tag: tuple[str, ...], settle: str | None, *, yes: bool, as_json: bool
) -> int:
    """Take back what RUN did, or the last run that deleted: blobs from quarantine, manifests, tags.

    A tag that points elsewhere by now is left alone. What cannot come back is listed, with the reason.

    \b
    jettison undo http://127.0.0.1:5000
    jettison undo 20261124-053012-4f2a --storage /var/lib/registry
    jettison undo --repository team/app --tag 1.2.3
    """
    from jettison.app.clean import recorded_run
    from jettison.app.undo import nothing_found
    from jettison.cli.collection_options import span
    from jettison.cli.identifiers import told_apart
    from jettison.cli.render_undo import print_undo, print_undo_plan, undo_document
    from jettison.cli.undo_work import act, look
    from jettison.collect.safety import Barriers

    seconds = span(settle, "--settle").total_seconds() if settle is not None else Barriers().short
    run, connection = told_apart(run, connection)
    history = connection.open_history()
    ground = _ground(connection, history.run(run) if run is not None else None)
    selection = _selection(connection, tag)
    with recorded_run(history, ground.name, "undo") as recorder:
        record, plan = look(ground, history, _names(ground), run, selection)
        if plan.is_empty and not plan.there and not plan.lost:
            nothing = nothing_found(history, record, with_storage=ground.storage is not None)
            plan.lost += [nothing] if nothing is not None else []
        if not as_json:
            print_undo_plan(record, plan)
        if not plan.is_empty:
            confirm(f"Bring this back to {ground.name}?", yes=yes)
        report = act(ground, history, recorder, plan, seconds)
        recorder.message = f"undoes run {record.summary.id}"
        recorder.totals |= {
            f"restored_{kind.value.removeprefix('restore-')}s": n for kind, n in report.restored.items()
        }
        recorder.worsen(report.status)
    if as_json:
        from jettison.cli.output import print_json

        print_json(undo_document(recorder, ground.name, record, report))
    else:
        print_undo(recorder, report)
    return recorder.status


def _ground(connection: Connection, record: "RunRecord | None") -> "Ground":
    """Find where to undo: what was named, else where the run was. Raises UsageError where they are not the same."""
    from jettison.cli.ground import find_ground
    from jettison.history.registry_url import canonical

    if record is None:
        return find_ground(connection)
    there = record.summary.registry
    if "://" in there:
        ground = find_ground(connection, connection.registry or there)
    else:
        # A run on a storage alone; its name is the storage's path.
        ground = find_ground(connection._replace(storage=connection.storage or there, offline=True))
    names = {canonical(name) for name in _names(ground)}
    if there not in names:
        raise UsageError(
            f"run {record.summary.id} was on {there}, not on {ground.name}: leave REGISTRY and --storage out, or name "
            "a run that was there"
        )
    return ground


def _names(ground: "Ground") -> list[str]:
    """Return the names under which runs on this ground are in the history."""
    names = [ground.name]
    if ground.storage is not None:
        names.append(ground.storage.name)
    return names


def _selection(connection: Connection, tags: tuple[str, ...]) -> "Selection":
    from jettison.app.undo_look import Selection
    from jettison.policy.pattern import Glob, PatternError

    try:
        globs = [Glob(text) for text in tags]
    except PatternError as error:
        raise UsageError(f"--tag: {error}") from error

    def wanted(tag: str) -> bool:
        return any(glob.matches(tag) for glob in globs)

    whole = not tags and not connection.repository
    return Selection(connection.wanted(), wanted if tags else None, is_whole=whole)
