"""What commands print arrives whole."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jettison.testing.images import image
from jettison.testing.storage_tree import StorageTree


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Return a command that prints more than a pipe takes."""
    tree = StorageTree(tmp_path / "registry")
    for number in range(400):
        tree.add("app", image([b"layer"], seed=number), [f"1.{number}"])
    options = ["--storage", str(tmp_path / "registry"), "--offline", "--keep", "1", "--json", "--max-deletions", "100%"]
    return [sys.executable, "-u", "-m", "jettison", "plan", *options, "--history", str(tmp_path / "history.db")]


def test_nothing_is_lost_when_a_write_is_interrupted(command: list[str]) -> None:
    """As Ctrl-Z and `docker pause` do it, where Python was told not to buffer."""
    whole = subprocess.run(command, capture_output=True, check=True).stdout
    assert len(whole) > 1 << 16

    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        begun = process.stdout.read(10)
        _wait_until_asleep(process.pid)
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        os.kill(process.pid, signal.SIGCONT)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert len(begun + rest) == len(whole)


def _wait_until_asleep(process: int) -> None:
    """Wait until a process has written what the pipe takes, and waits for its reader."""
    asleep, before = 0, [""]
    while asleep < 10:
        state, *times = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        assert state not in "ZX"
        used = times[10:12]
        asleep = asleep + 1 if state == "S" and used == before else 0
        before = used
        time.sleep(0.02)


def test_a_reader_that_goes_away_is_no_error_to_tell(command: list[str]) -> None:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
