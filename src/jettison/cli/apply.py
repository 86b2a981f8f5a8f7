"""`jettison apply`: delete what a plan lists."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from jettison.cli.options import (
    Connection,
    confirm,
    connection_options,
    json_option,
    storage_options,
    yes_option,
)
from jettison.cli.use_options import UseChoice, use_options

if TYPE_CHECKING:
    from jettison.cli.ground import Ground
    from jettison.plan.model import Plan

MAX_AGE: Final = "3d"
LARGEST_PLAN: Final = 1 << 30
"""Bytes; no plan is that large, and something else (a disk image given by mistake) is not read."""


@click.command()
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@click.argument("registry", required=False, metavar="[REGISTRY]")
@connection_options
@storage_options
@use_options
@click.option("--max-deletions", metavar="N|P%", help="Stop if more tags than this would go.")
@click.option("--allow-last-image", is_flag=True, help="Let a repository lose all its tags.")
@click.option("--accept-listing", is_flag=True, help="Go on though far fewer images are listed than last time.")
@click.option("--max-age", default=MAX_AGE, show_default=True, metavar="AGE", help="Refuse an older plan.")
@yes_option
@json_option
def command(
    connection: Connection,
    use: UseChoice,
    plan_file: Path,
    *,
    max_deletions: str | None,
    allow_last_image: bool,
    accept_listing: bool,
    max_age: str,
    yes: bool,
    as_json: bool,
) -> int:
    """Delete what PLAN lists, after checking each action again at the last moment.

    PLAN comes from `jettison plan -o plan.json`, on this machine or another one. Each action is skipped, and listed,
    where something changed since the plan was made, or where an image came into use.
    """
    from jettison.app.clean import check_brakes, effective_limits, last_seen, recorded_run
    from jettison.cli.execute import apply_now
    from jettison.cli.output import console, print_json
    from jettison.cli.render_plan import print_totals
    from jettison.cli.render_report import print_report, report_document
    from jettison.errors import UsageError

    now = datetime.now(UTC)
    plan = _load(plan_file, connection, now, max_age)
    try:
        limits = effective_limits(plan, max_deletions, allow_last_image=allow_last_image)
    except ValueError as error:
        raise UsageError(f"--max-deletions: {error}") from error
    history = connection.open_history()
    ground = _ground(plan, plan_file, connection)
    asked = use.find_again(ground, plan)
    with recorded_run(history, ground.name, "apply") as recorder:
        if not as_json:
            print_totals(plan, console())
        if plan.actions:
            check_brakes(plan, limits, None if accept_listing or plan.partial else last_seen(history, ground.name))
            confirm(f"Delete this from {ground.name}?", yes=yes)
        report = apply_now(ground, history, plan, recorder, limits, asked)
    if as_json:
        print_json(report_document(recorder, plan, report, recorder.status))
    else:
        print_report(recorder, plan, report)
    return recorder.status


def _load(plan_file: Path, connection: Connection, now: datetime, max_age: str) -> "Plan":
    """Read the plan, and refuse it where it is not to be trusted. Raises PlanRejectedError or UsageError."""
    from jettison.errors import PlanRejectedError, UsageError
    from jettison.plan.codec import decode, refuse_stale
    from jettison.policy.parse import parse_duration

    try:
        age = parse_duration(max_age)
    except ValueError as error:
        raise UsageError(f"--max-age: {error}") from error
    try:
        if plan_file.stat().st_size > LARGEST_PLAN:
            raise UsageError(f"{plan_file} is too large to be a plan")
        body = plan_file.read_bytes()
    except OSError as error:
        raise UsageError(f"{plan_file}: the plan cannot be read: {error.strerror}") from error
    plan = decode(body, str(plan_file))
    if plan.created.tzinfo is None:
        raise PlanRejectedError(f"{plan_file} is damaged: its date `created` has no time zone; make a new plan")
    refuse_stale(plan, str(plan_file), now, age.total_seconds())
    return plan


def _ground(plan: "Plan", plan_file: Path, connection: Connection) -> "Ground":
    """Find what the plan is for, and refuse where something else was named. Raises PlanRejectedError."""
    from jettison.cli.ground import find_ground
    from jettison.errors import PlanRejectedError

    if plan.source == "storage":
        wanted = connection
        if not (connection.storage or connection.registry_config or connection.control or connection.registry):
            wanted = connection._replace(storage=plan.registry)
        ground = find_ground(wanted._replace(offline=True))
        if ground.known_storage.name != plan.registry:
            raise PlanRejectedError(
                f"{plan_file} is a plan for the storage {plan.registry}, not for {ground.known_storage.name}"
            )
        return ground
    if connection.offline:
        raise PlanRejectedError(
            f"{plan_file} was made for {plan.registry} over its API; make one of the storage with --offline"
        )
    if connection.registry is not None:
        name = connection.access().name
        if name != plan.registry:
            raise PlanRejectedError(f"{plan_file} is a plan for {plan.registry}, not for {name}")
    return find_ground(connection, plan.registry)
