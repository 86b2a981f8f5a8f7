"""Listings that are disabled, break off, lead nowhere, or come without links."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from jettison.errors import (
    ContentError,
    RegistryError,
    ServerFaultError,
    UnsupportedError,
)
from jettison.oci.digest import Digest
from jettison.registry.client import RegistryClient
from jettison.registry.settings import Limits
from jettison.testing.faults import (
    answer,
)
from jettison.testing.faulty import Exchange, Fault, FaultyServer, Response

FAST = Limits(backoff=0, retries=3)
OTHER = Digest.of(b"something else")
TAGS = b'{"name":"team/app","tags":["1"]}'
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.mark.parametrize("status", [404, 405])
async def test_a_disabled_catalogue_names_the_way_out(status: int) -> None:
    with FaultyServer() as server:
        server.when("GET", "/v2/_catalog.*", answer(status))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(UnsupportedError, match="--repository") as caught:
                await anext(client.repositories())
    assert "enable-delete" not in str(caught.value)


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
            client._listings.sizes["tags"] = 2
            assert await client.tags("team/app") == ("a", "b", "c", "d", "e")


async def test_a_page_of_a_round_size_without_a_link_is_not_believed() -> None:
    """A proxy that caps pages at 100 and drops the Link header: what lies behind must not look gone."""
    first, rest = [f"tag-{n:03}" for n in range(100)], ["tag-100", "tag-101"]
    with FaultyServer() as server:
        server.when("GET", r"/v2/.*n=1000", answer(200, json.dumps({"tags": first}).encode()))
        server.when("GET", r"/v2/.*last=tag-099", answer(200, json.dumps({"tags": rest}).encode()))
        async with RegistryClient(server.url, limits=FAST) as client:
            assert await client.tags("team/app") == (*first, *rest)


@pytest.mark.parametrize("cap", [1, 2, 7, 30])
async def test_small_pages_without_links_are_followed_to_their_end(cap: int) -> None:
    tags = {"a": [f"{n:03}" for n in range(2 * cap)], "b": ["1"], "c": [f"{n:03}" for n in range(3 * cap + 1)]}

    def page(exchange: Exchange) -> None:
        parts = urlsplit(exchange.request.path)
        query = parse_qs(parts.query)
        names = [tag for tag in tags[parts.path.split("/")[2]] if tag > query.get("last", [""])[0]]
        exchange.send(Response(200, (), json.dumps({"tags": names[: min(cap, int(query["n"][0]))]}).encode()))

    with FaultyServer() as server:
        server.when("GET", "/v2/.*/tags/list.*", page)
        async with RegistryClient(server.url, limits=FAST) as client:
            assert {name: list(await client.tags(name)) for name in tags} == tags


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_server_that_refuses_to_go_on_has_sent_everything(status: int) -> None:
    with FaultyServer() as server:
        server.when("GET", r"/v2/.*n=1000", answer(200, TAGS))
        server.when("GET", r"/v2/.*last=.*", answer(status))
        async with RegistryClient(server.url, limits=FAST) as client:
            assert await client.tags("team/app") == ("1",)


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_refusal_to_go_on_after_a_full_page_leaves_the_listing_incomplete(status: int) -> None:
    full = json.dumps({"tags": [f"1.{number}" for number in range(1000)]}).encode()
    with FaultyServer() as server:
        server.when("GET", r"/v2/.*n=1000", answer(200, full))
        server.when("GET", r"/v2/.*last=.*", answer(status))
        async with RegistryClient(server.url, limits=FAST) as client:
            with pytest.raises(RegistryError):
                await client.tags("team/app")


@pytest.mark.parametrize("end", [answer(200, b'{"tags":null}'), answer(200, TAGS), answer(404)])
async def test_many_listings_of_one_length_are_believed_without_asking_each_time(end: Fault) -> None:
    with FaultyServer() as server:
        server.when("GET", r"/v2/.*n=1000", answer(200, TAGS))
        server.when("GET", r"/v2/.*last=.*", end)
        async with RegistryClient(server.url, limits=FAST) as client:
            for number in range(50):
                assert await client.tags(f"team/app-{number}") == ("1",)
    assert server.count("GET") < 75


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


async def test_a_registry_below_a_path() -> None:
    link = {"Link": '</v2/team/app/tags/list?n=1000&last=1>; rel="next"'}
    with FaultyServer() as server:
        server.when("GET", "/images/v2/", answer(200, b"{}"))
        server.when("GET", r"/images/v2/team/app/tags/list\?n=1000", answer(200, TAGS, link))
        server.when("GET", r"/images/v2/team/app/tags/list\?n=1000&last=1", answer(200, b'{"tags":["2"]}'))
        async with RegistryClient(f"{server.url}/images", limits=FAST) as client:
            await client.ping()
            assert await client.tags("team/app") == ("1", "2")
