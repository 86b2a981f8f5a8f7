"""Inventory: what a registry holds at one moment, whichever source it was read from. Immutable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jettison.oci.config import ConfigFacts, known_date
from jettison.oci.digest import Digest
from jettison.oci.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, what it points to, and when it was last pushed (None: the source does not tell)."""

    name: str
    digest: Digest
    pushed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read, in words for a person.

    `blocks` tells whether the repository must therefore lose nothing (promise 2); a problem that hides nothing which
    could be needed, such as a missing config blob, does not block.
    """

    code: str
    text: str
    blocks: bool = True


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository: its tags by name, and every manifest of it that the source could see.

    `facts` has the config facts by the config's digest. `leftovers` are manifests without a tag that an earlier,
    unfinished run meant to delete.
    """

    name: str
    tags: tuple[Tag, ...] = ()
    manifests: Mapping[Digest, Manifest] = field(default_factory=dict)
    facts: Mapping[Digest, ConfigFacts] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    leftovers: frozenset[Digest] = frozenset()
    pushed: Mapping[Digest, datetime] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether everything that the repository holds could be read, as far as deletion depends on it."""
        return not any(problem.blocks for problem in self.problems)

    def created(self, digest: Digest) -> datetime | None:
        """Return when the image was created: of an index, the newest of its children. None where nobody knows."""
        manifest = self.manifests.get(digest)
        if manifest is None:
            return None
        if manifest.config is not None:
            return known_date(self.facts.get(manifest.config.digest, ConfigFacts()).created)
        dates = [self.created(child.digest) for child in manifest.children if child.digest != digest]
        # One child that tells no date might be the newest, so the index has none either. Attestations tell none.
        images = [date for date, child in zip(dates, manifest.children, strict=False) if self._is_image(child.digest)]
        known = [date for date in images if date is not None]
        return max(known) if known and len(known) == len(images) else None

    def platforms(self, digest: Digest) -> tuple[str, ...]:
        """Return the platforms of an image or index, as far as they are told."""
        manifest = self.manifests.get(digest)
        if manifest is None:
            return ()
        if manifest.config is not None:
            platform = self.facts.get(manifest.config.digest, ConfigFacts()).platform
            return (platform,) if platform else ()
        return tuple(text for _, text in manifest.platforms if text != "unknown/unknown")

    def _is_image(self, digest: Digest) -> bool:
        """Whether a child counts for its index's date: BuildKit's attestations say platform unknown/unknown."""
        manifest = self.manifests.get(digest)
        if manifest is None or manifest.config is None:
            return True
        return self.facts.get(manifest.config.digest, ConfigFacts()).platform != "unknown/unknown"


@dataclass(frozen=True, slots=True)
class Inventory:
    """All repositories of a registry, in the order of their names.

    `registry` is its URL or storage path, `source` is "api" or "storage". `problems` are those of the whole, such as
    a catalogue that could not be listed to its end; then repositories may be missing here.
    """

    registry: str
    source: str
    taken: datetime
    repositories: tuple[Repository, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def tag_count(self) -> int:
        """How many tags there are in all repositories."""
        return sum(len(repository.tags) for repository in self.repositories)
