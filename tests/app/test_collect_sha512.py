"""A layer known by its sha512 digest, whose links went only in part: the next run collects all the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import pytest
from tests.app.collecting import APP, FAST, collect, data_of, delete, has_blob, link_of

from jettison.errors import ServerFaultError
from jettison.oci.digest import Digest
from jettison.registry.client import RegistryClient
from jettison.testing.built import BuiltManifest
from jettison.testing.connection import Connection
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


Fate = Literal["there", "deleted", "unlinked"]
Asked = Literal["", "sha256", "sha512"]


@dataclass(frozen=True, slots=True)
class Half:
    """What became of the two links of a layer, and which digests a server was asked for before and after that."""

    before: tuple[Asked, ...]
    sha256: Fate
    sha512: Fate
    after: Asked

    @property
    def repository(self) -> str:
        before = "-".join(filter(None, self.before)) or "nothing"
        return f"half/{before}/{self.sha256}-{self.sha512}/{self.after or 'nothing'}"


def _halves() -> Iterator[Half]:
    fates: tuple[Fate, ...] = ("there", "deleted", "unlinked")
    asked: tuple[Asked, ...] = ("", "sha256", "sha512")
    both: tuple[Asked, ...] = ("sha256", "sha512")
    for before, sha256, sha512, after in product(((), *((each,) for each in both), both), fates, fates, asked):
        yield Half(before, sha256, sha512, after)


def _layer(built: BuiltManifest) -> dict[str, Digest]:
    (layer,) = [blob for blob in built.blobs if blob.digest.algorithm == "sha512"]
    return {"sha512": layer.digest, "sha256": Digest.of(layer.body)}


def _lay_out(registry: RegistryServer, half: Half, built: BuiltManifest) -> None:
    push(registry.url, half.repository, built, "1.0")
    delete(registry.url, half.repository, built.digest)
    digests = _layer(built)
    for algorithm in half.before:
        has_blob(registry.url, half.repository, digests[algorithm])
    # A server asked for the sha512 digest deletes it only while the sha256 link is there.
    for algorithm, fate in (("sha512", half.sha512), ("sha256", half.sha256)):
        if fate == "deleted":
            with Connection(registry.url) as connection:
                assert connection.ask("DELETE", f"/v2/{half.repository}/blobs/{digests[algorithm]}").status == 202
        elif fate == "unlinked":
            link_of(registry.root, half.repository, digests[algorithm]).unlink()
    if half.after:
        has_blob(registry.url, half.repository, digests[half.after])


async def test_links_that_went_in_part_stop_nothing(registry: RegistryServer) -> None:
    """Every state of the two links, beside a server that remembers either, both or none of them.

    Where the sha256 link alone is gone, servers answer 500 for the sha512 digest, and cannot be made to delete it.
    """
    built = {half: image(seed=half.repository, layer_algorithm="sha512") for half in _halves()}
    for half, each in built.items():
        _lay_out(registry, half, each)

    report = await collect(registry.root, registry.url)

    left = [half for half, each in built.items() if data_of(registry.root, _layer(each)["sha256"]).exists()]
    assert report.problems == []
    assert not left
