"""The memory of folders: the same findings with it as without it, whatever happened to folders and to its file."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jettison.collect.packed import unpack
from jettison.storage import layout
from jettison.storage.folder_memory import FolderMemory
from jettison.storage.local import LocalStorage
from jettison.testing.images import image
from jettison.testing.storage_tree import StorageTree

OLD = datetime(2026, 1, 1, tzinfo=UTC)
IMAGES = [image([f"layer {number}".encode()], seed=number) for number in range(6)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, built in enumerate(IMAGES):
        StorageTree(tmp_path / "registry").add("app", built, [f"{number}"])
    _let_time_pass(tmp_path / "registry")
    return tmp_path / "registry"


def _let_time_pass(root: Path) -> None:
    """Let all folders have been written to a while ago, so that none is suspect."""
    for folder in (root / layout.BASE).rglob("*"):
        if folder.is_dir():
            then = (datetime.fromtimestamp(folder.stat().st_mtime, UTC) - timedelta(minutes=1)).timestamp()
            os.utime(folder, (then, then))


def _memory(root: Path) -> FolderMemory:
    return FolderMemory(root.parent / "cache", str(root))


def _listed(storage: LocalStorage) -> set[str]:
    return set(storage.blobs().digests)


def _remembered(root: Path) -> set[str]:
    memory = _memory(root)
    listed = _listed(LocalStorage(root).remembering(memory, 1))
    memory.save()
    return listed


def test_a_folder_that_was_not_written_to_is_listed_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _remembered(root)
    listed: list[str | int] = []
    listdir = os.listdir

    def counted(folder: str | int = ".") -> list[str]:
        listed.append(folder)
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", counted)

    again = _remembered(root)

    blobs = str(root / layout.BLOBS / "sha256")
    assert [folder for folder in listed if str(folder).startswith(f"{blobs}/")] == []
    assert again == first == _listed(LocalStorage(root))
    assert len([folder for folder in listed if str(folder).startswith(f"{blobs}/")]) > 0


def test_what_was_written_to_a_moment_ago_is_suspect(root: Path) -> None:
    digest = IMAGES[0].digest
    folder = root / layout.BLOBS / "sha256" / digest.hex[:2]
    os.utime(folder)
    memory = _memory(root)
    LocalStorage(root).remembering(memory, 2).blobs()
    memory.save()

    again = _memory(root)
    assert again.recall(f"{layout.BLOBS}/sha256/{digest.hex[:2]}", folder.stat()) is None
    other = next(each.name for each in folder.parent.iterdir() if each.name != folder.name)
    known = again.recall(f"{layout.BLOBS}/sha256/{other}", (folder.parent / other).stat())
    assert known is not None
    assert all(each.startswith(f"sha256:{other}") for each in unpack(known))


def test_damage_at_any_byte_counts_as_an_empty_memory(root: Path) -> None:
    _remembered(root)
    path = _memory(root).path
    content = path.read_bytes()
    folder = next((root / layout.BLOBS / "sha256").iterdir())
    asked = f"{layout.BLOBS}/sha256/{folder.name}", folder.stat()
    assert _memory(root).recall(*asked) is not None

    for at in range(len(content)):
        for damaged in (content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :], content[:at]):
            path.write_bytes(damaged)
            assert _memory(root).recall(*asked) is None, at


def test_a_folder_of_caches_that_cannot_be_written_harms_nothing(root: Path) -> None:
    (root.parent / "cache").write_text("in the way")

    assert _remembered(root) == _listed(LocalStorage(root))
