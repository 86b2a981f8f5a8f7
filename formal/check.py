"""Check every variant of the models against the verdict that it must have: `make formal`.

    python -m formal.check [--jobs N] [NAME ...]
    python -m formal.check --trace NAME

prints a table, and ends with 1 when any verdict is another one. `--trace` prints the steps by which a variant loses
something.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from formal.spin import Finding, ModelError, check, counterexample
from formal.variants import VARIANTS, Variant
from jettison.errors import JettisonError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m formal.check", description="Check the models' variants.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many searches at a time")
    parser.add_argument("--trace", metavar="NAME", help="print how this variant loses something")
    parser.add_argument("names", nargs="*", metavar="NAME", help="variants to check; all by default")
    given = parser.parse_args(arguments)
    known = {variant.name: variant for variant in VARIANTS}
    unknown = sorted({*given.names, *([given.trace] if given.trace else [])} - known.keys())
    if unknown:
        parser.error(f"no such variant: {', '.join(unknown)}; there are {', '.join(known)}")
    try:
        if given.trace:
            return _trace(known[given.trace])
        return _check_all([known[name] for name in given.names] or list(VARIANTS), given.jobs)
    except JettisonError as error:
        _say(f"formal: {error}")
        return 1


def _check_all(variants: list[Variant], jobs: int) -> int:
    wrong = 0
    _say(f"{'variant':34} {'must be':19} {'is':19} {'states':>12} {'seconds':>8} {'MB':>6}")
    with ThreadPoolExecutor(jobs) as pool:
        # The long ones begin first, so that none of them is alone at the end.
        running = {pool.submit(_check_one, each): each for each in sorted(variants, key=lambda each: not each.slow)}
        for future in as_completed(running):
            wrong += not _report(running[future], future)
    _say(f"{len(variants)} variants, {wrong} of them not as they must be")
    return 1 if wrong else 0


def _check_one(variant: Variant) -> Finding:
    with tempfile.TemporaryDirectory(prefix="jettison-formal-") as folder:
        return check(variant, Path(folder))


def _report(variant: Variant, future: "Future[Finding]") -> bool:
    """Print a line; return whether the verdict is the right one."""
    try:
        found = future.result()
    except ModelError as error:
        _say(f"{variant.name:34} {variant.expected:19} {error}")
        return False
    _say(
        f"{variant.name:34} {variant.expected:19} {found.verdict:19}"
        f" {found.states:>12,} {found.seconds:>8.1f} {found.megabytes:>6}"
    )
    return found.verdict is variant.expected


def _trace(variant: Variant) -> int:
    with tempfile.TemporaryDirectory(prefix="jettison-formal-") as folder:
        found = check(variant, Path(folder))
        if not any(Path(folder).glob("*.trail")):
            _say(f"{variant.name}: {found.verdict}, so there is nothing to show")
            return 1
        _say(counterexample(variant, Path(folder)))
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # a command's own output


if __name__ == "__main__":
    sys.exit(main())
