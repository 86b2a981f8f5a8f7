"""`jettison policy import`: the retention policy of another system as ours."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jettison.cli.options import json_option
from jettison.policy.importers import SYSTEMS

if TYPE_CHECKING:
    from jettison.policy.importers.model import Imported

_LARGEST = 4 * 1024 * 1024


@click.command()
@click.option(
    "--from", "system", type=click.Choice(list(SYSTEMS)), required=True, help="The system that it comes from."
)
@click.argument("file", metavar="FILE|-", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--project", metavar="NAME", help="The project or organization that the policy belongs to there.")
@click.option("--repository", metavar="NAME", help="The one repository that the policy is for.")
@click.option("--prefix", metavar="NAME", help="The name space under which its repositories are found here.")
@click.option("--immutable-tags", is_flag=True, help="Tags are immutable there (artifact-registry).")
@click.option("--source-registry", metavar="KIND", help="The kind of registry behind it (gitlab: gitlab, third-party).")
@click.option(
    "--source-version", metavar="VERSION", help="The release of the system, where it decides otherwise (zot)."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the policy there.")
@json_option
def command(
    system: str,
    file: Path,
    project: str | None,
    repository: str | None,
    prefix: str | None,
    source_registry: str | None,
    source_version: str | None,
    output: Path | None,
    *,
    immutable_tags: bool,
    as_json: bool,
) -> int:
    """Write the retention policy in FILE (- for standard input), as another system stores it, as a policy of ours.

    What cannot be said exactly stands as a comment above its rule, and ours then keeps more. What that system would
    refuse itself is refused.

    \b
    aws ecr get-lifecycle-policy --repository-name app | jettison policy import --from ecr - > policy.yaml
    jettison policy import --from harbor retention.json --project team -o policy.yaml
    """
    from jettison.cli.output import note, print_json, warn
    from jettison.policy.importers import convert
    from jettison.policy.importers.model import Options
    from jettison.policy.parse import parse_policy

    options = Options(project, repository, prefix, immutable_tags, source_registry, source_version)
    imported = convert(system, _read(file), options)
    parse_policy(imported.yaml, "the imported policy")
    if output is not None:
        _write(output, imported)
    if as_json:
        print_json({"version": 1, "from": system, "policy": imported.yaml, "warnings": imported.warnings})
        return 0
    for warning in imported.warnings:
        warn(warning)
    if output is None:
        click.echo(imported.yaml, nl=False)
    else:
        note(f"{output}: written; look at it with: jettison plan REGISTRY --policy {output}")
    return 0


def _read(file: Path) -> str:
    """Read the policy from the file or from standard input. Raises UsageError."""
    from jettison.errors import UsageError

    name = "standard input" if str(file) == "-" else str(file)
    try:
        with click.open_file(str(file), "rb") as stream:
            body: bytes = stream.read(_LARGEST + 1)
        text = body.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{name}: the policy cannot be read: {reason}") from error
    if len(body) > _LARGEST:
        raise UsageError(f"{name}: larger than {_LARGEST:,} bytes; no policy is")
    return text


def _write(output: Path, imported: "Imported") -> None:
    """Write the policy whole or not at all. What is no file (a pipe, /dev/null) is written to, never replaced."""
    from jettison.errors import UsageError

    output = Path(os.path.realpath(output))
    draft = output.with_name(f".{output.name}.part")
    try:
        if output.exists() and not output.is_file():
            output.write_text(imported.yaml, encoding="utf-8")
            return
        draft.write_text(imported.yaml, encoding="utf-8")
        draft.replace(output)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UsageError(f"{output}: the policy cannot be written: {error.strerror}") from error
