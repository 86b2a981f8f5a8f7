"""Space: which bytes come back, computed from who shares what (promise 8)."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository
from jettison.oci.manifest import Manifest

Owner = tuple[str, Digest]
"""A manifest as one repository links it: the unit that can go by itself."""


@dataclass(frozen=True, slots=True)
class Space:
    """Who needs which blob, over all repositories. A manifest's own bytes are a blob like any other.

    Sizes are those on the disk where the inventory tells them. Otherwise they are those that manifests tell, and layers
    that live elsewhere (foreign) count nothing.
    """

    sizes: Mapping[Digest, int]
    owners: Mapping[Digest, int]
    blobs: Mapping[Owner, Collection[Digest]]

    @classmethod
    def of(cls, inventory: Inventory) -> "Space":
        """Weigh an inventory."""
        sizes: dict[Digest, int] = {}
        blobs: dict[Owner, Collection[Digest]] = {}
        for repository in inventory.repositories:
            for digest, manifest in repository.manifests.items():
                mine = blob_sizes(manifest) if inventory.stored is None else _stored_sizes(manifest, inventory)
                sizes |= mine
                blobs[repository.name, digest] = mine.keys()
        return cls(sizes, Counter(chain.from_iterable(blobs.values())), blobs)

    @property
    def total(self) -> int:
        """All bytes that are known to be stored."""
        return sum(self.sizes.values())

    def freed_by(self, going: Iterable[Owner]) -> int:
        """Return the bytes that come back when all of `going` go and nothing else does."""
        lost = self._lost_by(going)
        return sum([self.sizes[blob] for blob, count in lost.items() if count == self.owners[blob]])

    def freed_by_one(self, going: Owner) -> int:
        """Return the bytes that come back when `going` alone goes."""
        return sum([self.sizes[blob] for blob in self.blobs.get(going, ()) if self.owners[blob] == 1])

    def shared_by(self, going: Iterable[Owner]) -> int:
        """Return the bytes that `going` refer to and that stay, since something else needs them."""
        lost = self._lost_by(going)
        return sum([self.sizes[blob] for blob, count in lost.items() if count < self.owners[blob]])

    def _lost_by(self, going: Iterable[Owner]) -> Mapping[Digest, int]:
        return Counter(chain.from_iterable([self.blobs.get(owner, ()) for owner in going]))


def blob_sizes(manifest: Manifest) -> dict[Digest, int]:
    """Return what a manifest keeps in the blob store, itself included, with sizes in bytes."""
    sizes = {blob.digest: blob.size for blob in manifest.blobs if not blob.is_foreign}
    sizes[manifest.digest] = manifest.size
    return sizes


def _stored_sizes(manifest: Manifest, inventory: Inventory) -> dict[Digest, int]:
    """Return what a manifest keeps in the blob store, by the digests and with the bytes that it is stored with."""
    stored = inventory.stored or {}
    named = (manifest.digest, *(blob.digest for blob in manifest.blobs))
    kept = (inventory.stored_as.get(digest, digest) for digest in named)
    return {digest: stored[digest] for digest in kept if digest in stored}


def image_size(repository: Repository, digest: Digest) -> int:
    """Return the bytes of an image with all that belongs to it: of an index, its platforms too. Shared blobs once."""
    sizes: dict[Digest, int] = {}
    waiting = [digest]
    seen = {digest}
    while waiting:
        manifest = repository.manifests.get(waiting.pop())
        if manifest is None:
            continue
        sizes |= blob_sizes(manifest)
        fresh = [child.digest for child in manifest.children if child.digest not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return sum(sizes.values())
