"""StoredRegistry: a registry that is reached through its storage alone, which keeps what it deletes."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Protocol

from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory
from jettison.oci.manifest import LARGEST_MANIFEST, ManifestError, parse_manifest
from jettison.storage.changes import LocalChanges
from jettison.storage.inventory import KnownConfigs, KnownManifests
from jettison.storage.lease import take_lease
from jettison.storage.local import LocalStorage
from jettison.storage.registry import StorageRegistry


class KeptBodies(Protocol):
    """Where bodies of manifests are kept for good. Both methods raise HistoryError."""

    def known(self, digests: Iterable[Digest], /) -> Mapping[Digest, object]:
        """Return those that are kept."""
        ...

    def remember(self, entries: Iterable[tuple[Digest, str, bytes]], /) -> None:
        """Keep digest, media type and body of each."""
        ...


class StoredRegistry(StorageRegistry):
    """Deletes under the storage's lease, and only what is kept in `bodies` before (promise 5).

    `is_held`: whoever calls holds the lease for longer already. `learnt` adds to an inventory what no storage tells.
    """

    def __init__(
        self,
        storage: LocalStorage,
        *,
        bodies: KeptBodies,
        known: KnownManifests | None = None,
        known_configs: KnownConfigs | None = None,
        leftovers: Mapping[str, Collection[Digest]] | None = None,
        is_held: bool = False,
        learnt: Callable[[Inventory], Inventory] | None = None,
    ) -> None:
        super().__init__(storage, LocalChanges(storage), known=known, known_configs=known_configs, leftovers=leftovers)
        self._local = storage
        self._bodies = bodies
        self._is_held = is_held
        self._learnt = learnt

    async def read(self, wanted: Callable[[str], bool] = lambda name: True, now: datetime | None = None) -> Inventory:
        """Read the repositories that are `wanted`. Raises StorageError where the storage cannot be read."""
        inventory = await super().read(wanted, now)
        return self._learnt(inventory) if self._learnt is not None else inventory

    async def delete_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> bool:
        """Keep the manifest's body, then delete its tags and it. Raises HistoryError, LockedError, StorageError."""
        await asyncio.to_thread(self._keep, digest)
        with self._lease():
            return await super().delete_manifest(repository, digest, tags)

    async def delete_tag(self, repository: str, tag: str, digest: Digest) -> bool:
        """Keep the body of what the tag points to, then delete the tag. Raises the same."""
        await asyncio.to_thread(self._keep, digest)
        with self._lease():
            return await super().delete_tag(repository, tag, digest)

    def _lease(self) -> AbstractContextManager[object]:
        return nullcontext() if self._is_held else take_lease(self._local.name, "apply")

    def _keep(self, digest: Digest) -> None:
        """Have the manifest's body on the disk elsewhere before the storage may lose it."""
        if self._bodies.known([digest]):
            return
        for _, body in self._local.bodies([digest], LARGEST_MANIFEST):
            if not isinstance(body, bytes) or not digest.matches(body):
                return
            try:
                media_type = parse_manifest(digest, body).media_type
            except ManifestError:
                media_type = ""
            self._bodies.remember([(digest, media_type or "", body)])
