"""A run that is killed: the journal shows what it had begun and done, and that it was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jettison.history.process import ProcessIdentity, _token
from jettison.history.store import History
from jettison.oci.digest import Digest

PROGRAM = """
import sys, time
from jettison.history.store import History
from jettison.history.model import PlannedAction
from jettison.oci.digest import Digest
digests = [Digest.of(b"%d" % n) for n in range(1, 6)]
actions = [PlannedAction("delete-manifest", "team/app", digest, ("t",), "expired", "old", 7) for digest in digests]
run = History.open(sys.argv[1]).begin_run("http://registry.example", "run", actions)
steps = [lambda: run.begin(1), lambda: run.record(1, "done"), lambda: run.begin(2), lambda: run.record(2, "done"),
         lambda: run.begin(3, 4)]
for step in steps[: int(sys.argv[2])]:
    step()
print(run.id, flush=True)
time.sleep(3600)
"""


@pytest.mark.parametrize(
    ("steps", "results", "left"),
    [
        (0, {"planned": 5}, [1, 2, 3, 4, 5]),
        (1, {"begun": 1, "planned": 4}, [1, 2, 3, 4, 5]),
        (2, {"done": 1, "planned": 4}, [2, 3, 4, 5]),
        (3, {"done": 1, "begun": 1, "planned": 3}, [2, 3, 4, 5]),
        (5, {"done": 2, "begun": 2, "planned": 1}, [3, 4, 5]),
    ],
)
def test_a_killed_run_is_shown_with_what_it_had_done(
    tmp_path: Path, steps: int, results: dict[str, int], left: list[int]
) -> None:
    file = tmp_path / "history.db"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, file, str(steps)], stdout=subprocess.PIPE, text=True)
    history = History.open(file)
    try:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        assert history.run(run_id).summary.outcome == "running"
        assert history.unfinished("http://registry.example") == []
    finally:
        process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    summary = history.run(run_id).summary
    assert (summary.outcome, summary.ended, summary.exit_status, summary.pid) == ("killed", None, None, process.pid)
    assert summary.results == results
    assert summary.freed == 7 * results.get("done", 0)
    digests = [record.action.digest for record in history.unfinished("http://registry.example")]
    assert digests == [Digest.of(b"%d" % n) for n in left]
    history.close()


def test_a_zombie_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    alive = identity_of(process.pid)
    assert alive.life() == "alive"
    assert process.stdin is not None
    process.stdin.close()
    # Its exit status is not asked for yet, so its pid is still taken when its output has ended.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert alive.life() == "gone"
    process.wait()
    assert alive.life() == "gone"


def test_a_pid_that_is_used_again_is_not_the_old_process() -> None:
    current = ProcessIdentity.current()
    boot, namespace, start = current.token.split(":")
    assert current.life() == "alive"
    assert ProcessIdentity(current.host, current.pid, f"{boot}:{namespace}:{int(start) - 1}").life() == "gone"
    assert ProcessIdentity(current.host, current.pid, f"another-boot:{namespace}:{start}").life() == "gone"


def test_processes_that_cannot_be_seen_from_here_are_unknown() -> None:
    current = ProcessIdentity.current()
    boot, _, start = current.token.split(":")
    assert ProcessIdentity("another-host", current.pid, current.token).life() == "unknown"
    assert ProcessIdentity(current.host, current.pid, f"{boot}:[1]:{start}").life() == "unknown"


def identity_of(pid: int) -> ProcessIdentity:
    return ProcessIdentity(ProcessIdentity.current().host, pid, _token(pid) or "")
