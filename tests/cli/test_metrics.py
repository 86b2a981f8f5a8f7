"""Commands that wait for servers' requests end that early where the servers' metrics are known."""

import json
import os
import time
from pathlib import Path

import pytest
from tests.cli.commands import Command
from tests.conftest import MakeRegistry

from jettison.app import in_flight
from jettison.storage.lease import take_lease
from jettison.testing.connection import Connection
from jettison.testing.images import image, pull, push
from jettison.testing.network import LOOPBACK, free_port
from jettison.testing.programs import REGISTRY_VERSIONS
from jettison.testing.registry_server import RegistryServer

APP = "team/app"
KEPT, GONE = image(seed="kept"), image(seed="gone")
# Waiting for that long would make a test fail by its own time.
SLOW = ("--grace", "0", "--settle", "20s", "--yes", "--json")


@pytest.fixture(params=REGISTRY_VERSIONS)
def registry(request: pytest.FixtureRequest, make_registry: MakeRegistry) -> RegistryServer:
    """A server with an endpoint, an image that stays, and one that is deleted."""
    debug = {"addr": f":{free_port()}", "prometheus": {"enabled": True}}
    server = make_registry(request.param, extra={"http": {"debug": debug}})
    push(server.url, APP, KEPT, "kept")
    push(server.url, APP, GONE, "gone")
    with Connection(server.url) as connection:
        assert connection.ask("DELETE", f"/v2/{APP}/manifests/{GONE.digest}").status == 202
    return server


@pytest.fixture
def metrics(registry: RegistryServer) -> str:
    http = registry.extra["http"]
    assert isinstance(http, dict)
    return f"http://{LOOPBACK}{http['debug']['addr']}/metrics"


@pytest.fixture(autouse=True)
def old_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "_SLACK_SECONDS", -36000.0)


def long_ago(registry: RegistryServer) -> None:
    """Let the last run on the storage have ended a day ago."""
    with take_lease(str(registry.root), "a test"):
        pass
    os.utime(registry.root / "jettison/lease", (time.time() - 86400,) * 2)


@pytest.fixture
def configuration(tmp_path: Path, registry: RegistryServer, metrics: str) -> Path:
    file = tmp_path / "jettison.yaml"
    named = {"url": registry.url, "storage": str(registry.root), "metrics": [metrics]}
    file.write_text(json.dumps({"registries": {"here": named}}))
    return file


@pytest.mark.parametrize("way", ["option", "registry's configuration", "own configuration"])
def test_gc(
    way: str, command: Command, registry: RegistryServer, metrics: str, configuration: Path, tmp_path: Path
) -> None:
    where = {
        "option": [registry.url, "--storage", registry.root, "--metrics", metrics],
        "registry's configuration": [registry.url, "--registry-config", registry.config_path],
        "own configuration": ["here", "--config", configuration],
    }[way]
    long_ago(registry)
    ended = command("gc", *where, "--now", *SLOW, "--history", tmp_path / "history.db")
    assert ended.status == 0, ended.err
    collection = ended.document["collection"]
    assert collection["purged"] == 2
    assert collection["barriers"] == collection["barriers_early"] > 3
    assert collection["barriers_doubt"] is None
    pull(registry.url, APP, "kept")


def test_purge(command: Command, registry: RegistryServer, metrics: str, tmp_path: Path) -> None:
    where = (registry.url, "--storage", registry.root, "--metrics", metrics, "--history", tmp_path / "history.db")
    long_ago(registry)
    ended = command("gc", *where, *SLOW[:-1])
    assert ended.status == 0, ended.err
    assert "ended early, since the metrics showed that none was left." in ended.out
    long_ago(registry)
    ended = command("quarantine", "purge", *where, *SLOW[2:])
    assert ended.status == 0, ended.err
    assert ended.document["purged"] == 2
    assert ended.document["barriers"] == ended.document["barriers_early"] > 1


def test_doubt_is_told(command: Command, registry: RegistryServer, tmp_path: Path) -> None:
    nowhere = f"http://{LOOPBACK}:{free_port()}/metrics"
    where = (registry.url, "--storage", registry.root, "--metrics", nowhere, "--history", tmp_path / "history.db")
    ended = command("gc", *where, "--grace", "0", "--settle", "0.05s", "--now", "--yes")
    assert ended.status == 0, ended.err
    assert "Back now" in ended.out
    assert "0 ended early" in ended.out
    assert nowhere.removesuffix("/metrics") in ended.out


def test_more_endpoints_than_servers(command: Command, registry: RegistryServer, metrics: str, tmp_path: Path) -> None:
    where = (registry.url, "--storage", registry.root, *("--metrics", metrics) * 2)
    ended = command(
        "gc", *where, "--grace", "0", "--settle", "0.05s", "--yes", "--json", "--history", tmp_path / "history.db"
    )
    assert ended.status == 0, ended.err
    assert ended.document["collection"]["barriers_early"] == 0
    assert "2 metrics for 1 servers" in ended.document["collection"]["barriers_doubt"]


@pytest.mark.parametrize("url", ["http://ann:secret@127.0.0.1:5001/metrics", "ftp://127.0.0.1", "http://[::1", "?x"])
def test_an_endpoint_that_is_none(url: str, command: Command, registry: RegistryServer) -> None:
    ended = command("gc", registry.url, "--storage", registry.root, "--metrics", url, "--yes")
    assert ended.status == 2
    assert "secret" not in ended.message
