"""`jettison run`: plan, apply and collect in one go."""

from datetime import UTC, datetime

import click

from jettison.cli.collection_options import CollectionChoice, collection_options
from jettison.cli.options import (
    Connection,
    PolicyChoice,
    confirm,
    confirm_needs_terminal,
    connection_options,
    delete_by_option,
    json_option,
    policy_options,
    registry_argument,
    storage_options,
    yes_option,
)
from jettison.cli.use_options import UseChoice, use_options


@click.command()
@registry_argument
@connection_options
@storage_options
@policy_options
@use_options
@delete_by_option
@click.option(
    "--collector",
    type=click.Choice(["own", "registry", "none"]),
    help="How the space comes back: ours where the storage is known, else the registry's where --control reaches it.",
)
@collection_options
@click.option("--accept-listing", is_flag=True, help="Go on though far fewer images are listed than last time.")
@yes_option
@json_option
def command(
    connection: Connection,
    choice: PolicyChoice,
    use: UseChoice,
    collecting: CollectionChoice,
    delete_by: str | None,
    *,
    accept_listing: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Plan, apply, and collect: one report, one exit status. What a schedule calls every night.

    \b
    jettison run http://127.0.0.1:5000 --keep 10 --storage /var/lib/registry --yes
    jettison run http://127.0.0.1:5000 --keep 10 --control docker --yes
    """
    from jettison.app.clean import check_brakes, last_seen, recorded_run
    from jettison.app.outcome import INTERRUPTED
    from jettison.cli.execute import apply_now, check_collectable, collect_ours, collect_theirs
    from jettison.cli.output import print_json
    from jettison.cli.render_plan import print_plan
    from jettison.cli.render_report import print_report, report_document
    from jettison.cli.work import prepare
    from jettison.errors import JettisonError

    work = prepare(connection, choice, delete_by, use)
    ground, limits = work.ground, work.policy.limits
    collector = ground.collector(collecting.collector, optional=True)
    if collector == "own":
        # Found out before anything is deleted, rather than after.
        check_collectable(ground)
    confirm_needs_terminal(yes=yes)
    history = connection.open_history()
    now = datetime.now(UTC)
    collection = ours = None
    with recorded_run(history, ground.name, "run") as recorder:
        plan = work.plan(history, now)
        if not as_json:
            print_plan(plan, now, limits)
        seen = None if accept_listing or plan.partial else last_seen(history, ground.name)
        check_brakes(plan, limits, seen)
        if plan.actions or collector != "none":
            confirm(f"Delete this from {ground.name}?", yes=yes)
        report = apply_now(ground, history, plan, recorder, limits, work.use)

        def tell(exit_status: int) -> None:
            if as_json:
                print_json(report_document(recorder, plan, report, exit_status, collection, ours))
            else:
                print_report(recorder, plan, report, collection, ours)

        try:
            if collector == "own" and not report.stopped:
                ours = collect_ours(ground, collecting, recorder)
            elif collector == "registry" and not report.stopped:
                collection = collect_theirs(ground, recorder)
        except (JettisonError, KeyboardInterrupt) as error:
            # What was deleted is told, though its space did not come back.
            tell(error.exit_status if isinstance(error, JettisonError) else INTERRUPTED)
            raise
    tell(recorder.status)
    return recorder.status
