"""Every step in the code has a row in docs/crash-table.md, every row a test that exists and plays it."""

import re
from pathlib import Path

import pytest
from tests.crash import test_offline, test_online

from jettison.app.undo_plan import Restoration

TOP = Path(__file__).parents[2]
SOURCE = TOP / "src/jettison/app"
# Each section that lists steps, and the modules that tell them. What is settled in quarantine is common to both.
SECTIONS = {
    "Collecting beside a serving registry": ("collect_online.py", "reexamine.py"),
    "Collecting without a server": ("collect_offline.py", "reexamine.py"),
    "Undo": ("undo.py",),
}


def rows(section: str) -> dict[str, str]:
    """Return the first and the last cell of each row of a section."""
    text = (TOP / "docs/crash-table.md").read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: last for first, *_, last in cells}


def steps_in_code(*modules: str) -> set[str]:
    """Return the names that `step` is called with."""
    text = "".join((SOURCE / module).read_text() for module in modules)
    names = set(re.findall(r"\bstep\(\s*\"([a-z-]+)\"\s*\)", text.replace("_step(", "step(")))
    if "-done" in text:
        names |= {f"{kind}-done" for kind in Restoration}
    return names


@pytest.mark.parametrize("section", SECTIONS)
def test_every_step_has_a_row(section: str) -> None:
    named = {first.strip("`") for first in rows(section) if first.startswith("`")}
    assert named == steps_in_code(*SECTIONS[section])


def test_every_row_names_a_test_that_exists() -> None:
    found = re.findall(r"(tests/[a-z/_]+\.py)(?:::(\w+))?", (TOP / "docs/crash-table.md").read_text())
    assert len(found) > 30
    for path, name in found:
        text = (TOP / path).read_text()
        assert not name or re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE), f"{path}::{name}"


def test_every_step_of_collecting_is_killed() -> None:
    online = {step for step, _ in (*test_online.COLLECTING, *test_online.RECOVERING)}
    assert online == steps_in_code("collect_online.py", "reexamine.py")
    text = Path(test_offline.__file__).read_text()
    for step in steps_in_code("collect_offline.py", "reexamine.py"):
        assert f'"{step}"' in text
