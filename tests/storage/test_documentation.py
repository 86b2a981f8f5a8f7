"""docs/storage.md is right: its example runs, the codes and tests that it names exist, and none is missing."""

import re
from pathlib import Path

import pytest

from jettison.storage import layout
from jettison.testing.images import image
from jettison.testing.storage_tree import StorageTree

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "storage.md").read_text()


def test_the_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = StorageTree(tmp_path)
    tree.add("app", image(seed=1), ["1"])
    garbage = image(seed=2)
    tree.add("app", garbage)
    (tmp_path / layout.revision_link("app", garbage.digest)).unlink()
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    at_once = example.replace("/var/lib/registry", str(tmp_path)).replace("import DEFAULT", "import AT_ONCE as DEFAULT")

    exec(compile(at_once, "docs/storage.md", "exec"), {})

    size = sum(garbage.sizes().values())
    assert capsys.readouterr().out == f"3 blobs, {size} bytes\n{size} bytes are back\n"


def test_every_code_of_a_problem_is_told() -> None:
    sources = "".join(
        (PROJECT / "src/jettison" / name).read_text()
        for name in (
            "storage/local.py",
            "storage/walk.py",
            "storage/roots.py",
            "storage/inventory.py",
            "storage/files.py",
            "collect/mark.py",
        )
    )
    codes = set(re.findall(r'Problem\(\s*"([a-z-]+)"|code="([a-z-]+)"', sources))
    flat = {code for pair in codes for code in pair if code}

    assert "dangling-tag" in flat
    assert {code for code in flat if f"`{code}`" not in PAGE} == set()


def test_every_test_that_is_named_exists() -> None:
    tests = "".join(path.read_text() for path in (PROJECT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))

    assert len(named) >= 4
    assert {name for name in named if f"def {name}(" not in tests} == set()
