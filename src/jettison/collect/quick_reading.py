"""The references of a manifest, read as fast as possible.

A mark reads millions of manifests, and `parse_manifest`, which tells everything, takes several times as long. What the
quick reading does not understand is given to it, so both find the same; the property in
tests/collect/test_references.py holds that.
"""

from typing import Final

import msgspec

from jettison.collect.packed import WIDTH, DigestText, pack_exactly
from jettison.collect.references import References
from jettison.oci import media_types
from jettison.oci.digest import Digest
from jettison.oci.manifest import parse_manifest


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
    if image.mediaType not in _QUICK_TYPES or image.manifests is not None or image.blobs is not None:
        return _slow(digest, body)
    # Under keys in another case, or escaped, which other readers take, there would be more digests.
    if body.lower().count(b'"digest"') != len(named) or b"\\" in body or not body.isascii():
        return _slow(digest, body)
    packed = pack_exactly(named)
    if packed is None:
        return _slow(digest, body)
    return References(packed) if image.subject is None else References(packed[:-WIDTH], (), (named[-1],))


def _slow(digest: DigestText, body: bytes) -> References:
    manifest = parse_manifest(Digest(digest), body)
    subject = () if manifest.subject is None else (manifest.subject.digest,)
    return References.of(
        (blob.digest for blob in manifest.blobs),
        (*(child.digest for child in manifest.children), *subject),
        manifest.named,
    )
