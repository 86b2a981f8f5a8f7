"""The memory of folders: the same findings with it as without it, whatever happened to folders and to its file."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jettison.collect.packed import unpack
from jettison.storage import files, layout, local, remembered_tags
from jettison.storage.folder_memory import FolderMemory
from jettison.storage.local import LocalStorage
from jettison.testing.images import image
from jettison.testing.storage_tree import StorageTree

OLD = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = st.sampled_from(["remove", "push", "look", "time", "retag", "truncate", "untag"])
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


Listed = tuple[set[str], set[str], dict[str, str], int]


def _listed(storage: LocalStorage) -> Listed:
    tags = storage.targets("app")
    layers = storage.layers("app", canonical=True).digests
    return set(storage.blobs().digests), set(layers), dict(tags.targets), len(tags.problems)


def _remembered(root: Path) -> Listed:
    memory = _memory(root)
    listed = _listed(LocalStorage(root).remembering(memory))
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
    LocalStorage(root).remembering(memory).blobs()
    memory.save()

    again = _memory(root)
    assert again.recall(f"{layout.BLOBS}/sha256/{digest.hex[:2]}", folder.stat()) is None
    other = next(each.name for each in folder.parent.iterdir() if each.name != folder.name)
    known = again.recall(f"{layout.BLOBS}/sha256/{other}", (folder.parent / other).stat())
    assert known is not None
    assert all(each.startswith(f"sha256:{other}") for each in unpack(known))


def _tick(root: Path) -> None:
    """Wait until the file system's clock has moved, which counts in steps of milliseconds."""
    probe = root.parent / "probe"
    probe.touch()
    first = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == first:
        probe.touch()


def test_a_tag_is_read_once_as_long_as_its_link_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered_tags, "_SUSPECT", 0)
    _tick(root)
    first = _remembered(root)
    read: list[str] = []
    small = files.read_small

    def counted(paths: list[str], folder: int, size: int) -> Iterator[bytes | None]:
        read.extend(paths)
        return small(paths, folder, size)

    monkeypatch.setattr(local, "read_small", counted)
    again = _remembered(root)
    assert read == []
    assert again == first

    # In place, as registry 2.8 does: neither the folder's nor its own name tells.
    _tick(root)
    (root / layout.tag_link("app", "0")).write_text(IMAGES[1].digest)
    assert _remembered(root)[2] == first[2] | {"0": IMAGES[1].digest}
    assert "0/current/link" in read


def test_a_tag_that_was_written_a_moment_ago_is_read_again(root: Path) -> None:
    memory = _memory(root)
    LocalStorage(root).remembering(memory).targets("app")
    folder = layout.tags_folder("app")

    assert memory.recall(folder, (root / folder).stat()) is None


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["remove", "push", "look", "time", "retag", "truncate", "untag"])),
        max_size=8,
    )
)
def test_with_and_without_it_the_same_is_found(root: Path, steps: list[tuple[int, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remembered_tags, "_SUSPECT", 0)
        _play(root, steps)


def _play(root: Path, steps: list[tuple[int, str]]) -> None:
    for number, step in steps:
        _tick(root)
        built = IMAGES[number]
        link = root / layout.tag_link("app", f"{number}")
        if step == "push":
            StorageTree(root).add("app", built, [f"{number}"])
        elif step == "remove":
            for digest in built.sizes():
                folder = root / layout.blob_folder(digest)
                if folder.exists():
                    (folder / "data").unlink()
                    folder.rmdir()
        elif step == "time":
            _let_time_pass(root)
        elif step in ("retag", "truncate") and link.exists():
            link.write_text(IMAGES[number - 1].digest if step == "retag" else "")
        elif step == "untag" and link.exists():
            shutil.rmtree(link.parent.parent)
        _tick(root)
        assert _remembered(root) == _listed(LocalStorage(root))


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
