"""`jettison policy test`: policies against cases that are written down."""

from pathlib import Path

import click

from jettison.cli.options import json_option


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@json_option
def command(files: tuple[Path, ...], *, as_json: bool) -> int:
    """Run cases: tags with ages and digests, and what must stay or go. Ends with 1 where one comes out otherwise.

    \b
    jettison policy test policy.test.yaml
    """
    from dataclasses import asdict

    from jettison.app.policy_test import run_file
    from jettison.cli.options import read_text
    from jettison.cli.output import console, counted, print_json
    from jettison.cli.reading import load_inventory

    told = [run_file(file, lambda path: read_text(path, "the file"), load_inventory) for file in files]
    cases = [result for each in told for result in each.results]
    failed = [result for result in cases if result.failures]
    if as_json:
        counts = {"cases": len(cases), "failed": len(failed)}
        print_json({"version": 1, **counts, "files": [asdict(each) for each in told]})
        return 1 if failed else 0
    out = console()
    for result in failed:
        out.print(f"{result.where}: {result.name}: FAILED", markup=False)
        for failure in result.failures:
            out.print(f"    {failure.image} {failure.text}", markup=False)
    checked = counted(sum(result.checked for result in cases), "image")
    came = f"{len(failed):,} failed" if failed else "all as they should be"
    out.print(f"{counted(len(cases), 'case')} over {checked}: {came}.", markup=False)
    return 1 if failed else 0
