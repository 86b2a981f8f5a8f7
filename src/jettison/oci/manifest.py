"""Manifest: what a manifest's bytes say about other content (image-spec, manifest.md and image-index.md).

An inventory has millions of these values, so they are msgspec's: quicker to make, and nothing that the collector of
cycles has to walk.
"""

import re
from enum import StrEnum
from typing import Final

import msgspec

from jettison.oci import media_types
from jettison.oci.digest import Digest, digests_named_in

LARGEST_MANIFEST: Final = 4 * 1024 * 1024
"""Bytes; what the registry accepts (distribution, registry/handlers/manifests.go, maxManifestBodySize)."""

_LARGEST_BLOB: Final = 1 << 50
"""Bytes. Registries do not check what a descriptor says; more than a pebibyte, or less than nothing, says nothing."""


class ManifestError(ValueError):
    """A manifest's bytes are no JSON, or JSON of another shape than its media type promises."""


class Kind(StrEnum):
    """What a manifest is, which decides what its descriptors mean."""

    IMAGE = "image"
    INDEX = "index"
    ARTIFACT = "artifact"
    UNKNOWN = "unknown"


class Descriptor(msgspec.Struct, frozen=True, gc=False):
    """A reference to content: its media type, digest and size in bytes (image-spec, descriptor.md)."""

    media_type: str
    digest: Digest
    size: int

    @property
    def is_foreign(self) -> bool:
        """Whether the content usually lives elsewhere and takes no space here."""
        return media_types.is_foreign(self.media_type)


class Manifest(msgspec.Struct, frozen=True, gc=False):
    """One manifest, and all that it refers to.

    `blobs` are the config and the layers (or an artifact's blobs), `children` the manifests of an index, `subject` the
    manifest that this one describes. `named` is for kind UNKNOWN: every digest that stands in its bytes. `platforms`
    gives the platform of each child where the index tells it. `size` is the manifest's own, in bytes.
    """

    digest: Digest
    media_type: str
    size: int
    kind: Kind
    config: Descriptor | None = None
    blobs: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str | None = None
    platforms: tuple[tuple[Digest, str], ...] = ()
    named: tuple[Digest, ...] = ()


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""


class _Descriptor(msgspec.Struct):
    digest: str
    mediaType: str = ""  # noqa: N815  (the wire's own name)
    size: int = 0
    platform: _Platform | None = None

    def value(self) -> Descriptor:
        size = self.size if 0 <= self.size <= _LARGEST_BLOB else 0
        return Descriptor(self.mediaType, Digest(self.digest), size)


class _Wire(msgspec.Struct):
    """The union of all manifest documents, so that each is decoded once."""

    schemaVersion: int = 0  # noqa: N815
    mediaType: str = ""  # noqa: N815
    config: _Descriptor | None = None
    layers: list[_Descriptor] | None = None
    manifests: list[_Descriptor] | None = None
    blobs: list[_Descriptor] | None = None
    subject: _Descriptor | None = None
    artifactType: str | None = None  # noqa: N815


_KEYS: Final = tuple(
    (f'"{key}"'.encode(), f'"{key.lower()}"'.encode())
    for key in ("mediaType", "config", "layers", "manifests", "blobs", "subject", "digest")
)
_LONG_S: Final = "\N{LATIN SMALL LETTER LONG S}".encode()
"""The one letter of another alphabet that folds to one of theirs."""
_ESCAPED_LETTER: Final = re.compile(rb"\\u(?:00[4-7]|017f)")

_decode = msgspec.json.Decoder(_Wire).decode
_decode_anything = msgspec.json.Decoder().decode


def parse_manifest(digest: Digest, body: bytes, media_type: str | None = None) -> Manifest:
    """Read a manifest whose bytes are `body`.

    `media_type` is the one that the registry names; without it (storage keeps none) the body's own `mediaType` counts,
    and last its shape, as the registry's own reader does. A manifest of a type that nobody knows, or in which others
    may read other keys than we do, becomes kind UNKNOWN and names every digest in it.

    Raises ManifestError where the bytes are no JSON or not of the shape that the type promises.
    """
    try:
        wire = _decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        return _unknown(digest, body, media_type, error)
    declared = (media_type or wire.mediaType).partition(";")[0].strip()
    if _is_read_otherwise(body):
        return _naming_all(digest, body, declared)
    try:
        return _known(digest, body, declared, wire) or _unknown(digest, body, declared, None)
    except ManifestError:
        raise
    except ValueError as error:
        raise ManifestError(f"manifest {digest} names something that is no digest: {error}") from error


def _known(digest: Digest, body: bytes, declared: str, wire: _Wire) -> Manifest | None:
    subject = wire.subject.value() if wire.subject else None
    size = len(body)
    if declared in media_types.INDEX_TYPES or (not declared and wire.manifests is not None):
        if wire.manifests is None:
            raise ManifestError(f"manifest {digest} is said to be {declared} but lists no manifests")
        # BuildKit stores its cache as an index whose entries are layers, not manifests: those are blobs.
        entries = [(entry, entry.value()) for entry in wire.manifests]
        children = tuple(value for _, value in entries if _is_manifest_type(value.media_type))
        blobs = tuple(value for _, value in entries if not _is_manifest_type(value.media_type))
        platforms = tuple((value.digest, _platform_text(entry.platform)) for entry, value in entries if entry.platform)
        media_type = declared or media_types.OCI_INDEX
        return Manifest(
            digest, media_type, size, Kind.INDEX, None, blobs, children, subject, wire.artifactType, platforms
        )
    if declared in media_types.IMAGE_TYPES or (not declared and wire.config and wire.layers is not None):
        if wire.config is None:
            raise ManifestError(f"manifest {digest} is said to be {declared} but has no config")
        config = wire.config.value()
        blobs = (config, *(layer.value() for layer in wire.layers or ()))
        media_type = declared or media_types.OCI_IMAGE
        return Manifest(digest, media_type, size, Kind.IMAGE, config, blobs, (), subject, wire.artifactType)
    if declared == media_types.OCI_ARTIFACT:
        blobs = tuple(blob.value() for blob in wire.blobs or ())
        return Manifest(digest, declared, size, Kind.ARTIFACT, None, blobs, (), subject, wire.artifactType)
    return None


def _unknown(digest: Digest, body: bytes, media_type: str | None, cause: Exception | None) -> Manifest:
    known = media_type in media_types.MANIFEST_TYPES
    try:
        document = _decode_anything(body)
    except msgspec.DecodeError as error:
        raise ManifestError(f"manifest {digest} is no JSON (truncated or damaged): {error}") from error
    except RecursionError as error:
        raise ManifestError(f"manifest {digest} is nested too deeply to be read") from error
    if known or not isinstance(document, dict):
        raise ManifestError(
            f"manifest {digest} is no {media_type or 'JSON object'}: {cause or 'wrong shape'}"
        ) from cause
    return _naming_all(digest, body, media_type or "")


def _naming_all(digest: Digest, body: bytes, media_type: str) -> Manifest:
    named = tuple(other for other in digests_named_in(body) if other != digest)
    return Manifest(digest, media_type, len(body), Kind.UNKNOWN, named=named)


def _is_read_otherwise(body: bytes) -> bool:
    """Whether a key stands there in another case than ours, or escaped.

    The registry and its clients are written in Go, whose reader of JSON takes a key in any case (`encoding/json`,
    Unmarshal), by Unicode's folding; of several the last one counts. What another reader sees is not what we see.
    """
    lower = body.lower()
    return (
        any(lower.count(folded) != body.count(key) for key, folded in _KEYS)
        or _LONG_S in body
        or _ESCAPED_LETTER.search(lower) is not None
    )


def _is_manifest_type(media_type: str) -> bool:
    """Whether an index entry of this type is a manifest. One that says nothing is taken for one: it is then read."""
    return (
        not media_type
        or media_type in media_types.MANIFEST_TYPES
        or ".manifest." in media_type
        or ".index." in media_type
    )


def _platform_text(platform: _Platform) -> str:
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)
