"""`jettison pulls`: learn from logs which images are pulled."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jettison.cli.options import json_option

if TYPE_CHECKING:
    from datetime import datetime

    from jettison.app.configuration import Configuration
    from jettison.app.pulls import LogReport
    from jettison.history.store import History

PART = 4
FORMATS = ("auto", "registry", "combined", "traefik", "notifications")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Learn from logs which images are pulled."""


def _place_options(function: Any) -> Any:
    file = click.Path(dir_okay=False, path_type=Path)
    for option in (
        click.option("--config", type=file, metavar="FILE", help="Configuration file."),
        click.option("--history", metavar="URL", help="History database: a path or a database URL."),
        click.option("--storage", metavar="DIR", help="Of a storage that is worked on offline."),
    ):
        function = option(function)
    return function


@command.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--registry", metavar="REGISTRY", help="Whose log it is: a URL, or a name from the configuration.")
@click.option(
    "--format", "log_format", type=click.Choice(FORMATS), default="auto", show_default=True, help="Its format."
)
@_place_options
@json_option
def import_command(
    files: tuple[str, ...],
    registry: str | None,
    log_format: str,
    storage: str | None,
    history: str | None,
    config: Path | None,
    *,
    as_json: bool,
) -> int:
    """Read pulls from access logs and notifications into the history. FILE may be gzip; - is standard input.

    It is safe to repeat, with the same files, grown or rotated ones: what was imported counts once.

    \b
    jettison pulls import --registry team /var/log/nginx/registry.access.log*
    docker logs registry 2>&1 | jettison pulls import --registry http://127.0.0.1:5000 -
    """
    from datetime import UTC, datetime

    from jettison.app.configuration import load_configuration
    from jettison.app.pull_settings import ignored_clients
    from jettison.app.pulls import Importer
    from jettison.cli.output import print_json, progress_on_terminal
    from jettison.pulls.reader import Format

    configuration = load_configuration(config)
    name = _registry(configuration, registry, storage)
    opened = _open(configuration, history)
    progress = progress_on_terminal("reading lines:")
    importer = Importer(
        opened, name, ignored_clients(configuration.pulls), datetime.now(UTC), Format(log_format), progress
    )
    reports = importer.import_logs(files)
    since = opened.pulls.known_since(name, datetime.now(UTC))
    if as_json:
        print_json({"version": 1, "registry": name, "known_since": since, "logs": [asdict(each) for each in reports]})
    else:
        _print_reports(reports, name, since)
    return PART if any(each.problem for each in reports) else 0


@command.command()
@click.argument("registry", required=False, metavar="[REGISTRY]")
@click.option("--repository", multiple=True, metavar="GLOB", help="Only these repositories; !GLOB takes out.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many images to list.")
@_place_options
@json_option
def show(
    registry: str | None,
    repository: tuple[str, ...],
    limit: int,
    storage: str | None,
    history: str | None,
    config: Path | None,
    *,
    as_json: bool,
) -> int:
    """Show which images were pulled, the latest first, and from when on pulls are known."""
    from datetime import UTC, datetime
    from itertools import islice

    from jettison.app.configuration import load_configuration
    from jettison.cli.output import print_json
    from jettison.errors import UsageError
    from jettison.policy.pattern import PatternError, RepositoryPatterns

    configuration = load_configuration(config)
    name = _registry(configuration, registry, storage)
    opened = _open(configuration, history)
    try:
        wanted = RepositoryPatterns.parse(repository).matches if repository else lambda name: True
    except PatternError as error:
        raise UsageError(f"--repository: {error}") from error
    pulled = list(islice((each for each in opened.pulls.listed(name) if wanted(each.repository)), limit))
    since, spans = opened.pulls.known_since(name, datetime.now(UTC)), opened.pulls.spans(name)
    if as_json:
        document = {
            "version": 1,
            "registry": name,
            "known_since": since,
            "spans": [each._asdict() for each in spans],
            "pulled": [each._asdict() for each in pulled],
        }
        print_json(document)
        return 0
    from jettison.cli.output import console, table

    made = table("repository", "tag or digest", "last pulled", "requests", right=("requests",))
    for each in pulled:
        last = f"{each.last.astimezone():%Y-%m-%d %H:%M:%S}"
        made.add_row(each.repository, each.reference, last, f"{each.times:,}")
    out = console()
    if pulled:
        out.print(made)
    else:
        others = [each for each in opened.pulls.registries() if each != name]
        hint = f" There are some of {', '.join(others)}." if others else ""
        out.print(f"No pulls of {name} are known: `jettison pulls import` reads logs.{hint}", markup=False)
    if spans:
        out.print(_known(since, spans[-1].until), markup=False)
    return 0


def _registry(configuration: "Configuration", registry: str | None, storage: str | None) -> str:
    """Return the name by which the history knows what is meant."""
    from jettison.errors import UsageError

    if storage is not None:
        if registry is not None:
            raise UsageError("--storage names a storage that is worked on without a URL: give it or the registry")
        from jettison.app.find_storage import open_storage

        return open_storage(storage).name
    from jettison.app.access import Overrides, resolve_access

    return resolve_access(configuration, registry, Overrides()).name


def _open(configuration: "Configuration", history: str | None) -> "History":
    from jettison.app.pull_settings import pull_gap
    from jettison.history.store import History

    return History.open(history or configuration.history, pull_gap=pull_gap(configuration.pulls))


def _print_reports(reports: "list[LogReport]", registry: str, since: "datetime | None") -> None:
    from jettison.cli.output import console, counted, exact_text

    out = console()
    for each in reports:
        parts = [counted(each.pulls, "pull"), f"{counted(each.lines, 'line')} read"]
        if each.known_bytes:
            parts.append(f"{exact_text(each.known_bytes)} were known already")
        parts += [f"{counted(count, 'request')} ignored ({name})" for name, count in sorted(each.ignored.items())]
        if each.unrecognised:
            parts.append(f"{each.unrecognised:,} not understood")
        if each.future:
            parts.append(f"{each.future:,} dated in the future")
        if each.unfinished:
            parts.append("the last line is not complete yet")
        out.print(f"{each.name}: {', '.join(parts)}", markup=False)
        if each.problem:
            out.print(f"  {each.problem}", markup=False)
    known = max((each.until for each in reports if each.until is not None), default=None)
    if since is not None:
        out.print(_known(since, known), markup=False)
    else:
        out.print(
            f"The newest pulls of {registry} that are known are too old: `pulled_within` keeps everything until newer "
            "logs are imported.",
            markup=False,
        )


def _known(since: "datetime | None", until: "datetime | None") -> str:
    end = f" until {until.astimezone():%Y-%m-%d %H:%M}" if until is not None else ""
    if since is None:
        return f"Pulls are known{end} only, which is too old: `pulled_within` keeps everything until newer logs come."
    return f"Pulls are known from {since.astimezone():%Y-%m-%d %H:%M} on{end}, without a hole."
