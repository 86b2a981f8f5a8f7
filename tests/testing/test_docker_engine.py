"""Registries in containers of a real docker engine."""

import functools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jettison.testing.docker_engine import DockerEngine, RegistryContainer
from jettison.testing.images import image, pull, push
from jettison.testing.network import free_port
from jettison.testing.programs import RegistryVersion
from jettison.testing.registry_image import loopback_config
from jettison.testing.registry_server import ServerStartError

VERSIONS = pytest.mark.parametrize("version", ["2.8", "3.1"])


@pytest.fixture
def remove() -> Iterator[list[RegistryContainer]]:
    containers: list[RegistryContainer] = []
    yield containers
    for container in containers:
        container.remove()


@VERSIONS
def test_a_registry_in_a_container(
    docker_engine: DockerEngine, version: RegistryVersion, remove: list[RegistryContainer]
) -> None:
    running = docker_engine.run_registry(f"registry-{version}", version)
    remove.append(running)
    push(running.url, "team/app", image(), "1.0")
    pull(running.url, "team/app", "1.0")
    details = docker_engine.client.api.inspect_container(running.id)
    assert details["HostConfig"]["NetworkMode"] == "host"
    assert details["Config"]["Entrypoint"] == ["/entrypoint.sh"]
    assert details["Config"]["Cmd"] == [running.config_path]
    assert [mount["Destination"] for mount in details["Mounts"]] == ["/var/lib/registry"]

    status, text = running.exec("cat", running.config_path)
    assert (status, text) == (0, loopback_config(running.port))
    status, text = running.exec("registry", "garbage-collect", "--dry-run", running.config_path)
    assert status == 0
    assert "team/app" in text
    assert running.exec("pidof", "registry") == (0, "1\n")
    assert running.exec("sh", "-c", "exit 7")[0] == 7

    before = running.started_at
    running.restart()
    assert running.started_at != before
    pull(running.url, "team/app", "1.0")


def test_configuration_environment_and_volumes(
    docker_engine: DockerEngine, tmp_path: Path, remove: list[RegistryContainer]
) -> None:
    port = free_port()
    config = tmp_path / "config.yml"
    config.write_text(loopback_config(port, extra_storage="  delete: {enabled: true}\n"))
    running = docker_engine.run_registry(
        "mounted", port=port, config_file=config, volume=tmp_path / "data", environment={"REGISTRY_LOG_LEVEL": "debug"}
    )
    remove.append(running)
    push(running.url, "app", image(), "1")
    assert (tmp_path / "data/docker/registry/v2/repositories/app").is_dir()
    assert running.exec("cat", running.config_path)[1] == config.read_text()
    assert "level=debug" in running.log()


def test_a_restart_policy_brings_a_killed_registry_back(
    docker_engine: DockerEngine, remove: list[RegistryContainer]
) -> None:
    running = docker_engine.run_registry("always", restart_policy="always")
    remove.append(running)
    push(running.url, "app", image(), "1")
    before = running.started_at
    os.kill(docker_engine.client.api.inspect_container(running.id)["State"]["Pid"], 9)
    running.wait_until(lambda: running.started_at != before)
    running.wait()
    pull(running.url, "app", "1")


def test_a_registry_that_does_not_start_says_why(docker_engine: DockerEngine, remove: list[RegistryContainer]) -> None:
    with pytest.raises(ServerStartError, match="nosuchdriver"):
        docker_engine.run_registry("broken", port=1, config="version: 0.1\nstorage: {nosuchdriver: {}}\n")
    docker_engine.client.containers.get("broken").remove(force=True, v=True)
    assert remove == []


def test_it_leaves_nothing_behind(docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    # A second engine beside the first, so that the session's one goes on; its folder has a name that a random one may
    # have, and that containerd does not take.
    random_name = functools.partial(tempfile.mkdtemp, suffix="_", prefix="jt-_")
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **options: random_name(dir=options["dir"]))
    with DockerEngine() as engine:
        folder = Path(engine.url.removeprefix("unix://")).parent
        assert folder != Path(docker_engine.url.removeprefix("unix://")).parent
        engine.run_registry("left", "2.8")
        assert [one.name for one in engine.client.containers.list()] == ["left"]
        assert "left" not in [one.name for one in docker_engine.client.containers.list()]
    assert not folder.exists()
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()
    processes = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(folder).encode() in _read(path)]
    assert processes == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process ended meanwhile
        return b""
