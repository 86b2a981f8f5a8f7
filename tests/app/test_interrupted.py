"""Runs that are killed, stopped, or kept out by another one, as real processes in front of real servers.

The proxy holds a request, so that the process is in the middle of an action when something happens to it.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.app.cleaning import APP, assert_whole
from tests.cli.commands import Ended, end, start

from jettison.history.model import RunRecord
from jettison.history.store import History
from jettison.testing.connection import Connection
from jettison.testing.faults import Gate
from jettison.testing.faulty import Exchange, FaultyServer
from jettison.testing.images import image, index, push
from jettison.testing.registry_server import RegistryServer

AMD, ARM = image(seed="amd"), image(seed="arm", platform="linux/arm64")
BOTH = index([AMD, ARM])
OLD, NEW = image(seed="old"), image(seed="new")
ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"}


class LostGate(Gate):
    """Holds a request, and never lets the registry see it."""

    def __call__(self, exchange: Exchange) -> None:
        self.reached.set()
        while not (self.open.wait(0.02) or exchange.stopping.is_set()):
            continue
        exchange.drop()


def run_arguments(url: str) -> tuple[str, ...]:
    return ("run", url, "--keep", "1", "--delete-by", "digest", "--yes")


@contextmanager
def held(process: subprocess.Popen[str], gate: Gate) -> Iterator[None]:
    """Wait until the process is held at the gate; end it whatever the block does."""
    try:
        while not gate.reached.wait(0.05):
            assert process.poll() is None, end(process)
        yield
    finally:
        gate.open.set()
        if process.poll() is None:
            process.kill()
            process.wait()


def runs() -> list[RunRecord]:
    """Return the journals of all runs, newest first."""
    history = History.open()
    found = [history.run(each.id) for each in history.runs()]
    history.close()
    return found


def results(record: RunRecord) -> dict[str, str]:
    """Return what became of each digest; `begun` and `planned` where the journal has no end or no beginning of it."""
    return {
        str(each.action.digest): each.result or ("begun" if each.begun_at else "planned") for each in record.actions
    }


def is_there(url: str, reference: str) -> bool:
    with Connection(url) as connection:
        return connection.ask("HEAD", f"/v2/{APP}/manifests/{reference}", headers=ACCEPT).status == 200


def finished(*arguments: object) -> Ended:
    return end(start(*arguments))


@pytest.mark.parametrize("when", ["before the registry did it", "after the registry did it"])
async def test_a_killed_run_is_shown_as_such_and_the_next_one_finishes_it(registry: RegistryServer, when: str) -> None:
    """The index is gone or going, its children are left: no tag leads to them, only the history does."""
    push(registry.url, APP, BOTH, "v1")
    push(registry.url, APP, NEW, "v2")
    first_child = None
    with FaultyServer(upstream=registry.url) as proxy:
        gate = LostGate() if when.startswith("before") else Gate()
        held_at = BOTH.digest if when.startswith("before") else f"({AMD.digest}|{ARM.digest})"
        proxy.when("DELETE", f".*/manifests/{held_at}", gate, times=1)
        process = start(*run_arguments(proxy.url))
        with held(process, gate):
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            (killed,) = runs()
            assert killed.summary.outcome == "killed"
            assert killed.plan_json is not None
            told = results(killed)
            assert told[BOTH.digest] == ("begun" if when.startswith("before") else "done")
            shown = finished("history", killed.summary.id)
            assert shown.status == 0
            assert "It was killed: what it had done by then is listed" in shown.out
            if when.startswith("after"):
                first_child = next(digest for digest, result in told.items() if result == "begun")
                # When the gate opens, the registry does what it was asked though nobody waits for the answer.
        second = finished(*run_arguments(proxy.url))
        assert second.status == 0, second
        third = finished(*run_arguments(proxy.url))
    assert (third.status, "Nothing to delete." in third.out) == (0, True)
    assert not any(is_there(registry.url, digest) for digest in (BOTH.digest, AMD.digest, ARM.digest))
    if first_child is not None:
        assert set(results(runs()[1])) <= {str(AMD.digest), str(ARM.digest)}
    assert_whole(registry.url, ["v2"])


async def test_what_a_killed_run_left_stays_where_somebody_needs_it_now(registry: RegistryServer) -> None:
    push(registry.url, APP, BOTH, "v1")
    push(registry.url, APP, NEW, "v2")
    with FaultyServer(upstream=registry.url) as proxy:
        gate = Gate()
        proxy.when("DELETE", f".*/manifests/({AMD.digest}|{ARM.digest})", gate, times=1)
        process = start(*run_arguments(proxy.url))
        with held(process, gate):
            process.kill()
            process.wait()
        (killed,) = runs()
        untouched = next(each for each in (AMD, ARM) if results(killed)[each.digest] == "planned")
        push(proxy.url, APP, index([untouched, OLD]), "nightly")
        again = finished(*run_arguments(proxy.url))
    assert again.status == 0
    assert_whole(registry.url, ["v2", "nightly"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_after_the_action_under_way(registry: RegistryServer, number: signal.Signals) -> None:
    for version in range(1, 5):
        push(registry.url, APP, image(seed=version), f"v{version}")
    with FaultyServer(upstream=registry.url) as proxy:
        gate = Gate()
        proxy.when("DELETE", f".*/manifests/{image(seed=2).digest}", gate, times=1)
        process = start(*run_arguments(proxy.url))
        with held(process, gate):
            process.send_signal(number)
            assert process.stderr is not None
            first_words = process.stderr.readline()
            gate.open.set()
            told = end(process)
        assert first_words == "stopping after the action under way; once more breaks off\n"
        assert told.status == 130
        assert "Stopped as asked. Run the same command again to go on; what is done stays done." in told.out
        (stopped,) = runs()
        assert stopped.summary.outcome == "interrupted"
        assert sorted(results(stopped).values()) == ["done", "done", "planned"]
        assert_whole(registry.url, ["v3", "v4"])
        again = finished(*run_arguments(proxy.url))
    assert again.status == 0
    assert not is_there(registry.url, "v3")
    assert_whole(registry.url, ["v4"])


async def test_a_second_signal_breaks_off_and_the_journal_tells_the_truth(registry_28: RegistryServer) -> None:
    push(registry_28.url, APP, OLD, "v1")
    push(registry_28.url, APP, NEW, "v2")
    with FaultyServer(upstream=registry_28.url) as proxy:
        gate = Gate()
        proxy.when("DELETE", f".*/manifests/{OLD.digest}", gate, times=1)
        process = start(*run_arguments(proxy.url))
        with held(process, gate):
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            process.stderr.readline()
            process.send_signal(signal.SIGINT)
            told = end(process)
        assert told.status == 130
        assert "Traceback" not in told.err
        (broken,) = runs()
        assert (broken.summary.outcome, results(broken)) == ("interrupted", {str(OLD.digest): "begun"})
        again = finished(*run_arguments(proxy.url))
    assert again.status == 0
    assert not is_there(registry_28.url, OLD.digest)
    assert_whole(registry_28.url, ["v2"])


async def test_a_signal_while_planning_ends_at_once_and_deletes_nothing(registry_28: RegistryServer) -> None:
    push(registry_28.url, APP, OLD, "v1")
    push(registry_28.url, APP, NEW, "v2")
    with FaultyServer(upstream=registry_28.url) as proxy:
        gate = Gate()
        proxy.when("GET", ".*/tags/list.*", gate, times=1)
        process = start(*run_arguments(proxy.url))
        with held(process, gate):
            process.send_signal(signal.SIGINT)
            told = end(process)
        assert proxy.count("DELETE") == 0
    assert (told.status, told.message) == (130, "interrupted; nothing is under way any more")
    (interrupted,) = runs()
    assert interrupted.summary.outcome == "interrupted"
    assert_whole(registry_28.url, ["v1", "v2"])


async def test_a_plan_file_goes_on_where_it_was_interrupted(registry: RegistryServer, tmp_path: Path) -> None:
    for version in range(1, 5):
        push(registry.url, APP, image(seed=version), f"v{version}")
    file = tmp_path / "plan.json"
    with FaultyServer(upstream=registry.url) as proxy:
        made = finished("plan", proxy.url, "--keep", "1", "--delete-by", "digest", "-o", file)
        assert made.status == 0
        gate = Gate()
        proxy.when("DELETE", f".*/manifests/{image(seed=2).digest}", gate, times=1)
        process = start("apply", file, "--yes")
        with held(process, gate):
            process.kill()
            process.wait()
        again = finished("apply", file, "--yes")
    assert again.status == 0, again
    assert_whole(registry.url, ["v4"])
    assert not any(is_there(registry.url, f"v{version}") for version in range(1, 4))


async def test_a_second_run_is_told_who_holds_the_registry_and_since_when(registry_28: RegistryServer) -> None:
    push(registry_28.url, APP, OLD, "v1")
    push(registry_28.url, APP, NEW, "v2")
    with FaultyServer(upstream=registry_28.url) as proxy:
        gate = Gate()
        proxy.when("DELETE", f".*/manifests/{OLD.digest}", gate, times=1)
        process = start(*run_arguments(proxy.url))
        with held(process, gate):
            deletions = proxy.count("DELETE")
            second = finished(*run_arguments(proxy.url))
            assert second.status == 1
            assert f"registry {proxy.url} is held by `jettison run` (process {process.pid} of user" in second.message
            assert " since " in second.message
            assert " ago; wait for it to end, or stop it with Ctrl-C" in second.message
            assert proxy.count("DELETE") == deletions
            assert finished("plan", proxy.url, "--keep", "1").status == 0
            gate.open.set()
            first = end(process)
        assert first.status == 0
        assert finished(*run_arguments(proxy.url)).status == 0
    assert_whole(registry_28.url, ["v2"])


async def test_the_lock_of_a_killed_run_is_free_at_once(registry_28: RegistryServer) -> None:
    push(registry_28.url, APP, OLD, "v1")
    push(registry_28.url, APP, NEW, "v2")
    with FaultyServer(upstream=registry_28.url) as proxy:
        gate = Gate()
        proxy.when("DELETE", f".*/manifests/{OLD.digest}", gate, times=1)
        process = start(*run_arguments(proxy.url))
        with held(process, gate):
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert finished(*run_arguments(proxy.url)).status == 0
    assert_whole(registry_28.url, ["v2"])
