"""ServedStorage: a registry whose storage is read and whose API deletes.

The storage shows what no listing does (manifests without a tag, sizes on the disk, every tag), and its server is asked
to delete, since it alone can make itself forget. A server reads tags and manifests' links from its storage each time
and caches neither, so both see the same.

A single tag, which registry 2.8 cannot delete, is deleted in the storage: compared, taken out of sight in one step, and
compared again (`LocalChanges.delete_tag`). Where the server can, it does, so that its notifications tell of it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from jettison.app.registries import ApiRegistry
from jettison.app.same_storage import show_same_storage
from jettison.app.stored_registry import StoredRegistry
from jettison.errors import PreflightError, UsageError
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository
from jettison.plan.model import DeleteBy, Plan, Server
from jettison.registry.client import RegistryClient
from jettison.storage import layout
from jettison.storage.changes import through_link
from jettison.storage.local import LocalStorage
from jettison.storage.symbolic import is_behind_symbolic_link

SOURCE: Final = "both"
_COMPARED: Final = 3


@dataclass(frozen=True, slots=True)
class ServedAbility:
    """What can be deleted: by the server, or single tags in the storage."""

    deletes_tags: bool = True
    tags_reason: str = ""


class ServedStorage:
    """Reads through `stored` and deletes through `served`; both are the same registry."""

    def __init__(
        self,
        client: RegistryClient,
        served: ApiRegistry,
        storage: LocalStorage,
        stored: StoredRegistry,
        *,
        version: str | None = None,
        delete_by: DeleteBy | None = None,
        prove: bool = False,
    ) -> None:
        self._client = client
        self._served = served
        self._storage = storage
        self._stored = stored
        self._version = version
        self._delete_by = delete_by
        self._prove = prove
        self._server_deletes_tags = False

    @property
    def name(self) -> str:
        """The registry's URL."""
        return self._served.name

    async def read(self, wanted: Callable[[str], bool], now: datetime) -> Inventory:
        """Read the storage. Raises UsageError where it is not what the API shows."""
        inventory = await self._stored.read(wanted, now)
        await self._compare(inventory)
        return replace(inventory, registry=self.name, source=SOURCE)

    async def server(self, inventory: Inventory) -> Server:
        """Tell that manifests and single tags can be deleted; no tag is hidden from the storage."""
        return Server(self._version, True, self._delete_by or DeleteBy.DIGEST)

    async def reread(self, repository: str) -> Repository:
        """Read one repository as it stands now in the storage."""
        return await self._stored.reread(repository)

    async def points_to(self, repository: str, tag: str) -> Digest | None:
        """Return what a tag points to now, None where there is no such tag."""
        return await self._stored.points_to(repository, tag)

    async def exists(self, repository: str, digest: Digest) -> bool:
        """Whether the repository links the manifest now."""
        return await self._stored.exists(repository, digest)

    async def delete_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> bool:
        """Delete a manifest with its tags over the API.

        Raises StorageError where a symbolic link leads to one of them, which the server would follow.
        """
        self._refuse_links(repository, layout.revision_link(repository, digest).rpartition("/")[0])
        if tags:
            self._refuse_links(repository, layout.tags_folder(repository))
        return await self._served.delete_manifest(repository, digest, tags)

    async def delete_tag(self, repository: str, tag: str, digest: Digest) -> bool:
        """Delete one tag over the API, or in the storage where the server cannot.

        Raises LockedError where the storage is being collected, StorageError where the tag moved or cannot be deleted.
        """
        if self._server_deletes_tags:
            self._refuse_links(repository, layout.tags_folder(repository))
            return await self._served.delete_tag(repository, tag, digest)
        return await self._stored.delete_tag(repository, tag, digest)

    def _refuse_links(self, repository: str, folder: str) -> None:
        if is_behind_symbolic_link(self._storage.name, folder):
            raise through_link(folder)

    async def preflight(self, plan: Plan) -> ServedAbility:
        """Ask the server, and prove that it works on this storage. Raises PreflightError, UsageError."""
        abilities = await self._client.preflight(plan.actions[0].repository)
        if not abilities.deletes_manifests:
            # Deletion that was turned off is not to be done behind the server's back either.
            raise PreflightError(f"{self.name}: {abilities.manifests_reason}")
        if self._prove:
            await show_same_storage(self._storage, [self._client])
        self._server_deletes_tags = abilities.deletes_tags
        return ServedAbility()

    async def _compare(self, inventory: Inventory) -> None:
        """Look up some tags over the API, by reading only: a storage of another registry has others."""
        compared = 0
        for repository in inventory.repositories:
            for tag in repository.tags:
                if tag.digest not in repository.manifests:
                    continue
                if await self._served.points_to(repository.name, tag.name) != tag.digest and (
                    # Or it moved since it was read.
                    await self._stored.points_to(repository.name, tag.name) == tag.digest
                ):
                    raise UsageError(
                        f"{self.name} does not work on the storage {self._storage.name}: {repository.name}:{tag.name} "
                        "is not the same in both. Name the storage of that registry, or the registry of that storage"
                    )
                compared += 1
                if compared >= _COMPARED:
                    return
