"""The probe: what counts as a registry that answers, and as one that is read-only."""

from pathlib import Path

import pytest
from tests.conftest import MakeRegistry
from tests.control.judges import ask

from jettison.control.probe import Probe
from jettison.errors import ControlError
from jettison.testing.htpasswd import Htpasswd
from jettison.testing.network import free_port
from jettison.testing.registry_server import RegistryServer
from jettison.testing.tls import TlsFiles


def test_a_running_and_a_stopped_server(registry: RegistryServer) -> None:
    probe = Probe(registry.url)
    assert (probe.status(), probe.serves(), probe.says_read_only()) == (200, True, False)
    assert ask(registry.url, "GET", "/v2/_catalog")[1] == b'{"repositories":[]}\n'
    registry.stop()
    assert (probe.status(), probe.serves()) == (None, False)
    with pytest.raises(ControlError, match=r"does not answer 0 s after.*; look at its log"):
        probe.wait_until_serving(limit_seconds=0.2, hint="look at its log")


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_a_read_only_server(version: str, make_registry: MakeRegistry) -> None:
    server = make_registry(version, readonly=True)
    assert Probe(server.url).says_read_only()


def test_one_that_wants_credentials_serves_and_says_nothing(make_registry: MakeRegistry, tmp_path: Path) -> None:
    server = make_registry("2.8", readonly=True, auth=Htpasswd(tmp_path / "htpasswd"))
    probe = Probe(server.url)
    assert (probe.status(), probe.serves(), probe.says_read_only()) == (401, True, False)


@pytest.mark.parametrize("certificate", [True, False])
def test_one_with_tls_serves_whatever_its_certificate(
    certificate: bool, make_registry: MakeRegistry, tls_files: TlsFiles
) -> None:
    server = make_registry("3.1", tls=tls_files, require_client_certificate=certificate)
    assert Probe(server.url).serves()
    server.stop()
    assert not Probe(server.url).serves()


def test_a_prefix_in_the_url(make_registry: MakeRegistry) -> None:
    server = make_registry("2.8", extra={"http": {"prefix": "/registry/"}})
    assert Probe(f"{server.url}/registry").serves()
    assert not Probe(server.url).serves()


@pytest.mark.parametrize("url", ["127.0.0.1:5000", "ftp://127.0.0.1", "http://"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ControlError, match="no http or https URL"):
        Probe(url)


def test_nobody_listens() -> None:
    assert not Probe(f"http://127.0.0.1:{free_port()}").serves()
