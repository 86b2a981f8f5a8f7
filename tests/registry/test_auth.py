"""Basic and Bearer authentication against real registries, a real token service, and servers that want too much."""

import asyncio
import base64
from pathlib import Path

import pytest
from tests.conftest import MakeRegistry

from jettison.errors import ContentError, UnauthorizedError
from jettison.registry.client import RegistryClient
from jettison.registry.credentials import Credentials
from jettison.registry.settings import Limits, TlsSettings
from jettison.testing.faults import Gate, answer
from jettison.testing.faulty import Exchange, FaultyServer, Response
from jettison.testing.htpasswd import Htpasswd
from jettison.testing.images import image, push
from jettison.testing.tls import TlsFiles
from jettison.testing.token_service import Account, TokenService

VERSIONS = ["2.8", "3.1"]
FAST = Limits(backoff=0, retries=2)
BEARER = 'Bearer realm="{}",service="registry"'


def credentials_of(source: Htpasswd | TokenService) -> Credentials:
    username, password = source.credentials
    return Credentials(username, password, source="from the test")


@pytest.mark.parametrize("version", VERSIONS)
async def test_basic(make_registry: MakeRegistry, tmp_path: Path, version: str) -> None:
    htpasswd = Htpasswd(tmp_path / "htpasswd")
    registry = make_registry(version, auth=htpasswd)
    digest = push(registry.url, "team/app", image(), "1", auth=htpasswd.credentials)
    async with RegistryClient(registry.url, credentials=credentials_of(htpasswd), limits=FAST) as client:
        await client.ping()
        assert [name async for name in client.repositories()] == ["team/app"]
        assert await client.delete_manifest("team/app", digest) is True


@pytest.mark.parametrize("version", VERSIONS)
async def test_wrong_and_missing_basic_credentials(make_registry: MakeRegistry, tmp_path: Path, version: str) -> None:
    registry = make_registry(version, auth=Htpasswd(tmp_path / "htpasswd"))
    wrong = Credentials("tester", "wr0ng-secret", source="from the test")
    async with RegistryClient(registry.url, credentials=wrong, limits=FAST) as client:
        with pytest.raises(UnauthorizedError, match="refuses the credentials from the test") as caught:
            await client.ping()
    assert "wr0ng" not in str(caught.value)
    async with RegistryClient(registry.url, limits=FAST) as client:
        with pytest.raises(UnauthorizedError, match=r"JETTISON_USERNAME.*docker login.*auth:"):
            await client.ping()


@pytest.mark.parametrize("version", VERSIONS)
async def test_bearer_for_several_repositories(
    make_registry: MakeRegistry, token_service: TokenService, version: str
) -> None:
    registry = make_registry(version, auth=token_service)
    for repository in ("team/a", "team/b", "team/c"):
        push(registry.url, repository, image(), "1", auth=token_service.credentials)
    before = len(token_service.issued)
    async with RegistryClient(registry.url, credentials=credentials_of(token_service), limits=FAST) as client:
        await client.ping()
        repositories = [name async for name in client.repositories()]
        assert repositories == ["team/a", "team/b", "team/c"]
        # Ten requests at once for each repository: one token for each.
        await asyncio.gather(*(client.resolve(name, "1") for name in repositories for _ in range(10)))
        digest = (await client.resolve("team/a", "1")).digest
        assert await client.delete_manifest("team/a", digest) is True
    asked = [" ".join(each.asked) for each in token_service.issued[before:]]
    assert sorted(asked) == [
        "",
        "registry:catalog:*",
        "repository:team/a:pull",
        "repository:team/a:pull,delete",
        "repository:team/b:pull",
        "repository:team/c:pull",
    ]


@pytest.mark.parametrize("version", VERSIONS)
async def test_renews_a_token_before_it_expires(
    make_registry: MakeRegistry, token_service: TokenService, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = make_registry(version, auth=token_service)
    push(registry.url, "team/app", image(), "1", auth=token_service.credentials)
    async with RegistryClient(registry.url, credentials=credentials_of(token_service), limits=FAST) as client:
        now = 1000.0
        monkeypatch.setattr(client._transport._auth, "_clock", lambda: now)
        await client.resolve("team/app", "1")
        issued = len(token_service.issued)
        now += token_service.lifetime - 11
        await client.resolve("team/app", "1")
        assert len(token_service.issued) == issued
        now += 2
        await client.resolve("team/app", "1")
        assert len(token_service.issued) == issued + 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_renews_a_token_that_the_registry_refuses_while_running(
    make_registry: MakeRegistry, token_service: TokenService, version: str
) -> None:
    registry = make_registry(version, auth=token_service)
    push(registry.url, "team/app", image(), "1", auth=token_service.credentials)
    # The service says that its tokens live long, but the registry takes none of them: as after a clock was put right.
    token_service.lifetime, token_service.announced_lifetime = -1, 300
    async with RegistryClient(registry.url, credentials=credentials_of(token_service), limits=FAST) as client:
        with pytest.raises(UnauthorizedError):
            await client.resolve("team/app", "1")
        token_service.lifetime = 300
        issued = len(token_service.issued)
        await asyncio.gather(*(client.resolve("team/app", "1") for _ in range(10)))
        assert len(token_service.issued) == issued + 1


@pytest.mark.parametrize("version", VERSIONS)
async def test_delete_scope_refused(make_registry: MakeRegistry, token_service: TokenService, version: str) -> None:
    registry = make_registry(version, auth=token_service)
    digest = push(registry.url, "team/app", image(), "1", auth=token_service.credentials)
    token_service.refused.add("delete")
    async with RegistryClient(registry.url, credentials=credentials_of(token_service), limits=FAST) as client:
        assert await client.tags("team/app") == ("1",)
        for call in (client.delete_manifest("team/app", digest), client.preflight("team/app")):
            with pytest.raises(UnauthorizedError, match=r"team/app.*credentials from the test.*do not allow this"):
                await call
        assert (await client.resolve("team/app", "1")).digest == digest


@pytest.mark.parametrize("version", VERSIONS)
async def test_catalogue_refused_names_the_way_out(
    make_registry: MakeRegistry, token_service: TokenService, version: str
) -> None:
    token_service.accounts["reader"] = Account("reader's", frozenset({"pull"}), catalogue=False)
    registry = make_registry(version, auth=token_service)
    async with RegistryClient(registry.url, credentials=Credentials("reader", "reader's"), limits=FAST) as client:
        with pytest.raises(UnauthorizedError, match="--repository"):
            await anext(client.repositories())


async def test_anonymous_bearer_and_wrong_password(make_registry: MakeRegistry, token_service: TokenService) -> None:
    token_service.anonymous = Account("", frozenset({"pull"}), catalogue=False)
    registry = make_registry("2.8", auth=token_service)
    push(registry.url, "team/app", image(), "1", auth=token_service.credentials)
    async with RegistryClient(registry.url, limits=FAST) as client:
        assert await client.tags("team/app") == ("1",)
    wrong = Credentials("tester", "wr0ng-secret", source="from the test")
    async with RegistryClient(registry.url, credentials=wrong, limits=FAST) as client:
        with pytest.raises(
            UnauthorizedError, match=r"token service .* refuses the credentials from the test"
        ) as caught:
            await client.tags("team/app")
    assert "wr0ng" not in str(caught.value)


async def test_identity_token(make_registry: MakeRegistry, token_service: TokenService) -> None:
    registry = make_registry("2.8", auth=token_service)
    push(registry.url, "team/app", image(), "1", auth=token_service.credentials)
    user = token_service.credentials[0]
    identity = Credentials(identity_token=token_service.refresh_token(user), source="from the test")
    async with RegistryClient(registry.url, credentials=identity, limits=FAST) as client:
        assert await client.tags("team/app") == ("1",)
    assert token_service.issued[-1].method == "POST"
    wrong = Credentials(identity_token="wr0ng-secret", source="from the test")
    async with RegistryClient(registry.url, credentials=wrong, limits=FAST) as client:
        with pytest.raises(UnauthorizedError, match="refuses the credentials from the test"):
            await client.tags("team/app")


async def test_a_waiter_that_gives_up_leaves_the_token_to_the_others() -> None:
    gate = Gate()

    def issue(exchange: Exchange) -> None:
        gate.reached.set()
        gate.open.wait(10)
        exchange.send(Response(200, (), b'{"token":"issued"}'))

    def with_token(exchange: Exchange) -> None:
        challenge = (("WWW-Authenticate", BEARER.format(f"{service.url}/token")),)
        allowed = exchange.request.header("Authorization") == "Bearer issued"
        exchange.send(Response(200, (), b'{"tags":["1"]}') if allowed else Response(401, challenge))

    with FaultyServer() as registry, FaultyServer() as service:
        registry.when("GET", "/v2/.*", with_token)
        service.when("GET", "/token.*", issue)
        async with RegistryClient(registry.url, limits=FAST) as client:
            impatient = asyncio.create_task(client.tags("team/app"))
            assert await asyncio.to_thread(gate.reached.wait, 10)
            patient = asyncio.create_task(client.tags("team/app"))
            impatient.cancel()
            with pytest.raises(asyncio.CancelledError):
                await impatient
            gate.open.set()
            assert await patient == ("1",)
        assert len(service.requests) == 1


async def test_a_fixed_access_token_goes_to_the_registry_alone() -> None:
    with FaultyServer() as registry, FaultyServer() as service:

        def only_with_token(exchange: Exchange) -> None:
            allowed = exchange.request.header("Authorization") == "Bearer fixed"
            challenge = (("WWW-Authenticate", BEARER.format(f"{service.url}/token")),)
            exchange.send(Response(200, (), b'{"tags":["1"]}') if allowed else Response(401, challenge))

        registry.when("GET", "/v2/.*", only_with_token)
        async with RegistryClient(registry.url, credentials=Credentials(access_token="fixed"), limits=FAST) as client:
            assert await client.tags("team/app") == ("1",)
        async with RegistryClient(registry.url, credentials=Credentials(access_token="stale"), limits=FAST) as client:
            with pytest.raises(UnauthorizedError):
                await client.tags("team/app")
        assert service.requests == ()


async def test_credentials_go_out_only_when_asked_for() -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/", answer(200, b"{}"))
        async with RegistryClient(server.url, credentials=Credentials("tester", "x"), limits=FAST) as client:
            await client.ping()
        assert [each.header("Authorization") for each in server.requests] == [None]


@pytest.mark.parametrize(
    "realm", ["http://{authority}/token", "ftp://{authority}/", "", "https://user@{authority}/", "/token"]
)
async def test_an_https_registry_sends_no_credentials_to_a_realm_it_must_not(realm: str, tls_files: TlsFiles) -> None:
    with FaultyServer(tls=tls_files) as registry, FaultyServer() as service:
        challenge = BEARER.format(realm.format(authority=f"127.0.0.1:{service.port}"))
        registry.when("*", "/v2/.*", answer(401, b"", {"WWW-Authenticate": challenge}))
        async with RegistryClient(
            registry.url,
            credentials=Credentials("tester", "s3cret"),
            tls=TlsSettings(ca_file=tls_files.ca),
            limits=FAST,
        ) as client:
            with pytest.raises(UnauthorizedError) as caught:
                await client.ping()
        assert "s3cret" not in str(caught.value)
        assert service.requests == ()
        assert {each.header("Authorization") for each in registry.requests} == {None}


async def test_basic_credentials_are_not_sent_to_the_registry_when_it_wants_a_token() -> None:
    with FaultyServer() as registry, FaultyServer() as service:
        challenge = {"WWW-Authenticate": BEARER.format(f"{service.url}/token?account=fixed")}
        registry.when("*", "/v2/.*", answer(401, b"", challenge))
        service.when("GET", "/token.*", answer(200, b'{"access_token":"issued"}'))
        async with RegistryClient(registry.url, credentials=Credentials("tester", "s3cret"), limits=FAST) as client:
            with pytest.raises(UnauthorizedError):
                await client.tags("team/app")
        assert [each.header("Authorization") for each in registry.requests] == [None, "Bearer issued"]
        (asked,) = service.requests
        assert asked.header("Authorization") == "Basic " + base64.b64encode(b"tester:s3cret").decode()
        assert "scope=repository%3Ateam%2Fapp%3Apull" in asked.path
        assert asked.path.startswith("/token?account=fixed&")
        assert "s3cret" not in asked.path


async def test_asks_for_the_scope_that_the_registry_names() -> None:
    with FaultyServer() as registry, FaultyServer() as service:
        challenge = BEARER.format(f"{service.url}/token") + ',scope="repository:team/app:*"'

        def only_wide(exchange: Exchange) -> None:
            allowed = exchange.request.header("Authorization") == "Bearer wide"
            exchange.send(Response(202) if allowed else Response(401, (("WWW-Authenticate", challenge),)))

        def issue(exchange: Exchange) -> None:
            token = b"wide" if "%3A%2A" in exchange.request.path else b"narrow"
            exchange.send(Response(200, (), b'{"token":"%s"}' % token))

        registry.when("DELETE", "/v2/.*", only_wide)
        service.when("GET", "/token.*", issue)
        async with RegistryClient(registry.url, credentials=Credentials("tester", "x"), limits=FAST) as client:
            assert await client.delete_tag("team/app", "1") is True
            assert await client.delete_tag("team/app", "2") is True
        assert len(service.requests) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token":""}', b'{"token":"a b"}', b'{"token":"s3cret', b"<p>"])
async def test_a_token_service_that_issues_none(body: bytes) -> None:
    with FaultyServer() as registry, FaultyServer() as service:
        registry.when("*", "/v2/.*", answer(401, b"", {"WWW-Authenticate": BEARER.format(f"{service.url}/token")}))
        service.when("GET", "/token.*", answer(200, body))
        async with RegistryClient(registry.url, limits=FAST) as client:
            with pytest.raises(ContentError, match="token service") as caught:
                await client.ping()
        assert "s3cret" not in str(caught.value)


async def test_a_token_service_that_redirects_gets_no_further() -> None:
    with FaultyServer() as registry, FaultyServer() as service, FaultyServer() as elsewhere:
        registry.when("*", "/v2/.*", answer(401, b"", {"WWW-Authenticate": BEARER.format(f"{service.url}/token")}))
        service.when("GET", "/token.*", answer(307, b"", {"Location": f"{elsewhere.url}/token"}))
        async with RegistryClient(registry.url, credentials=Credentials("tester", "x"), limits=FAST) as client:
            with pytest.raises(ContentError, match="redirects"):
                await client.ping()
        assert elsewhere.requests == ()
