"""StorageRegistry: a registry that is reached through its storage alone, as the use cases need one."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository
from jettison.oci.reference import is_repository, is_tag
from jettison.plan.model import DeleteBy, Server
from jettison.storage.contract import StorageReader, StorageWriter
from jettison.storage.inventory import KnownConfigs, KnownManifests, read_storage_inventory


@dataclass(frozen=True, slots=True)
class StorageAbility:
    """What can be deleted: everything, on every version of the server."""

    deletes_manifests: ClassVar[bool] = True
    deletes_tags: ClassVar[bool] = True
    manifests_reason: ClassVar[str] = ""
    tags_reason: ClassVar[str] = ""


class StorageRegistry:
    """Reads through `storage` and deletes through `changes`, in threads, since files have no other way to be awaited.

    `known` and `known_configs` are what earlier runs kept; `leftovers` are digests by repository that an interrupted
    run meant to delete.
    """

    def __init__(
        self,
        storage: StorageReader,
        changes: StorageWriter,
        *,
        known: KnownManifests | None = None,
        known_configs: KnownConfigs | None = None,
        leftovers: Mapping[str, Collection[Digest]] | None = None,
    ) -> None:
        self._storage = storage
        self._changes = changes
        self._known = known
        self._known_configs = known_configs
        self._leftovers = leftovers

    @property
    def name(self) -> str:
        """The storage's path."""
        return self._storage.name

    async def read(self, wanted: Callable[[str], bool] = lambda name: True, now: datetime | None = None) -> Inventory:
        """Read the repositories that are `wanted`. Raises StorageError where the storage cannot be read."""
        return await asyncio.to_thread(self._read, wanted, now or datetime.now(UTC), ())

    async def server(self, inventory: Inventory) -> Server:
        """Tell what the storage allows, whichever server runs on it: single tags can be deleted."""
        return Server(deletes_tags=True, delete_by=DeleteBy.DIGEST)

    async def reread(self, repository: str) -> Repository:
        """Return a repository as it stands now; an empty one where it is gone."""
        _check_name(repository)
        inventory = await asyncio.to_thread(self._read, lambda name: True, datetime.now(UTC), (repository,))
        return inventory.repositories[0]

    async def points_to(self, repository: str, tag: str) -> Digest | None:
        """Return what a tag points to now, None where there is no such tag. Raises StorageError for a damaged link."""
        _check_name(repository, tag)
        return await asyncio.to_thread(self._storage.points_to, repository, tag)

    async def exists(self, repository: str, digest: Digest) -> bool:
        """Whether the repository links the manifest now."""
        _check_name(repository)
        return await asyncio.to_thread(self._storage.has_revision, repository, digest)

    async def delete_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> bool:
        """Delete these tags, all of which point to the manifest, and then the manifest; False where it was gone.

        Raises ChangedError, a StorageError, where one of the tags points elsewhere by now.
        """
        _check_name(repository, *tags)
        return await asyncio.to_thread(self._changes.delete_revision, repository, digest, tuple(tags))

    async def delete_tag(self, repository: str, tag: str, digest: Digest) -> bool:
        """Delete one tag, which points to `digest`; False where it was gone. Raises ChangedError, a StorageError."""
        _check_name(repository, tag)
        return await asyncio.to_thread(self._changes.delete_tag, repository, tag, digest)

    async def preflight(self, plan: object = None) -> StorageAbility:
        """Find out whether the storage can be written. Raises StorageError where not."""
        await asyncio.to_thread(self._changes.check)
        return StorageAbility()

    def _read(self, wanted: Callable[[str], bool], now: datetime, names: Collection[str]) -> Inventory:
        return read_storage_inventory(
            self._storage,
            known=self._known,
            known_configs=self._known_configs,
            now=now,
            wanted=wanted,
            names=names,
            leftovers=self._leftovers,
        )


def _check_name(repository: str, *tags: str) -> None:
    """Let no name reach a path that could leave the repository's folder."""
    if not is_repository(repository):
        raise StorageError(f"{repository!r} is no repository name, so nothing is looked up or deleted under it")
    for tag in tags:
        if not is_tag(tag):
            raise StorageError(f"{tag!r} is no tag, so nothing is looked up or deleted under it")
