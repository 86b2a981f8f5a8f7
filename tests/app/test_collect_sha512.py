"""A layer known by its sha512 digest, whose links went only in part: the next run collects all the same."""

import pytest
from tests.app.collecting import APP, FAST, collect, data_of, delete, link_of

from jettison.errors import ServerFaultError
from jettison.oci.digest import Digest
from jettison.registry.client import RegistryClient
from jettison.testing.images import image, push
from jettison.testing.registry_server import RegistryServer


async def test_what_a_server_remembers_of_half_removed_links_stops_nothing(registry: RegistryServer) -> None:
    """As a run leaves it that is killed between unlinking a layer's two digests, while the server was being asked."""
    built = image(seed="half removed", layer_algorithm="sha512")
    push(registry.url, APP, built, "1.0")
    delete(registry.url, APP, built.digest)
    (layer,) = [blob for blob in built.blobs if blob.digest.algorithm == "sha512"]
    stored = Digest.of(layer.body)
    async with RegistryClient(registry.url, limits=FAST) as client:
        assert await client.blob_size(APP, layer.digest) == len(layer.body)
        assert await client.delete_blob(APP, stored)
        link_of(registry.root, APP, layer.digest).unlink()
        if registry.version == "3.1":
            with pytest.raises(ServerFaultError):
                await client.blob_size(APP, layer.digest)

    report = await collect(registry.root, registry.url)

    assert report.problems == []
    assert not data_of(registry.root, stored).exists()
