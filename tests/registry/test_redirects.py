"""Redirects, and deletions that are not allowed."""

import json

import pytest

from jettison.errors import (
    ContentError,
    UnauthorizedError,
    UnsupportedError,
)
from jettison.oci.digest import Digest
from jettison.registry.client import RegistryClient
from jettison.registry.credentials import Credentials
from jettison.registry.settings import Limits
from jettison.testing.faults import (
    answer,
    redirect,
)
from jettison.testing.faulty import FaultyServer
from jettison.testing.images import image, push
from jettison.testing.registry_server import RegistryServer

FAST = Limits(backoff=0, retries=3)
BUILT = image()
TAGS = b'{"name":"team/app","tags":["1"]}'


async def test_redirects_carry_no_credentials_to_another_address(registry_28: RegistryServer) -> None:
    push(registry_28.url, "team/app", BUILT, "1")
    config = json.loads(BUILT.body)["config"]["digest"]
    with FaultyServer(upstream=registry_28.url) as registry, FaultyServer(upstream=registry_28.url) as store:
        registry.when("GET", "/v2/.*/blobs/.*", redirect(store.url))
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}
        registry.when("GET", "/v2/.*", answer(401, b"", challenge), times=1)
        async with RegistryClient(registry.url, credentials=Credentials("tester", "s3cret"), limits=FAST) as client:
            body = await client.blob("team/app", config, limit=10_000)
    assert Digest(config).matches(body)
    assert [bool(each.header("Authorization")) for each in registry.requests] == [False, True]
    assert [each.header("Authorization") for each in store.requests] == [None]


async def test_redirects_on_the_registry_itself_keep_them() -> None:
    with FaultyServer() as registry:
        registry.when("GET", "/v2/.*", answer(401, b"", {"WWW-Authenticate": 'Basic realm="x"'}), times=1)
        registry.when("GET", "/elsewhere", answer(200, TAGS))
        for _ in range(2):
            registry.when("GET", "/v2/.*", redirect("/elsewhere", 302), times=1)
            registry.when("GET", "/v2/.*", answer(401, b"", {"WWW-Authenticate": 'Basic realm="x"'}), times=1)
            async with RegistryClient(registry.url, credentials=Credentials("tester", "x"), limits=FAST) as client:
                assert (await client.manifest("team/app", "1")).body == TAGS
        assert [bool(each.header("Authorization")) for each in registry.requests] == [False, True, True] * 2


async def test_an_address_that_only_redirects_is_explained() -> None:
    with FaultyServer() as old, FaultyServer() as new:
        old.when("*", ".*", redirect(new.url, 301))
        new.when("*", ".*", answer(401, b"", {"WWW-Authenticate": 'Basic realm="x"'}))
        async with RegistryClient(old.url, credentials=Credentials("tester", "x"), limits=FAST) as client:
            with pytest.raises(UnauthorizedError, match=f"redirects to {new.url}.*real address"):
                await client.tags("team/app")


@pytest.mark.parametrize("location", ["", "ftp://host/", "http://user:s3cret@host/", "http://[", "http://a b/"])
async def test_redirects_to_nowhere(location: str) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(307, b"", {"Location": location}))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(ContentError, match="no usable address") as caught:
                await client.tags("team/app")
    assert "s3cret" not in str(caught.value)


async def test_redirects_in_a_circle() -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", redirect(server.url))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(ContentError, match="more than 5 times"):
                await client.tags("team/app")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_deletion_is_not_sent_elsewhere(status: int) -> None:
    with FaultyServer() as server, FaultyServer() as elsewhere:
        server.when("DELETE", "/v2/.*", redirect(elsewhere.url, status))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(ContentError, match="a deletion was redirected"):
                await client.delete_tag("team/app", "1")
        assert elsewhere.requests == ()


@pytest.mark.parametrize("status", [401, 403])
async def test_reading_allowed_and_deleting_not(registry_28: RegistryServer, status: int) -> None:
    digest = push(registry_28.url, "team/app", BUILT, "1")
    with FaultyServer(upstream=registry_28.url) as server:
        server.when("DELETE", ".*", answer(status, b'{"errors":[{"code":"DENIED"}]}'))
        async with RegistryClient(server.url, credentials=Credentials("tester", "x"), limits=FAST) as client:
            assert await client.tags("team/app") == ("1",)
            for call in (client.delete_manifest("team/app", digest), client.preflight("team/app")):
                with pytest.raises(UnauthorizedError, match=r"team/app.*not allow this") as caught:
                    await call
                assert caught.value.codes == ("DENIED",)
            assert (await client.resolve("team/app", "1")).digest == digest


async def test_other_servers_ability_to_delete_tags_stays_unknown() -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, TAGS, {"Content-Type": "application/json"}))
        async with RegistryClient(server.url, limits=FAST) as client:
            assert await client.deletes_tags("team/app") is None
        assert server.count("DELETE") == 0


@pytest.mark.parametrize("reference", ["1", "digest"])
async def test_a_404_is_not_believed_while_it_is_still_there(registry_31: RegistryServer, reference: str) -> None:
    digest = push(registry_31.url, "team/app", image(), "1")
    with FaultyServer(upstream=registry_31.url) as server:
        server.when("DELETE", "/v2/.*", answer(404))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(UnsupportedError, match="still is"):
                await (
                    client.delete_tag("team/app", "1")
                    if reference == "1"
                    else client.delete_manifest("team/app", digest)
                )
            assert await client.delete_tag("team/app", "2") is False
