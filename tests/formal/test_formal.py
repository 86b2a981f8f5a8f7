"""The models of collecting while the registry serves come to the verdicts that docs/protocol.md tells."""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from formal.spin import Finding, ModelError, check, compiler, counterexample, read_finding, spin
from formal.variants import VARIANTS, Variant, Verdict

from jettison.testing.programs import Missing

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
BY_NAME = {variant.name: variant for variant in VARIANTS}
FAST = [variant for variant in VARIANTS if not variant.slow]
Need = Callable[[Path | Missing], Path]


@pytest.fixture
def _spin(need: Need) -> None:
    need(spin())
    need(compiler())


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading of the page, without its head."""
    part = re.split(r"^## ", PAGE.split(f"## {heading}\n")[1], flags=re.MULTILINE)[0]
    return [cells(line) for line in part.splitlines() if line.startswith("|")][2:]


@pytest.mark.usefixtures("_spin")
@pytest.mark.parametrize("variant", FAST, ids=lambda variant: variant.name)
def test_the_verdict_is_the_documented_one(variant: Variant, tmp_path: Path) -> None:
    assert check(variant, tmp_path).verdict is variant.expected


@pytest.mark.usefixtures("_spin")
def test_the_whole_protocol_is_walked_through_against_one_client(tmp_path: Path) -> None:
    found = check(Variant("small", "", Verdict.HOLDS, {"CLIENTS": 1}), tmp_path)
    assert found.verdict is Verdict.HOLDS
    assert found.unreached == ()


@pytest.mark.usefixtures("_spin")
def test_a_loss_is_shown_step_by_step(tmp_path: Path) -> None:
    variant = BY_NAME["no-quarantine"]
    check(variant, tmp_path)
    shown = counterexample(variant, tmp_path)
    assert "assertion violated" in shown
    assert re.search(r"Collector.*data = 0", shown)


@pytest.mark.usefixtures("_spin")
def test_an_unexpected_verdict_fails_the_check() -> None:
    code = (
        "import sys, formal.check as c, formal.variants as v, dataclasses as d;"
        "one = d.replace(v.VARIANTS[-1], expected=v.Verdict.LOSES_DATA);"
        "sys.exit(c._check_all([one], 1))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "1 of them not as they must be" in done.stdout


COMPLETE = "State-vector 84 byte, depth reached 9, errors: 0\n  12 states, stored\n 1.5 total actual memory usage\n"


def test_a_search_that_was_cut_short_is_no_verdict() -> None:
    assert read_finding(COMPLETE, 1.0) == Finding(Verdict.HOLDS, 12, 1.0, 2)
    for cut in ("error: max search depth too small\n", "pan: out of memory\n", "Warning: Search not completed\n"):
        with pytest.raises(ModelError):
            read_finding(cut + COMPLETE, 1.0)


def test_a_stuck_model_is_no_verdict() -> None:
    with pytest.raises(ModelError, match="invalid end state"):
        read_finding("pan:1: invalid end state (at depth 3)\n" + COMPLETE.replace("errors: 0", "errors: 1"), 1.0)


def test_every_variant_stands_in_the_documented_verdicts_and_no_other() -> None:
    documented = {row[0].strip("`"): row[2] for row in rows("Verdicts")}
    assert documented == {variant.name: str(variant.expected) for variant in VARIANTS}


@pytest.mark.parametrize("row", rows("From the model to the code"), ids=lambda row: row[0])
def test_every_step_is_led_to_functions_that_exist(row: list[str]) -> None:
    names = re.findall(r"`([\w.]+)`", row[2])
    assert names
    for name in names:
        module, _, path = name.partition(".")
        found: object = importlib.import_module(f"jettison.{module}")
        for part in path.split("."):
            if not hasattr(found, part):
                assert hasattr(found, "__path__"), f"{name} does not exist"
                found = importlib.import_module(f"{found.__name__}.{part}")  # type: ignore[attr-defined]  # a package
            else:
                found = getattr(found, part)
        assert callable(found), name
