"""Servers that are no registries, lie, or send damage: one clear error, and no part is taken for the whole."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable

import pytest

from jettison.errors import (
    ContentError,
    NotFoundError,
    RegistryError,
    UnauthorizedError,
    UnreachableError,
)
from jettison.oci.digest import Digest
from jettison.registry.client import RegistryClient
from jettison.registry.settings import Limits
from jettison.testing.faults import (
    answer,
    drop_in_body,
    endless_body,
    truncated,
    wrong_digest,
)
from jettison.testing.faulty import FaultyServer, Response
from jettison.testing.images import image, push
from jettison.testing.network import free_port
from jettison.testing.registry_server import RegistryServer

FAST = Limits(backoff=0, retries=3)
BUILT = image()
OTHER = Digest.of(b"something else")
TAGS = b'{"name":"team/app","tags":["1"]}'


@pytest.mark.parametrize(
    "fault",
    [
        answer(200, b"<html>It works!</html>", {"Content-Type": "text/html"}),
        answer(404, b"not found"),
        answer(200, b"[1, 2]"),
        answer(401, b"log in"),
        answer(204),
        answer(418),
    ],
)
async def test_a_web_server_is_no_registry(fault: Callable[..., None]) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/", fault)
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(ContentError, match="not a registry"):
                await client.ping()


async def test_nobody_listens() -> None:
    async with RegistryClient(f"http://127.0.0.1:{free_port()}", limits=FAST) as client:
        with pytest.raises(UnreachableError, match=r"takes no connection \(Connection refused\).*3 attempts") as caught:
            await client.ping()
    assert caught.value.retryable


async def test_a_name_that_nobody_has() -> None:
    async with RegistryClient("http://no-such-host.invalid", limits=FAST) as client:
        with pytest.raises(UnreachableError, match=r"no-such-host\.invalid"):
            await client.ping()


async def test_something_that_speaks_no_http() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with RegistryClient(f"http://127.0.0.1:{port}", limits=FAST) as client:
            with pytest.raises(RegistryError, match="no HTTP"):
                await client.ping()


async def test_a_digest_header_that_lies(registry_28: RegistryServer) -> None:
    digest = push(registry_28.url, "team/app", BUILT, "1")
    with FaultyServer(upstream=registry_28.url) as server:
        server.when("*", "/v2/.*/manifests/.*", wrong_digest(OTHER))
        async with RegistryClient(server.url, limits=FAST) as client:
            for reference in ("1", digest):
                with pytest.raises(ContentError, match=f"{digest}.*Docker-Content-Digest header is {OTHER}"):
                    await client.manifest("team/app", reference)
            with pytest.raises(ContentError, match=f"another digest, {OTHER}"):
                await client.resolve("team/app", digest)


@pytest.mark.parametrize("header", [None, "md5:0", "sha256:short"])
async def test_computes_the_digest_where_the_header_has_none(registry_28: RegistryServer, header: str | None) -> None:
    digest = push(registry_28.url, "team/app", BUILT, "1")
    with FaultyServer(upstream=registry_28.url) as server:
        server.when("*", "/v2/.*/manifests/.*", wrong_digest(header))
        async with RegistryClient(server.url, limits=FAST) as client:
            assert (await client.resolve("team/app", "1")).digest == digest
            assert (await client.manifest("team/app", "1")).digest == digest


async def test_another_manifest_than_was_asked_for(registry_28: RegistryServer) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, BUILT.body))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(ContentError, match=f"digest {BUILT.digest}, but the digest asked for is {OTHER}"):
                await client.manifest("team/app", OTHER)


async def test_a_server_without_head(registry_28: RegistryServer) -> None:
    digest = push(registry_28.url, "team/app", BUILT, "1")
    with FaultyServer(upstream=registry_28.url) as server:
        server.when("HEAD", "/v2/.*", answer(405))
        async with RegistryClient(server.url, limits=FAST) as client:
            descriptor = await client.resolve("team/app", "1")
    assert (descriptor.digest, descriptor.size) == (digest, len(BUILT.body))


async def test_an_unknown_media_type_is_passed_on() -> None:
    body = b'{"schemaVersion":2,"what":"ever"}'
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, body, {"Content-Type": "application/vnd.example+json; v=1"}))
        async with RegistryClient(server.url, limits=FAST) as client:
            fetched = await client.manifest("team/app", "1")
    assert (fetched.media_type, fetched.body) == ("application/vnd.example+json", body)
    assert fetched.digest == Digest.of(body)


async def test_an_oversize_manifest_is_refused_unread(registry_28: RegistryServer) -> None:
    size = Limits().manifest_bytes + 1
    with FaultyServer() as server:
        # Announced and never sent: reading it would fail in another way.
        server.when("GET", "/v2/.*", drop_in_body(0, of=Response(200, (), b" " * size)))
        async with RegistryClient(server.url, limits=Limits(retries=0)) as client:
            with pytest.raises(ContentError, match=f"manifest team/app:1 .*{size:,} bytes.*4,194,304"):
                await client.manifest("team/app", "1")


@pytest.mark.parametrize("what", ["manifest", "tags", "blob"])
async def test_an_endless_answer_is_refused(what: str) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", endless_body())
        async with RegistryClient(server.url, limits=Limits(listing_bytes=100_000, manifest_bytes=100_000)) as client:
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "manifest": lambda: client.manifest("team/app", "1"),
                "tags": lambda: client.tags("team/app"),
                "blob": lambda: client.blob("team/app", OTHER, limit=100_000),
            }
            with pytest.raises(ContentError, match="endless or larger, and at most 100,000"):
                await calls[what]()
        assert server.count("GET") == 1


async def test_an_error_of_any_length_is_an_error() -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(404, b"x" * 3_000_000))
        async with RegistryClient(server.url, limits=Limits(listing_bytes=10)) as client:
            for _ in range(2):
                with pytest.raises(NotFoundError):
                    await client.tags("team/app")


@pytest.mark.parametrize("after", [0, 1, 20, len(TAGS) - 1])
async def test_truncated_json(after: int) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", truncated(after, of=Response(200, (), TAGS)))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(ContentError, match=r"listing the tags of team/app.*truncated"):
                await client.tags("team/app")


async def test_what_a_proxy_compressed_is_read() -> None:
    packed = {"Content-Encoding": "gzip", "Content-Type": BUILT.media_type, "Docker-Content-Digest": str(BUILT.digest)}
    with FaultyServer() as server:
        server.when("GET", "/v2/.*/tags/list.*", answer(200, gzip.compress(TAGS), packed))
        server.when("*", "/v2/.*/manifests/.*", answer(200, gzip.compress(BUILT.body), packed))
        async with RegistryClient(server.url, limits=FAST) as client:
            assert await client.tags("team/app") == ("1",)
            assert (await client.manifest("team/app", "1")).body == BUILT.body
            assert (await client.resolve("team/app", "1")).size == len(BUILT.body)


@pytest.mark.parametrize(
    ("coding", "body", "words"),
    [
        ("br", b"x", "compressed"),
        ("gzip", b"no gzip at all", "damaged"),
        ("gzip", gzip.compress(TAGS)[:-5], "cut short"),
        ("gzip", gzip.compress(b" " * 10_000_000), "endless or larger"),
    ],
    ids=["of another kind", "none", "cut", "endless"],  # what is compressed has the time in it
)
async def test_what_cannot_be_unpacked_is_refused(coding: str, body: bytes, words: str) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, body, {"Content-Encoding": coding}))
        async with RegistryClient(server.url, limits=Limits(listing_bytes=1_000_000)) as client:
            with pytest.raises(ContentError, match=words):
                await client.tags("team/app")


@pytest.mark.parametrize("body", [b'{"tags":null}', b'{"name":"team/app","tags":[]}'])
async def test_no_tags_in_either_spelling(body: bytes) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, body))
        async with RegistryClient(server.url, limits=FAST) as client:
            assert await client.tags("team/app") == ()


@pytest.mark.parametrize("body", [b"{}", b'{"name":"x"}', b'{"tags":"1"}', b'{"tags":[1]}', b'{"tags":{}}', b"<html>"])
async def test_what_is_no_list_of_tags_is_not_an_empty_one(body: bytes) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, body))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(ContentError):
                await client.tags("team/app")


async def test_a_damaged_blob() -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, b"damaged"))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(ContentError, match="damaged"):
                await client.blob("team/app", OTHER, limit=100)


async def test_the_servers_words_are_harmless_for_a_terminal() -> None:
    words = json.dumps({"errors": [{"code": "DENIED", "message": "\x1b[2J\r\nevil " + "x" * 5000}]}).encode()
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(403, words))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(UnauthorizedError, match="DENIED") as caught:
                await client.tags("team/app")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    assert caught.value.codes == ("DENIED",)
