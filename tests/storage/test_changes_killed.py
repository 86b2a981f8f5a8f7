"""Deletion of a manifest with two tags, killed by SIGKILL before each call that changes the disk."""

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jettison.storage import layout
from jettison.storage.changes import LocalChanges
from jettison.storage.inventory import read_storage_inventory
from jettison.storage.local import LocalStorage
from jettison.testing.images import image
from jettison.testing.storage_tree import StorageTree

NOW = datetime(2026, 11, 1, tzinfo=UTC)
GOING, KEPT = image(seed="going"), image(seed="kept")
# Two renames, a flush, the revision's link and folder; then each tag's folder that was taken out of sight: current/link
# and index/sha256/<hex>/link, with their folders.
STEPS = 2 + 1 + 2 + 2 * 7

_KILLED = """
import os, signal, sys
from pathlib import Path
from jettison.oci.digest import Digest
from jettison.storage.changes import LocalChanges
from jettison.storage.local import LocalStorage

left = int(sys.argv[2])

def counted(call):
    def counting(*arguments, **options):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return call(*arguments, **options)
    return counting

for name in ("rename", "unlink", "rmdir", "fsync"):
    setattr(os, name, counted(getattr(os, name)))
LocalChanges(LocalStorage(Path(sys.argv[1]))).delete_revision("team/app", Digest(sys.argv[3]), ["1", "latest"])
"""


@pytest.mark.parametrize("step", range(STEPS + 1))
def test_killed_while_deleting_no_tag_dangles_and_the_next_run_finishes(tmp_path: Path, step: int) -> None:
    root = tmp_path / "registry"
    tree = StorageTree(root)
    tree.add("team/app", GOING, ["1", "latest"], NOW)
    tree.add("team/app", KEPT, ["2"], NOW)

    arguments = [sys.executable, "-c", _KILLED, str(root), str(step), GOING.digest]
    killed = subprocess.run(arguments, capture_output=True, text=True)

    assert killed.returncode == (-signal.SIGKILL if step < STEPS else 0), killed.stderr
    storage = LocalStorage(root)
    (repository,) = read_storage_inventory(storage, now=NOW).repositories
    assert repository.problems == ()
    assert KEPT.digest in repository.manifests
    assert {tag.digest for tag in repository.tags} <= repository.manifests.keys()

    LocalChanges(storage).delete_revision("team/app", GOING.digest, [t.name for t in repository.tags if t.name != "2"])
    LocalChanges(storage).delete_tag("team/app", "none", KEPT.digest)

    (repository,) = read_storage_inventory(storage, now=NOW).repositories
    assert [tag.name for tag in repository.tags] == ["2"]
    assert set(repository.manifests) == {KEPT.digest}
    assert not list((root / layout.tags_folder("team/app")).parent.glob(f"{layout.ASIDE}*"))
