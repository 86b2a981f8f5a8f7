"""Whether a storage lies on this machine's disks."""

from pathlib import Path

import pytest
from tests.conftest import missing_part_skips

from jettison.storage.file_systems import remote_file_system
from jettison.testing.mounts import tmpfs

ROOT = "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"
NFS = "40 27 0:50 / {} rw,relatime shared:2 - nfs4 host:/export rw,vers=4.2"
FOLDER = "41 27 0:51 / {} rw - xfs /dev/vdb rw"


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        ((ROOT,), None),
        ((ROOT, NFS.format("/elsewhere")), None),
        ((ROOT, NFS.format("/data")), "nfs4"),
        ((ROOT, NFS.format("/data/registry")), "nfs4"),
        ((ROOT, NFS.format("/data/registry-two")), None),
        ((ROOT, NFS.format("/data/registry/docker/registry/v2/blobs/sha256/ab")), "nfs4"),
        ((ROOT, NFS.format("/data"), FOLDER.format("/data/registry")), None),
        ((ROOT, NFS.format("/data/registry"), FOLDER.format("/data/registry")), "nfs4"),
        ((ROOT, FOLDER.format("/data/registry"), NFS.format("/data/registry")), "nfs4"),
        ((ROOT, "42 27 0:52 / /data rw - fuse.sshfs host: rw"), "fuse.sshfs"),
        ((ROOT, NFS.format("/data/a\\040b")), None),
    ],
)
def test_a_storage_below_mounts(mounts: tuple[str, ...], kind: str | None, tmp_path: Path) -> None:
    file = tmp_path / "mountinfo"
    file.write_text("".join(f"{line}\n" for line in mounts))
    assert remote_file_system("/data/registry", file) == kind


def test_names_with_spaces(tmp_path: Path) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(f"{ROOT}\n" + NFS.format("/data/a\\040b") + "\n")
    assert remote_file_system("/data/a b/registry", file) == "nfs4"


def test_where_nobody_knows(tmp_path: Path) -> None:
    assert remote_file_system("/data", tmp_path / "missing") == "unknown"
    (tmp_path / "empty").touch()
    assert remote_file_system("/data", tmp_path / "empty") == "unknown"


def test_a_folder_elsewhere(tmp_path: Path) -> None:
    """A link out of the storage is followed: what it leads to counts."""
    storage, other = tmp_path / "storage", tmp_path / "other"
    (storage / "docker/registry/v2").mkdir(parents=True)
    other.mkdir()
    (storage / "docker/registry/v2/blobs").symlink_to(other)
    file = tmp_path / "mountinfo"
    file.write_text(f"{ROOT}\n{NFS.format(other)}\n")
    assert remote_file_system(str(storage), file) == "nfs4"


def test_this_machine(tmp_path: Path) -> None:
    with missing_part_skips(), tmpfs(tmp_path / "mounted") as place:
        assert remote_file_system(str(place)) is None
    assert remote_file_system("/proc") == "proc"
