"""The registry servers that tests use are real, configured as asked and restartable."""

import http.client
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from jettison.testing.connection import Connection
from jettison.testing.images import image, pull, push
from jettison.testing.registry_server import RegistryServer, ServerStartError
from jettison.testing.tls import TlsFiles

MakeRegistry = Callable[..., RegistryServer]


def test_it_answers_and_stores_below_its_root(registry: RegistryServer) -> None:
    built = image(seed=1)
    push(registry.url, "team/app", built, "1.0")
    pull(registry.url, "team/app", "1.0")
    repositories = registry.root / "docker/registry/v2/repositories"
    assert (repositories / "team/app/_manifests/tags/1.0/current/link").read_text() == built.digest


def test_restart_and_kill_keep_the_port_and_the_images(registry: RegistryServer) -> None:
    push(registry.url, "app", image(), "1")
    port, pid = registry.port, registry.pid
    registry.restart()
    assert registry.port == port
    assert registry.pid != pid
    registry.kill()
    assert not registry.running
    with pytest.raises(OSError, match="refused"):
        pull(registry.url, "app", "1")
    registry.start()
    pull(registry.url, "app", "1")


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_delete_and_readonly_follow_the_arguments(make_registry: MakeRegistry, version: str) -> None:
    server = make_registry(version, delete=False)
    built = image()
    push(server.url, "app", built, "1")
    with Connection(server.url) as connection:
        assert connection.ask("DELETE", f"/v2/app/manifests/{built.digest}").status == 405
    server.delete = True
    server.restart()
    with Connection(server.url) as connection:
        assert connection.ask("DELETE", f"/v2/app/manifests/{built.digest}").status == 202
    server.readonly = True
    server.restart()
    with pytest.raises(AssertionError, match="405"):
        push(server.url, "app", image(seed=2), "2")


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_extra_is_merged_into_the_configuration(make_registry: MakeRegistry, version: str) -> None:
    server = make_registry(version, extra={"http": {"headers": {"X-Extra": ["yes"]}}, "storage": {"cache": None}})
    with Connection(server.url) as connection:
        answer = connection.ask("GET", "/v2/")
    assert answer.headers["x-extra"] == "yes"
    assert "cache" not in server.config_path.read_text()


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_tls_with_a_client_certificate(make_registry: MakeRegistry, tls_files: TlsFiles, version: str) -> None:
    server = make_registry(version, tls=tls_files, require_client_certificate=True)
    assert server.url.startswith("https://127.0.0.1:")
    context = ssl.create_default_context(cafile=str(tls_files.ca))
    context.load_cert_chain(tls_files.client_certificate, tls_files.client_key)
    known = http.client.HTTPSConnection("127.0.0.1", server.port, context=context)
    known.request("GET", "/v2/")
    assert known.getresponse().status == 200
    known.close()
    unknown = http.client.HTTPSConnection(
        "127.0.0.1", server.port, context=ssl.create_default_context(cafile=str(tls_files.ca))
    )
    with pytest.raises(OSError):  # noqa: PT011  # an alert or a reset, as the kernel has it
        _ask(unknown)
    unknown.close()


def _ask(connection: http.client.HTTPSConnection) -> None:
    connection.request("GET", "/v2/")
    connection.getresponse()


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_tls_without_a_client_certificate(make_registry: MakeRegistry, tls_files: TlsFiles, version: str) -> None:
    server = make_registry(version, tls=tls_files)
    push(server.url, "app", image(), "1", ca=tls_files.ca)
    pull(server.url, "app", "1", ca=tls_files.ca)
    with pytest.raises(ssl.SSLCertVerificationError):
        pull(server.url, "app", "1")


def test_a_server_that_cannot_start_says_why(registry_28: RegistryServer, tmp_path: Path) -> None:
    taken = RegistryServer("2.8", tmp_path / "second", port=registry_28.port)
    with pytest.raises(ServerStartError, match="is taken"):
        taken.start()
    assert not taken.running
    broken = RegistryServer("2.8", tmp_path / "third", extra={"storage": {"filesystem": None, "nosuchdriver": {}}})
    with pytest.raises(ServerStartError, match="nosuchdriver"):
        broken.start()
    assert not broken.running


def test_garbage_collect_removes_what_nothing_refers_to(registry: RegistryServer) -> None:
    kept, gone = image(seed="kept"), image(seed="gone")
    push(registry.url, "app", kept, "1")
    push(registry.url, "app", gone, "2")
    with Connection(registry.url) as connection:
        assert connection.ask("DELETE", f"/v2/app/manifests/{gone.digest}").status == 202
    blobs = registry.root / "docker/registry/v2/blobs/sha256"
    before = {path.name for path in blobs.glob("*/*")}
    registry.stop()
    registry.garbage_collect(dry_run=True)
    assert {path.name for path in blobs.glob("*/*")} == before
    registry.garbage_collect()
    assert before - {path.name for path in blobs.glob("*/*")} == {digest.hex for digest in gone.sizes()}
    registry.start()
    pull(registry.url, "app", "1")
