"""A configuration file on this machine, by itself and as `--registry-config` names it."""

import os
from pathlib import Path

import pytest

from jettison.control import enable_delete, host_file
from jettison.control.collector import collect_with_registry
from jettison.control.enable_delete import plan_enable_delete
from jettison.control.local_file import LocalFileRegistry
from jettison.control.status import read_status
from jettison.errors import ControlError

TEXT = "version: 0.1\r\nstorage:\r\n  filesystem: {rootdirectory: /data}   # here\r\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_bytes(TEXT.encode())
    path.chmod(0o640)
    return path


def test_replaced_in_one_step_with_a_copy_beside(file: Path) -> None:
    before = file.stat()
    copy = Path(host_file.replace(str(file), TEXT + "http: {}\r\n"))
    assert file.read_bytes() == (TEXT + "http: {}\r\n").encode()
    assert copy.read_bytes() == TEXT.encode()
    assert copy.parent == file.parent
    after = file.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert sorted(path.name for path in file.parent.iterdir()) == sorted([file.name, copy.name])


def test_two_changes_have_two_copies(file: Path) -> None:
    one, other = host_file.replace(str(file), "a: 1\n"), host_file.replace(str(file), "a: 2\n")
    assert one != other
    assert Path(one).read_bytes() == TEXT.encode()


def test_written_in_place(file: Path) -> None:
    inode = file.stat().st_ino
    copy = host_file.write_in_place(str(file), "short: 1\n")
    assert (file.read_text(), file.stat().st_ino) == ("short: 1\n", inode)
    assert Path(copy).read_bytes() == TEXT.encode()


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yml"
    link.symlink_to(file)
    running = LocalFileRegistry(str(link))
    enable_delete.apply(running, plan_enable_delete(running))
    assert link.is_symlink()
    assert "enabled: true" in file.read_text()


def test_a_mount_point_that_cannot_be_renamed_over_is_written_in_place(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise OSError(16, os.strerror(16))

    monkeypatch.setattr(Path, "replace", busy)
    inode = file.stat().st_ino
    copy = Path(host_file.replace(str(file), "a: 1\n"))
    assert (file.read_text(), file.stat().st_ino) == ("a: 1\n", inode)
    assert sorted(path.name for path in file.parent.iterdir()) == sorted([file.name, copy.name])


def test_a_failed_change_leaves_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ControlError, match="No space left"):
        host_file.replace(str(file), "a: 1\n")
    assert file.read_bytes() == TEXT.encode()
    assert not list(file.parent.glob(".*"))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"nothing\.yml cannot be read"):
        host_file.read(str(tmp_path / "nothing.yml"))
    binary = tmp_path / "binary.yml"
    binary.write_bytes(b"a: \xff\n")
    with pytest.raises(ControlError, match="no UTF-8 text"):
        host_file.read(str(binary))


def test_the_file_alone_gives_status_and_edits_but_no_restart(file: Path) -> None:
    running = LocalFileRegistry(str(file))
    status = read_status(running)
    assert (status.version, status.configuration.root_directory) == (None, "/data")
    edit = plan_enable_delete(running)
    assert edit.survives
    assert edit.advice == ""
    copy = enable_delete.apply(running, edit)
    assert copy is not None
    assert Path(copy).read_bytes() == TEXT.encode()
    assert b"\r\n  delete:\r\n    enabled: true\r\n" in file.read_bytes()
    for act in (running.restart, lambda: collect_with_registry(running, status.configuration, None)):
        with pytest.raises(ControlError, match="only the registry's configuration file"):
            act()
