"""One run per registry: played with real processes."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jettison.errors import HistoryError, LockedError
from jettison.history.lock import Holder, held_message, registry_lock

REGISTRY = "https://registry.example:5000"
HOLDER = """
import subprocess, sys, time
from pathlib import Path
from jettison.history.lock import registry_lock
with registry_lock(Path(sys.argv[1]), sys.argv[2], "run"):
    # A program that outlives the run, as a guardian does, must not keep the lock.
    child = subprocess.Popen(["sleep", "60"], close_fds=False) if "child" in sys.argv else None
    print(child.pid if child else "held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held(folder: Path, registry: str = REGISTRY, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder, registry, *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


def test_a_second_run_is_told_who_holds_the_registry(tmp_path: Path) -> None:
    with held(tmp_path) as (process, _):
        with pytest.raises(LockedError) as raised, registry_lock(tmp_path, "HTTPS://Registry.example:5000/", "gc"):
            pytest.fail("two runs at once")
        said = str(raised.value)
        assert said.startswith(f"registry {REGISTRY} is held by `jettison run` (process {process.pid} of user ")
        assert " on host " in said
        assert "seconds ago" in said
        with registry_lock(tmp_path, "https://registry.example:5001", "gc"):
            pass  # another registry


def test_a_run_that_ended_holds_nothing(tmp_path: Path) -> None:
    with held(tmp_path) as (process, _):
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(30) == 0
        with registry_lock(tmp_path, REGISTRY, "gc"):
            pass


def test_a_killed_run_holds_nothing(tmp_path: Path) -> None:
    with held(tmp_path, REGISTRY, "child") as (process, child):
        try:
            process.send_signal(signal.SIGKILL)
            process.wait()
            with registry_lock(tmp_path, REGISTRY, "gc"):
                (file,) = (tmp_path / "locks").iterdir()
                holder = Holder.parse(file.read_bytes())
                assert holder is not None
                assert (holder.command, holder.pid) == ("gc", os.getpid())
        finally:
            os.kill(int(child), signal.SIGKILL)


def test_one_process_cannot_hold_a_registry_twice(tmp_path: Path) -> None:
    with registry_lock(tmp_path, REGISTRY, "run"):
        with pytest.raises(LockedError), registry_lock(tmp_path, REGISTRY, "gc"):
            pytest.fail("two runs at once")
        with pytest.raises(LockedError), registry_lock(tmp_path, REGISTRY, "gc"):
            pytest.fail("the failed try must not let go of the lock")


def test_an_error_in_the_run_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), registry_lock(tmp_path, REGISTRY, "run"):
        raise ZeroDivisionError
    with registry_lock(tmp_path, REGISTRY, "run"):
        pass


def test_the_file_is_private_and_holds_no_password(tmp_path: Path) -> None:
    with registry_lock(tmp_path / "state", "https://ci:hunter2@registry.example", "run"):
        (file,) = (tmp_path / "state" / "locks").iterdir()
        assert b"hunter2" not in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_folder_that_takes_no_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(HistoryError, match=f"{tmp_path}/file/locks/.*XDG_STATE_HOME"),
        registry_lock(tmp_path / "file", REGISTRY, "run"),
    ):
        pytest.fail("held without a file")


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"{}", b'{"since": 1}', b'{"since": "2026-11-24T02:00:03"}', b"\xff"]
)
def test_a_holder_that_cannot_be_read_is_still_a_holder(tmp_path: Path, text: bytes) -> None:
    assert Holder.parse(text) is None
    with registry_lock(tmp_path, REGISTRY, "run"):
        (file,) = (tmp_path / "locks").iterdir()
        file.write_bytes(text)
        with pytest.raises(LockedError, match="held by another run"), registry_lock(tmp_path, REGISTRY, "gc"):
            pytest.fail("two runs at once")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (4 * 60 + 3, "4 minutes ago"),
        (1, "1 second ago"),
        (-5, "0 seconds ago"),
        (7200, "2 hours ago"),
        (86400 * 3, "3 days ago"),
    ],
)
def test_the_message_says_since_when(after: int, said: str) -> None:
    since = datetime(2026, 11, 24, 2, 0, 3, tzinfo=UTC)
    holder = Holder(REGISTRY, "run", 123, "ci", "h", since)
    assert Holder.parse(holder.text()) == holder
    message = held_message(REGISTRY, holder, since + timedelta(seconds=after))
    assert f"registry {REGISTRY} is held by `jettison run` (process 123 of user ci on host h) since " in message
    assert f"{since.astimezone():%H:%M:%S}, {said}; wait for it" in message
    assert ("2026-11-2" in message) == (after > 86400)
