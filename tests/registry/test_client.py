"""What the client reads and deletes on real registry servers, both versions."""

import json
from typing import TYPE_CHECKING

import pytest
from tests.conftest import MakeRegistry

from jettison.errors import ContentError, NotFoundError, UnsupportedError
from jettison.oci.digest import Digest
from jettison.oci.media_types import DOCKER_IMAGE, DOCKER_LIST, OCI_IMAGE, OCI_INDEX
from jettison.registry.client import RegistryClient
from jettison.registry.settings import Limits
from jettison.testing.images import BuiltManifest, image, index, push, signature_of, signature_tag
from jettison.testing.registry_server import RegistryServer

if TYPE_CHECKING:
    from jettison.registry.answers import RequestReport

MISSING = Digest.of(b"nobody pushed this")


async def names(client: RegistryClient) -> list[str]:
    return [name async for name in client.repositories()]


async def test_lists_an_empty_registry(registry: RegistryServer) -> None:
    async with RegistryClient(registry.url) as client:
        await client.ping()
        assert await names(client) == []


async def test_reads_every_page_of_the_catalogue(make_registry: MakeRegistry, registry: RegistryServer) -> None:
    built = image()
    wanted = [f"team/app{number}" for number in range(7)]
    for repository in wanted:
        push(registry.url, repository, built, "1")
    # A maximum below the page that the client asks for is answered with 400.
    paged = make_registry(registry.version, registry.root, extra={"catalog": {"maxentries": 2}})
    async with RegistryClient(paged.url) as client:
        assert await names(client) == wanted
        assert await names(client) == wanted


async def test_reads_every_page_of_tags(registry: RegistryServer) -> None:
    built = image()
    wanted = [f"1.{number}" for number in range(12)]
    for tag in wanted:
        push(registry.url, "team/app", built, tag)
    reports: list[RequestReport] = []
    async with RegistryClient(registry.url, observe=reports.append) as client:
        client._listings.sizes["tags"] = 5
        assert sorted(await client.tags("team/app")) == sorted(wanted)
    # 2.8 ignores the page size and sends all at once.
    assert len(reports) == (3 if registry.version == "3.1" else 2)


async def test_asks_on_after_a_full_page_without_a_link(registry_28: RegistryServer) -> None:
    for tag in ("a", "b", "c"):
        push(registry_28.url, "team/app", image(), tag)
    async with RegistryClient(registry_28.url) as client:
        client._listings.sizes["tags"] = 3
        assert sorted(await client.tags("team/app")) == ["a", "b", "c"]


async def test_a_repository_without_tags_has_none(registry: RegistryServer) -> None:
    digest = push(registry.url, "team/app", image(), "1")
    async with RegistryClient(registry.url) as client:
        assert await client.delete_manifest("team/app", digest) is True
        assert await client.tags("team/app") == ()


async def test_says_what_is_not_there(registry: RegistryServer) -> None:
    push(registry.url, "team/app", image(), "1")
    async with RegistryClient(registry.url) as client:
        for call in (
            client.tags("no/such"),
            client.resolve("team/app", "2"),
            client.manifest("team/app", MISSING),
            client.blob("team/app", MISSING, limit=1),
        ):
            with pytest.raises(NotFoundError):
                await call
        assert await client.blob_size("team/app", MISSING) is None


@pytest.mark.parametrize(
    ("built", "media_type"),
    [
        (image(media="oci"), OCI_IMAGE),
        (image(media="docker"), DOCKER_IMAGE),
        (index([image(seed=1), image(seed=2, platform="linux/arm64")]), OCI_INDEX),
        (index([image(seed=1, media="docker")], media="docker"), DOCKER_LIST),
    ],
    ids=["oci-image", "docker-image", "oci-index", "docker-list"],
)
async def test_reads_every_media_type_unconverted(
    registry: RegistryServer, built: BuiltManifest, media_type: str
) -> None:
    push(registry.url, "team/app", built, "1")
    async with RegistryClient(registry.url) as client:
        descriptor = await client.resolve("team/app", "1")
        by_tag = await client.manifest("team/app", "1")
        by_digest = await client.manifest("team/app", built.digest)
    assert (descriptor.media_type, descriptor.digest, descriptor.size) == (media_type, built.digest, len(built.body))
    assert by_tag == by_digest
    assert (by_tag.media_type, by_tag.digest, by_tag.body) == (media_type, built.digest, built.body)


async def test_reads_blobs_and_refuses_larger_ones(registry: RegistryServer) -> None:
    built = image(size=5000)
    push(registry.url, "team/app", built, "1")
    layer = Digest(json.loads(built.body)["layers"][0]["digest"])
    async with RegistryClient(registry.url) as client:
        size = await client.blob_size("team/app", layer)
        assert size is not None
        content = await client.blob("team/app", layer, limit=size)
        assert len(content) == size
        assert layer.matches(content)
        with pytest.raises(ContentError, match=f"{layer}.*{size:,} bytes.*at most {size - 1:,}"):
            await client.blob("team/app", layer, limit=size - 1)


async def test_neither_version_keeps_referrers(registry: RegistryServer) -> None:
    built = image()
    push(registry.url, "team/app", built, "1")
    push(registry.url, "team/app", signature_of(built.digest), signature_tag(built.digest))
    async with RegistryClient(registry.url) as client:
        assert await client.referrers("team/app", built.digest) is None


async def test_deletes_a_manifest_once(registry: RegistryServer) -> None:
    digest = push(registry.url, "team/app", image(), "1")
    async with RegistryClient(registry.url) as client:
        assert await client.delete_manifest("team/app", digest) is True
        assert await client.delete_manifest("team/app", digest) is False
        with pytest.raises(NotFoundError):
            await client.resolve("team/app", "1")


async def test_deletes_a_tag_only_where_the_server_does(registry: RegistryServer) -> None:
    built = image()
    push(registry.url, "team/app", built, "1")
    push(registry.url, "team/app", built, "latest")
    async with RegistryClient(registry.url) as client:
        can = await client.deletes_tags("team/app")
        assert can is (registry.version == "3.1")
        if can:
            assert await client.delete_tag("team/app", "1") is True
            assert await client.delete_tag("team/app", "1") is False
            assert await client.tags("team/app") == ("latest",)
        else:
            with pytest.raises(UnsupportedError, match="digests only"):
                await client.delete_tag("team/app", "1")
        assert (await client.resolve("team/app", "latest")).digest == built.digest


async def test_takes_a_blob_out_of_a_repository(registry: RegistryServer) -> None:
    built = image()
    push(registry.url, "team/app", built, "1")
    layer = json.loads(built.body)["layers"][0]["digest"]
    async with RegistryClient(registry.url) as client:
        assert await client.delete_blob("team/app", layer) is True
        assert await client.blob_size("team/app", layer) is None
        assert await client.delete_blob("team/app", layer) is False


async def test_preflight_deletes_nothing(registry: RegistryServer) -> None:
    built = image()
    push(registry.url, "team/app", built, "1")
    async with RegistryClient(registry.url) as client:
        abilities = await client.preflight("team/app")
        assert (await client.resolve("team/app", "1")).digest == built.digest
    assert abilities.deletes_manifests
    assert abilities.deletes_tags is (registry.version == "3.1")
    assert bool(abilities.tags_reason) is not abilities.deletes_tags
    assert not abilities.read_only


@pytest.mark.parametrize("version", ["2.8", "3.1"])
@pytest.mark.parametrize("readonly", [False, True], ids=["deletion-off", "read-only"])
async def test_tells_read_only_from_deletion_disabled(
    make_registry: MakeRegistry, version: str, readonly: bool
) -> None:
    built = image()
    open_server = make_registry(version)
    push(open_server.url, "team/app", built, "1")
    # With deletion enabled in the read-only case: what stops it must be that.
    closed = make_registry(version, open_server.root, delete=readonly, readonly=readonly)
    words = "readonly: enabled: false" if readonly else "enable-delete"
    async with RegistryClient(closed.url) as client:
        abilities = await client.preflight("team/app")
        assert (abilities.deletes_manifests, abilities.deletes_tags) == (False, False)
        assert abilities.read_only is readonly
        assert words in abilities.manifests_reason
        for call in (
            client.delete_manifest("team/app", built.digest),
            client.delete_tag("team/app", "1"),
            client.delete_blob("team/app", built.digest),
        ):
            with pytest.raises(UnsupportedError, match=words):
                await call
        assert await client.tags("team/app") == ("1",)


async def test_keeps_to_its_concurrency_and_reports_requests(registry: RegistryServer) -> None:
    built = image()
    push(registry.url, "team/app", built, "1")
    reports: list[RequestReport] = []
    async with RegistryClient(registry.url, limits=Limits(concurrency=1), observe=reports.append) as client:
        await client.tags("team/app")
        await client.manifest("team/app", "1")
    assert [(each.method, each.target, each.status, each.attempt) for each in reports] == [
        ("GET", "/v2/team/app/tags/list?n=1000", 200, 1),
        ("GET", "/v2/team/app/tags/list?n=1000&last=1", 200, 1),
        ("GET", "/v2/team/app/manifests/1", 200, 1),
    ]
    assert reports[2].size == len(built.body)


async def test_refuses_names_that_would_change_the_path(registry_28: RegistryServer) -> None:
    async with RegistryClient(registry_28.url) as client:
        for repository in ("../v2", "a/../b", "a?n=1", "a#b", "a b", "", "/a", "a/"):
            with pytest.raises(ContentError, match="no repository name"):
                await client.tags(repository)
        with pytest.raises(ContentError, match="no tag or digest"):
            await client.manifest("team/app", "../x")


async def test_works_only_while_it_is_open(registry_28: RegistryServer) -> None:
    client = RegistryClient(registry_28.url)
    with pytest.raises(RuntimeError, match="async with"):
        await client.ping()
    async with client:
        await client.ping()
    with pytest.raises(RuntimeError, match="async with"):
        await client.ping()
