"""Signed manifests of schema 1: the digest is that of the document without its signature."""

import base64
import json

import pytest

from jettison.oci.schema1 import signed_payload


def signed(payload: bytes, length: int | None = None) -> bytes:
    """Put a signature into a document the way libtrust does."""
    kept = len(payload.rstrip(b"}\n")) if length is None else length
    tail = base64.urlsafe_b64encode(payload[kept:]).rstrip(b"=").decode()
    protected = json.dumps({"formatLength": kept, "formatTail": tail, "time": "2015-01-01T00:00:00Z"}).encode()
    signature = {
        "header": {"alg": "ES256"},
        "signature": "AA",
        "protected": base64.urlsafe_b64encode(protected).rstrip(b"=").decode(),
    }
    return payload[:kept] + b',"signatures":' + json.dumps([signature]).encode() + b"}"


def test_the_payload_comes_back() -> None:
    payload = b'{\n   "name": "old/app",\n   "schemaVersion": 1\n}'
    assert signed_payload(signed(payload)) == payload


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"signatures":[]}',
        b'{"signatures":[{"protected":"*"}]}',
        b'{"signatures":[{"protected":"e30"}]}',
        b'{"signatures":[{"protected":"\\u00e9"}]}',
        signed(b'{"a":1}', 6).replace(b"eyJ", b"eyK", 1),
    ],
)
def test_what_is_no_signed_manifest(body: bytes) -> None:
    assert signed_payload(body) is None


def test_a_length_beyond_the_document_is_refused() -> None:
    protected = base64.urlsafe_b64encode(b'{"formatLength":999,"formatTail":"fQ"}').rstrip(b"=").decode()
    assert signed_payload(json.dumps({"signatures": [{"protected": protected}]}).encode()) is None
