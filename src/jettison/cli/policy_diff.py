"""`jettison policy diff`: what a change of policy would change in a registry."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from jettison.cli.options import Connection, connection_options, json_option, registry_argument, storage_options
from jettison.cli.reading import inventory_option
from jettison.cli.use_options import UseChoice, use_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.app.policy_diff import PolicyDiff
    from jettison.policy.diff import Change

DIFFERENT: Final = 10
_ROWS: Final = 200
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("old", metavar="OLD", type=_FILE)
@click.argument("new", metavar="NEW", type=_FILE)
@registry_argument
@connection_options
@storage_options
@use_options
@inventory_option
@click.option("--all", "all_rows", is_flag=True, help="Show every row, and what another rule keeps or lets go.")
@click.option("--detailed-exitcode", is_flag=True, help="End with 10 when something changes.")
@json_option
def command(
    connection: Connection,
    use: UseChoice,
    old: Path,
    new: Path,
    inventory: Path | None,
    *,
    all_rows: bool,
    detailed_exitcode: bool,
    as_json: bool,
) -> int:
    """Show what the policy NEW would delete or keep otherwise than the policy OLD, in a registry as it is now.

    \b
    jettison policy diff policy.yaml new.yaml http://127.0.0.1:5000
    jettison policy diff policy.yaml new.yaml --inventory team.json.gz
    """
    from dataclasses import asdict

    from jettison.app.outcome import PART
    from jettison.app.policy_diff import diff_policies
    from jettison.cli.options import read_text
    from jettison.cli.output import print_json
    from jettison.cli.reading import Reading, warn_of_problems
    from jettison.policy.diff import Side
    from jettison.policy.parse import parse_policy

    before, after = (parse_policy(read_text(each, "the policy"), str(each)) for each in (old, new))
    reading = Reading.find(connection, inventory)
    now = datetime.now(UTC)
    sides = [Side(each, reading.in_use(each, use)) for each in (before, after)]
    found = reading.read(now)
    moment = found.taken if inventory is not None else now
    told = diff_policies(found, sides[0], sides[1], moment)
    whole = warn_of_problems(found, "what could not be read completely loses nothing by either policy")
    if as_json:
        print_json({"version": 1, "old": old, "new": new, **asdict(told)})
    else:
        print_diff(told, all_rows=all_rows)
    if not whole:
        return PART
    return DIFFERENT if detailed_exitcode and not told.is_empty else 0


def print_diff(told: "PolicyDiff", *, all_rows: bool) -> None:
    """Print what goes now, what stays now, and the sums."""
    from jettison.cli.output import console, counted, exact_text

    _print_changes("goes now", told.goes, all_rows=all_rows)
    _print_changes("stays now", told.stays, all_rows=all_rows)
    if all_rows:
        _print_changes("decided by another rule", told.others, all_rows=True)
    out = console()
    out.print(
        f"Of {counted(told.tags, 'tag')} {len(told.goes):,} more would go, {len(told.stays):,} would stay that go now; "
        f"{len(told.others):,} more are decided by another rule to the same end."
    )
    out.print(f"OLD frees {exact_text(told.old_frees)}, NEW {exact_text(told.new_frees)}.", markup=False)


def _print_changes(title: str, changes: "Sequence[Change]", *, all_rows: bool) -> None:
    from jettison.cli.output import console, table
    from jettison.cli.render_plan import short_tag

    if not changes:
        return
    shown = changes if all_rows else changes[:_ROWS]
    made = table(title, "digest", "OLD", "NEW")
    for each in shown:
        name = f"{each.repository}:{short_tag(each.tag)}" if each.tag is not None else f"{each.repository} (untagged)"
        old, new = (f"{each.rule or '-'}: {each.text}" for each in (each.old, each.new))
        made.add_row(name, each.digest.short, old, new)
    console().print(made)
    if len(shown) < len(changes):
        console().print(f"... and {len(changes) - len(shown):,} more; --all shows them\n")
