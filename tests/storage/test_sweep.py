"""Offline collection on a local disk: order of steps, honest figures, and what happens when it is killed."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jettison.collect.decide import Condemned
from jettison.collect.safety import AT_ONCE, DEFAULT, Margins
from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.storage import layout
from jettison.storage.changes import LocalChanges
from jettison.storage.contract import BlobListing, RepositoryListing
from jettison.storage.inventory import read_storage_inventory
from jettison.storage.local import LocalStorage
from jettison.storage.survey import survey
from jettison.storage.sweep import sweep
from jettison.testing.built import BuiltManifest
from jettison.testing.images import image, index, random_layer
from jettison.testing.storage_tree import StorageTree

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=30)
SHARED = random_layer("shared", 3000)
KEPT = index([image([SHARED], seed="amd"), image([SHARED], seed="arm", platform="linux/arm64")])
GOING = image([SHARED, random_layer("going", 1000)], seed="going")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = StorageTree(tmp_path / "registry")
    tree.add("team/app", KEPT, ["2"], OLD)
    tree.add("team/app", GOING, ["1"], OLD)
    tree.add("mirror/app", GOING, ["1"], OLD)
    return tmp_path / "registry"


def _expire(root: Path, built: BuiltManifest, *repositories: str) -> None:
    for repository in repositories:
        assert LocalChanges(LocalStorage(root)).delete_revision(repository, built.digest, ["1"])


def _condemned(root: Path, margins: Margins = AT_ONCE, now: datetime = NOW) -> Condemned:
    condemned = survey(LocalStorage(root), now, margins).condemned
    assert condemned is not None
    return condemned


def _on_disk(root: Path) -> dict[Digest, int]:
    return {Digest(f"sha256:{data.parent.name}"): data.stat().st_size for data in root.rglob("data")}


def test_a_survey_writes_nothing_and_condemns_what_nothing_refers_to(root: Path) -> None:
    _expire(root, GOING, "team/app", "mirror/app")
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in root.rglob("*"))

    condemned = _condemned(root)

    assert {blob.digest for blob in condemned.blobs} == set(GOING.sizes()) - {Digest.of(SHARED)}
    assert condemned.size == sum(GOING.sizes().values()) - len(SHARED)
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in root.rglob("*")) == before


def test_what_another_repository_needs_stays(root: Path) -> None:
    _expire(root, GOING, "team/app")

    assert _condemned(root).blobs == ()


def test_data_folders_and_links_go_and_the_figures_are_those_of_the_disk(root: Path) -> None:
    _expire(root, GOING, "team/app", "mirror/app")
    before = _on_disk(root)
    calls: list[tuple[int, int]] = []

    storage = LocalStorage(root)
    swept = sweep(
        storage, LocalChanges(storage), _condemned(root), progress=lambda done, total: calls.append((done, total))
    )

    after = _on_disk(root)
    assert after == KEPT.sizes()
    assert swept.freed == sum(before.values()) - sum(after.values())
    # Config and layer in two repositories; SHARED is needed elsewhere, so the mirror's link to it is none of ours.
    assert (swept.blobs, swept.links, swept.problems) == (3, 4, ())
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
    folders = {path.name for path in (root / layout.BLOBS / "sha256").glob("*/*")}
    assert folders == {digest.hex for digest in KEPT.sizes()}
    assert _condemned(root).blobs == ()


def test_what_is_young_stays(root: Path) -> None:
    StorageTree(root).add("team/app", image(seed="young"), ["young"], NOW - timedelta(minutes=59))
    storage = LocalStorage(root)
    LocalChanges(storage).delete_revision("team/app", image(seed="young").digest, ["young"])

    surveyed = survey(storage, NOW, DEFAULT)

    assert surveyed.condemned is not None
    assert surveyed.condemned.blobs == ()
    assert surveyed.young.blobs == 3
    assert surveyed.young.size == sum(image(seed="young").sizes().values())


def test_a_run_can_be_stopped_between_blobs_and_taken_up_again(root: Path) -> None:
    _expire(root, GOING, "team/app", "mirror/app")
    storage = LocalStorage(root)

    first = sweep(storage, LocalChanges(storage), _condemned(root), stop=lambda: True)
    second = sweep(storage, LocalChanges(storage), _condemned(root))

    assert (first.blobs, second.blobs, second.links) == (1, 2, 0)
    assert _on_disk(root) == KEPT.sizes()


class _Pushing(LocalStorage):
    """A storage into which somebody pushes an image between two steps of reading it."""

    def __init__(self, root: Path, step: str) -> None:
        super().__init__(root)
        self._step = step

    def _push(self, step: str) -> None:
        if step == self._step:
            StorageTree(self.root).add("late/push", image([random_layer("late", 500)], seed="late"), ["1"], OLD)

    def blobs(self) -> BlobListing:
        self._push("before blobs")
        listing = super().blobs()
        self._push("after blobs")
        return listing

    def repositories(self) -> RepositoryListing:
        listing = super().repositories()
        self._push("after repositories")
        return listing


@pytest.mark.parametrize("step", ["before blobs", "after blobs", "after repositories"])
def test_what_is_pushed_while_the_storage_is_read_is_never_condemned(root: Path, step: str) -> None:
    _expire(root, GOING, "team/app", "mirror/app")

    condemned = survey(_Pushing(root, step), NOW, AT_ONCE).condemned

    assert condemned is not None
    assert {blob.digest for blob in condemned.blobs} == set(GOING.sizes()) - {Digest.of(SHARED)}


def test_links_go_before_data(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _expire(root, GOING, "team/app", "mirror/app")
    condemned = _condemned(root)
    before = _on_disk(root)

    def refuse(self: LocalChanges, repository: str, digests: object) -> int:
        raise StorageError(f"{repository}: refused")

    monkeypatch.setattr(LocalChanges, "remove_layer_links", refuse)
    storage = LocalStorage(root)
    swept = sweep(storage, LocalChanges(storage), condemned)

    assert [problem.code for problem in swept.problems] == ["refused", "refused"]
    # The manifest itself is no layer of anybody.
    assert before.keys() - _on_disk(root).keys() == {GOING.digest}


def test_blobs_that_a_linked_repository_links_stay(root: Path, tmp_path: Path) -> None:
    _expire(root, GOING, "team/app", "mirror/app")
    (root / layout.repository_folder("mirror")).rename(tmp_path / "mirror")
    (root / layout.repository_folder("mirror")).symlink_to(tmp_path / "mirror")
    storage = LocalStorage(root)

    swept = sweep(storage, LocalChanges(storage), _condemned(root))

    assert [problem.code for problem in swept.problems] == ["symbolic-link"]
    assert set(_on_disk(root)) == {*KEPT.sizes(), GOING.blobs[0].digest, GOING.blobs[2].digest}


_KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from jettison.collect.safety import AT_ONCE
from jettison.storage.changes import LocalChanges
from jettison.storage.local import LocalStorage
from jettison.storage.survey import survey

from jettison.storage.sweep import sweep

calls = {"unlink": os.unlink, "rmdir": os.rmdir, "fsync": os.fsync}
left = int(sys.argv[2])

def counted(name):
    def call(*arguments, **options):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return calls[name](*arguments, **options)
    return call

for name in calls:
    setattr(os, name, counted(name))
storage = LocalStorage(Path(sys.argv[1]))
sweep(storage, LocalChanges(storage), survey(storage, datetime(2026, 11, 1, tzinfo=UTC), AT_ONCE).condemned)
"""


@pytest.mark.parametrize("step", range(0, 17, 2))
def test_killed_anywhere_what_is_kept_is_whole_and_the_next_run_finishes(root: Path, step: int) -> None:
    """3 blobs and 4 links in 2 repositories: 7 unlinks, 7 removed folders and 2 flushes are 16 steps."""
    _expire(root, GOING, "team/app", "mirror/app")

    killed = subprocess.run([sys.executable, "-c", _KILLED, root, str(step)], capture_output=True, text=True)

    assert killed.returncode == (-signal.SIGKILL if step < 16 else 0), killed.stderr
    on_disk = _on_disk(root)
    assert on_disk.items() >= KEPT.sizes().items()
    for repository, layers in {
        each.name: LocalStorage(root).layers(each.name, canonical=True).digests
        for each in read_storage_inventory(LocalStorage(root), now=NOW).repositories
    }.items():
        assert all((root / layout.blob_data(Digest(layer))).exists() for layer in layers), repository
    storage = LocalStorage(root)
    sweep(storage, LocalChanges(storage), _condemned(root))
    assert _on_disk(root) == KEPT.sizes()
    assert all(each.is_complete for each in read_storage_inventory(storage, now=NOW).repositories)
    assert not list(root.rglob(f"{layout.ASIDE}*"))


def test_a_read_only_storage_is_found_out_before_anything_goes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _expire(root, GOING, "team/app", "mirror/app")
    before = sorted(map(str, root.rglob("*")))
    condemned = _condemned(root)
    opening = os.open

    def read_only(path: str, flags: int, *arguments: int, **options: int) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", path)
        return opening(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", read_only)
    storage = LocalStorage(root)
    with pytest.raises(StorageError, match="cannot be written"):
        sweep(storage, LocalChanges(storage), condemned)

    assert sorted(map(str, root.rglob("*"))) == before
