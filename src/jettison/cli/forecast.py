"""`jettison forecast`: what will expire when."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from jettison.cli.options import (
    Connection,
    PolicyChoice,
    connection_options,
    json_option,
    policy_options,
    registry_argument,
    storage_options,
)
from jettison.cli.reading import inventory_option
from jettison.cli.use_options import UseChoice, use_options

if TYPE_CHECKING:
    from jettison.app.forecast import Forecast

_STEPS: Final = {"day": 1, "week": 7, "month": 30}
_BAR: Final = 40


@click.command()
@registry_argument
@connection_options
@storage_options
@policy_options
@use_options
@inventory_option
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="How far to look ahead.")
@click.option(
    "--step", type=click.Choice(list(_STEPS)), help="How often a run is played: by the length, 15 or so rows."
)
@click.option("--images", is_flag=True, help="List what goes at each step, too.")
@json_option
def command(
    connection: Connection,
    choice: PolicyChoice,
    use: UseChoice,
    inventory: Path | None,
    days: int,
    step: str | None,
    *,
    images: bool,
    as_json: bool,
) -> int:
    """Show what will expire when, with the bytes that come back, while nothing is pushed or pulled.

    Each row is a run at that moment: what an earlier one deleted is gone. (A month is 30 days here.)

    \b
    jettison forecast http://127.0.0.1:5000 --policy policy.yaml --days 90
    """
    from dataclasses import asdict

    from jettison.app.forecast import forecast
    from jettison.app.outcome import PART
    from jettison.cli.output import print_json
    from jettison.cli.reading import Reading, warn_of_problems

    now = datetime.now(UTC)
    reading = Reading.find(connection, inventory)
    policy, name = choice.load(*reading.policy_configured)
    in_use = reading.in_use(policy, use)
    found = reading.read(now)
    moment = found.taken if inventory is not None else now
    step = step or ("day" if days <= 14 else "week" if days <= 120 else "month")
    told = forecast(found, policy, moment, days, timedelta(days=_STEPS[step]), in_use)
    whole = warn_of_problems(found, "what could not be read completely is taken to lose nothing")
    if as_json:
        steps = [asdict(each) for each in told.steps]
        if not images:
            for each in steps:
                del each["expiring"]
        print_json(
            {
                "version": 1,
                "registry": told.registry,
                "policy": name,
                "created": moment,
                "until": told.until,
                "step_days": told.step.days,
                "size": told.size,
                "frees": told.frees,
                "steps": steps,
            }
        )
    else:
        print_forecast(told, moment, images=images)
    return 0 if whole else PART


def print_forecast(told: "Forecast", now: datetime, *, images: bool) -> None:
    """Print the table, with a bar for the bytes of each step."""
    from jettison.cli.output import console, counted, exact_text, size_text, table
    from jettison.cli.render_plan import short_tag

    out = console()
    most = max((each.frees for each in told.steps), default=0)
    left = told.size
    made = table("by", "tags", "manifests", "frees", "left", "", right=("tags", "manifests", "frees", "left"))
    for each in told.steps:
        left -= each.frees
        moment = "now" if each.moment == now else f"{each.moment:%Y-%m-%d}"
        made.add_row(
            moment,
            f"{each.tags:,}" if each.tags else "-",
            f"{each.manifests:,}" if each.manifests else "-",
            size_text(each.frees) if each.frees else "-",
            size_text(left),
            bar(each.frees, most),
        )
    out.print(made)
    if images:
        for each in told.steps:
            for one in each.expiring:
                tags = ", ".join(map(short_tag, one.tags)) or "-"
                digest = one.digest.short if one.digest is not None else "tag only"
                out.print(f"{each.moment:%Y-%m-%d}  {one.repository}:{tags}  {digest}  {one.reason}", markup=False)
    total = counted(sum(each.tags for each in told.steps), "tag")
    out.print(f"{total} until {told.until:%Y-%m-%d}, if nothing is pushed or pulled.", markup=False)
    out.print(f"Frees {exact_text(told.frees)} of {size_text(told.size)}.", markup=False)


def bar(value: int, most: int) -> str:
    """Return a bar of eighths of a character."""
    eighths = 0 if most == 0 else max(round(value * _BAR * 8 / most), 1 if value else 0)
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
