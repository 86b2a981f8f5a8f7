"""`jettison policy record`: an inventory into a file, to try policies on."""

from datetime import UTC, datetime
from pathlib import Path

import click

from jettison.cli.options import Connection, connection_options, json_option, registry_argument, storage_options


@click.command()
@registry_argument
@connection_options
@storage_options
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", required=True, help="Where to; packed as .gz."
)
@json_option
def command(connection: Connection, output: Path, *, as_json: bool) -> int:
    """Write down what a registry holds, so that policies can be tried on it without the registry.

    The record has names, digests, dates and sizes, and nothing of what is in the images. `policy test`, `policy diff`,
    `explain` and `forecast` read it.
    """
    import gzip

    from jettison.app.outcome import PART
    from jettison.cli.output import console, counted, print_json
    from jettison.cli.reading import Reading, warn_of_problems
    from jettison.errors import UsageError
    from jettison.oci.record import encode_inventory

    found = Reading.find(connection, None).read(datetime.now(UTC))
    body = encode_inventory(found)
    if output.suffix == ".gz":
        body = gzip.compress(body, mtime=0)
    try:
        output.write_bytes(body)
    except OSError as error:
        raise UsageError(f"{output}: the inventory cannot be written: {error.strerror}") from error
    repositories = len(found.repositories)
    if as_json:
        print_json({"version": 1, "file": output, "repositories": repositories, "tags": found.tag_count})
    else:
        what = counted(repositories, "repository", "repositories")
        console().print(f"{output}: {what} with {counted(found.tag_count, 'tag')}.", markup=False)
    return 0 if warn_of_problems(found, "the record has these repositories as they were read") else PART
