"""How this machine reaches a second port of a server: its metrics."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest
from tests.control.conftest import Control, RunRegistry

from jettison.app.serving import server_facts
from jettison.control.docker_engine import ContainerRegistry
from jettison.control.local_file import LocalFileRegistry
from jettison.testing.network import LOOPBACK, free_port
from jettison.testing.programs import REGISTRY_VERSIONS

BRIDGED = {
    "HostConfig": {"NetworkMode": "bridge"},
    "NetworkSettings": {"Ports": {}, "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
}


def published(host: str) -> dict[str, Any]:
    ports = {"5001/tcp": [{"HostIp": host, "HostPort": "32001"}], "5000/tcp": None}
    return BRIDGED | {"NetworkSettings": {"Ports": ports, "Networks": {"bridge": {"IPAddress": "172.17.0.2"}}}}


@pytest.mark.parametrize(
    ("attributes", "host", "expected"),
    [
        (BRIDGED, "", "172.17.0.2:5001"),
        (BRIDGED, "0.0.0.0", "172.17.0.2:5001"),
        # Only the container itself gets there.
        (BRIDGED, "127.0.0.1", None),
        (BRIDGED, "localhost", None),
        (BRIDGED, "[::1]", None),
        (published("0.0.0.0"), "", "127.0.0.1:32001"),
        (published("127.0.0.1"), "", "127.0.0.1:32001"),
        (published("::"), "", "127.0.0.1:32001"),
        (published("10.1.2.3"), "", "10.1.2.3:32001"),
        (published("fd00::1"), "", "[fd00::1]:32001"),
        (published("0.0.0.0"), "127.0.0.1", None),
        ({"HostConfig": {"NetworkMode": "host"}}, "", "127.0.0.1:5001"),
        ({"HostConfig": {"NetworkMode": "host"}}, "localhost", "localhost:5001"),
        ({"HostConfig": {"NetworkMode": "host"}}, "[::1]", "[::1]:5001"),
        # The network of another container, which is not looked at.
        ({"HostConfig": {"NetworkMode": "container:1"}, "NetworkSettings": {"Networks": {}}}, "", None),
        ({}, "", None),
    ],
)
def test_a_container(attributes: dict[str, Any], host: str, expected: str | None) -> None:
    container: Any = SimpleNamespace(attrs=attributes, name="registry", reload=lambda: None)
    assert ContainerRegistry(container, url=None).reached(host, 5001) == expected


def test_a_server_of_this_machine(tmp_path: Path) -> None:
    assert LocalFileRegistry(str(tmp_path)).reached("", 5001) == "127.0.0.1:5001"
    assert LocalFileRegistry(str(tmp_path)).reached("192.0.2.1", 5001) == "192.0.2.1:5001"


@pytest.mark.parametrize("version", REGISTRY_VERSIONS)
def test_a_real_container_leads_to_its_metrics(version: str, run_registry: RunRegistry, control: Control) -> None:
    environment = {
        "REGISTRY_HTTP_DEBUG_ADDR": f"{LOOPBACK}:{free_port()}",
        "REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED": "true",
    }
    running = control(run_registry(version, environment=environment))
    metrics = server_facts(running, is_here=True).metrics
    assert metrics is not None
    with urlopen(metrics) as answer:
        assert b"registry_http_in_flight_requests" in answer.read()
    assert server_facts(running, is_here=False).metrics is None
