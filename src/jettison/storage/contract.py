"""What a storage can do: the contract between what reads and collects, and the file system or object store below.

Everything that may concern thousands of files takes or gives many at once, so that an object store can ask for them
side by side. Nothing here raises for damage in one repository: what cannot be read becomes a `Problem`, so that whoever
asks can tell "not there" (absent from the answer) from "could not be read" (a problem that blocks).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from jettison.collect.blob import StoredBlob
from jettison.collect.packed import DigestText
from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.oci.problem import Problem
from jettison.oci.tag import Tag

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

Body = bytes | Problem | None
"""A blob's bytes; why they could not be read; or None, where there is no such blob."""


class ChangedError(StorageError):
    """What was to be deleted is not what it was when that was decided, so it stays."""


class BlobListing(NamedTuple):
    """The digests of all blobs that have a folder. `problems` are foreign or unreadable folders, none of which block:
    a blob that is not listed is not collected.
    """

    digests: AbstractSet[DigestText]
    problems: tuple[Problem, ...] = ()


class RepositoryListing(NamedTuple):
    """The names of all repositories, sorted, as the storage spells them: some may be no legal repository names.

    `linked` are those that a symbolic link leads to. `is_complete` is False where a folder could not be listed: then
    there may be repositories that nobody knows of.
    """

    names: tuple[str, ...] = ()
    linked: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    is_complete: bool = True


class TagListing(NamedTuple):
    """A repository's tags in the order of their names."""

    tags: tuple[Tag, ...] = ()
    problems: tuple[Problem, ...] = ()


class TargetListing(NamedTuple):
    """What the tags of a repository point to, by tag."""

    targets: Mapping[str, DigestText] = _NOTHING
    problems: tuple[Problem, ...] = ()


class RevisionListing(NamedTuple):
    """A repository's revisions. One whose link is damaged is among them: up to 3.0 the registry writes links in place,
    so a reader may see one that is not written yet. `pushed` is when each was last pushed, where that was asked for.
    """

    digests: frozenset[DigestText] = frozenset()
    pushed: Mapping[DigestText, datetime] = _NOTHING
    problems: tuple[Problem, ...] = ()
    is_complete: bool = True


class LayerListing(NamedTuple):
    """The digests that have a folder among a repository's layer links, whether or not the link in it is left.

    `stored_as` gives, for digests of other algorithms than sha256, the digest of the blob that the link names.
    """

    digests: AbstractSet[DigestText] = frozenset()
    stored_as: Mapping[DigestText, DigestText] = _NOTHING
    problems: tuple[Problem, ...] = ()
    is_complete: bool = True


class Upload(NamedTuple):
    """An unfinished upload: its identifier, when it began, and the bytes that it takes."""

    identifier: str
    started: datetime
    size: int


class StorageReader(Protocol):
    """Reads a registry's storage."""

    @property
    def name(self) -> str:
        """The path or URL of the storage, as an inventory names it."""
        ...

    def blobs(self) -> BlobListing:
        """List the blobs, by name only."""
        ...

    def stored(self, digests: Iterable[DigestText]) -> dict[DigestText, StoredBlob]:
        """Return size and time of those of the blobs that have data."""
        ...

    def bodies(self, digests: Iterable[DigestText], limit: int) -> Iterator[tuple[DigestText, Body]]:
        """Read blobs of at most `limit` bytes each. Nobody has compared them with their digests."""
        ...

    def repositories(self) -> RepositoryListing:
        """List the repositories."""
        ...

    def tags(self, repository: str) -> TagListing:
        """List a repository's tags, and read what each points to and when it was pushed."""
        ...

    def targets(self, repository: str) -> TargetListing:
        """Read what a repository's tags point to, as fast as possible."""
        ...

    def revisions(self, repository: str, *, read: bool) -> RevisionListing:
        """List a repository's revisions.

        With `read` each link's content is compared with its path, and it is told when it was pushed. Without, its size
        is compared with what it should be, and no more.
        """
        ...

    def layers(self, repository: str, *, canonical: bool) -> LayerListing:
        """List a repository's layer links. Without `canonical` those of sha256, nearly all, are left out."""
        ...

    def uploads(self, repository: str) -> tuple[Upload, ...]:
        """List a repository's unfinished uploads. Raises StorageError where they cannot be listed."""
        ...

    def points_to(self, repository: str, tag: str) -> Digest | None:
        """Return what a tag points to now, None where there is no such tag. Raises StorageError for a damaged link."""
        ...

    def has_revision(self, repository: str, digest: Digest) -> bool:
        """Whether the repository links the manifest now. Raises StorageError where that cannot be told."""
        ...


class StorageWriter(Protocol):
    """Deletes from a registry's storage. Nothing is ever deleted through a symbolic link.

    Every method raises StorageError where the storage refuses; what was deleted before that stays deleted.
    """

    def check(self) -> None:
        """Raise StorageError where this process may not delete here."""
        ...

    def delete_tag(self, repository: str, tag: str, expected: Digest) -> bool:
        """Delete a tag that points to `expected`; False where it is gone.

        Raises ChangedError where it points elsewhere.
        """
        ...

    def delete_revision(self, repository: str, digest: Digest, tags: Collection[str]) -> bool:
        """Delete the tags, all of which point to `digest`, then the revision; False where that was gone."""
        ...

    def remove_layer_links(self, repository: str, digests: Iterable[DigestText]) -> int:
        """Remove layer links and return how many there were. On return they are gone for good, whatever crashes."""
        ...

    def remove_blobs(self, blobs: Iterable[StoredBlob]) -> Iterator["RemovedBlob"]:
        """Remove blobs that are still as described, one at a time, and tell what became of each."""
        ...


class RemovedBlob(NamedTuple):
    """What became of one blob: the bytes that the disk got back, or why it stays."""

    digest: Digest
    freed: int
    problem: Problem | None = None
