"""`jettison history prune`: forget old runs and pulls."""

from typing import TYPE_CHECKING

import click

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
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from jettison.app.prune_history import Pruned
    from jettison.cli.ground import Ground
    from jettison.history.store import History


@click.command()
@registry_argument
@click.option("--older-than", metavar="AGE", default="1y", show_default=True, help="Forget what ended before that.")
@click.option("--no-quarantine", is_flag=True, help="Nothing that runs deleted lies in a quarantine any more.")
@click.option("--dry-run", is_flag=True, help="Show what would be forgotten, and forget nothing.")
@connection_options
@storage_options
@yes_option
@json_option
def command(
    connection: Connection, *, older_than: str, no_quarantine: bool, dry_run: bool, yes: bool, as_json: bool
) -> int:
    """Forget runs on REGISTRY that ended long ago, with their plans and journals, and pulls as old.

    A run stays while something that it deleted is in quarantine, so that it can be undone. Pulls count as unknown for
    the time that was forgotten: a policy then keeps what it cannot know.

    \b
    jettison history prune http://127.0.0.1:5000 --storage /var/lib/registry --older-than 180d
    """
    from contextlib import nullcontext
    from datetime import UTC, datetime

    from jettison.app.outcome import PART
    from jettison.app.prune_history import Held, prune
    from jettison.cli.ground import find_ground
    from jettison.cli.output import print_json
    from jettison.errors import UsageError
    from jettison.storage.lease import take_lease

    if not dry_run:
        confirm_needs_terminal(yes=yes)
    if connection.repository:
        raise UsageError("--repository: a run is forgotten as a whole; leave it out")
    before = datetime.now(UTC) - _age(older_than)
    history = connection.open_history()
    ground = find_ground(connection)
    names = _names(ground)
    _refuse_blindness(ground, history, names, no_quarantine=no_quarantine)
    storage = ground.storage
    # Under the lease nothing else comes into quarantine meanwhile.
    with take_lease(storage.name, "history prune") if storage is not None and not dry_run else nullcontext():
        held = Held.in_storage(storage.name) if storage is not None else Held()
        done = prune(history, names, before, held, dry_run=True)
        if not dry_run and (done.runs or done.pulls):
            if not yes:
                _print(ground, before, done, dry_run=True)
            confirm(f"Forget this in {history.name}?", yes=yes)
            done = prune(history, names, before, held, dry_run=False)
    compacted = dry_run or history.pruning.compact()
    if as_json:
        print_json(_document(ground, before, done, dry_run=dry_run, compacted=compacted))
    else:
        _print(ground, before, done, dry_run=dry_run)
        if not compacted:
            click.echo(
                f"jettison: {history.name} was not made smaller, for its disk has no room to write it anew; the space "
                "is used for what comes next. Free some, and run this again",
                err=True,
            )
    return 0 if compacted else PART


def _age(text: str) -> "timedelta":
    from datetime import UTC, datetime

    from jettison.errors import UsageError
    from jettison.policy.spans import parse_duration

    try:
        age = parse_duration(text)
        _ = datetime.now(UTC) - age
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--older-than: {error}") from error
    return age


def _names(ground: "Ground") -> list[str]:
    """Return the names under which runs on this ground are in the history."""
    names = [ground.name]
    if ground.storage is not None:
        names.append(ground.storage.name)
    return names


def _refuse_blindness(ground: "Ground", history: "History", names: "Sequence[str]", *, no_quarantine: bool) -> None:
    """Refuse where a quarantine may hold what must stay undoable, and nobody can look. Raises UsageError."""
    from jettison.errors import UsageError

    if ground.storage is None and not no_quarantine and history.pruning.may_have_collected(names):
        raise UsageError(
            f"runs on {ground.name} moved blobs into a quarantine, and what is in it still must stay undoable: name "
            "the registry's storage with --storage DIR, or say --no-quarantine where nothing is in it any more"
        )


def _print(ground: "Ground", before: "datetime", done: "Pruned", *, dry_run: bool) -> None:
    from jettison.cli.output import console, counted

    out = console()
    what = "Would forget" if dry_run else "Forgot"
    out.print(
        f"{what} of {ground.name}, before {before.astimezone():%Y-%m-%d %H:%M}: {counted(done.runs, 'run')}, "
        f"the pulls of {counted(done.pulls, 'image')}.",
        markup=False,
    )
    if done.actions or done.manifests:
        out.print(f"{counted(done.actions, 'action')} and {counted(done.manifests, 'manifest')} went with them.")
    if done.undoable:
        text = "stays" if done.undoable == 1 else "stay"
        out.print(f"{counted(done.undoable, 'older run')} {text}: what they deleted is in quarantine still.")
    if done.unfinished:
        text = "stays" if done.unfinished == 1 else "stay"
        out.print(f"{counted(done.unfinished, 'older run')} {text}: the next run finishes them.")


def _document(ground: "Ground", before: "datetime", done: "Pruned", *, dry_run: bool, compacted: bool) -> object:
    from dataclasses import asdict

    return {
        "version": 1,
        "registry": ground.name,
        "before": before,
        "dry_run": dry_run,
        "forgotten": {name: value for name, value in asdict(done).items() if name not in ("undoable", "unfinished")},
        "kept": {"undoable": done.undoable, "unfinished": done.unfinished},
        "compacted": compacted and not dry_run,
    }
