"""Servers that fail, lie, or are no registries: each ends with one clear error, and no part is taken for the whole."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from jettison.errors import (
    ContentError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    ServerFaultError,
    UnauthorizedError,
    UnreachableError,
    UnsupportedError,
)
from jettison.oci.digest import Digest
from jettison.registry.client import RegistryClient
from jettison.registry.credentials import Credentials
from jettison.registry.settings import Limits
from jettison.testing.faults import (
    Gate,
    answer,
    drop,
    drop_after_forwarding,
    drop_in_body,
    endless_body,
    redirect,
    slow_body,
    too_many_requests,
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
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


class Sleeps:
    """Takes the place of waiting, and notes how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


# What is no registry.


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
        with pytest.raises(UnreachableError, match=r"takes no connection.*3 attempts") as caught:
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


# Failing, and trying again.


@pytest.mark.parametrize("fault", [drop(), answer(500), answer(503), too_many_requests(None), drop_in_body(5)])
async def test_tries_again_until_it_works(registry_28: RegistryServer, fault: Callable[..., None]) -> None:
    push(registry_28.url, "team/app", BUILT, "1")
    with FaultyServer(upstream=registry_28.url) as server:
        server.when("*", "/v2/team/.*", fault, times=3)
        async with RegistryClient(server.url, limits=FAST) as client:
            assert (await client.manifest("team/app", "1")).body == BUILT.body
        assert server.count("GET", "/v2/team/.*") == 4


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answer(500), ServerFaultError),
        (answer(503), ServerFaultError),
        (too_many_requests(), RateLimitedError),
        (drop_in_body(5, Response(200, (), TAGS)), UnreachableError),
    ],
)
async def test_gives_up_after_its_attempts(fault: Callable[..., None], error: type[RegistryError]) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", fault)
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(error, match="after 4 attempts") as caught:
                await client.tags("team/app")
        assert caught.value.retryable
        assert server.count("GET") == 4


async def test_waits_as_long_as_it_is_asked_to() -> None:
    sleeps = Sleeps()
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, TAGS))
        server.when("GET", "/v2/.*", answer(503, b"", {"Retry-After": "9999"}), times=1)
        server.when("GET", "/v2/.*", answer(503, b"", {"Retry-After": "7"}), times=1)
        async with RegistryClient(server.url, limits=FAST, sleep=sleeps) as client:
            assert await client.tags("team/app") == ("1",)
    assert sleeps.seconds == [7.0, Limits().longest_retry_after]


async def test_every_request_waits_after_429() -> None:
    sleeps = Sleeps()
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, TAGS))
        server.when("GET", "/v2/.*", too_many_requests("50"), times=1)
        async with RegistryClient(server.url, limits=FAST, sleep=sleeps) as client:
            await client.tags("team/app")
            await client.tags("team/other")
    # The pause of the request itself, then what is left of it for whatever goes out next.
    assert sleeps.seconds[0] == 50.0
    assert len(sleeps.seconds) == 3
    assert all(0 < seconds <= 50 for seconds in sleeps.seconds)


async def test_backs_off_further_each_time() -> None:
    sleeps = Sleeps()
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(502))
        limits = Limits(retries=6, backoff=1, longest_backoff=8)
        async with RegistryClient(server.url, limits=limits, sleep=sleeps) as client:
            with pytest.raises(ServerFaultError):
                await client.tags("team/app")
    assert len(sleeps.seconds) == 6
    for seconds, ceiling in zip(sleeps.seconds, [1, 2, 4, 8, 8, 8], strict=True):
        assert 0 <= seconds <= ceiling
    assert len(set(sleeps.seconds)) == 6


async def test_an_answer_that_never_comes_times_out() -> None:
    gate = Gate()
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", gate)
        limits = Limits(retries=0, connect_timeout=0.05, read_timeout=0.05)
        async with RegistryClient(server.url, limits=limits) as client:
            with pytest.raises(UnreachableError, match="no answer in time"):
                await client.tags("team/app")


async def test_a_trickle_ends() -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", slow_body(0.02, of=Response(200, (), b" " * 100_000)))
        limits = Limits(retries=0, read_timeout=5, total_timeout=0.1)
        async with RegistryClient(server.url, limits=limits) as client:
            with pytest.raises(UnreachableError, match="no answer in time"):
                await client.tags("team/app")


async def test_a_deletion_whose_answer_was_lost_counts_as_done(registry_31: RegistryServer) -> None:
    digest = push(registry_31.url, "team/app", BUILT, "1")
    with FaultyServer(upstream=registry_31.url) as server:
        server.when("DELETE", "/v2/.*", drop_after_forwarding(), times=1)
        async with RegistryClient(server.url, limits=FAST) as client:
            # A connection that was in use: aiohttp would send the request again and tell nobody.
            assert await client.tags("team/app") == ("1",)
            assert await client.delete_manifest("team/app", digest) is True
            assert await client.delete_manifest("team/app", digest) is False
        assert server.count("DELETE") == 3


async def test_a_deletion_after_429_is_not_taken_for_done(registry_31: RegistryServer) -> None:
    push(registry_31.url, "team/app", BUILT, "1")
    with FaultyServer(upstream=registry_31.url) as server:
        server.when("DELETE", "/v2/.*", too_many_requests(), times=1)
        async with RegistryClient(server.url, limits=FAST) as client:
            assert await client.delete_manifest("team/app", OTHER) is False


async def test_keeps_to_its_concurrency() -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, TAGS))
        async with RegistryClient(server.url, limits=Limits(concurrency=3)) as client:
            await asyncio.gather(*(client.tags(f"team/app{number}") for number in range(40)))
        assert server.count("GET") == 40
        assert server.most_at_once <= 3


async def test_keeps_to_its_rate() -> None:
    sleeps = Sleeps()
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, TAGS))
        limits = Limits(requests_per_second=0.001)
        async with RegistryClient(server.url, limits=limits, sleep=sleeps) as client:
            for number in range(3):
                await client.tags(f"team/app{number}")
    assert [round(seconds, -2) for seconds in sleeps.seconds] == [1000, 2000]


# Lying, and damage.


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


# Listings.


@pytest.mark.parametrize("status", [404, 405])
async def test_a_disabled_catalogue_names_the_way_out(status: int) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/_catalog.*", answer(status))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(UnsupportedError, match="--repository"):
                await anext(client.repositories())


async def test_a_catalogue_that_fails_half_way_raises_after_what_it_had() -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/_catalog.*", answer(500))
        link = {"Link": '</v2/_catalog?last=a&n=1>; rel="next"'}
        server.when("GET", "/v2/_catalog.*", answer(200, b'{"repositories":["a"]}', link), times=1)
        names: list[str] = []
        async with RegistryClient(server.url, limits=FAST) as client:
            listing = client.repositories()
            names.append(await anext(listing))
            with pytest.raises(ServerFaultError):
                await anext(listing)
    assert names == ["a"]


@pytest.mark.parametrize("link", ["/v2/team/app/tags/list?n=1000", "?page={}", "https://elsewhere.invalid/v2/"])
async def test_a_link_that_leads_nowhere_ends_with_an_error(link: str) -> None:
    with FaultyServer() as server:
        page = iter(range(10_000))
        server.when(
            "GET",
            "/v2/.*",
            lambda exchange: exchange.send(
                Response(200, (("Link", f'<{link.format(next(page))}>; rel="next"'),), TAGS)
            ),
        )
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(ContentError, match=r"circle|elsewhere"):
                await client.tags("team/app")
        assert server.count("GET") <= 2


async def test_pages_without_links() -> None:
    with FaultyServer() as server:
        server.when("GET", r"/v2/.*n=2", answer(200, b'{"tags":["a","b"]}'))
        server.when("GET", r"/v2/.*n=2&last=b", answer(200, b'{"tags":["c","d"]}'))
        server.when("GET", r"/v2/.*n=2&last=d", answer(200, b'{"tags":["e"]}'))
        async with RegistryClient(server.url, limits=FAST) as client:
            client._page_sizes["tags"] = 2
            assert await client.tags("team/app") == ("a", "b", "c", "d", "e")


async def test_referrers_over_pages_and_filtered_here() -> None:
    def page(*seeds: str) -> bytes:
        manifests = [
            {"mediaType": "m", "digest": Digest.of(seed.encode()), "size": 1, "artifactType": f"type/{seed[0]}"}
            for seed in seeds
        ]
        return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).encode()

    with FaultyServer() as server:
        link = {"Link": f'</v2/team/app/referrers/{OTHER}?next=1>; rel="next"'}
        server.when("GET", "/v2/.*", answer(200, page("a1", "b1"), link))
        server.when("GET", "/v2/.*next=1", answer(200, page("a2"), {"OCI-Filters-Applied": "artifactType"}))
        async with RegistryClient(server.url, limits=FAST) as client:
            every = await client.referrers("team/app", OTHER)
            some = await client.referrers("team/app", OTHER, artifact_type="type/a")
    assert every is not None
    assert some is not None
    assert [each.digest for each in every] == [Digest.of(seed) for seed in (b"a1", b"b1", b"a2")]
    assert [each.digest for each in some] == [Digest.of(seed) for seed in (b"a1", b"a2")]


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"manifests":[{"digest":"x","size":1,"mediaType":"m"}]}', b"{"])
async def test_damaged_referrers_are_not_none(body: bytes) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, body))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(ContentError, match="referrers"):
                await client.referrers("team/app", OTHER)


# Redirects.


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
                assert await client.tags("team/app") == ("1",)
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


# Deleting where it is not allowed.


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


async def test_a_registry_below_a_path() -> None:
    link = {"Link": '</v2/team/app/tags/list?n=1000&last=1>; rel="next"'}
    with FaultyServer() as server:
        server.when("GET", "/images/v2/", answer(200, b"{}"))
        server.when("GET", r"/images/v2/team/app/tags/list\?n=1000", answer(200, TAGS, link))
        server.when("GET", r"/images/v2/team/app/tags/list\?n=1000&last=1", answer(200, b'{"tags":["2"]}'))
        async with RegistryClient(f"{server.url}/images", limits=FAST) as client:
            await client.ping()
            assert await client.tags("team/app") == ("1", "2")
