"""TLS: an own authority, a certificate that is not trusted, a client certificate, and addresses of the wrong kind."""

from pathlib import Path

import pytest
from tests.conftest import MakeRegistry

from jettison.errors import ConfigurationError, RegistryError, UnreachableError, UntrustedError
from jettison.registry.client import RegistryClient
from jettison.registry.settings import Limits, TlsSettings
from jettison.testing.faults import answer, redirect
from jettison.testing.faulty import FaultyServer
from jettison.testing.registry_server import RegistryServer
from jettison.testing.tls import TlsFiles

FAST = Limits(backoff=0, retries=1)


@pytest.mark.parametrize("version", ["2.8", "3.1"])
async def test_own_authority(make_registry: MakeRegistry, tls_files: TlsFiles, version: str) -> None:
    registry = make_registry(version, tls=tls_files)
    async with RegistryClient(registry.url, tls=TlsSettings(ca_file=tls_files.ca), limits=FAST) as client:
        await client.ping()
    async with RegistryClient(registry.url, limits=FAST) as client:
        with pytest.raises(UntrustedError, match=r"not trusted.*--ca-file or `tls: \{ca_file: "):
            await client.ping()


async def test_a_certificate_for_another_name(make_registry: MakeRegistry, tls_files: TlsFiles) -> None:
    registry = make_registry("2.8", tls=tls_files)
    url = f"https://127.0.0.2:{registry.port}"
    server = FaultyServer(host="127.0.0.2", tls=tls_files)
    with server:
        url = f"https://127.0.0.2:{server.port}"
        async with RegistryClient(url, tls=TlsSettings(ca_file=tls_files.ca), limits=FAST) as client:
            with pytest.raises(UntrustedError, match=r"127\.0\.0\.2.*a name that stands in it"):
                await client.ping()
        assert server.requests == ()


@pytest.mark.parametrize("version", ["2.8", "3.1"])
async def test_client_certificate(make_registry: MakeRegistry, tls_files: TlsFiles, version: str) -> None:
    registry = make_registry(version, tls=tls_files, require_client_certificate=True)
    tls = TlsSettings(tls_files.ca, tls_files.client_certificate, tls_files.client_key)
    async with RegistryClient(registry.url, tls=tls, limits=FAST) as client:
        await client.ping()
    async with RegistryClient(registry.url, tls=TlsSettings(ca_file=tls_files.ca), limits=FAST) as client:
        with pytest.raises(UntrustedError, match="client_certificate"):
            await client.ping()


async def test_the_client_certificate_is_shown_to_no_other_host(
    make_registry: MakeRegistry, tls_files: TlsFiles
) -> None:
    # The redirect leads to a server that lets nobody in without one, so an answer would prove that it was shown.
    elsewhere = make_registry("2.8", tls=tls_files, require_client_certificate=True)
    with FaultyServer(tls=tls_files) as registry:
        registry.when("GET", "/v2/.*", redirect(elsewhere.url))
        tls = TlsSettings(tls_files.ca, tls_files.client_certificate, tls_files.client_key)
        async with RegistryClient(registry.url, tls=tls, limits=FAST) as client:
            with pytest.raises(UntrustedError, match=str(elsewhere.port)):
                await client.tags("team/app")


async def test_plain_http_only_where_the_url_says_so(registry_28: RegistryServer) -> None:
    async with RegistryClient(registry_28.host, limits=FAST) as client:
        with pytest.raises(UnreachableError, match=f"does not speak TLS.*http://{registry_28.host}"):
            await client.ping()


async def test_http_to_an_https_port(make_registry: MakeRegistry, tls_files: TlsFiles) -> None:
    registry = make_registry("2.8", tls=tls_files)
    async with RegistryClient(f"http://{registry.host}", limits=FAST) as client:
        with pytest.raises(RegistryError, match="https://"):
            await client.ping()


@pytest.mark.parametrize("option", ["ca_file", "client_certificate", "client_key"])
async def test_files_that_cannot_be_used_are_named(tmp_path: Path, tls_files: TlsFiles, option: str) -> None:
    def settings(path: Path) -> TlsSettings:
        good = {"ca_file": tls_files.ca, "client_certificate": tls_files.client_certificate}
        return TlsSettings(**(good | {"client_key": tls_files.client_key, option: path}))

    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    for path in (garbage, tmp_path / "missing.pem"):
        with pytest.raises(ConfigurationError, match=f"tls: .*{path.name}"):
            async with RegistryClient("https://127.0.0.1:1", tls=settings(path)):
                pass


async def test_a_key_without_a_certificate(tls_files: TlsFiles) -> None:
    with pytest.raises(ConfigurationError, match="without a client_certificate"):
        async with RegistryClient("https://127.0.0.1:1", tls=TlsSettings(client_key=tls_files.client_key)):
            pass


async def test_https_is_never_left_for_http(tls_files: TlsFiles) -> None:
    with FaultyServer(tls=tls_files) as registry, FaultyServer() as plain:
        plain.when("GET", ".*", answer(200, b'{"tags":["1"]}'))
        registry.when("GET", "/v2/.*", redirect(plain.url))
        async with RegistryClient(registry.url, tls=TlsSettings(ca_file=tls_files.ca), limits=FAST) as client:
            with pytest.raises(RegistryError, match="from HTTPS to plain HTTP"):
                await client.tags("team/app")
        assert plain.requests == ()
