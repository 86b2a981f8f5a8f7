"""`jettison history show`: what earlier runs did."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from jettison.cli.options import json_option

if TYPE_CHECKING:
    from jettison.history.model import RunRecord, RunSummary


@click.command()
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--registry", metavar="REGISTRY", help="Only runs on this registry.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many runs to list.")
@click.option("--history", metavar="URL", help="History database: a path or a database URL.")
@click.option("--config", type=click.Path(dir_okay=False), metavar="FILE", help="Configuration file.")
@json_option
def command(
    run: str | None, registry: str | None, limit: int, history: str | None, config: str | None, *, as_json: bool
) -> int:
    """List the newest runs, or show each step of one RUN (its id, or how that begins)."""
    from pathlib import Path

    from jettison.app.access import Overrides, resolve_access
    from jettison.app.configuration import load_configuration
    from jettison.cli.output import print_json
    from jettison.history.store import History

    configuration = load_configuration(Path(config) if config else None)
    opened = History.open(history or configuration.history)
    if run is not None:
        record = opened.run(run)
        if as_json:
            document = {"version": 1, **asdict(record.summary), "actions": [asdict(each) for each in record.actions]}
            print_json(document)
        else:
            _print_run(record)
        return 0
    name = resolve_access(configuration, registry, Overrides()).name if registry else None
    runs = opened.runs(name, limit)
    if as_json:
        print_json({"version": 1, "runs": [asdict(each) for each in runs]})
    else:
        _print_runs(runs)
    return 0


def _print_runs(runs: "list[RunSummary]") -> None:
    from jettison.cli.output import console, table

    if not runs:
        console().print("No runs yet.")
        return
    made = table("run", "started", "command", "registry", "outcome", "actions", "message")
    for each in runs:
        started = f"{each.started.astimezone():%Y-%m-%d %H:%M:%S}"
        message = each.message.splitlines()[0] if each.message else ""
        made.add_row(each.id, started, each.command, each.registry, each.outcome, _results(each), message)
    console().print(made)


def _print_run(record: "RunRecord") -> None:
    from jettison.cli.output import console, exact_text, table
    from jettison.cli.render_plan import short_tag

    summary = record.summary
    out = console()
    ended = f", ended {summary.ended.astimezone():%H:%M:%S}" if summary.ended else ""
    out.print(f"Run {summary.id}: {summary.command} of {summary.registry}", markup=False)
    out.print(
        f"started {summary.started.astimezone():%Y-%m-%d %H:%M:%S}{ended} on {summary.host}, process {summary.pid}; "
        f"{summary.outcome}" + (f" (exit status {summary.exit_status})" if summary.exit_status is not None else ""),
        markup=False,
    )
    if summary.outcome == "killed":
        out.print("It was killed: what it had done by then is listed; running it again goes on from there.")
    if summary.message:
        out.print(summary.message, markup=False)
    out.print(
        f"{_results(summary) or 'no actions'}; done so far frees at least {exact_text(summary.freed)}", markup=False
    )
    made = table("#", "action", "repository", "tags", "digest", "result", "why", right=("#",))
    for each in record.actions:
        action = each.action
        result = each.result or ("begun, end unknown" if each.begun_at else "not begun")
        made.add_row(
            str(each.sequence),
            action.kind,
            action.repository,
            ", ".join(short_tag(tag) for tag in action.tags),
            action.digest.short if action.digest else "",
            result,
            each.detail or action.reason_text,
        )
    if record.actions:
        out.print(made)


def _results(summary: "RunSummary") -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(summary.results.items()))
