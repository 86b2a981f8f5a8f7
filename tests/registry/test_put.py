"""Putting a manifest, on real registry servers: what is accepted, what is refused, and what is repeated."""

import pytest
from tests.conftest import MakeRegistry

from jettison.errors import ContentError, UnauthorizedError, UnsupportedError
from jettison.oci.digest import Digest
from jettison.registry.client import RegistryClient
from jettison.registry.settings import Limits
from jettison.testing.faults import answer, drop_after_forwarding, redirect, wrong_digest
from jettison.testing.faulty import FaultyServer
from jettison.testing.images import BuiltManifest, image, index, pull, push
from jettison.testing.registry_server import RegistryServer

FAST = Limits(backoff=0, retries=2)
ONE, TWO = image(seed="one"), image(seed="two", media="docker")
BOTH = index([ONE, TWO])


@pytest.mark.parametrize("built", [ONE, TWO, BOTH], ids=["oci image", "docker image", "index"])
async def test_a_manifest_that_was_deleted_is_put_back(registry: RegistryServer, built: BuiltManifest) -> None:
    push(registry.url, "team/app", built, "1")
    async with RegistryClient(registry.url, limits=FAST) as client:
        await client.delete_manifest("team/app", built.digest)

        put = await client.put_manifest("team/app", built.digest, built.media_type, built.body)
        assert put == built.digest
        pull(registry.url, "team/app", built.digest)
        assert await client.put_manifest("team/app", "again", built.media_type, built.body) == built.digest
        assert (await client.resolve("team/app", "again")).media_type == built.media_type


async def test_what_lacks_a_blob_or_child_is_refused(registry: RegistryServer) -> None:
    push(registry.url, "team/app", ONE, "1")
    async with RegistryClient(registry.url, limits=FAST) as client:
        for built in (TWO, BOTH):
            with pytest.raises(ContentError, match="MANIFEST_BLOB_UNKNOWN"):
                await client.put_manifest("team/app", built.digest, built.media_type, built.body)


async def test_a_body_that_is_not_what_its_digest_says_is_not_sent() -> None:
    with FaultyServer() as server:
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(ContentError, match="another digest"):
                await client.put_manifest("team/app", Digest.of(b"x"), ONE.media_type, ONE.body)
        assert server.requests == ()


async def test_an_answer_that_names_another_digest_is_told(registry_28: RegistryServer) -> None:
    push(registry_28.url, "team/app", ONE, "1")
    with FaultyServer(upstream=registry_28.url) as proxy:
        proxy.when("PUT", "/v2/.*", wrong_digest(str(Digest.of(b"x"))))
        async with RegistryClient(proxy.url, limits=FAST) as client:
            with pytest.raises(ContentError, match="another digest"):
                await client.put_manifest("team/app", "2", ONE.media_type, ONE.body)


async def test_a_broken_connection_is_tried_again(registry: RegistryServer) -> None:
    push(registry.url, "team/app", ONE, "1")
    with FaultyServer(upstream=registry.url) as proxy:
        proxy.when("PUT", "/v2/.*", drop_after_forwarding(), times=1)
        async with RegistryClient(proxy.url, limits=FAST) as client:
            await client.put_manifest("team/app", "2", ONE.media_type, ONE.body)
    pull(registry.url, "team/app", "2")


async def test_a_manifest_goes_nowhere_but_to_the_registry() -> None:
    with FaultyServer() as registry, FaultyServer() as other:
        registry.when("PUT", "/v2/.*", redirect(other.url, 307))
        async with RegistryClient(registry.url, limits=FAST) as client:
            with pytest.raises(ContentError, match="a manifest that was sent was redirected"):
                await client.put_manifest("team/app", "2", ONE.media_type, ONE.body)
        assert other.requests == ()


async def test_a_read_only_registry_and_missing_credentials_are_told_apart(make_registry: MakeRegistry) -> None:
    server = make_registry("2.8", readonly=True)
    async with RegistryClient(server.url, limits=FAST) as client:
        with pytest.raises(UnsupportedError, match="read-only"):
            await client.put_manifest("team/app", "1", ONE.media_type, ONE.body)
    with FaultyServer() as refusing:
        refusing.when("PUT", "/v2/.*", answer(403))
        async with RegistryClient(refusing.url, limits=FAST) as client:
            with pytest.raises(UnauthorizedError):
                await client.put_manifest("team/app", "1", ONE.media_type, ONE.body)
