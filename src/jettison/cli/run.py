"""`jettison run`: plan, apply and collect in one go."""

from datetime import UTC, datetime

import click

from jettison.cli.options import (
    Connection,
    PolicyChoice,
    confirm,
    connection_options,
    delete_by_option,
    json_option,
    policy_options,
    registry_argument,
    yes_option,
)


@click.command()
@registry_argument
@connection_options
@policy_options
@delete_by_option
@click.option("--collector", type=click.Choice(["registry", "none"]), help="How the space comes back.")
@click.option("--accept-listing", is_flag=True, help="Go on though far fewer images are listed than last time.")
@yes_option
@json_option
def command(
    connection: Connection,
    choice: PolicyChoice,
    delete_by: str | None,
    collector: str | None,
    *,
    accept_listing: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Plan, apply, and collect: one report, one exit status. What a schedule calls every night.

    \b
    jettison run http://127.0.0.1:5000 --keep 10 --control docker --collector registry --yes
    """
    from jettison.app.clean import check_brakes, last_seen, recorded_run
    from jettison.cli.execute import apply_now, collect_now
    from jettison.cli.output import print_json
    from jettison.cli.render_plan import print_plan
    from jettison.cli.render_report import print_report, report_document
    from jettison.cli.work import prepare, running_registry
    from jettison.errors import UsageError

    work = prepare(connection, choice, delete_by)
    access, limits = work.access, work.policy.limits
    collects = (collector or access.entry.collector) == "registry"
    if collects and running_registry(connection, access) is None:
        raise UsageError("--collector registry needs --control docker, docker:NAME or systemd:UNIT")
    if not yes:
        confirm_needs_terminal()
    history = connection.open_history()
    now = datetime.now(UTC)
    collection = None
    with recorded_run(history, access.name, "run") as recorder:
        plan = work.plan(history, now)
        if not as_json:
            print_plan(plan, now, limits)
        seen = None if accept_listing or not work.is_whole_registry else last_seen(history, access.name)
        check_brakes(plan, limits, seen)
        if plan.actions or collects:
            confirm(f"Delete this from {access.name}?", yes=yes)
        report = apply_now(connection, access, history, plan, recorder, limits, whole_registry=work.is_whole_registry)
        if collects and not report.stopped:
            collection = collect_now(connection, access, recorder)
    if as_json:
        print_json(report_document(recorder, plan, report, collection))
    else:
        print_report(recorder, plan, report, collection)
    return recorder.status


def confirm_needs_terminal() -> None:
    """Refuse at once, before anything is read, where nobody could be asked later. Raises UsageError."""
    import sys

    from jettison.errors import UsageError

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("this deletes, and there is no terminal to ask on: add --yes")
