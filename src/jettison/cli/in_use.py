"""`jettison in-use`: what the sources tell runs, and which of it is this registry's."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jettison.cli.options import Connection, connection_options, json_option, registry_argument, storage_options
from jettison.cli.use_options import UseChoice, use_options

if TYPE_CHECKING:
    from jettison.app.use import Used
    from jettison.cli.ground import Ground


@click.command()
@registry_argument
@connection_options
@storage_options
@click.option("--policy", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Ask its sources, too.")
@use_options
@json_option
def command(connection: Connection, use: UseChoice, policy: Path | None, *, as_json: bool) -> int:
    """Ask what runs, and show which images of the registry that keeps. The registry itself is not asked.

    \b
    jettison in-use team
    jettison in-use http://127.0.0.1:5000 --in-use docker --in-use kubernetes
    """
    from jettison.cli.ground import find_ground
    from jettison.cli.output import print_json
    from jettison.errors import UsageError

    ground = find_ground(connection)
    asked = use.find(ground, _of_policy(ground, policy))
    if asked is None:
        raise UsageError(
            "nothing says what to ask: give --in-use docker, or name sources in the policy (protect: {in_use: [...]}) "
            "or for the registry in the configuration; docs/in-use.md tells of them"
        )
    used = asked.ask()
    if as_json:
        print_json(_document(ground, used))
    else:
        _print(used)
    return 0


def _of_policy(ground: "Ground", policy: Path | None) -> tuple[str, ...]:
    """Return the sources that the policy names: the one given, else the configuration's."""
    from jettison.cli.options import read_text
    from jettison.policy.parse import parse_policy

    configured = ground.access.entry.policy if ground.access is not None else None
    file = policy or (Path(configured).expanduser() if configured is not None else None)
    return parse_policy(read_text(file, "the policy"), str(file)).in_use if file is not None else ()


def _document(ground: "Ground", used: "Used") -> dict[str, Any]:
    names, gathered = used.use.names, used.gathered
    return {
        "version": 1,
        "registry": ground.name,
        "sources": used.use.spelled,
        "names": None if names is None else sorted(names.names),
        "images": gathered.counts,
        "silent": gathered.silent,
        "in_use": [
            {"repository": repository, "reference": reference, "where": where}
            for repository, references in sorted(used.in_use.repositories.items())
            for reference, where in sorted(references.items())
        ],
        "elsewhere": {registry: sorted(names) for registry, names in sorted(used.in_use.elsewhere.items())},
    }


def _print(used: "Used") -> None:
    from jettison.cli.output import console, counted, table

    out = console()
    in_use = used.in_use
    if in_use.repositories:
        rows = table("repository", "tag or digest", "in use")
        for repository, references in sorted(in_use.repositories.items()):
            for reference, where in sorted(references.items()):
                rows.add_row(repository, reference, where)
        out.print(rows)
    told = ", ".join(f"{name} {counted(count, 'image')}" for name, count in sorted(used.gathered.counts.items()))
    out.print(
        f"{counted(in_use.count, 'tag or digest', 'tags and digests')} of this registry in use ({told}).", markup=False
    )
    for name, why in sorted(used.gathered.silent.items()):
        out.print(f"not asked: {name}: {why}", markup=False)
    for registry, repositories in sorted(in_use.elsewhere.items()):
        shown = ", ".join(sorted(repositories)[:5]) + (", ..." if len(repositories) > 5 else "")
        out.print(f"of {registry}, which is not among its names: {shown}", markup=False)
