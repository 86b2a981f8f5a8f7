"""A built manifest: the bytes of an image, index or artifact with all that it needs, ready to be pushed or laid out."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from jettison.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class BuiltBlob:
    """A config or layer (image-spec, descriptor.md). `digest` need not be sha256."""

    digest: Digest
    media_type: str
    body: bytes = field(repr=False)
    annotations: dict[str, str] = field(default_factory=dict, repr=False)

    def descriptor(self) -> dict[str, object]:
        """Return the descriptor that a manifest refers to it by."""
        made: dict[str, object] = {"mediaType": self.media_type, "digest": str(self.digest), "size": len(self.body)}
        return made | ({"annotations": self.annotations} if self.annotations else {})


@dataclass(frozen=True, slots=True)
class BuiltManifest:
    """A manifest with its blobs (config first) and, for an index, its children."""

    digest: Digest
    media_type: str
    body: bytes = field(repr=False)
    blobs: tuple[BuiltBlob, ...] = ()
    children: tuple["BuiltManifest", ...] = ()
    artifact_type: str | None = None
    platform: str | None = None

    def descriptor(self) -> dict[str, object]:
        """Return the descriptor that an index or a referrer's `subject` refers to it by."""
        return {"mediaType": self.media_type, "digest": str(self.digest), "size": len(self.body)}

    def walk(self) -> Iterator["BuiltManifest"]:
        """Yield it and everything below it, children before parents."""
        for child in self.children:
            yield from child.walk()
        yield self

    def sizes(self) -> dict[Digest, int]:
        """Return the bytes that each distinct manifest and blob takes on disk."""
        found: dict[Digest, int] = {}
        for manifest in self.walk():
            found[manifest.digest] = len(manifest.body)
            found.update((blob.digest, len(blob.body)) for blob in manifest.blobs)
        return found
