"""A disk that is full to the last byte, or that takes no more files: nothing is lost, and with space all goes on."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.app.undoing import seen
from tests.cli.commands import Command
from tests.conftest import MakeRegistry, missing_part_skips

from jettison.history import reserve
from jettison.storage import layout
from jettison.testing.connection import Connection
from jettison.testing.images import image, pull, push
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


def test_the_journal_of_a_run_on_a_full_disk_has_what_was_kept_free(
    root: Path, disk: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(disk / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(disk / "cache"))
    monkeypatch.setattr(reserve, "RESERVED_BYTES", 1 << 20)
    kept = disk / "state/jettison/history.db.reserve"
    before = seen(root)
    assert command("run", "--storage", root, "--keep", 1, *OFFLINE).status == 0
    for words in (("undo",), ("run", "--keep", "1"), ("gc",), ("quarantine", "restore"), ("gc", "--now")):
        assert kept.stat().st_size == 1 << 20
        filler = fill_bytes(disk)
        some = OFFLINE if words[0] in ("gc", "run") else ("--offline", "--yes")
        told = command(*words, "--storage", root, *some)
        if words == ("undo",) and told.status == 4:
            # The journal was written, and what the storage had no space for comes with the next one.
            empty(filler)
            told = command(*words, "--storage", root, *some)
        assert told.status == 0, (words, told)
        if words == ("undo",):
            assert seen(root) == before
        if filler.exists():
            empty(filler)
        # With space again, any run keeps some.
        assert command("gc", "--storage", root, *OFFLINE).status == 0
    assert set(seen(root)[APP][0]) == {"2.0"}


def test_on_a_full_disk_it_says_what_to_do_and_collects_with_the_history_elsewhere(
    root: Path, disk: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(disk / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(disk / "cache"))
    monkeypatch.setattr(reserve, "RESERVED_BYTES", 0)
    assert command("run", "--storage", root, "--keep", 1, *OFFLINE).status == 0
    StorageTree(root).add(APP, LATER, [], LONG_AGO)
    shutil.rmtree(root / layout.revision_link(APP, LATER.digest).rpartition("/")[0])
    filler = fill_bytes(disk)
    told = command("gc", "--storage", root, *OFFLINE)
    assert told.status == 1
    assert "the disk is full" in told.message
    assert "--history" in told.message
    elsewhere = ("--history", tmp_path / "history.db")
    # The record of it fits into what was kept free.
    told = command("gc", "--storage", root, *OFFLINE, *elsewhere, "--json")
    assert told.status == 0, told
    assert told.document["collection"]["quarantined"] == 3
    told = command("quarantine", "purge", "--storage", root, "--offline", "--yes", *elsewhere, "--json")
    assert told.status == 0, told
    assert told.document["purged"] == 6
    empty(filler)
    assert command("gc", "--storage", root, *OFFLINE).status == 0
    assert seen(root)[APP][0] == {"2.0": NEW.digest}


@FILLS
def test_beside_a_registry_on_a_full_disk_it_collects_with_what_was_kept_free(
    disk: Path, fill: Fill, command: Command, make_registry: MakeRegistry
) -> None:
    registry = make_registry("2.8", disk / "registry")
    push(registry.url, APP, NEW, "2.0")
    push(registry.url, APP, OLD, "1.0")
    online = ("gc", registry.url, "--storage", registry.root, "--grace", "0", "--settle", "0.05s", "--yes")
    assert command(*online).status == 0
    with Connection(registry.url) as connection:
        assert connection.ask("DELETE", f"/v2/{APP}/manifests/{OLD.digest}").status == 202
    filler = fill(disk)
    told = command(*online, "--now")
    if fill is fill_inodes:
        assert told.status == 1
        assert "the disk of the storage" in told.message
        assert "--offline --now" in told.message
    else:
        assert told.status == 0, told
        assert not (registry.root / layout.blob_data(OLD.blobs[1].digest)).exists()
    empty(filler)
    assert command(*online, "--now").status == 0
    assert not (registry.root / layout.blob_data(OLD.blobs[1].digest)).exists()
    pull(registry.url, APP, "2.0")
    push(registry.url, APP, OLD, "1.0")
    pull(registry.url, APP, "1.0")
