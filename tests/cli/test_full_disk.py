"""A disk that is full to the last byte, or that takes no more files: nothing is lost, and with space all goes on."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.app.undoing import seen
from tests.cli.commands import Command
from tests.conftest import missing_part_skips

from jettison.testing.images import image
from jettison.testing.mounts import fill_bytes, fill_inodes, tmpfs
from jettison.testing.storage_tree import StorageTree

APP = "team/app"
LONG_AGO = datetime.now(UTC) - timedelta(days=60)
OLD, NEW, LATER = image(seed="old"), image(seed="new"), image(seed="later")
OFFLINE = ("--offline", "--grace", "0", "--yes")
FILLS = pytest.mark.parametrize("fill", [fill_bytes, fill_inodes], ids=["no byte", "no file"])
Fill = Callable[[Path], Path]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    with missing_part_skips(), tmpfs(tmp_path / "disk", size="32m", inodes=700) as place:
        yield place


@pytest.fixture
def root(disk: Path) -> Path:
    """A storage on the small disk, with an old and a new image."""
    tree = StorageTree(disk / "registry")
    tree.add(APP, OLD, ["1.0"], LONG_AGO)
    tree.add(APP, NEW, ["2.0"], LONG_AGO)
    return tree.root


def empty(filler: Path) -> None:
    if filler.is_dir():
        shutil.rmtree(filler)
    else:
        filler.unlink()


@FILLS
def test_what_an_undo_cannot_write_on_a_full_disk_it_writes_when_there_is_space(
    root: Path, disk: Path, fill: Fill, command: Command
) -> None:
    before = seen(root)
    assert command("run", "--storage", root, "--keep", 1, *OFFLINE).status == 0
    filler = fill(disk)
    told = command("undo", "--storage", root, "--offline", "--yes")
    if told.status != 0:
        assert "No space left on device" in told.out
        assert "make some space" in told.out
        assert "as the user" not in told.out
    assert seen(root)[APP][0]["2.0"] == NEW.digest
    empty(filler)
    told = command("undo", "--storage", root, "--offline", "--yes")
    assert told.status == 0, told
    assert seen(root) == before


@FILLS
def test_a_restore_from_quarantine_that_met_a_full_disk_is_finished_by_the_next(
    root: Path, disk: Path, fill: Fill, command: Command
) -> None:
    assert command("run", "--storage", root, "--keep", 1, *OFFLINE).status == 0
    filler = fill(disk)
    told = command("quarantine", "restore", "--storage", root, "--offline", "--yes")
    assert told.status in (0, 1, 4)
    empty(filler)
    assert command("quarantine", "restore", "--storage", root, "--offline", "--yes").status == 0
    blobs = seen(root)[APP][2]
    assert {str(blob.digest) for blob in OLD.blobs} <= blobs
