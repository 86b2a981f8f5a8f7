"""Files that a process has open for writing, as `ls` in a container and /proc on this machine show them."""

import subprocess
from pathlib import Path

import pytest

from jettison.control import open_files

LISTING = """\
total 0
lrwx------    1 root     root            64 Nov 24 06:00 0 -> /dev/null
l-wx------    1 root     root            64 Nov 24 06:00 1 -> pipe:[1234]
lrwx------    1 root     root            64 Nov 24 06:00 3 -> socket:[1235]
lr-x------    1 root     root            64 Nov 24 06:00 5 -> /data/docker/registry/v2/blobs/sha256/aa/aa/data
l-wx------    1 root     root            64 Nov 24 06:00 6 -> /data/docker/registry/v2/repositories/a/_uploads/u/data
l-wx------    1 root     root            64 Nov 24 06:00 7 -> /var/log/registry.log
"""
LINK = "/data/docker/registry/v2/repositories/a/_layers/sha256/aa/link"


def test_only_writes_into_the_storage_count() -> None:
    assert open_files.being_written(LISTING) == []
    assert open_files.being_written(f"{LISTING}l-wx------ 1 root root 64 Nov 24 06:00 9 -> {LINK}\n") == [LINK]
    assert open_files.being_written(f"{LISTING}lrwx------ 1 root root 64 Nov 24 06:00 9 -> {LINK}\n") == [LINK]


def test_the_files_of_a_process_of_this_machine(tmp_path: Path) -> None:
    link = tmp_path / "docker/registry/v2/repositories/a/_manifests/tags/1/current/link"
    link.parent.mkdir(parents=True)
    for mode, expected in ((">", [str(link)]), ("<", [])):
        script = f'exec 7{mode}"$1" 8>"$2"; echo open; read word'
        with subprocess.Popen(
            ["sh", "-c", script, "sh", link, tmp_path / "elsewhere"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"open\n"
            assert open_files.being_written_here(process.pid) == expected
            process.kill()


def test_a_process_that_is_gone() -> None:
    with pytest.raises(OSError, match="No such file"):
        open_files.being_written_here(2**22 + 1)
