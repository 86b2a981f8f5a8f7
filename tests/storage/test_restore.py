"""Writing back into a storage: nothing is replaced, nothing goes through a symbolic link, a crash leaves no damage."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.storage import layout
from jettison.storage.changes import LocalChanges
from jettison.storage.contract import ChangedError
from jettison.storage.inventory import read_storage_inventory
from jettison.storage.lease import take_lease
from jettison.storage.links import write_layer_link
from jettison.storage.local import LocalStorage
from jettison.storage.restore import LocalRestore, had_link
from jettison.testing.images import image
from jettison.testing.storage_tree import StorageTree

NOW = datetime(2026, 11, 1, tzinfo=UTC)
APP = "team/app"
GONE, KEPT, OTHER = image(seed="gone"), image(seed="kept"), image(seed="other")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a storage from which GONE's tags and revision were deleted; its blobs and links are there."""
    found = tmp_path / "registry"
    tree = StorageTree(found)
    tree.add(APP, GONE, ["1"], NOW)
    tree.add(APP, KEPT, ["2"], NOW)
    LocalChanges(LocalStorage(found)).delete_revision(APP, GONE.digest, ["1"])
    return found


@pytest.fixture
def restore(root: Path) -> Iterator[LocalRestore]:
    storage = LocalStorage(root)
    with take_lease(storage.name, "tests") as lease:
        yield LocalRestore(lease, storage)


def tags(root: Path) -> dict[str, Digest]:
    return {tag.name: tag.digest for tag in LocalStorage(root).tags(APP).tags}


def test_a_revision_and_its_tag_come_back_once(root: Path, restore: LocalRestore) -> None:
    assert restore.put_revision(APP, GONE.digest) is True
    assert restore.put_tag(APP, "1", GONE.digest) is True
    assert restore.put_revision(APP, GONE.digest) is False
    assert restore.put_tag(APP, "1", GONE.digest) is False

    (repository,) = read_storage_inventory(LocalStorage(root), now=NOW).repositories
    assert repository.problems == ()
    assert {tag.name: tag.digest for tag in repository.tags} == {"1": GONE.digest, "2": KEPT.digest}
    algorithm, _, name = GONE.digest.partition(":")
    entry = root / layout.tags_folder(APP) / "1/index" / algorithm / name / "link"
    assert entry.read_text() == GONE.digest
    assert not list(root.rglob("*jettison-*"))


def owned(root: Path) -> dict[str, tuple[int, int, int]]:
    """Return owner, group and rights of all that the registry has."""
    states = {str(path): path.stat() for path in (root / layout.REPOSITORIES).parent.rglob("*")}
    return {path: (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) for path, state in states.items()}


def write_all(root: Path) -> None:
    """Write all that an undo and a link repair write, into folders that are gone."""
    layer = GONE.blobs[1].digest
    for path in (layout.tags_folder(APP), layout.layers_folder(APP), layout.blob_folder(GONE.digest)):
        shutil.rmtree(root / path)
    storage = LocalStorage(root)
    with take_lease(storage.name, "tests") as lease:
        back = LocalRestore(lease, storage)
        back.put_body(GONE.digest, GONE.body)
        back.put_link(APP, layer, layer)
        back.put_revision(APP, GONE.digest)
        back.put_tag(APP, "1", GONE.digest)
        write_layer_link(lease, APP, KEPT.blobs[1].digest, KEPT.blobs[1].digest)


@pytest.mark.parametrize(("folders", "files"), [(0o755, 0o644), (0o2775, 0o664)], ids=["owner", "group"])
def test_what_is_written_has_the_rights_of_what_is_around_it(root: Path, folders: int, files: int) -> None:
    """Whoever may write into the storage may write what came back, whatever the umask of who brought it."""
    for path in root.rglob("*"):
        path.chmod(folders if path.is_dir() else files)
    before = os.umask(0o077)
    try:
        write_all(root)
    finally:
        os.umask(before)
    assert {rights for *_, rights in owned(root).values()} == {folders, files}


def test_what_root_writes_belongs_to_whom_the_storage_belongs_to(root: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to somebody")
    for path in (root, *root.rglob("*")):
        os.chown(path, 12345, 54321)
    write_all(root)
    assert {(user, group) for user, group, _ in owned(root).values()} == {(12345, 54321)}


def test_a_tag_that_points_elsewhere_is_never_replaced(root: Path, restore: LocalRestore) -> None:
    with pytest.raises(ChangedError, match="left alone"):
        restore.put_tag(APP, "2", GONE.digest)
    assert tags(root) == {"2": KEPT.digest}


@pytest.mark.parametrize("pushed", [OTHER, GONE], ids=["another image", "the same image"])
def test_a_push_between_the_look_and_the_rename_stands(
    root: Path, restore: LocalRestore, monkeypatch: pytest.MonkeyPatch, pushed: object
) -> None:
    built = OTHER if pushed is OTHER else GONE
    rename = os.rename

    def push_first(*arguments: str, **options: int) -> None:
        StorageTree(root).add(APP, built, ["1"])
        rename(*arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(os, "rename", push_first)
    if built is OTHER:
        with pytest.raises(ChangedError):
            restore.put_tag(APP, "1", GONE.digest)
    else:
        assert restore.put_tag(APP, "1", GONE.digest) is False
    assert tags(root) == {"1": built.digest, "2": KEPT.digest}
    assert not list(root.rglob(f"{layout.ASIDE}*"))


def test_a_push_that_fills_the_same_folder_stands(
    root: Path, restore: LocalRestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tag's folder is there without a link, as an interrupted push leaves it, and a push comes in between."""
    (root / layout.tags_folder(APP) / "1/current").mkdir(parents=True)
    link = os.link

    def push_first(part: str, name: str, **options: int | bool) -> None:
        if name == "link" and not (root / layout.tag_link(APP, "1")).exists():
            StorageTree(root).add(APP, OTHER, ["1"])
        link(part, name, **options)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(os, "link", push_first)
    with pytest.raises(ChangedError):
        restore.put_tag(APP, "1", GONE.digest)
    assert tags(root) == {"1": OTHER.digest, "2": KEPT.digest}


def test_a_folder_that_an_interrupted_push_left_is_filled(root: Path, restore: LocalRestore) -> None:
    (root / layout.tags_folder(APP) / "1/index").mkdir(parents=True)
    restore.put_revision(APP, GONE.digest)
    assert restore.put_tag(APP, "1", GONE.digest) is True
    assert tags(root) == {"1": GONE.digest, "2": KEPT.digest}


def test_a_body_is_stored_once_and_only_as_what_it_is(root: Path, restore: LocalRestore) -> None:
    path = root / layout.blob_data(OTHER.digest)
    with pytest.raises(StorageError, match="something else"):
        restore.put_body(OTHER.digest, b"something else")
    assert restore.put_body(OTHER.digest, OTHER.body) is True
    assert path.read_bytes() == OTHER.body
    path.write_bytes(b"written by somebody else")
    assert restore.put_body(OTHER.digest, OTHER.body) is False
    assert path.read_bytes() == b"written by somebody else"


@pytest.mark.parametrize("place", ["repository", "tags", "revisions", "layers", "blobs"])
def test_nothing_is_written_through_a_symbolic_link(
    root: Path, restore: LocalRestore, tmp_path: Path, place: str
) -> None:
    outside = tmp_path / "outside"
    inside = {
        "repository": root / layout.repository_folder("team/led"),
        "tags": root / layout.tags_folder(APP),
        "revisions": root / layout.revisions_folder(APP),
        "layers": root / layout.layers_folder(APP),
        "blobs": root / layout.blob_folder(OTHER.digest).rpartition("/")[0],
    }[place]
    if inside.exists():
        inside.rename(outside)
    else:
        outside.mkdir()
        inside.parent.mkdir(parents=True, exist_ok=True)
    inside.symlink_to(outside)
    name = "team/led" if place == "repository" else APP
    layer = GONE.blobs[1].digest
    (root / layout.layer_link(APP, layer)).unlink()
    before = sorted(str(path) for path in outside.rglob("*"))

    calls: list[Callable[[], bool]] = {
        "tags": [lambda: restore.put_tag(APP, "1", GONE.digest)],
        "blobs": [lambda: restore.put_body(OTHER.digest, OTHER.body)],
        "layers": [lambda: restore.put_link(APP, layer, layer), lambda: restore.put_revision(APP, GONE.digest)],
        "revisions": [lambda: restore.put_revision(APP, GONE.digest)],
        "repository": [
            lambda: restore.put_revision(name, GONE.digest),
            lambda: restore.put_link(name, layer, layer),
            lambda: restore.put_tag(name, "1", GONE.digest),
        ],
    }[place]
    for call in calls:
        with pytest.raises(StorageError):
            call()
    assert sorted(str(path) for path in outside.rglob("*")) == before


@pytest.mark.parametrize("name", ["../../etc", "Team/App", "/etc", "a//b", ""])
def test_names_that_lead_elsewhere_are_refused(restore: LocalRestore, name: str) -> None:
    with pytest.raises(StorageError, match="no repository name"):
        restore.put_revision(name, GONE.digest)
    with pytest.raises(StorageError, match="no tag"):
        restore.put_tag(APP, "../1", GONE.digest)


def test_what_was_linked_once_is_known_by_its_folder(root: Path) -> None:
    layer = GONE.blobs[1].digest
    assert had_link(str(root), APP, layer)
    (root / layout.layer_link(APP, layer)).unlink()
    assert had_link(str(root), APP, layer)
    assert not had_link(str(root), APP, OTHER.digest)
    assert not had_link(str(root), "no/such", layer)


_KILLED = """
import os, signal, sys
from pathlib import Path
from jettison.oci.digest import Digest
from jettison.storage.lease import take_lease
from jettison.storage.local import LocalStorage
from jettison.storage.restore import LocalRestore

storage = LocalStorage(Path(sys.argv[1]))
left = int(sys.argv[2])
digest = Digest(sys.argv[3])

def counted(call):
    def counting(*arguments, **options):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return call(*arguments, **options)
    return counting

with take_lease(storage.name, "tests") as lease:
    restore = LocalRestore(lease, storage)
    for name in ("rename", "link", "unlink", "mkdir", "fsync"):
        setattr(os, name, counted(getattr(os, name)))
    restore.put_revision("team/app", digest)
    restore.put_tag("team/app", "1", digest)
    print(int(sys.argv[2]) - left)
"""


def test_killed_before_any_call_no_tag_dangles_and_the_next_try_finishes(root: Path, tmp_path: Path) -> None:
    def run(folder: Path, left: int) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-c", _KILLED, str(folder), str(left), GONE.digest]
        return subprocess.run(arguments, capture_output=True, text=True)

    whole = tmp_path / "whole"
    subprocess.run(["cp", "-a", root, whole], check=True)
    calls = int(run(whole, 1000).stdout)
    assert calls > 20
    for left in range(0, calls, 2):
        folder = tmp_path / f"killed-{left}"
        subprocess.run(["cp", "-a", root, folder], check=True)
        killed = run(folder, left)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        (repository,) = read_storage_inventory(LocalStorage(folder), now=NOW).repositories
        assert all(not problem.blocks for problem in repository.problems)
        assert {tag.digest for tag in repository.tags} <= repository.manifests.keys()

        finished = run(folder, 1000)
        assert finished.returncode == 0, finished.stderr
        assert tags(folder) == {"1": GONE.digest, "2": KEPT.digest}
