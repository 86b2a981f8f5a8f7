"""Space counts what is on the disk where the inventory tells it, and what manifests tell where it does not."""

from datetime import UTC, datetime

from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository
from jettison.oci.manifest import parse_manifest
from jettison.plan.space import Space
from jettison.testing.built import BuiltManifest
from jettison.testing.images import image

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _repository(name: str, *built: BuiltManifest) -> Repository:
    return Repository(name, manifests={each.digest: parse_manifest(each.digest, each.body) for each in built})


def test_what_a_descriptor_says_counts_where_the_source_cannot_see_the_disk() -> None:
    built = image(seed=1, size=500)

    space = Space.of(Inventory("r", "api", NOW, (_repository("a", built),)))

    assert space.total == sum(built.sizes().values())


def test_bytes_on_the_disk_win_over_the_descriptor() -> None:
    built = image(seed=1, size=500)
    stored = {digest: size + 7 for digest, size in built.sizes().items()}

    space = Space.of(Inventory("r", "storage", NOW, (_repository("a", built),), stored=stored))

    assert space.total == sum(stored.values())
    assert space.freed_by([("a", built.digest)]) == sum(stored.values())


def test_what_is_not_on_the_disk_frees_nothing() -> None:
    built = image(seed=1, size=500)
    stored = built.sizes()
    del stored[built.blobs[1].digest]

    space = Space.of(Inventory("r", "storage", NOW, (_repository("a", built),), stored=stored))

    assert space.freed_by([("a", built.digest)]) == sum(stored.values())


def test_a_blob_pushed_under_two_digests_counts_once() -> None:
    layer = b"the same bytes under two names"
    first, second = image([layer], seed=1), image([layer], seed=2, layer_algorithm="sha512")
    stored = {Digest.of(b.body): len(b.body) for each in (first, second) for b in each.blobs}
    stored |= {each.digest: len(each.body) for each in (first, second)}
    stored_as = {Digest.of(layer, "sha512"): Digest.of(layer)}
    inventory = Inventory("r", "storage", NOW, (_repository("a", first, second),), stored=stored, stored_as=stored_as)

    space = Space.of(inventory)

    assert space.total == sum(stored.values())
    assert space.freed_by([("a", second.digest)]) == len(second.body) + len(second.blobs[0].body)
    assert space.shared_by([("a", second.digest)]) == len(layer)
