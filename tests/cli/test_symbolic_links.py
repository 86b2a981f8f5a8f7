"""Symbolic links that lead out of a storage: another registry may live there. They are read, and nothing goes there."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.app.undoing import seen
from tests.cli.commands import Command
from tests.conftest import MakeRegistry

from jettison.oci.digest import Digest
from jettison.storage import layout
from jettison.testing.images import image
from jettison.testing.storage_tree import StorageTree

LONG_AGO = datetime.now(UTC) - timedelta(days=60)
SHARED, KEPT, GONE = "team/shared", "team/kept", "team/gone"
LINKED, STAYS, GOES = image(seed="linked"), image(seed="stays"), image(seed="goes")
OFFLINE = ("--offline", "--grace", "0", "--yes")
ONLINE = ("--grace", "0", "--settle", "0.05s", "--yes")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A storage with an image, and with blobs and layer links that no manifest needs."""
    tree = StorageTree(tmp_path / "registry")
    tree.add(KEPT, STAYS, ["1.0"], LONG_AGO)
    for name, built in ((SHARED, LINKED), (GONE, GOES)):
        tree.add(name, built, [], LONG_AGO)
        shutil.rmtree(tree.root / layout.revisions_folder(name))
    return tree.root


def repository(root: Path) -> Path:
    return root / layout.repository_folder(SHARED)


def layers(root: Path) -> Path:
    return root / layout.layers_folder(SHARED)


def one_link(root: Path) -> Path:
    return (root / layout.layer_link(SHARED, LINKED.blobs[1].digest)).parent


def behind_a_link(place: Path, outside: Path) -> None:
    """Move a folder out of the storage, and leave a symbolic link to it."""
    shutil.move(place, outside)
    place.symlink_to(outside)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_stored(root: Path, digest: Digest) -> bool:
    return (root / layout.blob_data(digest)).exists()


@pytest.mark.parametrize("way", ["offline", "offline now", "2.8", "3.1"])
@pytest.mark.parametrize("place", [repository, layers, one_link])
def test_no_layer_link_goes_through_a_symbolic_link_and_the_others_go(
    root: Path,
    tmp_path: Path,
    command: Command,
    make_registry: MakeRegistry,
    place: Callable[[Path], Path],
    way: str,
) -> None:
    outside = tmp_path / "outside"
    behind_a_link(place(root), outside)
    before = content(outside)
    assert before
    for first in (True, False):
        if way == "offline":
            told = command("gc", "--storage", root, *OFFLINE)
        elif way == "offline now":
            told = command("gc", "--storage", root, *OFFLINE, "--now")
        else:
            registry = make_registry("2.8" if way == "2.8" else "3.1", root)
            told = command("gc", registry.url, "--storage", root, *ONLINE, "--now")
            registry.stop()
        # The repository holds no manifest, so offline the symbolic link goes, with all that is in the storage of it.
        assert told.status == 4 or not first, told
        assert not first or f"{SHARED}: a symbolic link leads to it or to layer links of it" in told.out
        # What the registry itself begins and cancels there is not ours to judge.
        assert {name: body for name, body in content(outside).items() if "_uploads" not in name} == before
        assert is_stored(root, LINKED.blobs[1].digest) or not first
        assert not is_stored(root, GOES.blobs[1].digest)
    assert seen(root)[KEPT][0] == {"1.0": STAYS.digest}


def test_a_link_file_that_is_a_symbolic_link_goes_itself(root: Path, tmp_path: Path, command: Command) -> None:
    link = root / layout.layer_link(SHARED, LINKED.blobs[1].digest)
    shutil.move(link, tmp_path / "outside")
    link.symlink_to(tmp_path / "outside")
    assert command("gc", "--storage", root, *OFFLINE, "--now").status == 0
    assert (tmp_path / "outside").read_text() == LINKED.blobs[1].digest
    assert not os.path.lexists(link)


def tags(root: Path) -> Path:
    return root / layout.tags_folder(KEPT)


def manifests(root: Path) -> Path:
    return tags(root).parent


def revision(root: Path) -> Path:
    return (root / layout.revision_link(KEPT, STAYS.digest)).parent


@pytest.mark.parametrize("way", ["offline", "2.8", "3.1"])
@pytest.mark.parametrize("place", [manifests, tags, revision])
def test_no_manifest_and_no_tag_is_deleted_through_a_symbolic_link(
    root: Path,
    tmp_path: Path,
    command: Command,
    make_registry: MakeRegistry,
    place: Callable[[Path], Path],
    way: str,
) -> None:
    tree = StorageTree(root)
    for name in (KEPT, GONE):
        tree.add(name, image(seed="newer"), ["2.0"], LONG_AGO)
    tree.add(GONE, STAYS, ["1.0"], LONG_AGO)
    outside = tmp_path / "outside"
    behind_a_link(place(root), outside)
    before = content(outside)
    if way == "offline":
        told = command("run", "--storage", root, "--keep", 1, *OFFLINE)
    else:
        registry = make_registry("2.8" if way == "2.8" else "3.1", root)
        told = command("run", registry.url, "--storage", root, "--keep", 1, *ONLINE)
    assert told.status == 4, told
    assert "a symbolic link leads there, and nothing is deleted through one" in told.out
    assert content(outside) == before
    assert set(seen(root)[GONE][0]) == {"2.0"}


def test_what_lies_about_behind_a_symbolic_link_is_left_there(root: Path, tmp_path: Path, command: Command) -> None:
    uploads = root / layout.uploads_folder(KEPT)
    (uploads / "one").mkdir(parents=True)
    (uploads / "one/startedat").write_text("2020-01-01T00:00:00Z")
    behind_a_link(uploads, tmp_path / "uploads")
    for name in ("a", "b"):
        StorageTree(root).add(KEPT, image(seed=name), [], LONG_AGO)
        shutil.rmtree((root / layout.revision_link(KEPT, image(seed=name).digest)).parent)
    StorageTree(root).add(GONE, image(seed="a"), ["a"], LONG_AGO)
    behind_a_link((root / layout.layer_link(KEPT, image(seed="a").blobs[1].digest)).parent, tmp_path / "layer")
    for _ in range(2):
        told = command("gc", "--storage", root, *OFFLINE)
        assert told.status == 0, told
    assert content(tmp_path / "uploads")
    assert content(tmp_path / "layer")
    assert not (root / layout.layer_link(KEPT, image(seed="b").blobs[1].digest)).exists()
