"""How garbage is collected: the options of `gc` and `run`."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from jettison.cli.grouped_options import CommandT, grouped
from jettison.errors import UsageError

if TYPE_CHECKING:
    from jettison.collect.safety import Barriers, Margins


# A parser of its own: settling takes fractions of a second, and the policy's would load all of its patterns.
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, None: 1.0}


class CollectionChoice(NamedTuple):
    """Which collector, and how careful it is; None for what was not said."""

    collector: str | None
    now: bool
    grace: str | None
    retention: str | None
    settle: str | None
    replica: tuple[str, ...]
    metrics: tuple[str, ...]
    housekeeping: bool

    def margins(self) -> "Margins":
        """Return grace period and retention. Raises UsageError for a text that is no span of time."""
        from jettison.collect import safety

        grace = span(self.grace, "--grace") if self.grace is not None else safety.DEFAULT.grace
        retention = span(self.retention, "--retention") if self.retention is not None else safety.DEFAULT.retention
        return safety.Margins(grace, retention)

    def barriers(self) -> "Barriers":
        """Return how long to wait for the servers' requests under way."""
        from jettison.collect import safety

        if self.settle is None:
            return safety.Barriers()
        seconds = span(self.settle, "--settle").total_seconds()
        return safety.Barriers(short=seconds, long=seconds)


def span(text: str, option: str) -> timedelta:
    """Read `90s`, `500ms`, `1.5h`, `2d`; a number alone is seconds. Raises UsageError."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{option}: {text!r} is no span of time: write 500ms, 30s, 10m, 24h or 7d")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError as error:
        raise UsageError(f"{option}: {text!r} is longer than time itself") from error


def _checked(context: click.Context, option: click.Parameter, urls: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a URL that is none before anything is done."""
    if urls:
        from jettison.registry.metrics import Metrics

        for url in urls:
            Metrics(url)
    return urls


replica_option = click.option("--replica", multiple=True, metavar="URL", help="A further server on the same storage.")
metrics_option = click.option(
    "--metrics",
    callback=_checked,
    multiple=True,
    metavar="URL",
    help="A server's Prometheus endpoint, which ends waits early; for each --replica too, in that order.",
)


def collection_options(function: CommandT) -> CommandT:
    """Add the options of `CollectionChoice` but `--collector`, which differs; the command gets it as `collecting`."""
    options = [
        click.option("--now", is_flag=True, help="Purge in this run, instead of after the quarantine's time."),
        click.option("--grace", metavar="AGE", help="Leave blobs that are younger (1h): pushes under way."),
        click.option("--retention", metavar="AGE", help="How long blobs stay restorable in quarantine (24h)."),
        click.option("--settle", metavar="AGE", help="Wait this long for the servers' requests (10s; 60s with --now)."),
        replica_option,
        metrics_option,
        click.option(
            "--housekeeping/--no-housekeeping",
            default=True,
            help="Also remove stale uploads, empty repositories and the like (default).",
        ),
    ]
    return grouped(function, "collecting", CollectionChoice, options)
