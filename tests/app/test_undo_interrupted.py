"""An undo over the API that is killed while the registry is asked, as a real process in front of real servers."""

import signal

import pytest
from tests.app.cleaning import APP
from tests.app.test_interrupted import LostGate, held, is_there, results, runs
from tests.cli.commands import end, start

from jettison.cli.main import run as command_line
from jettison.testing.faults import Gate
from jettison.testing.faulty import FaultyServer
from jettison.testing.images import image, index, pull, push
from jettison.testing.registry_server import RegistryServer

OLD = index([image(seed="amd"), image(seed="arm", platform="linux/arm64")])
NEW = image(seed="new")


@pytest.mark.parametrize("gate", [LostGate, Gate], ids=["before the registry did it", "after the registry did it"])
@pytest.mark.parametrize("what", ["child", "index", "tag"])
def test_a_killed_undo_is_finished_by_the_same_command(registry: RegistryServer, gate: type[Gate], what: str) -> None:
    push(registry.url, APP, OLD, "1.0")
    push(registry.url, APP, NEW, "2.0")
    with FaultyServer(upstream=registry.url) as proxy:
        assert command_line(["run", proxy.url, "--keep", "1", "--delete-by", "digest", "--yes"]) == 0
        reference = {"child": OLD.children[1].digest, "index": OLD.digest, "tag": "1.0"}[what]
        holding = gate()
        proxy.when("PUT", f"/v2/{APP}/manifests/{reference}", holding, times=1)
        process = start("undo", proxy.url, "--yes")
        with held(process, holding):
            process.kill()
            assert end(process).status == -signal.SIGKILL
        killed = runs()[0]
        assert (killed.summary.command, killed.summary.outcome) == ("undo", "killed")
        assert list(results(killed).values()).count("begun") <= 1

        # No tag leads to an index that lacks a platform.
        if is_there(registry.url, "1.0"):
            pull(registry.url, APP, "1.0")
        assert command_line(["undo", proxy.url, "--yes"]) == 0
        pull(registry.url, APP, "1.0")

        # The killed one may be undone by itself: what it had brought back goes again, as far as nothing needs it.
        assert command_line(["undo", killed.summary.id, "--yes"]) in {0, 4}
        pull(registry.url, APP, "2.0")
        assert command_line(["undo", proxy.url, "--yes"]) == 0
        pull(registry.url, APP, "1.0")
