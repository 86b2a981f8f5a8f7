"""Reading an inventory straight from the storage: what no API tells, such as untagged revisions, is in it too."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from jettison.oci.config import ConfigFacts, parse_config
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Problem, Repository, Tag
from jettison.oci.manifest import LARGEST_MANIFEST, Kind, Manifest, ManifestError, parse_manifest
from jettison.oci.reference import is_repository
from jettison.storage.contract import RepositoryListing, StorageReader
from jettison.storage.layout import readable
from jettison.storage.reading import wrong_hash
from jettison.storage.roots import dangling

LARGEST_CONFIG: Final = 8 * 1024 * 1024
"""Bytes; a config that is larger tells no date."""

_IMAGE_CONFIGS: Final = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)


class StoredManifest(Protocol):
    """A manifest as it is kept between runs: the media type that a registry named, and the body."""

    @property
    def media_type(self) -> str:
        """The media type."""
        ...

    @property
    def body(self) -> bytes:
        """The bytes."""
        ...


class KnownManifests(Protocol):
    """Manifests read before; they never change, so they need not be read again."""

    def known(self, digests: Iterable[Digest], /) -> Mapping[Digest, StoredManifest]:
        """Return those that are known."""
        ...

    def remember(self, entries: Iterable[tuple[Digest, str, bytes]], /) -> None:
        """Keep digest, media type and body of each."""
        ...


class KnownConfigs(Protocol):
    """What configs read before said."""

    def known(self, digests: Iterable[Digest], /) -> Mapping[Digest, ConfigFacts]:
        """Return those that are known."""
        ...

    def remember(self, entries: Iterable[tuple[Digest, ConfigFacts]], /) -> None:
        """Keep the facts of each."""
        ...


def read_storage_inventory(
    storage: StorageReader,
    *,
    known: KnownManifests | None = None,
    known_configs: KnownConfigs | None = None,
    now: datetime,
    wanted: Callable[[str], bool] = lambda name: True,
    names: Collection[str] = (),
    leftovers: Mapping[str, Collection[Digest]] | None = None,
) -> Inventory:
    """Read the repositories that are `wanted`; `names` instead of those that the storage lists where given.

    A repository that is named and is not there is empty.

    `leftovers` are digests by repository that an interrupted run meant to delete. What cannot be read is a problem of
    its repository. Raises StorageError where the storage as a whole cannot be read.
    """
    listing = RepositoryListing(tuple(sorted(names))) if names else storage.repositories()
    reading = _Reading(storage, known, known_configs)
    for name in listing.names:
        if wanted(readable(name)):
            reading.add(name, is_linked=name in listing.linked)
    repositories, stored, stored_as = reading.finish(leftovers or {})
    return Inventory(storage.name, "storage", now, repositories, listing.problems, stored, stored_as)


@dataclass(slots=True)
class _Draft:
    """A repository while it is being read."""

    name: str
    tags: tuple[Tag, ...]
    pushed: dict[Digest, datetime]
    problems: list[Problem]
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    facts: dict[Digest, ConfigFacts] = field(default_factory=dict)


class _Reading:
    """Reads all repositories together, so that what they share is read once."""

    def __init__(
        self, storage: StorageReader, known: KnownManifests | None, known_configs: KnownConfigs | None
    ) -> None:
        self._storage = storage
        self._known = known
        self._known_configs = known_configs
        self._drafts: list[_Draft] = []
        self._manifests: dict[Digest, Manifest | Problem] = {}
        self._facts: dict[Digest, ConfigFacts | Problem] = {}
        self._stored: dict[Digest, int] = {}
        self._stored_as: dict[Digest, Digest] = {}

    def add(self, name: str, *, is_linked: bool) -> None:
        """Read a repository's tags and revisions; tags first, as a push writes them the other way round."""
        tags = self._storage.tags(name)
        revisions = self._storage.revisions(name, read=True)
        pushed = {Digest(digest): when for digest, when in revisions.pushed.items()}
        problems = [*tags.problems, *revisions.problems]
        problems += [dangling(tag.name, tag.digest) for tag in tags.tags if tag.digest not in pushed]
        if not is_repository(name):
            problems.append(Problem("bad-name", f"{readable(name)!r} is no legal repository name"))
        if is_linked:
            text = "a symbolic link leads to this repository, and nothing is deleted through one"
            problems.append(Problem("symbolic-link", text))
        self._drafts.append(_Draft(name, tags.tags, pushed, problems))

    def finish(
        self, leftovers: Mapping[str, Collection[Digest]]
    ) -> tuple[tuple[Repository, ...], dict[Digest, int], dict[Digest, Digest]]:
        """Read what the repositories lead to and return them, with the sizes and other names of blobs on the disk."""
        self._read_manifests({digest for draft in self._drafts for digest in draft.pushed})
        for draft in self._drafts:
            self._give_manifests(draft)
        configs = {
            manifest.config.digest
            for draft in self._drafts
            for manifest in draft.manifests.values()
            if manifest.kind is Kind.IMAGE and manifest.config and manifest.config.media_type in _IMAGE_CONFIGS
        }
        self._read_configs(configs)
        self._read_sizes()
        return tuple(self._finished(draft, leftovers) for draft in self._drafts), self._stored, self._stored_as

    def _read_manifests(self, digests: set[Digest]) -> None:
        for digest, kept in (self._known.known(digests) if self._known and digests else {}).items():
            self._manifests[digest] = _parsed(digest, kept.body, kept.media_type or None)
        fresh: list[tuple[Digest, str, bytes]] = []
        for text, body in self._storage.bodies(sorted(digests - self._manifests.keys()), LARGEST_MANIFEST):
            digest = Digest(text)
            if body is None:
                self._manifests[digest] = _missing(digest)
            elif isinstance(body, Problem):
                self._manifests[digest] = body
            elif not digest.matches(body):
                self._manifests[digest] = wrong_hash(digest)
            else:
                manifest = self._manifests[digest] = _parsed(digest, body, None)
                if isinstance(manifest, Manifest):
                    self._stored[digest] = len(body)
                    if manifest.media_type:
                        fresh.append((digest, manifest.media_type, body))
        if self._known and fresh:
            self._known.remember(fresh)

    def _give_manifests(self, draft: _Draft) -> None:
        """Give a repository its manifests, and look up under which digests those of other algorithms are stored."""
        named_otherwise = False
        for digest in draft.pushed:
            manifest = self._manifests[digest]
            if isinstance(manifest, Problem):
                draft.problems.append(manifest)
            else:
                draft.manifests[digest] = manifest
                named_otherwise |= any(not blob.digest.startswith("sha256:") for blob in manifest.blobs)
        if named_otherwise:
            layers = self._storage.layers(draft.name, canonical=False)
            draft.problems += layers.problems
            self._stored_as |= {Digest(digest): Digest(stored) for digest, stored in layers.stored_as.items()}

    def _read_sizes(self) -> None:
        """Look at the files whose bodies were not read just now: layers, and what is known from earlier runs."""
        wanted: set[Digest] = set()
        for draft in self._drafts:
            wanted.update(draft.manifests)
            for manifest in draft.manifests.values():
                wanted.update([blob.digest for blob in manifest.blobs])
        as_stored = {self._stored_as.get(digest, digest) for digest in wanted}
        unread = sorted(as_stored - self._stored.keys())
        self._stored |= {blob.digest: blob.size for blob in self._storage.stored(unread).values()}

    def _read_configs(self, digests: set[Digest]) -> None:
        self._facts.update(self._known_configs.known(digests) if self._known_configs and digests else {})
        fresh: list[tuple[Digest, ConfigFacts]] = []
        for text, body in self._storage.bodies(sorted(digests - self._facts.keys()), LARGEST_CONFIG):
            digest = Digest(text)
            if isinstance(body, Problem):
                self._facts[digest] = Problem("unreadable-config", body.text, blocks=False)
            elif body is not None and digest.matches(body):
                self._stored[digest] = len(body)
                self._facts[digest] = facts = parse_config(body)
                fresh.append((digest, facts))
            else:
                self._facts[digest] = _no_config(
                    digest, "is missing" if body is None else "is not what its digest says"
                )
        if self._known_configs and fresh:
            self._known_configs.remember(fresh)

    def _finished(self, draft: _Draft, leftovers: Mapping[str, Collection[Digest]]) -> Repository:
        told: set[Problem] = set()  # images may share a config
        for digest, manifest in list(draft.manifests.items()):
            if digest not in self._stored:  # known from an earlier run, but gone from the disk
                del draft.manifests[digest]
                draft.problems.append(_missing(digest))
            elif manifest.config is not None:
                facts = self._facts.get(manifest.config.digest)
                if isinstance(facts, ConfigFacts):
                    draft.facts[manifest.config.digest] = facts
                elif facts is not None and facts not in told:
                    told.add(facts)
                    draft.problems.append(facts)
        tagged = {tag.digest for tag in draft.tags}
        return Repository(
            readable(draft.name),
            draft.tags,
            draft.manifests,
            draft.facts,
            tuple(draft.problems),
            frozenset(leftovers.get(draft.name, ())) & draft.manifests.keys() - tagged,
            draft.pushed,
        )


def _missing(digest: Digest) -> Problem:
    return Problem("missing-manifest", f"the data of manifest {digest} is missing")


def _no_config(digest: Digest, reason: str) -> Problem:
    text = f"the image config {digest} {reason}, so the date of its image is unknown"
    return Problem("missing-config", text, blocks=False)


def _parsed(digest: Digest, body: bytes, media_type: str | None) -> Manifest | Problem:
    try:
        return parse_manifest(digest, body, media_type)
    except ManifestError as error:
        return Problem("damaged-manifest", str(error))
