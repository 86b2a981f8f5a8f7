"""`jettison gc`: give the space of deleted images back."""

from typing import TYPE_CHECKING

import click

from jettison.cli.collection_options import CollectionChoice, collection_options
from jettison.cli.options import (
    Connection,
    confirm,
    confirm_needs_terminal,
    connection_options,
    json_option,
    registry_argument,
    storage_options,
    yes_option,
)

if TYPE_CHECKING:
    from jettison.cli.ground import Ground


@click.command()
@registry_argument
@connection_options
@storage_options
@click.option(
    "--collector",
    type=click.Choice(["own", "registry"]),
    help="Ours (where the storage is known), or the registry's own garbage-collect, run where the registry runs.",
)
@collection_options
@click.option("--dry-run", is_flag=True, help="Show what would be collected and removed; nothing is written.")
@click.option(
    "--delete-untagged",
    is_flag=True,
    help="Let a 3.x registry's own collector take untagged manifests too; it takes untagged signatures with them.",
)
@yes_option
@json_option
def command(
    connection: Connection,
    collecting: CollectionChoice,
    *,
    dry_run: bool,
    delete_untagged: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Give the disk space of deleted images back.

    Our own collector works beside the serving registry, or with --offline where it is stopped or read-only. What it
    collects can be taken back until its time in quarantine is over. The registry's own collector must not run beside
    pushes, so the server is held while it runs, and restarted.

    \b
    jettison gc http://127.0.0.1:5000 --storage /var/lib/registry
    jettison gc http://127.0.0.1:5000 --control docker
    jettison gc --storage /var/lib/registry --offline --dry-run
    """
    from jettison.cli.ground import find_ground

    confirm_needs_terminal(yes=yes or dry_run)
    ground = find_ground(connection)
    if ground.collector(collecting.collector, optional=False) == "registry":
        _refuse_for_registry(collecting, dry_run=dry_run)
        return _with_registry(ground, delete_untagged=delete_untagged, yes=yes, as_json=as_json)
    if delete_untagged:
        from jettison.errors import UsageError

        raise UsageError(
            "--delete-untagged is for --collector registry; ours takes no manifest: let `jettison run` delete untagged "
            "ones by the policy (untagged: {keep: {within: 24h}}, or --untagged AGE)"
        )
    if dry_run:
        return _dry_run(ground, collecting, as_json=as_json)
    return _with_ours(ground, collecting, yes=yes, as_json=as_json)


def _dry_run(ground: "Ground", collecting: CollectionChoice, *, as_json: bool) -> int:
    """Tell what a run would do. Neither history nor HTTP client is loaded: this is timed as a whole process."""
    from datetime import UTC, datetime

    from jettison.app.examine import examine, foretell
    from jettison.app.find_storage import folder_memory, reference_cache
    from jettison.cli.render_collection import document, print_foretold
    from jettison.storage.dry_run import DryRun
    from jettison.storage.shares import processors

    storage, now, serving = ground.known_storage, datetime.now(UTC), not ground.offline
    memory = folder_memory(storage)
    known, processes = reference_cache(storage), processors()
    found = examine(
        storage.remembering(memory, processes),
        now,
        collecting.margins(),
        known,
        serving=serving,
        housekeeping=collecting.housekeeping,
        dry_run=DryRun(storage, known, memory, processes),
    )
    facts = ground.server_facts() if serving and not collecting.replica else None
    cacheless = facts is not None and facts.cacheless
    memory.save()
    report = foretell(storage, found, now, serving=serving, cacheless=cacheless)
    status = 0 if report.is_whole else 4
    if as_json:
        from jettison.cli.output import print_json

        print_json(
            {"version": 1, "run": None, "registry": ground.name, "exit_status": status}
            | {"collection": document(report, storage.name, found.chores, serving=serving, dry_run=True)}
        )
    else:
        print_foretold(report, found.chores, serving=serving)
    return status


def _with_ours(ground: "Ground", collecting: CollectionChoice, *, yes: bool, as_json: bool) -> int:
    from jettison.cli.interpreter import yield_to_others

    if not ground.offline:
        yield_to_others()  # before the history and the HTTP client are loaded, which takes half a second
    from jettison.app.clean import recorded_run
    from jettison.cli.execute import check_collectable, collect_ours
    from jettison.cli.output import console, print_json
    from jettison.cli.render_collection import collected_document, print_collected

    storage = ground.known_storage
    check_collectable(ground)
    confirm(f"Collect garbage in {storage.name}?", yes=yes)
    history = ground.connection.open_history()
    with recorded_run(history, ground.name, "gc") as recorder:
        collected = collect_ours(ground, collecting, recorder)
    if as_json:
        print_json(
            {"version": 1, "run": recorder.run.id, "registry": ground.name, "exit_status": recorder.status}
            | {"collection": collected_document(collected)}
        )
    else:
        print_collected(collected)
        console().print(f"Run {recorder.run.id}.", markup=False)
    return recorder.status


def _with_registry(ground: "Ground", *, delete_untagged: bool, yes: bool, as_json: bool) -> int:
    from jettison.app.clean import recorded_run
    from jettison.cli.execute import collect_theirs
    from jettison.cli.output import console, print_json
    from jettison.cli.render_report import collection_document, print_collection

    access = ground.known_access
    confirm(f"Collect garbage in {access.name}? It does not answer meanwhile.", yes=yes)
    with recorded_run(ground.connection.open_history(), access.name, "gc") as recorder:
        collection = collect_theirs(ground, recorder, delete_untagged=delete_untagged)
    if as_json:
        document = {"version": 1, "run": recorder.run.id, "registry": access.name, "exit_status": recorder.status}
        print_json(document | {"collection": collection_document(collection)})
    else:
        print_collection(collection)
        console().print(f"Run {recorder.run.id}.", markup=False)
    return recorder.status


def _refuse_for_registry(collecting: CollectionChoice, *, dry_run: bool) -> None:
    """Refuse what the registry's own collector does not do. Raises UsageError."""
    from jettison.errors import UsageError

    ours = {
        "--dry-run": dry_run,
        "--now": collecting.now,
        "--grace": collecting.grace,
        "--retention": collecting.retention,
        "--settle": collecting.settle,
        "--replica": collecting.replica,
        "--metrics": collecting.metrics,
    }
    given = [option for option, value in ours.items() if value]
    if given:
        raise UsageError(
            f"{given[0]} is for our own collector, which needs the registry's storage: --storage DIR, or --control of "
            "a registry whose storage is on this machine"
        )
