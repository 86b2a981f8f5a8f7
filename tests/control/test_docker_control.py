"""Status, configuration edits and restart of real registries in a real docker engine."""

from pathlib import Path

import pytest
from tests.control.conftest import Control, RunRegistry
from tests.control.judges import deletes

from jettison.control import docker_engine as module
from jettison.control import enable_delete
from jettison.control.config_edit import with_readonly
from jettison.control.docker_engine import ContainerRegistry
from jettison.control.enable_delete import plan_enable_delete
from jettison.control.probe import Probe
from jettison.control.status import read_status
from jettison.control.target import DockerTarget, connect, parse_target
from jettison.errors import ControlError
from jettison.testing.docker_engine import DockerEngine
from jettison.testing.network import free_port
from jettison.testing.programs import REGISTRY_VERSIONS
from jettison.testing.registry_image import CONFIG_PATH, loopback_config

versions = pytest.mark.parametrize("version", REGISTRY_VERSIONS)
OFF = {"REGISTRY_STORAGE_DELETE_ENABLED": "false"}
ON = {"REGISTRY_STORAGE_DELETE_ENABLED": "true"}


@versions
def test_status(version: str, run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry(version, environment={**ON, "REGISTRY_HTTP_SECRET": "hidden-word"})
    status = read_status(control(registry))
    assert status.version is not None
    assert status.version.startswith(version)
    assert status.config_path == registry.config_path
    found = status.configuration
    assert (found.delete_enabled, found.readonly, found.cache) == (True, False, "inmemory")
    assert (found.driver, found.root_directory, found.port) == ("filesystem", "/var/lib/registry", registry.port)
    assert str(status.origins["delete_enabled"]) == "REGISTRY_STORAGE_DELETE_ENABLED"
    assert str(status.origins["cache"]) == "file"
    assert not status.frozen
    assert status.problems == ()
    assert status.started_at is not None
    assert "hidden-word" not in repr(status)


@versions
def test_enable_delete_in_the_containers_own_layer(version: str, run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry(version)
    running = control(registry)
    assert not deletes(registry.url)
    edit = plan_enable_delete(running)
    assert edit.changes
    assert "+    enabled: true" in edit.difference
    assert not edit.survives
    assert f"docker run -d --name {registry.name} -e REGISTRY_STORAGE_DELETE_ENABLED=true" in edit.advice
    assert 'REGISTRY_STORAGE_DELETE_ENABLED: "true"' in edit.advice

    copy = enable_delete.apply(running, edit)
    assert copy is not None
    assert registry.exec("cat", copy) == (0, edit.old)
    assert registry.exec("cat", edit.path) == (0, edit.new)
    assert any("changed after the server was started" in problem for problem in read_status(running).problems)
    running.restart()
    assert deletes(registry.url)
    assert read_status(running).problems == ()

    again = plan_enable_delete(running)
    assert again.already_enabled
    assert not again.changes
    assert enable_delete.apply(running, again) is None


@versions
def test_enable_delete_in_a_mounted_file(
    version: str, run_registry: RunRegistry, control: Control, tmp_path: Path
) -> None:
    port = free_port()
    file = tmp_path / "config.yml"
    file.write_text(loopback_config(port))
    file.chmod(0o640)
    inode = file.stat().st_ino
    registry = run_registry(version, port=port, config_file=file)
    running = control(registry)
    edit = plan_enable_delete(running)
    assert edit.survives
    assert edit.advice == ""
    copy = enable_delete.apply(running, edit)
    assert copy is not None
    assert Path(copy).read_text() == edit.old
    # The mount holds the inode: another file under this name would not be seen in the container.
    assert (file.stat().st_ino, file.stat().st_mode & 0o777) == (inode, 0o640)
    assert file.read_text() == edit.new
    running.restart()
    assert deletes(registry.url)


def test_a_mounted_file_of_an_engine_elsewhere_is_written_inside_the_container(
    run_registry: RunRegistry, control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    file = tmp_path / "config.yml"
    file.write_text(loopback_config(port))
    registry = run_registry("2.8", port=port, config_file=file)
    monkeypatch.setattr(module, "_path_here", lambda *_: None)
    running = control(registry)
    edit = plan_enable_delete(running)
    copy = enable_delete.apply(running, edit)
    assert file.read_text() == edit.new
    assert registry.exec("cat", str(copy)) == (0, edit.old)
    running.restart()
    assert deletes(registry.url)


@pytest.mark.parametrize("here", [True, False])
def test_a_folder_that_is_mounted_read_only(
    here: bool, docker_engine: DockerEngine, control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yml"
    file.write_text(loopback_config(free_port()))
    container = docker_engine.client.containers.run(
        docker_engine.registry_image("2.8"),
        detach=True,
        network_mode="host",
        volumes=[f"{tmp_path}:/etc/docker/registry:ro"],
    )
    try:
        running = ContainerRegistry(container, url=None, base_url=docker_engine.url)
        edit = plan_enable_delete(running)
        if here:
            enable_delete.apply(running, edit)
            assert file.read_text() == edit.new
        else:
            monkeypatch.setattr(module, "_path_here", lambda *_: None)
            with pytest.raises(ControlError, match=f"mounted read-only.*{tmp_path}"):
                enable_delete.apply(running, edit)
            assert file.read_text() == edit.old
    finally:
        container.remove(force=True, v=True)


def test_the_environment_turns_it_off(run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry("2.8", environment=OFF, labels={"com.docker.compose.service": "the-registry"})
    running = control(registry)
    edit = plan_enable_delete(running)
    assert not edit.changes
    assert not edit.already_enabled
    assert "REGISTRY_STORAGE_DELETE_ENABLED in the server's environment" in edit.advice
    assert "  the-registry:" in edit.advice
    assert enable_delete.apply(running, edit) is None


def test_the_environment_turns_it_on(run_registry: RunRegistry, control: Control) -> None:
    edit = plan_enable_delete(control(run_registry("3.1", environment=ON)))
    assert edit.already_enabled
    assert edit.survives
    assert edit.advice == ""


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(run_registry: RunRegistry, control: Control) -> None:
    running = control(run_registry("2.8"))
    edit = plan_enable_delete(running)
    running.write_config(with_readonly(edit.old))
    with pytest.raises(ControlError, match="changed since"):
        enable_delete.apply(running, edit)
    assert running.read_config().text == with_readonly(edit.old)


def test_a_container_that_does_not_run_can_be_read_and_changed(run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry("3.1")
    registry.stop()
    running = control(registry)
    status = read_status(running)
    assert (status.version, status.started_at, status.frozen) == (None, None, False)
    enable_delete.apply(running, plan_enable_delete(running))
    running.restart()
    assert deletes(registry.url)


def test_a_command_that_names_another_file_behind_a_link(run_registry: RunRegistry, control: Control) -> None:
    port = free_port()
    registry = run_registry("2.8", port=port, config=loopback_config(port))
    registry.exec("sh", "-c", "mv /etc/docker/registry/config.yml /etc/real.yml")
    registry.exec("sh", "-c", "/bin/busybox ln -s ../../real.yml /etc/docker/registry/config.yml")
    running = control(registry)
    assert running.read_config().path == "/etc/real.yml"
    enable_delete.apply(running, plan_enable_delete(running))
    running.restart()
    assert deletes(registry.url)


def test_restart_waits_until_it_answers(run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry("2.8")
    before = registry.started_at
    assert control(registry).restart() > 0
    assert registry.started_at != before
    assert Probe(registry.url).serves()


def test_a_server_that_does_not_come_back_is_reported(run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry("2.8")
    running = control(registry)
    running.write_config("version: 0.1\nstorage: {nonsense: {}}\n")
    probe = Probe(registry.url)
    running._probe = probe
    probe.wait_until_serving = lambda **how: Probe.wait_until_serving(probe, limit_seconds=1, hint=how["hint"])  # type: ignore[method-assign]  # a shorter limit
    with pytest.raises(ControlError, match=f"does not answer.*docker logs {registry.name}"):
        running.restart()


def test_a_frozen_server_is_noticed(run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry("2.8")
    registry.container.kill(signal="STOP")
    running = control(registry)
    status = read_status(running)
    assert status.frozen
    assert any("stopped by a signal" in problem for problem in status.problems)
    running.restart()
    assert not running.is_frozen()


@versions
def test_docker_finds_the_container_by_the_url(version: str, run_registry: RunRegistry, control: Control) -> None:
    registry, other = run_registry(version), run_registry(version)
    assert control(other)
    found = connect(parse_target("docker"), url=registry.url)
    assert found.describe().startswith(f"container {registry.name} ")


def test_docker_finds_it_by_a_port_that_the_environment_sets(run_registry: RunRegistry, control: Control) -> None:
    port = free_port()
    registry = run_registry("2.8", port=port, config=loopback_config(1), environment={"REGISTRY_HTTP_ADDR": f":{port}"})
    assert control(registry)
    found = connect(DockerTarget(), url=f"http://localhost:{port}")
    assert found.describe().startswith(f"container {registry.name} ")


def test_no_container_serves_the_url(run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry("2.8")
    assert control(registry)
    with pytest.raises(ControlError, match=f"no container serves port .*docker:{registry.name}"):
        connect(DockerTarget(), url=f"http://127.0.0.1:{free_port()}")


def test_several_containers_serve_the_url(
    docker_engine: DockerEngine, run_registry: RunRegistry, control: Control
) -> None:
    registry = run_registry("2.8", name="one-of-two")
    assert control(registry)
    # The port cannot be bound twice, but a second container can be configured for it while its server still starts.
    second = run_registry("2.8", name="two-of-two")
    second.container.put_archive(*_config_for(registry.port))
    with pytest.raises(
        ControlError, match=r"several .*docker:one-of-two, docker:two-of-two|docker:two-of-two, docker:one-of-two"
    ):
        connect(DockerTarget(), url=registry.url)


def test_a_url_of_another_machine_is_not_looked_for_here(run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry("2.8")
    assert control(registry)
    with pytest.raises(ControlError, match="not on the machine of the docker engine"):
        connect(DockerTarget(), url=f"http://192.0.2.1:{registry.port}")


def test_a_wrong_name_shows_the_right_one(run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry("2.8", name="team-registry")
    assert control(registry)
    with pytest.raises(ControlError, match="no container team-registri; did you mean team-registry"):
        connect(DockerTarget("team-registri"), url=registry.url)


def test_an_engine_that_does_not_answer() -> None:
    with pytest.raises(ControlError, match=r"is the engine running.*DOCKER_HOST.*no-docker-engine"):
        connect(DockerTarget("registry"), url="http://127.0.0.1:1")


def test_a_container_without_a_registry(docker_engine: DockerEngine) -> None:
    container = docker_engine.client.containers.run(
        docker_engine.registry_image("2.8"),
        ["sh", "-c", "/bin/busybox sleep 1000"],
        detach=True,
        network_mode="host",
    )
    try:
        running = ContainerRegistry(container, url=None, base_url=docker_engine.url)
        with pytest.raises(ControlError, match="runs no registry server"), running.hold():
            pytest.fail("held a container that runs no registry")
    finally:
        container.remove(force=True, v=True)


def _config_for(port: int) -> tuple[str, bytes]:
    from jettison.testing.registry_image import one_file_tar

    folder, _, name = CONFIG_PATH["2.8"].rpartition("/")
    return folder, one_file_tar(name, loopback_config(port).encode())
