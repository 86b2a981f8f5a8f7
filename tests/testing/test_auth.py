"""Basic and Bearer credentials, checked by real registry servers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from jettison.oci.digest import Digest
from jettison.testing.connection import Connection
from jettison.testing.htpasswd import Htpasswd
from jettison.testing.images import image, pull, push
from jettison.testing.registry_server import RegistryServer
from jettison.testing.tls import TlsFiles
from jettison.testing.token_service import Account, TokenService

MakeRegistry = Callable[..., RegistryServer]

VERSIONS = pytest.mark.parametrize("version", ["2.8", "3.1"])


@VERSIONS
def test_basic_credentials(make_registry: MakeRegistry, tmp_path: Path, version: str) -> None:
    users = Htpasswd(tmp_path / "htpasswd")
    server = make_registry(version, auth=users)
    push(server.url, "app", image(), "1", auth=users.credentials)
    pull(server.url, "app", "1", auth=users.credentials)
    for wrong in (None, (users.user, "wrong")):
        with pytest.raises(AssertionError, match="401"):
            pull(server.url, "app", "1", auth=wrong)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TokenService]:
    accounts = {
        "all": Account("one: two"),
        "reader": Account("r", actions=frozenset({"pull"}), repositories=("team/*",), catalogue=False),
    }
    with TokenService(tmp_path / "token", accounts=accounts) as running:
        yield running


@VERSIONS
def test_tokens_grant_what_the_account_may(make_registry: MakeRegistry, service: TokenService, version: str) -> None:
    server = make_registry(version, auth=service)
    built = image()
    everything, reader = service.credentials, ("reader", "r")
    push(server.url, "team/app", built, "1", auth=everything)
    push(server.url, "other", built, "1", auth=everything)
    pull(server.url, "team/app", "1", auth=reader)
    with pytest.raises(AssertionError, match="401"):
        pull(server.url, "other", "1", auth=reader)
    with pytest.raises(AssertionError, match="401"):
        push(server.url, "team/app", image(seed=2), "2", auth=reader)
    assert _status(server, everything, "GET", "/v2/_catalog") == 200
    assert _status(server, reader, "GET", "/v2/_catalog") == 401
    service.refused.add("delete")
    assert _delete(server, everything, built.digest) == 401
    service.refused.clear()
    assert _delete(server, everything, built.digest) == 202
    assert {one.user for one in service.issued} == {"all", "reader"}
    assert any(one.granted == ("repository:team/app:delete",) for one in service.issued)


@VERSIONS
def test_a_registry_refuses_a_token_after_its_lifetime(
    make_registry: MakeRegistry, service: TokenService, version: str
) -> None:
    server = make_registry(version, auth=service)
    push(server.url, "app", image(), "1", auth=service.credentials)
    issued = len(service.issued)
    service.lifetime, service.announced_lifetime = -2, 300
    with pytest.raises(AssertionError, match="401"):
        pull(server.url, "app", "1", auth=service.credentials)
    assert len(service.issued) == issued + 1
    service.lifetime = 300
    pull(server.url, "app", "1", auth=service.credentials)


def test_wrong_credentials_and_anonymous_requests(service: TokenService) -> None:
    with Connection(service.realm) as connection:
        assert connection.ask("GET", "/token").status == 401
    with Connection(service.realm, auth=("all", "wrong")) as connection:
        assert connection.ask("GET", "/token").status == 401
    assert list(service.issued) == []
    assert service.failures == 3
    service.anonymous = Account("", actions=frozenset({"pull"}))
    with Connection(service.realm) as connection:
        assert connection.ask("GET", "/token?scope=repository:app:pull,push").status == 200
    assert service.issued[0].granted == ("repository:app:pull",)


def test_refresh_tokens(service: TokenService) -> None:
    form = {"grant_type": "password", "username": "all", "password": "one: two", "access_type": "offline"}
    first = _post(service, form)
    assert first["expires_in"] == 300
    scope = {"scope": "repository:app:pull registry:catalog:*"}
    _post(service, {"grant_type": "refresh_token", "refresh_token": str(first["refresh_token"]), **scope})
    assert service.issued[-1].granted == ("repository:app:pull", "registry:catalog:*")
    assert service.refresh_token("all") == first["refresh_token"]
    service.announced_lifetime = None
    assert "expires_in" not in _post(service, form)


def test_over_tls(tmp_path: Path, tls_files: TlsFiles, make_registry: MakeRegistry) -> None:
    with TokenService(tmp_path / "token", tls=tls_files) as service:
        assert service.realm.startswith("https://")
        server = make_registry("2.8", auth=service, tls=tls_files)
        push(server.url, "app", image(), "1", auth=service.credentials, ca=tls_files.ca)


def _post(service: TokenService, form: dict[str, str]) -> dict[str, object]:
    with Connection(service.realm) as connection:
        answer = connection.ask("POST", "/token", urlencode(form).encode())
    assert answer.status == 200
    document: dict[str, object] = json.loads(answer.body)
    return document


def _status(server: RegistryServer, auth: tuple[str, str], method: str, path: str) -> int:
    with Connection(server.url, auth=auth) as connection:
        return connection.ask(method, path).status


def _delete(server: RegistryServer, auth: tuple[str, str], digest: Digest) -> int:
    return _status(server, auth, "DELETE", f"/v2/team/app/manifests/{digest}")
