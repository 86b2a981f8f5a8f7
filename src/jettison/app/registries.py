"""What the use cases need of a registry, whichever way it is reached: over the API, or through its storage."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias

from jettison.errors import NotFoundError, PreflightError
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository
from jettison.plan.model import ActionKind, DeleteBy, Plan, Server

if TYPE_CHECKING:  # the HTTP client takes a sixth of a second to load, and a storage needs none
    from jettison.registry.client import RegistryClient
    from jettison.registry.inventory import KnownManifests, RegistryReader

Learnt: TypeAlias = Callable[[Inventory], Inventory]
"""Adds to an inventory what the history knows of its images."""


class AnyRegistry(Protocol):
    """A registry to read and to delete from."""

    @property
    def name(self) -> str:
        """Its URL or storage path, as an inventory names it."""
        ...

    async def read(self, wanted: Callable[[str], bool], now: datetime) -> Inventory:
        """Read the repositories that are `wanted`."""
        ...

    async def server(self, inventory: Inventory) -> Server:
        """Tell what is known of the server, by reading only."""
        ...

    async def reread(self, repository: str) -> Repository:
        """Read one repository as it stands now, and what the plan of `preflight` names there, tagged or not."""
        ...

    async def points_to(self, repository: str, tag: str) -> Digest | None:
        """Return what a tag points to now, None where there is no such tag."""
        ...

    async def exists(self, repository: str, digest: Digest) -> bool:
        """Whether the repository holds the manifest now."""
        ...

    async def delete_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> bool:
        """Delete a manifest with these tags of it. False: it was gone already."""
        ...

    async def delete_tag(self, repository: str, tag: str, digest: Digest) -> bool:
        """Delete one tag, which points to `digest`. False: it was gone already."""
        ...

    async def preflight(self, plan: Plan) -> "Ability":
        """Find out whether the registry would do what the plan asks for. Raises PreflightError where not."""
        ...


class Ability(Protocol):
    """What preflight found out."""

    @property
    def deletes_tags(self) -> bool:
        """Whether a single tag can be deleted."""
        ...

    @property
    def tags_reason(self) -> str:
        """Why not, as a sentence; empty where it can."""
        ...


@dataclass(frozen=True, slots=True)
class KnownServer:
    """What is known of the server beyond its API: version as `2.8.2`, None where it did not tell, and driver."""

    version: str | None
    driver: str

    @property
    def hides_tags(self) -> bool:
        """Whether its tag listing may be incomplete (distribution 3.1.0 and 3.1.1 on S3)."""
        return self.driver.startswith("s3") and (self.version is None or self.version.startswith(("3.1.0", "3.1.1")))


def deletes_tags_by_version(version: str | None) -> bool | None:
    """Whether distribution of this version deletes a single tag: from 3.0 on. None where the version is unknown."""
    if version is None or not version.split(".")[0].lstrip("v").isdecimal():
        return None
    return int(version.split(".")[0].lstrip("v")) >= 3


class ApiRegistry:
    """A registry over its HTTP API.

    `repositories` are read instead of the catalogue where given. `known` is what control or the registry's own
    configuration told of the server, `delete_by` what the user wants. Whatever is deleted is kept in `bodies` before
    that, for once it is gone no registry gives it back (promise 5). `learnt` adds what no registry tells.
    """

    def __init__(
        self,
        client: "RegistryClient",
        reader: "RegistryReader",
        *,
        repositories: Sequence[str] = (),
        known: "KnownServer | None" = None,
        delete_by: DeleteBy | None = None,
        bodies: "KnownManifests | None" = None,
        learnt: Learnt | None = None,
    ) -> None:
        self._bodies = bodies
        self._learnt = learnt
        self._client = client
        self._reader = reader
        self._names = repositories
        self._known = known
        self._delete_by = delete_by
        self._planned: dict[str, set[Digest]] = {}

    @property
    def name(self) -> str:
        """The registry's URL."""
        return str(self._client.url)

    async def read(self, wanted: Callable[[str], bool], now: datetime) -> Inventory:
        """Read the catalogue's repositories, or those that were named."""
        inventory = await self._reader.read(wanted, now, self._names)
        return self._learnt(inventory) if self._learnt is not None else inventory

    async def server(self, inventory: Inventory) -> Server:
        """Tell what the server can do, from its version or by asking with GET.

        Over the API alone a server that deletes tags is asked to delete tags, not digests: 3.1.0 and 3.1.1 on S3 leave
        tags out of their listing, and deleting a digest would take an unlisted, wanted tag with it.
        """
        version = self._known.version if self._known else None
        deletes_tags = deletes_tags_by_version(version)
        with_tags = next((each.name for each in inventory.repositories if each.tags), None)
        if deletes_tags is None and with_tags is not None:
            deletes_tags = await self._client.deletes_tags(with_tags)
        by_tag = deletes_tags is True and (self._known is None or self._known.hides_tags)
        return Server(version, deletes_tags, self._delete_by or (DeleteBy.TAG if by_tag else DeleteBy.DIGEST))

    async def reread(self, repository: str) -> Repository:
        """Read one repository as it stands now.

        No tag may lead any more to what the plan deletes, and no listing shows it then; but it is there, with its
        children, so each digest of the plan that `preflight` was asked about is looked for by itself.
        """
        return await self._reader.repository(repository, self._planned.get(repository, ()))

    async def points_to(self, repository: str, tag: str) -> Digest | None:
        """Return what a tag points to now, None where there is no such tag."""
        try:
            return (await self._client.resolve(repository, tag)).digest
        except NotFoundError:
            return None

    async def exists(self, repository: str, digest: Digest) -> bool:
        """Whether the repository holds the manifest now."""
        try:
            await self._client.resolve(repository, digest)
        except NotFoundError:
            return False
        return True

    async def delete_manifest(self, repository: str, digest: Digest, tags: Collection[str]) -> bool:
        """Delete a manifest; the server deletes the tags that point to it as well. Raises HistoryError."""
        await self._keep(repository, digest)
        return await self._client.delete_manifest(repository, digest)

    async def delete_tag(self, repository: str, tag: str, digest: Digest) -> bool:
        """Delete one tag. Raises HistoryError where its manifest cannot be kept."""
        await self._keep(repository, digest)
        return await self._client.delete_tag(repository, tag)

    async def _keep(self, repository: str, digest: Digest) -> None:
        """Have the manifest's body on the disk here before the registry may lose it.

        Reading the repository gathers bodies and keeps them by the thousand; this one may not have been among them, as
        where a plan that was made on another machine is applied.
        """
        if self._bodies is None or self._bodies.known([digest]):
            return
        try:
            fetched = await self._client.manifest(repository, digest)
        except NotFoundError:
            return
        self._bodies.remember([(digest, fetched.media_type, fetched.body)])

    async def preflight(self, plan: Plan) -> "Ability":
        """Ask in the plan's first repository, by deleting what cannot exist, what the registry would let us delete."""
        self._planned.clear()
        for action in plan.actions:
            if action.action is ActionKind.DELETE_MANIFEST:
                self._planned.setdefault(action.repository, set()).add(action.digest)
        kinds = {action.action for action in plan.actions}
        abilities = await self._client.preflight(plan.actions[0].repository)
        if ActionKind.DELETE_MANIFEST in kinds and not abilities.deletes_manifests:
            raise PreflightError(f"{self.name}: {abilities.manifests_reason}")
        if kinds == {ActionKind.DELETE_TAG} and not abilities.deletes_tags:
            raise PreflightError(f"{self.name}: {abilities.tags_reason}")
        return abilities
