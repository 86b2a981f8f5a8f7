"""Docker's image manifests before 2016 (schema 1): a signature stands inside the document that it signs.

The digest is that of the payload, which is the document as it was before the signature was put in: the first
`formatLength` bytes, and `formatTail` (libtrust, JSON signatures; docker image-spec v2, "Signed Manifests").
"""

import base64
import binascii
from typing import Final

import msgspec

SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
UNSIGNED: Final = "application/vnd.docker.distribution.manifest.v1+json"


class _Signature(msgspec.Struct):
    protected: str


class _Signed(msgspec.Struct):
    signatures: list[_Signature]


class _Protected(msgspec.Struct):
    formatLength: int  # noqa: N815  (the wire's own name)
    formatTail: str  # noqa: N815


def signed_payload(body: bytes) -> bytes | None:
    """Return the bytes that a signed manifest's digest is of; None where `body` is no signed manifest."""
    try:
        signatures = msgspec.json.decode(body, type=_Signed).signatures
        protected = msgspec.json.decode(_decoded(signatures[0].protected), type=_Protected)
        tail = _decoded(protected.formatTail)
    except (msgspec.DecodeError, IndexError, binascii.Error, UnicodeEncodeError):
        return None
    if not 0 <= protected.formatLength <= len(body):
        return None
    return body[: protected.formatLength] + tail


def _decoded(text: str) -> bytes:
    raw = text.encode("ascii")
    return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
