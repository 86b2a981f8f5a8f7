"""Deleting: compared at the last moment, whole or not at all, never through a symbolic link."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jettison.collect.blob import StoredBlob
from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.storage import layout
from jettison.storage.changes import LocalChanges
from jettison.storage.contract import ChangedError
from jettison.storage.files import read_file
from jettison.storage.local import LocalStorage
from jettison.testing.images import image
from jettison.testing.storage_tree import StorageTree

OLD = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = image(seed=1)
SECOND = image(seed=2)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = StorageTree(tmp_path / "registry")
    tree.add("team/app", FIRST, ["1", "latest"], OLD)
    tree.add("team/app", SECOND, ["2"], OLD)
    return tmp_path / "registry"


@pytest.fixture
def storage(root: Path) -> LocalStorage:
    return LocalStorage(root)


@pytest.fixture
def changes(storage: LocalStorage) -> LocalChanges:
    return LocalChanges(storage)


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() or path.is_symlink()}


def test_a_tag_goes_with_its_folder_and_nothing_else(root: Path, changes: LocalChanges) -> None:
    before = _files(root)

    assert changes.delete_tag("team/app", "latest", FIRST.digest)

    gone = before - _files(root)
    assert gone
    assert all(f"{layout.tags_folder('team/app')}/latest/" in path for path in gone)
    assert sorted(path.name for path in (root / layout.tags_folder("team/app")).iterdir()) == ["1", "2"]
    assert sorted(path.name for path in (root / layout.tags_folder("team/app")).parent.iterdir()) == [
        "revisions",
        "tags",
    ]


def test_a_tag_that_is_gone_was_gone(changes: LocalChanges) -> None:
    assert changes.delete_tag("team/app", "latest", FIRST.digest)

    assert not changes.delete_tag("team/app", "latest", FIRST.digest)
    assert not changes.delete_tag("nobody/here", "latest", FIRST.digest)


def test_a_tag_that_moved_stays(root: Path, storage: LocalStorage, changes: LocalChanges) -> None:
    before = _files(root)

    with pytest.raises(ChangedError, match=rf"tag 2 of team/app points to {SECOND.digest.short} by now"):
        changes.delete_tag("team/app", "2", FIRST.digest)

    assert _files(root) == before


@contextmanager
def _right_before_the_rename(monkeypatch: pytest.MonkeyPatch, act: object) -> Iterator[None]:
    """Let somebody else act between the last look at a tag and its rename."""
    rename = os.rename

    def acting_rename(*arguments: object, **options: object) -> None:
        monkeypatch.setattr(os, "rename", rename)
        act()  # type: ignore[operator]  # a function of the test
        rename(*arguments, **options)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(os, "rename", acting_rename)
    yield
    monkeypatch.setattr(os, "rename", rename)


def test_a_tag_that_moves_at_the_last_moment_comes_back(
    root: Path, storage: LocalStorage, changes: LocalChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    def push() -> None:
        StorageTree(root).add("team/app", SECOND, ["latest"])

    with _right_before_the_rename(monkeypatch, push), pytest.raises(ChangedError):
        changes.delete_tag("team/app", "latest", FIRST.digest)

    assert storage.points_to("team/app", "latest") == SECOND.digest


def test_a_newer_push_stands_where_a_tag_would_come_back(
    root: Path, storage: LocalStorage, changes: LocalChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = image(seed=3)
    looks = []

    def push() -> None:
        StorageTree(root).add("team/app", SECOND, ["latest"])

    def pushing_read(path: str, limit: int, folder: int | None = None) -> bytes:
        looks.append(path)
        content = read_file(path, limit, folder)
        if len(looks) == 2:
            StorageTree(root).add("team/app", third, ["latest"])
        return content

    monkeypatch.setattr("jettison.storage.changes.read_file", pushing_read)
    with _right_before_the_rename(monkeypatch, push), pytest.raises(ChangedError):
        changes.delete_tag("team/app", "latest", FIRST.digest)

    assert storage.points_to("team/app", "latest") == third.digest


def test_a_tag_that_is_deleted_at_the_last_moment_was_gone(
    root: Path, changes: LocalChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete() -> None:
        assert LocalChanges(LocalStorage(root)).delete_tag("team/app", "latest", FIRST.digest)

    with _right_before_the_rename(monkeypatch, delete):
        assert not changes.delete_tag("team/app", "latest", FIRST.digest)


def test_what_a_killed_run_left_aside_goes_with_the_next_deletion(root: Path, changes: LocalChanges) -> None:
    tags = root / layout.tags_folder("team/app")
    (tags / "latest").rename(tags.parent / f"{layout.ASIDE}0123456789abcdef")
    assert LocalStorage(root).tags("team/app").problems == ()

    changes.delete_tag("team/app", "1", FIRST.digest)

    assert sorted(path.name for path in tags.parent.iterdir()) == ["revisions", "tags"]


def test_a_manifest_goes_with_its_tags(root: Path, storage: LocalStorage, changes: LocalChanges) -> None:
    assert changes.delete_revision("team/app", FIRST.digest, ["1", "latest"])

    assert [tag.name for tag in storage.tags("team/app").tags] == ["2"]
    assert set(storage.revisions("team/app", read=True).pushed) == {SECOND.digest}
    assert (root / layout.blob_data(FIRST.digest)).exists()


def test_a_manifest_that_is_gone_was_gone(storage: LocalStorage, changes: LocalChanges) -> None:
    assert changes.delete_revision("team/app", FIRST.digest, ["1", "latest"])

    assert not changes.delete_revision("team/app", FIRST.digest, ["1", "latest"])
    assert not storage.has_revision("team/app", FIRST.digest)


def test_a_manifest_whose_tag_moved_stays(root: Path, storage: LocalStorage, changes: LocalChanges) -> None:
    with pytest.raises(ChangedError):
        changes.delete_revision("team/app", FIRST.digest, ["2"])

    assert storage.has_revision("team/app", FIRST.digest)
    assert storage.points_to("team/app", "2") == SECOND.digest


def test_tags_go_before_the_revision(
    root: Path, storage: LocalStorage, changes: LocalChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(StorageError, match="cannot delete in it: Input/output error"):
        changes.delete_revision("team/app", FIRST.digest, ["1", "latest"])

    assert [tag.name for tag in storage.tags("team/app").tags] == ["2"]
    assert storage.has_revision("team/app", FIRST.digest)


@pytest.mark.parametrize("part", ["team", "team/app", "_manifests", "tags", "tag", "revisions", "sha256", "revision"])
def test_nothing_is_deleted_through_a_symbolic_link(root: Path, tmp_path: Path, part: str) -> None:
    places = {
        "team": layout.repository_folder("team"),
        "team/app": layout.repository_folder("team/app"),
        "_manifests": f"{layout.repository_folder('team/app')}/_manifests",
        "tags": layout.tags_folder("team/app"),
        "tag": f"{layout.tags_folder('team/app')}/latest",
        "revisions": layout.revisions_folder("team/app"),
        "sha256": f"{layout.revisions_folder('team/app')}/sha256",
        "revision": f"{layout.revisions_folder('team/app')}/sha256/{FIRST.digest.hex}",
    }
    elsewhere = tmp_path / "elsewhere"
    (root / places[part]).rename(elsewhere)
    (root / places[part]).symlink_to(elsewhere)
    outside = _files(elsewhere)
    changes = LocalChanges(LocalStorage(root))

    def delete() -> None:
        if part in ("revisions", "sha256", "revision"):
            changes.delete_revision("team/app", FIRST.digest, [])
        else:
            changes.delete_tag("team/app", "latest", FIRST.digest)

    with pytest.raises(StorageError, match="nothing is deleted through one"):
        delete()

    assert _files(elsewhere) == outside
    assert LocalStorage(root).points_to("team/app", "latest") == FIRST.digest


@pytest.mark.parametrize("part", ["blobs", "sha256", "prefix", "folder", "data"])
def test_no_blob_is_removed_through_a_symbolic_link(root: Path, tmp_path: Path, part: str) -> None:
    digest = FIRST.blobs[1].digest
    places = {
        "blobs": layout.BLOBS,
        "sha256": f"{layout.BLOBS}/sha256",
        "prefix": f"{layout.BLOBS}/sha256/{digest.hex[:2]}",
        "folder": layout.blob_folder(digest),
        "data": layout.blob_data(digest),
    }
    elsewhere = tmp_path / "elsewhere"
    (root / places[part]).rename(elsewhere)
    (root / places[part]).symlink_to(elsewhere)
    storage = LocalStorage(root)
    assert digest in storage.blobs().digests
    blob = storage.stored([digest])[digest]

    if part in ("folder", "data"):
        (removed,) = LocalChanges(storage).remove_blobs([blob])
        assert removed.problem is not None
        assert removed.problem.code == "symbolic-link"
    else:
        with pytest.raises(StorageError, match="nothing is deleted through one"):
            list(LocalChanges(storage).remove_blobs([blob]))

    assert (root / layout.blob_data(digest)).read_bytes() == FIRST.blobs[1].body


def test_a_blob_that_was_written_anew_stays(root: Path, storage: LocalStorage, changes: LocalChanges) -> None:
    digest = FIRST.blobs[1].digest
    seen = storage.stored([digest])[digest]
    os.utime(root / layout.blob_data(digest))

    (removed,) = changes.remove_blobs([seen])

    assert removed.problem is not None
    assert removed.problem.code == "changed"
    assert (root / layout.blob_data(digest)).exists()


def test_bytes_that_another_name_keeps_do_not_count(root: Path, tmp_path: Path, storage: LocalStorage) -> None:
    digest = FIRST.blobs[1].digest
    (tmp_path / "backup").hardlink_to(root / layout.blob_data(digest))

    (removed,) = LocalChanges(storage).remove_blobs([storage.stored([digest])[digest]])

    assert (removed.freed, removed.problem) == (0, None)


def test_a_blob_that_is_gone_is_told(changes: LocalChanges) -> None:
    digest = Digest.of(b"never there")

    (removed,) = changes.remove_blobs([StoredBlob(digest, 1, OLD)])

    assert removed.problem is not None
    assert removed.problem.code == "gone"


def test_layer_links_go_with_their_folders(root: Path, changes: LocalChanges) -> None:
    digests = [blob.digest for blob in FIRST.blobs]

    assert changes.remove_layer_links("team/app", [*digests, Digest.of(b"never there")]) == 2
    assert changes.remove_layer_links("team/app", digests) == 0

    left = {path.name for path in (root / layout.layers_folder("team/app") / "sha256").iterdir()}
    assert left == {blob.digest.hex for blob in SECOND.blobs}


def test_a_writable_storage_passes_and_is_left_as_it_was(root: Path, changes: LocalChanges) -> None:
    before = _files(root)

    changes.check()

    assert _files(root) == before


def test_a_storage_that_cannot_be_written_is_found_out_before(
    root: Path, changes: LocalChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = os.open

    def read_only(path: str, flags: int, *arguments: int, **options: int) -> int:
        if flags & os.O_RDWR:
            raise OSError(errno.EROFS, "Read-only file system", path)
        return opening(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", read_only)

    with pytest.raises(StorageError, match=r"repositories cannot be written \(Read-only file system\)"):
        changes.check()
