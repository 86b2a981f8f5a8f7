"""Run Spin on one variant of a model, and say what the search came to."""

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from formal.variants import Variant, Verdict
from jettison.errors import JettisonError
from jettison.testing.programs import Missing, require

_MODELS: Final = Path(__file__).parent
# The stack of a depth-first search is allotted before it begins, so a short search has a small one.
_DEEPEST: Final = 1_000_000
_DEEPEST_OF_SLOW: Final = 20_000_000
_MEGABYTES_AT_MOST: Final = 8000
_BROKEN_PROMISES: Final = {
    "data_is_kept": Verdict.LOSES_DATA,
    "link_is_kept": Verdict.LOSES_LINK,
    "manifest_is_kept": Verdict.LOSES_MANIFEST,
}


class ModelError(JettisonError):
    """A model could not be built, or its search did not end with one of the verdicts."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the search of a variant came to.

    `seconds` is the search's time by the clock, without building it. `unreached` are the lines of the collector that no
    run of a complete search came to.
    """

    verdict: Verdict
    states: int
    seconds: float
    megabytes: int
    unreached: tuple[int, ...] = ()


def spin() -> Path | Missing:
    """Find Spin, the model checker."""
    return _program("spin", "spin")


def compiler() -> Path | Missing:
    """Find the C compiler that builds what Spin generates."""
    return _program("gcc", "gcc")


def check(variant: Variant, folder: Path) -> Finding:
    """Build and search a variant in an empty folder.

    Raises ModelError when the search neither was complete nor found a broken promise, MissingPartError without Spin.
    """
    _build(variant, folder)
    begun = time.monotonic()
    output = _run([folder / "pan", f"-m{_DEEPEST_OF_SLOW if variant.slow else _DEEPEST}"], folder)
    return read_finding(output, time.monotonic() - begun)


def counterexample(variant: Variant, folder: Path) -> str:
    """Return the steps of the trail that `check` left in the folder, with the values that they changed."""
    return _run([require(spin()), "-t", "-p", "-g", "-l", *_definitions(variant), variant.model], folder)


def read_finding(output: str, seconds: float) -> Finding:
    """Read what a search printed. Raises ModelError when it gives no verdict."""
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\S+) states, stored", output)
    memory = re.search(r"(\S+)\s+total actual memory usage", output)
    broken = re.search(r"^pan:1: assertion violated \(?(\w+)\)?", output, re.MULTILINE)
    if broken and broken[1] in _BROKEN_PROMISES:
        verdict = _BROKEN_PROMISES[broken[1]]
    elif (
        errors and errors[1] == "0" and not re.search(r"max search depth too small|not completed|out of memory", output)
    ):
        verdict = Verdict.HOLDS
    else:
        raise ModelError(f"the search gave no verdict; it said:\n{output.strip()[:2000]}")
    if states is None or memory is None:
        raise ModelError(f"the search told no figures; it said:\n{output.strip()[:2000]}")
    return Finding(verdict, int(float(states[1])), seconds, round(float(memory[1])), _unreached(output))


def _unreached(output: str) -> tuple[int, ...]:
    part = re.search(r"^unreached in proctype Collector\n((?:\t.*\n)*)", output, re.MULTILINE)
    found = re.findall(r':(\d+), state \d+, "(.*)"', part[1]) if part else []
    return tuple(sorted({int(line) for line, statement in found if statement != "-end-"}))


def _build(variant: Variant, folder: Path) -> None:
    # Spin writes the model's name into what it generates, and looks for a trail beside it.
    shutil.copy(_MODELS / variant.model, folder)
    said = _run([require(spin()), "-a", *_definitions(variant), variant.model], folder)
    if not (folder / "pan.c").exists() or "Error" in said:
        raise ModelError(f"Spin does not take {variant.model} as {variant.name}: {said.strip()}")
    # Depth first, what lies within an atomic step is not kept, so a complete search takes less.
    ways = ["-DBFS"] if variant.breadth_first else []
    options = ["-O2", "-w", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={_MEGABYTES_AT_MOST}", *ways]
    said = _run([require(compiler()), *options, "-o", "pan", "pan.c"], folder)
    if not (folder / "pan").exists():
        raise ModelError(f"gcc does not build {variant.name}: {said.strip()}")


def _definitions(variant: Variant) -> list[str]:
    return [f"-D{name}={value}" for name, value in variant.settings.items()]


def _run(command: list[Path | str], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603  # programs that were found by name, and files of our own
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.stdout


def _program(name: str, package: str) -> Path | Missing:
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    return Missing(
        name, f"install Debian's package {package}, or run `make tools` as root", shutil.which("apt-get") is not None
    )
