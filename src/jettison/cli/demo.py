"""`jettison demo`: the main job on a sample registry."""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jettison.cli.options import json_option

if TYPE_CHECKING:
    from jettison.app.demo import Demo, DiskUsage


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), metavar="DIR", help="Lay the registry out here, and leave it."
)
@json_option
def command(folder: Path | None, *, as_json: bool) -> int:
    """Run the main job on a sample registry in a temporary folder: usage, plan, apply, collect, usage.

    No server is needed; the registry is laid out on the disk as a real one stores it, and every figure is measured.
    """
    from jettison.app.demo import Demo

    now = datetime.now(UTC)
    with _place(folder) as root:
        demo = Demo(root, now)
        demo.lay_out()
        return _tell_json(demo) if as_json else _tell(demo, now)


@contextlib.contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    from jettison.errors import UsageError

    if folder is None:
        with tempfile.TemporaryDirectory(prefix="jettison-demo-") as temporary:
            yield Path(temporary)
        return
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; the demo lays its registry out in a new folder only")
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def _tell(demo: "Demo", now: datetime) -> int:
    from jettison.app.demo import POLICY
    from jettison.cli.output import console, counted, exact_text
    from jettison.cli.render_plan import print_plan
    from jettison.cli.usage import print_usage
    from jettison.policy.model import Limits

    out = console()
    out.print("[bold]1. A year of CI has filled a registry[/]")
    before = demo.disk_usage()
    print_usage(asyncio.run(demo.usage()))
    out.print(f"On the disk: {_disk(before)}.\n")
    out.print("[bold]2. The policy[/]")
    out.print(POLICY, markup=False)
    out.print("[bold]3. The plan: what would go, why, and what that frees[/]")
    plan = asyncio.run(demo.plan())
    print_plan(plan, now, Limits(), rows=12)
    out.print("\n[bold]4. Apply it, then collect[/]")
    report = asyncio.run(demo.apply(plan))
    out.print(f"{report.count('done')} of {len(plan.actions)} deletions done.")
    swept = demo.collect()
    if swept is None:
        out.print("Something could not be read, so nothing was collected.")
        return 1
    after = demo.disk_usage()
    out.print(f"{counted(swept.blobs, 'blob')} collected: {exact_text(swept.freed)}.\n")
    out.print("[bold]5. What is left[/]")
    print_usage(asyncio.run(demo.usage()))
    out.print(f"On the disk: {_disk(after)}, {exact_text(before.bytes - after.bytes)} less than before.")
    agrees = "as the plan said" if swept.freed == plan.totals.frees else "NOT what the plan said"
    out.print(f"The plan promised {exact_text(plan.totals.frees)} of blobs, the disk gave {agrees}.")
    out.print("\nOn your own registry: jettison plan http://127.0.0.1:5000 --keep 10", markup=False)
    return 0 if report.is_whole and swept.freed == plan.totals.frees else 1


def _tell_json(demo: "Demo") -> int:
    from jettison.cli.output import print_json

    before = demo.disk_usage()
    plan = asyncio.run(demo.plan())
    report = asyncio.run(demo.apply(plan))
    swept = demo.collect()
    after = demo.disk_usage()
    freed = None if swept is None else swept.freed
    print_json(
        {
            "version": 1,
            "before": {"files": before.files, "bytes": before.bytes},
            "plan": plan.totals,
            "deleted": report.count("done"),
            "collected": freed,
            "after": {"files": after.files, "bytes": after.bytes},
        }
    )
    return 0 if report.is_whole and freed == plan.totals.frees else 1


def _disk(usage: "DiskUsage") -> str:
    from jettison.cli.output import exact_text

    return f"{usage.files:,} files, {exact_text(usage.bytes)}"
