"""`jettison policy new`: a first policy, from what is in the registry."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jettison.cli.options import Connection, connection_options, json_option, registry_argument, storage_options
from jettison.cli.reading import inventory_option
from jettison.errors import UsageError

if TYPE_CHECKING:
    from jettison.policy.propose import Seen, Wishes


@click.command()
@registry_argument
@connection_options
@storage_options
@inventory_option
@click.option("--releases", type=click.IntRange(1), metavar="N", help="How many versions of each repository stay (10).")
@click.option("--builds", type=click.IntRange(1), metavar="N", help="How many builds of each branch stay (3).")
@click.option("--age", metavar="AGE", help="How long every build stays (14d).")
@click.option("--untagged", metavar="AGE", help="How long manifests without a tag stay (7d).")
@click.option("--max-deletions", metavar="N|P%", help="The most that one run may delete (30%).")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the policy there.")
@json_option
def command(
    connection: Connection,
    inventory: Path | None,
    releases: int | None,
    builds: int | None,
    age: str | None,
    untagged: str | None,
    max_deletions: str | None,
    output: Path | None,
    *,
    as_json: bool,
) -> int:
    """Propose a policy from the tags that are in a registry: a rule for each kind that machines make.

    On a terminal it asks what no option says. Kinds of tags that it does not know get no rule, and stay.

    \b
    jettison policy new http://127.0.0.1:5000 -o policy.yaml
    """
    from jettison.app.propose import tried
    from jettison.cli.output import note, print_json
    from jettison.cli.reading import Reading
    from jettison.policy.propose import Wishes, look, propose

    usual = Wishes()
    wishes = Wishes(
        releases if releases is not None else usual.releases,
        builds if builds is not None else usual.builds,
        age if age is not None else usual.age,
        untagged if untagged is not None else usual.untagged,
        max_deletions if max_deletions is not None else usual.limit,
    )
    values = {"releases": releases, "builds": builds, "age": age, "untagged": untagged, "limit": max_deletions}
    given = [name for name, value in values.items() if value is not None]
    check(wishes)
    if output is not None and output.exists():
        raise UsageError(f"{output} is there already; name another file, or remove it")
    now = datetime.now(UTC)
    found = Reading.find(connection, inventory).read(now)
    seen = look(found)
    if sys.stdin.isatty() and sys.stderr.isatty() and not as_json:
        wishes = ask(seen, wishes, given)
    text = propose(seen, wishes)
    trial = tried(found, text, found.taken if inventory is not None else now)
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{output}: the policy cannot be written: {error.strerror}") from error
    if as_json:
        told = {"tags": trial.tags, "deleted_tags": trial.deleted_tags, "frees": trial.frees}
        print_json({"version": 1, "registry": found.registry, "policy": text, "file": output, **told})
        return 0
    if output is None:
        click.echo(text, nl=False)
    from jettison.cli.output import counted, exact_text

    where = f"{output}: it" if output is not None else "It"
    tags = f"{trial.deleted_tags:,} of {counted(trial.tags, 'tag')}"
    note(f"{where} would delete {tags} now, which frees up to {exact_text(trial.frees)}.")
    return 0


def check(wishes: "Wishes") -> None:
    """Refuse spans and limits that are none. Raises UsageError."""
    from jettison.policy.spans import parse_duration, parse_limit

    try:
        parse_duration(wishes.age)
        parse_duration(wishes.untagged)
        parse_limit(wishes.limit)
    except ValueError as error:
        raise UsageError(str(error)) from error


def ask(seen: "Seen", wishes: "Wishes", given: list[str]) -> "Wishes":
    """Ask for what was not given, as far as the registry has such tags."""
    builds = [each for each in (seen.requests, seen.branches, seen.commits, seen.numbers) if each is not None]
    if seen.releases is not None and "releases" not in given:
        text = f"{seen.releases.count:,} releases such as {', '.join(seen.releases.examples)}. Keep the newest"
        wishes = replace(wishes, releases=click.prompt(text, default=wishes.releases, type=click.IntRange(1), err=True))
    if builds and "builds" not in given:
        count = sum(each.count for each in builds)
        text = (
            f"{count:,} builds such as {', '.join(each.examples[0] for each in builds)}. Keep the newest of each branch"
        )
        wishes = replace(wishes, builds=click.prompt(text, default=wishes.builds, type=click.IntRange(1), err=True))
    if builds and "age" not in given:
        wishes = replace(wishes, age=_ask_text("And all builds younger than", wishes.age))
    if "untagged" not in given:
        wishes = replace(wishes, untagged=_ask_text("Keep manifests without a tag for", wishes.untagged))
    if "limit" not in given:
        wishes = replace(wishes, limit=_ask_text("Stop a run that would delete more than", wishes.limit, is_limit=True))
    return wishes


def _ask_text(question: str, default: str, *, is_limit: bool = False) -> str:
    """Ask until the answer is a span of time, or a limit."""
    from jettison.policy.spans import parse_duration, parse_limit

    while True:
        answer = str(click.prompt(question, default=default, err=True)).strip()
        try:
            if is_limit:
                parse_limit(answer)
            else:
                parse_duration(answer)
        except ValueError as error:
            click.echo(f"{error}", err=True)
        else:
            return answer
