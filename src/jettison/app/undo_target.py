"""Where an undo writes: to a registry over its API, or into its storage, with what is in quarantine there."""

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from jettison.collect.quarantine import Collected, Link, Suspect
from jettison.errors import ContentError, NotFoundError, RegistryError
from jettison.history.model import StoredManifest
from jettison.oci import media_types
from jettison.oci.digest import Digest
from jettison.oci.manifest import LARGEST_MANIFEST, ManifestError, parse_manifest
from jettison.registry.client import RegistryClient
from jettison.storage import layout
from jettison.storage.files import TooLargeError, read_file
from jettison.storage.lease import Lease
from jettison.storage.links import has_link
from jettison.storage.local import LocalStorage
from jettison.storage.quarantine import PLACE, Quarantine
from jettison.storage.restore import LocalRestore, had_link


class Target(Protocol):
    """A registry that manifests and tags are brought back to. Methods raise RegistryError or StorageError."""

    async def exists(self, repository: str, digest: Digest) -> bool:
        """Whether the repository has the manifest now."""
        ...

    async def points_to(self, repository: str, tag: str) -> Digest | None:
        """Return what a tag points to now, None where there is no such tag."""
        ...

    async def body(self, repository: str, digest: Digest) -> StoredManifest | None:
        """Return a manifest that is still there; None where it is not."""
        ...

    async def lacks(self, repository: str, digest: Digest) -> bool:
        """Whether the repository cannot give the blob."""
        ...

    async def put_manifest(self, repository: str, digest: Digest, manifest: StoredManifest) -> None:
        """Bring a manifest back, by its digest."""
        ...

    async def put_tag(self, repository: str, tag: str, digest: Digest, manifest: StoredManifest) -> None:
        """Point a tag that does not exist to a manifest that does."""
        ...


class ApiTarget:
    """A registry over its API."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client

    async def exists(self, repository: str, digest: Digest) -> bool:
        """Whether the repository has the manifest now."""
        try:
            await self._client.resolve(repository, digest)
        except NotFoundError:
            return False
        return True

    async def points_to(self, repository: str, tag: str) -> Digest | None:
        """Return what a tag points to now, None where there is no such tag."""
        try:
            return (await self._client.resolve(repository, tag)).digest
        except NotFoundError:
            return None

    async def body(self, repository: str, digest: Digest) -> StoredManifest | None:
        """Return a manifest that is still there."""
        try:
            fetched = await self._client.manifest(repository, digest)
        except NotFoundError:
            return None
        return StoredManifest(fetched.media_type, fetched.body)

    async def lacks(self, repository: str, digest: Digest) -> bool:
        """Whether the registry says that the repository has no such blob."""
        return await self._client.blob_size(repository, digest) is None

    async def put_manifest(self, repository: str, digest: Digest, manifest: StoredManifest) -> None:
        """Put it and read it again: a server that wrongly remembers the body takes it and has nothing."""
        await self._remind(repository, digest, manifest)
        await self._client.put_manifest(repository, digest, manifest.media_type, manifest.body)
        try:
            await self._client.manifest(repository, digest)
        except RegistryError as error:
            raise ContentError(
                f"{repository}@{digest} was put, but the registry does not give it back; restart the registry and undo "
                f"again ({error})"
            ) from error

    async def put_tag(self, repository: str, tag: str, digest: Digest, manifest: StoredManifest) -> None:
        """Put the manifest under the tag. The server has no way to put a tag only where there is none."""
        await self._remind(repository, digest, manifest)
        await self._client.put_manifest(repository, tag, manifest.media_type, manifest.body)

    async def _remind(self, repository: str, digest: Digest, manifest: StoredManifest) -> None:
        """Ask for the blobs that an index lists, as BuildKit's caches do.

        3.x looks for all that an index lists among the manifests, and takes a blob only where it remembers it.
        """
        if manifest.media_type not in media_types.INDEX_TYPES:
            return
        for blob in parse_manifest(digest, manifest.body, manifest.media_type).blobs:
            await self._client.blob_size(repository, blob.digest)


class StorageTarget:
    """A registry's storage, written directly."""

    def __init__(self, storage: LocalStorage, shelf: "Shelf") -> None:
        self._storage = storage
        self._shelf = shelf
        self._restore = shelf.restore

    async def exists(self, repository: str, digest: Digest) -> bool:
        """Whether the repository links the manifest, and its body is there."""
        return self._storage.has_revision(repository, digest) and self._shelf.is_present(digest)

    async def points_to(self, repository: str, tag: str) -> Digest | None:
        """Return what a tag points to now, None where there is no such tag."""
        return await asyncio.to_thread(self._storage.points_to, repository, tag)

    async def body(self, repository: str, digest: Digest) -> StoredManifest | None:
        """Return a manifest's body from the storage or its quarantine."""
        return self._shelf.body(digest)

    async def lacks(self, repository: str, digest: Digest) -> bool:
        """Whether the blob's data or the repository's link of it is missing."""
        return not has_link(self._storage.name, repository, digest)

    async def put_manifest(self, repository: str, digest: Digest, manifest: StoredManifest) -> None:
        """Store the body where it is gone, then the revision's link."""
        self._restore.put_body(digest, manifest.body)
        self._restore.put_revision(repository, digest)

    async def put_tag(self, repository: str, tag: str, digest: Digest, manifest: StoredManifest) -> None:
        """Write the tag, unless there is one. Raises ChangedError where somebody else was faster."""
        self._restore.put_tag(repository, tag, digest)


@dataclass(frozen=True, slots=True)
class Piece:
    """A blob on its way back: where its bytes are (None: in their place), and the links to write, each once."""

    digest: Digest
    size: int
    collected: Collected | None
    links: tuple[tuple[str, Digest], ...]


class Shelf:
    """The storage's quarantine and links, for what must come back. The lease keeps collectors away meanwhile.

    `unlinked` reads from the journal which layer links, by repository, were removed, and what they named as far as that
    is known; it is called when that matters.
    """

    def __init__(
        self,
        lease: Lease,
        storage: LocalStorage,
        unlinked: Callable[[], Mapping[tuple[str, Digest], Digest | None]] = dict,
    ) -> None:
        self._unlinked = functools.cache(unlinked)
        self._root = storage.name
        self._storage = storage
        self._quarantine = Quarantine(lease)
        self.restore = LocalRestore(lease, storage)
        self.collections = self._quarantine.collections()
        """What is in quarantine, the oldest first, as it was when this was made."""
        self._held: dict[Digest, tuple[Collected, int]] = {}
        self._targets: dict[tuple[str, Digest], Digest] = {}
        for collected in self.collections:
            for digest, size in self._quarantine.held(collected).items():
                self._held[Digest(digest)] = collected, size
            for suspect in collected.suspects:
                for link in suspect.links:
                    self._targets[link.repository, Digest(link.digest)] = Digest(suspect.digest)

    def held_of(self, collected: Collected) -> list[Digest]:
        """Return the blobs of a collection whose bytes are in quarantine."""
        return sorted(digest for digest, (place, _) in self._held.items() if place.id == collected.id)

    def is_present(self, digest: Digest) -> bool:
        """Whether a blob's data is in its place."""
        return self._quarantine.is_present(digest)

    def body(self, digest: Digest) -> StoredManifest | None:
        """Return a manifest that is stored or in quarantine, with the media type that its body tells."""
        paths = [f"{self._root}/{layout.blob_data(digest)}"]
        if digest in self._held:
            paths.append(f"{self._root}/{PLACE}/{self._held[digest][0].id}/{digest.replace(':', '-', 1)}")
        for path in paths:
            try:
                body = read_file(path, LARGEST_MANIFEST)
                if digest.matches(body):
                    return StoredManifest(parse_manifest(digest, body).media_type, body)
            except (OSError, TooLargeError, ManifestError):
                continue
        return None

    def piece(self, repository: str, digest: Digest) -> Piece | str | None:
        """Return how a blob comes back to a repository; None where it is there, a sentence where it cannot."""
        target = self._target(repository, digest)
        if target is None:
            return f"nobody knows any more which blob {digest} stood for"
        linked = has_link(self._root, repository, digest)
        present = self.is_present(target)
        if linked and present:
            return None
        held = self._held.get(target)
        if not present and held is None:
            return f"blob {digest} was purged"
        if not linked and not self._had(repository, digest):
            return f"nothing shows that {repository} ever had blob {digest}"
        links = () if linked else ((repository, digest),)
        return Piece(target, held[1] if held and not present else 0, None if present or not held else held[0], links)

    def manifest_piece(self, digest: Digest) -> Piece | None:
        """Return how a manifest's body comes back from quarantine; None where it is not there."""
        held = self._held.get(digest)
        return None if held is None else Piece(digest, held[1], held[0], ())

    def whole(self, collected: Collected, suspect: Suspect) -> Piece | str | None:
        """Return how a blob of a collection comes back with all links that were live; as `piece`."""
        digest = Digest(suspect.digest)
        present = self.is_present(digest)
        held = self._held.get(digest)
        if not present and held is None:
            return f"blob {digest} was purged"
        links = tuple((link.repository, Digest(link.digest)) for link in self._lost(suspect.links))
        if present and not links:
            return None
        return Piece(digest, held[1] if held and not present else 0, None if present or not held else held[0], links)

    def bring(self, piece: Piece) -> str:
        """Bring a blob back, then its links; return a sentence where that was not all. Raises StorageError."""
        if piece.collected is not None:
            self._quarantine.bring_back(piece.collected, piece.digest)
        if not self.is_present(piece.digest):
            return "it was purged meanwhile"
        for repository, digest in piece.links:
            self.restore.put_link(repository, digest, piece.digest)
        return ""

    def finish(self, collected: Collected) -> None:
        """Forget a collection that holds nothing any more, unless its record is needed still.

        One with links of another algorithm than sha256 stays for the next gc: only its record tells which blob they
        stand for, and a run that was killed may have left links to repair. So does one whose blobs came back and whose
        links did not all (the disk was full): nothing else may tell that they were there, and an undo writes only such.
        """
        links = (link for suspect in collected.suspects for link in suspect.links)
        if all(link.digest.startswith(f"{layout.CANONICAL}:") for link in links) and not any(
            self.is_present(Digest(suspect.digest)) and self._lost(suspect.links) for suspect in collected.suspects
        ):
            self._quarantine.finish(collected)

    def _had(self, repository: str, digest: Digest) -> bool:
        """Whether the repository had a link of the blob: nobody may reach a blob by an undo who could not before."""
        known = (repository, digest)
        return known in self._targets or had_link(self._root, repository, digest) or known in self._unlinked()

    def _target(self, repository: str, digest: Digest) -> Digest | None:
        """Return the digest that a blob is stored under; None where that is not known."""
        if digest.algorithm == layout.CANONICAL:
            return digest
        known = self._targets.get((repository, digest))
        if known is not None:
            return known
        stored = self._storage.layers(repository, canonical=False).stored_as.get(digest)
        return self._unlinked().get((repository, digest)) if stored is None else Digest(stored)

    def _lost(self, links: Iterable[Link]) -> list[Link]:
        return [link for link in links if link.live and not has_link(self._root, link.repository, link.digest)]
