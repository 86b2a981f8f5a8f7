"""Failing, waiting, trying again, giving up: what is repeated, how often, and after which pauses."""

import asyncio
from collections.abc import Callable

import pytest

from jettison.errors import (
    RateLimitedError,
    RegistryError,
    ServerFaultError,
    UnreachableError,
)
from jettison.oci.digest import Digest
from jettison.registry.client import RegistryClient
from jettison.registry.settings import Limits
from jettison.testing.faults import (
    Gate,
    answer,
    drop,
    drop_after_forwarding,
    drop_in_body,
    slow_body,
    too_many_requests,
)
from jettison.testing.faulty import FaultyServer, Response
from jettison.testing.images import image, push
from jettison.testing.registry_server import RegistryServer

FAST = Limits(backoff=0, retries=3)
BUILT = image()
OTHER = Digest.of(b"something else")
TAGS = b'{"name":"team/app","tags":["1"]}'


class Sleeps:
    """Takes the place of waiting, and notes how long it would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


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
            await client.manifest("team/app", "1")
            await client.manifest("team/other", "1")
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
            await asyncio.gather(*(client.manifest(f"team/app{number}", "1") for number in range(40)))
        assert server.count("GET") == 40
        assert server.most_at_once <= 3


async def test_keeps_to_its_rate() -> None:
    sleeps = Sleeps()
    with FaultyServer() as server:
        server.when("GET", "/v2/.*", answer(200, TAGS))
        limits = Limits(requests_per_second=0.001)
        async with RegistryClient(server.url, limits=limits, sleep=sleeps) as client:
            for number in range(3):
                await client.manifest(f"team/app{number}", "1")
    assert [round(seconds, -2) for seconds in sleeps.seconds] == [1000, 2000]
