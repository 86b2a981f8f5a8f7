"""`jettison usage`: how much space each repository takes."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from jettison.cli.options import Connection, connection_options, json_option, registry_argument, storage_options

if TYPE_CHECKING:
    from jettison.app.usage import Usage


@click.command()
@registry_argument
@connection_options
@storage_options
@json_option
def command(connection: Connection, *, as_json: bool) -> int:
    """Show how much space each repository takes, and how much of it nobody else needs.

    Over the API only what a tag leads to can be seen; with the storage (--storage, --control) manifests without a tag
    are in it too. What was deleted and not yet collected is not.
    """
    from jettison.app.outcome import PART
    from jettison.app.usage import measure
    from jettison.cli.ground import find_ground
    from jettison.cli.interrupt import Interruption, run_interruptibly
    from jettison.cli.opening import open_ground
    from jettison.cli.output import print_json, progress_on_terminal

    ground = find_ground(connection)
    history = connection.open_history()
    configured = ground.access.entry.repositories if ground.access is not None else []

    async def work(interruption: Interruption) -> "Usage":
        async with open_ground(
            ground,
            history,
            repositories=connection.exact_repositories(configured),
            progress=progress_on_terminal("reading repositories:"),
        ) as registry:
            return measure(await registry.read(connection.wanted(configured), datetime.now(UTC)))

    usage = run_interruptibly(work)
    if as_json:
        print_json({"version": 1, **asdict(usage)})
    else:
        print_usage(usage)
    return 0 if usage.is_whole else PART


def print_usage(usage: "Usage") -> None:
    """Print the table and the sum."""
    from jettison.cli.output import console, counted, exact_text, size_text, table

    made = table("repository", "tags", "manifests", "size", "alone", right=("tags", "manifests", "size", "alone"))
    for each in usage.repositories:
        name = each.name if each.complete else f"{each.name} (could not be read completely)"
        made.add_row(name, f"{each.tags:,}", f"{each.manifests:,}", size_text(each.size), size_text(each.alone))
    out = console()
    out.print(made)
    for problem in usage.problems:
        where = f"{problem.repository}: " if problem.repository else ""
        out.print(f"could not be read: {where}{problem.text}", markup=False)
    repositories = counted(len(usage.repositories), "repository", "repositories")
    out.print(f"{repositories}, {exact_text(usage.total)} in all.")
