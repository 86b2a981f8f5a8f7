"""References: the digests that a manifest refers to, read as fast as possible.

Marking needs no more of a manifest than these, and marks millions: `parse_manifest`, which tells everything, takes
several times as long. What the quick reading does not understand is given to it, so both find the same; the property in
tests/collect/test_references.py holds that.
"""

import re
from typing import Final, NamedTuple

import msgspec

from jettison.oci import media_types
from jettison.oci.digest import Digest
from jettison.oci.manifest import parse_manifest

DigestText = str
"""A digest as plain text, checked like a `Digest` and equal to one.

There are as many as there are blobs, and making a `Digest` of each would take longer than all else that marking does.
"""


class References(NamedTuple):
    """What a manifest refers to. All of them are blobs of the store; `manifests` refer to further ones."""

    blobs: tuple[DigestText, ...] = ()
    """Config and layers, or an artifact's blobs."""
    manifests: tuple[DigestText, ...] = ()
    """Children, and the subject."""
    named: tuple[DigestText, ...] = ()
    """Whatever a manifest of unknown type names: manifests or blobs, nobody knows."""


class _Descriptor(msgspec.Struct, gc=False):
    digest: str


class _Image(msgspec.Struct, gc=False):
    config: _Descriptor
    layers: list[_Descriptor]
    mediaType: str = ""  # noqa: N815  (the wire's own name)
    manifests: msgspec.Raw | None = None
    blobs: msgspec.Raw | None = None
    subject: _Descriptor | None = None


_decode = msgspec.json.Decoder(_Image).decode
_SHA256S: Final = re.compile(r"(?:sha256:[0-9a-f]{64}\n)+")
_QUICK_TYPES: Final = media_types.IMAGE_TYPES | {""}


def references_of(digest: DigestText, body: bytes) -> References:
    """Return what the manifest of this body refers to. Raises ManifestError as `parse_manifest` does."""
    try:
        image = _decode(body)
    except msgspec.DecodeError:
        return _slow(digest, body)
    named = [image.config.digest, *[layer.digest for layer in image.layers]]
    if image.subject is not None:
        named.append(image.subject.digest)
    if (
        image.mediaType not in _QUICK_TYPES
        or image.manifests is not None
        or image.blobs is not None
        or _SHA256S.fullmatch("\n".join([*named, ""])) is None
    ):
        return _slow(digest, body)
    return References(tuple(named)) if image.subject is None else References(tuple(named[:-1]), (named[-1],))


def _slow(digest: DigestText, body: bytes) -> References:
    manifest = parse_manifest(Digest(digest), body)
    subject = () if manifest.subject is None else (manifest.subject.digest,)
    return References(
        tuple(blob.digest for blob in manifest.blobs),
        (*(child.digest for child in manifest.children), *subject),
        manifest.named,
    )
