"""Inventory: what a registry holds at one moment, whichever source it was read from. Immutable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jettison.oci.config import ConfigFacts, known_date
from jettison.oci.digest import Digest
from jettison.oci.manifest import Manifest
from jettison.oci.problem import Problem
from jettison.oci.tag import Tag

__all__ = ["Inventory", "Problem", "Repository", "Tag"]

_NO_FACTS = ConfigFacts()


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository: its tags by name, and every manifest of it that the source could see.

    `facts` has the config facts by the config's digest, `pushed` when a manifest was last pushed, where the source
    tells. `leftovers` are manifests without a tag that an earlier, unfinished run meant to delete.

    `pulled` has the latest pull that was no scanner's, by the tag's name or the digest that was asked for. Pulls are
    known from `pulls_since` on (None: never), so what is missing in `pulled` was not pulled since then.
    """

    name: str
    tags: tuple[Tag, ...] = ()
    manifests: Mapping[Digest, Manifest] = field(default_factory=dict)
    facts: Mapping[Digest, ConfigFacts] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    leftovers: frozenset[Digest] = frozenset()
    pushed: Mapping[Digest, datetime] = field(default_factory=dict)
    pulled: Mapping[str, datetime] = field(default_factory=dict)
    pulls_since: datetime | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything that the repository holds could be read, as far as deletion depends on it."""
        return not any(problem.blocks for problem in self.problems)

    def created(self, digest: Digest) -> datetime | None:
        """Return when the image was created: of an index, the newest of its images. None where nobody knows.

        One image that tells no date might be the newest, so its index has none either. BuildKit's attestations
        (platform unknown/unknown) are no images and never tell one.
        """
        dates = [
            known_date(self.facts.get(config, _NO_FACTS).created)
            for config in self._configs(digest)
            if self.facts.get(config, _NO_FACTS).platform != "unknown/unknown"
        ]
        known = [date for date in dates if date is not None]
        return max(known) if known and len(known) == len(dates) else None

    def platforms(self, digest: Digest) -> tuple[str, ...]:
        """Return the platforms of an image or index, as far as they are told."""
        manifest = self.manifests.get(digest)
        if manifest is None:
            return ()
        if manifest.config is not None:
            platform = self.facts.get(manifest.config.digest, _NO_FACTS).platform
            return (platform,) if platform else ()
        return tuple(text for _, text in manifest.platforms if text != "unknown/unknown")

    def _configs(self, digest: Digest) -> list[Digest]:
        """Return the config of an image, or of every image below an index (each once, whatever its loops)."""
        configs: list[Digest] = []
        seen = {digest}
        waiting = [digest]
        while waiting:
            manifest = self.manifests.get(waiting.pop())
            if manifest is None:
                continue
            if manifest.config is not None:
                configs.append(manifest.config.digest)
            fresh = [child.digest for child in manifest.children if child.digest not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
        return configs


@dataclass(frozen=True, slots=True)
class Inventory:
    """All repositories of a registry, in the order of their names.

    `registry` is its URL or storage path, `source` is "api" or "storage". `problems` are those of the whole, such as
    a catalogue that could not be listed to its end; then repositories may be missing here.

    A source that sees the disk tells in `stored` the bytes there of every blob that a manifest refers to, where there
    are any: a descriptor may lie, or name what was never pushed. `stored_as` names the blob that holds the content of
    a digest of another algorithm. None: the source cannot tell.
    """

    registry: str
    source: str
    taken: datetime
    repositories: tuple[Repository, ...] = ()
    problems: tuple[Problem, ...] = ()
    stored: Mapping[Digest, int] | None = None
    stored_as: Mapping[Digest, Digest] = field(default_factory=dict)

    @property
    def tag_count(self) -> int:
        """How many tags there are in all repositories."""
        return sum(len(repository.tags) for repository in self.repositories)
