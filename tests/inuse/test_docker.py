"""A real docker engine: its containers, running or not, whose tags moved on or whose images were built here."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.inuse.conftest import RunContainer

from jettison.errors import InUseError
from jettison.inuse.docker import DockerEngineSource, EngineTls
from jettison.testing.docker_engine import DockerEngine
from jettison.testing.images import push
from jettison.testing.network import LOOPBACK, free_port
from jettison.testing.registry_server import RegistryServer
from jettison.testing.runnable import sleeping_image
from jettison.testing.tls import TlsFiles

APP = "team/app"


def told(engine: DockerEngine) -> set[tuple[str, str]]:
    """What the engine tells, without containers of other tests."""
    return {
        (str(image.name), image.where.removesuffix(f" on {engine.url}"))
        for image in DockerEngineSource(engine.url).ask()
        if "in-use-" in image.where
    }


def test_running_and_stopped_containers_by_tag_and_digest(
    docker_engine: DockerEngine, registry_28: RegistryServer, run_container: RunContainer
) -> None:
    one, two = sleeping_image("one"), sleeping_image("two")
    names = {}
    for tag, built in (("1", one), ("2", two)):
        push(registry_28.url, APP, built, tag)
        names[tag] = f"{registry_28.host}/{APP}:{tag}"
        docker_engine.client.images.pull(f"{registry_28.host}/{APP}", tag=tag)
    running = run_container(names["1"], name="in-use-web")
    running.reload()
    assert running.status == "running"
    run_container(names["2"], name="in-use-stopped", start=False)
    assert told(docker_engine) == {
        (names["1"], "container in-use-web"),
        (f"{registry_28.host}/{APP}@{one.digest}", "container in-use-web"),
        (names["2"], "container in-use-stopped"),
        (f"{registry_28.host}/{APP}@{two.digest}", "container in-use-stopped"),
    }


def test_a_container_whose_tag_moved_on_keeps_its_digest(
    docker_engine: DockerEngine, registry_28: RegistryServer, run_container: RunContainer
) -> None:
    repository = f"{registry_28.host}/{APP}"
    old = sleeping_image("old")
    push(registry_28.url, APP, old, "latest")
    docker_engine.client.images.pull(repository, tag="latest")
    run_container(f"{repository}:latest", name="in-use-old")
    push(registry_28.url, APP, sleeping_image("new"), "latest")
    docker_engine.client.images.pull(repository, tag="latest")
    (shown,) = [each for each in docker_engine.client.api.containers(all=True) if each["Names"] == ["/in-use-old"]]
    assert repository not in shown["Image"], "the engine shows the image's id once its tag moved on"
    assert told(docker_engine) == {
        (f"{repository}:latest", "container in-use-old"),
        (f"{repository}@{old.digest}", "container in-use-old"),
    }


def test_an_image_built_here_is_known_by_its_name_alone(
    docker_engine: DockerEngine, registry_28: RegistryServer, run_container: RunContainer
) -> None:
    repository = f"{registry_28.host}/{APP}"
    push(registry_28.url, APP, sleeping_image("base"), "base")
    docker_engine.client.images.pull(repository, tag="base")
    container = run_container(f"{repository}:base", name="in-use-base", start=False)
    built = container.commit("built-here", "1")
    run_container(str(built.id), name="in-use-by-id", start=False)
    run_container("built-here:1", name="in-use-by-name", start=False)
    found = told(docker_engine)
    assert ("docker.io/library/built-here:1", "container in-use-by-name") in found
    assert not [name for name, where in found if where == "container in-use-by-id"]


def test_a_container_whose_image_was_removed_keeps_its_name(
    docker_engine: DockerEngine, registry_28: RegistryServer, run_container: RunContainer
) -> None:
    name = f"{registry_28.host}/{APP}:1"
    push(registry_28.url, APP, sleeping_image("removed"), "1")
    image = docker_engine.client.images.pull(f"{registry_28.host}/{APP}", tag="1")
    run_container(name, name="in-use-removed", start=False)
    docker_engine.client.images.remove(str(image.id), force=True)
    assert (name, "container in-use-removed") in told(docker_engine)


def test_the_default_engine_is_the_one_that_the_environment_names(
    docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.url)
    assert isinstance(DockerEngineSource().ask(), list)


def test_services_of_a_swarm_with_what_they_would_be_rolled_back_to(
    docker_engine: DockerEngine,
) -> None:
    api: Any = docker_engine.client.api
    api.init_swarm(advertise_addr=LOOPBACK, listen_addr=f"{LOOPBACK}:{free_port()}")
    try:
        from docker.types import ContainerSpec, TaskTemplate

        service = api.create_service(TaskTemplate(ContainerSpec("registry.example/app:1")), name="in-use-shop")
        before = api.inspect_service(service["ID"])
        api.update_service(
            service["ID"],
            before["Version"]["Index"],
            TaskTemplate(ContainerSpec("registry.example/app:2")),
            name="in-use-shop",
        )
        assert told(docker_engine) == {
            ("registry.example/app:2", "service in-use-shop"),
            ("registry.example/app:1", "service in-use-shop (before its last update)"),
        }
    finally:
        api.leave_swarm(force=True)


def test_an_engine_that_does_not_answer_is_an_error(tmp_path: Path, tls_files: TlsFiles) -> None:
    for address in (f"unix://{tmp_path}/none.sock", f"tcp://{LOOPBACK}:{free_port()}", "nonsense://x"):
        with pytest.raises(InUseError, match="could not be asked"):
            DockerEngineSource(address).ask()
    tls = EngineTls(tls_files.ca, tmp_path / "missing.pem", tmp_path / "missing.key")
    with pytest.raises(InUseError, match="could not be asked"):
        DockerEngineSource(f"tcp://{LOOPBACK}:{free_port()}", tls).ask()


def test_a_server_that_is_no_engine_is_an_error(registry_28: RegistryServer) -> None:
    with pytest.raises(InUseError, match="could not be asked"):
        DockerEngineSource(f"tcp://{registry_28.host}").ask()


class TlsProxy(socketserver.BaseRequestHandler):
    """Passes on what clients with a certificate of ours say to the engine's socket."""

    context: ssl.SSLContext
    engine: str

    def handle(self) -> None:
        try:
            client = self.context.wrap_socket(self.request, server_side=True)
        except ssl.SSLError:
            return
        with client, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self.engine)
            while request := client.recv(65536):
                engine.sendall(request)
                engine.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    while answer := engine.recv(65536):
                        client.sendall(answer)


@pytest.fixture
def tls_address(docker_engine: DockerEngine, tls_files: TlsFiles) -> Iterator[str]:
    TlsProxy.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls_files.ca))
    TlsProxy.context.verify_mode = ssl.CERT_REQUIRED
    TlsProxy.context.load_cert_chain(tls_files.certificate, tls_files.key)
    TlsProxy.engine = docker_engine.url.removeprefix("unix://")
    with socketserver.ThreadingTCPServer((LOOPBACK, free_port()), TlsProxy) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"tcp://localhost:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_an_engine_behind_tls_is_asked_with_our_certificate(tls_address: str, tls_files: TlsFiles) -> None:
    tls = EngineTls(tls_files.ca, tls_files.client_certificate, tls_files.client_key)
    assert isinstance(DockerEngineSource(tls_address, tls).ask(), list)
    with pytest.raises(InUseError, match="could not be asked"):
        DockerEngineSource(tls_address, EngineTls(tls_files.ca)).ask()
