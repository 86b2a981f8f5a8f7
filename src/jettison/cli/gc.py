"""`jettison gc`: give the space of deleted images back."""

import click

from jettison.cli.options import (
    Connection,
    confirm,
    connection_options,
    json_option,
    registry_argument,
    yes_option,
)


@click.command()
@registry_argument
@connection_options
@click.option(
    "--collector",
    type=click.Choice(["registry"]),
    default="registry",
    show_default=True,
    help="The registry's own garbage-collect, run where the registry runs.",
)
@click.option(
    "--delete-untagged",
    is_flag=True,
    help="Let a 3.x collector take untagged manifests too; it takes untagged signatures with them.",
)
@yes_option
@json_option
def command(connection: Connection, collector: str, *, delete_untagged: bool, yes: bool, as_json: bool) -> int:
    """Give the disk space of deleted images back.

    The registry's own collector must not run beside pushes, so the server is held while it runs, and restarted.

    \b
    jettison gc http://127.0.0.1:5000 --control docker
    """
    from jettison.app.clean import recorded_run
    from jettison.cli.execute import collect_now
    from jettison.cli.output import console, print_json
    from jettison.cli.render_report import collection_document, print_collection

    access = connection.access()
    confirm(f"Collect garbage in {access.name}? It does not answer meanwhile.", yes=yes)
    with recorded_run(connection.open_history(), access.name, "gc") as recorder:
        collection = collect_now(connection, access, recorder, delete_untagged=delete_untagged)
    if as_json:
        document = {"version": 1, "run": recorder.run.id, "registry": access.name, "exit_status": recorder.status}
        print_json(document | {"collection": collection_document(collection)})
    else:
        print_collection(collection)
        console().print(f"Run {recorder.run.id}.", markup=False)
    return recorder.status
