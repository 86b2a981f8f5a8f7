"""`jettison plan`: what would go, why, and what that frees."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from jettison.cli.options import (
    Connection,
    PolicyChoice,
    connection_options,
    delete_by_option,
    json_option,
    policy_options,
    registry_argument,
    storage_options,
)
from jettison.cli.use_options import UseChoice, use_options

if TYPE_CHECKING:
    from jettison.plan.model import Plan

SOMETHING_TO_DELETE: Final = 10


@click.command()
@registry_argument
@connection_options
@storage_options
@policy_options
@use_options
@delete_by_option
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the plan for `apply`.")
@click.option("--kept", is_flag=True, help="Tell why each kept tag stays, too.")
@click.option("--by", type=click.Choice(["rule", "repository", "reason"]), help="Show sums by these, and no rows.")
@click.option("--all", "all_rows", is_flag=True, help="Show every row of a long plan.")
@click.option("--detailed-exitcode", is_flag=True, help="End with 10 when there is something to delete.")
@json_option
def command(
    connection: Connection,
    choice: PolicyChoice,
    use: UseChoice,
    delete_by: str | None,
    output: Path | None,
    by: str | None,
    *,
    kept: bool,
    all_rows: bool,
    detailed_exitcode: bool,
    as_json: bool,
) -> int:
    """Show what would be deleted, why, and what that frees. Nothing is written to the registry.

    REGISTRY is a URL (http://127.0.0.1:5000) or a name from the configuration file.

    \b
    jettison plan http://127.0.0.1:5000 --keep 10
    jettison plan team --policy policy.yaml -o plan.json
    jettison plan --storage /var/lib/registry --offline --keep 10 --untagged 7d
    """
    from jettison.app.outcome import PART, blocking, unlisted
    from jettison.cli.output import console, note
    from jettison.cli.render_plan import ROWS, print_plan
    from jettison.cli.work import plan_once
    from jettison.plan.codec import encode

    now = datetime.now(UTC)
    plan, limits = plan_once(connection, choice, delete_by, now, with_kept=kept, use=use)
    if output is not None:
        _write(output, encode(plan))
    if as_json:
        click.echo(encode(plan).decode(), nl=False)
    else:
        print_plan(plan, now, limits, rows=None if all_rows else ROWS, by=by)
        if output is not None and plan.actions:
            console().print(f"Apply it with: jettison apply {output}", markup=False)
    if blocking(plan):
        note("jettison: some repositories could not be read completely; they lose nothing (see above)")
    return _status(plan, part=PART if blocking(plan) or unlisted(plan) else 0, detailed=detailed_exitcode)


def _status(plan: "Plan", *, part: int, detailed: bool) -> int:
    return part or (SOMETHING_TO_DELETE if detailed and plan.actions else 0)


def _write(output: Path, body: bytes) -> None:
    """Write the plan whole or not at all. What is no file (a pipe, /dev/null) is written to, never replaced."""
    from jettison.errors import UsageError

    output = Path(os.path.realpath(output))
    draft = output.with_name(f".{output.name}.part")
    try:
        if output.exists() and not output.is_file():
            output.write_bytes(body)
            return
        draft.write_bytes(body)
        draft.replace(output)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UsageError(f"{output}: the plan cannot be written: {error.strerror}") from error
