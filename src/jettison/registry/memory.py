"""Memory: what one reader has seen of manifests and configs, in front of what is kept between runs.

Both never change, so each is fetched once, whichever repositories hold it.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol
from weakref import WeakValueDictionary

from jettison.oci.config import ConfigFacts, parse_config
from jettison.oci.digest import Digest
from jettison.oci.manifest import Kind, Manifest, ManifestError, parse_manifest

_IMAGE_CONFIGS: Final = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
FLUSH_AT: Final = 2000
"""How many manifests are gathered before they are kept: a transaction each would cost more than reading them."""


class Stored(Protocol):
    """A manifest as it is kept: the media type that the registry named, and the body."""

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

    def known(self, digests: Iterable[Digest], /) -> Mapping[Digest, Stored]:
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


class Memory:
    """The manifests and config facts that are known by now.

    `begins`: nothing is kept from earlier runs, so nothing is looked for there, not even what was put there just now.
    """

    def __init__(
        self,
        kept_manifests: KnownManifests | None = None,
        kept_configs: KnownConfigs | None = None,
        *,
        begins: bool = False,
    ) -> None:
        self._kept_manifests = kept_manifests
        self._kept_configs = kept_configs
        self._begins = begins
        self.manifests: dict[Digest, Manifest] = {}
        self.facts: dict[Digest, ConfigFacts] = {}
        self._new_bodies: dict[Digest, bytes] = {}
        self._new_facts: list[Digest] = []
        self._fetching: WeakValueDictionary[Digest, asyncio.Lock] = WeakValueDictionary()

    def learn_manifest(self, digest: Digest, body: bytes, media_type: str) -> Manifest:
        """Take a manifest that was fetched. Raises ManifestError."""
        manifest = parse_manifest(digest, body, media_type)
        self.manifests[digest] = manifest
        self._new_bodies[digest] = body
        return manifest

    def learn_config(self, digest: Digest, body: bytes) -> None:
        """Take a config that was fetched."""
        self.facts[digest] = parse_config(body)
        self._new_facts.append(digest)

    def recall(self, digests: Collection[Digest]) -> list[Manifest]:
        """Parse what is kept of `digests` from earlier runs, and return all that is known of them.

        What no longer parses is read again, and then reported.
        """
        unknown = [digest for digest in digests if digest not in self.manifests]
        if self._kept_manifests is not None and unknown and not self._begins:
            for digest, stored in self._kept_manifests.known(unknown).items():
                try:
                    self.manifests[digest] = parse_manifest(digest, stored.body, stored.media_type)
                except ManifestError:
                    continue
        return [self.manifests[digest] for digest in digests if digest in self.manifests]

    def recall_configs(self, manifests: Iterable[Manifest]) -> None:
        """Take what is kept from earlier runs of the manifests' configs."""
        if self._kept_configs is None or self._begins:
            return
        unknown = [digest for digest in configs_of(manifests) if digest not in self.facts]
        if unknown:
            self.facts |= self._kept_configs.known(unknown)

    def alone(self, digest: Digest) -> asyncio.Lock:
        """Return what holds off those who would fetch the same for another repository, to be held while fetching.

        They then look whether it is known. It is gone once nobody holds it or waits for it.
        """
        return self._fetching.setdefault(digest, asyncio.Lock())

    def save(self, at_least: int = 1) -> None:
        """Keep what is new for the next run, once there is enough of it."""
        if len(self._new_bodies) + len(self._new_facts) < at_least:
            return
        if self._kept_manifests is not None and self._new_bodies:
            self._kept_manifests.remember(
                [(digest, self.manifests[digest].media_type, body) for digest, body in self._new_bodies.items()]
            )
        if self._kept_configs is not None and self._new_facts:
            self._kept_configs.remember([(digest, self.facts[digest]) for digest in self._new_facts])
        self._new_bodies.clear()
        self._new_facts.clear()


def configs_of(manifests: Iterable[Manifest]) -> dict[Digest, None]:
    """Return the configs of images, which tell date and platform; those of other artifacts tell neither."""
    return {
        manifest.config.digest: None
        for manifest in manifests
        if manifest.kind is Kind.IMAGE and manifest.config and manifest.config.media_type in _IMAGE_CONFIGS
    }
