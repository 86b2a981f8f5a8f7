"""What the data of a manifest says, or why it says nothing.

Apart from the reading of roots, which imports it when there is a manifest to read: where all are known, which is nearly
always, the time to load a parser of JSON is most of what a run takes.
"""

from hashlib import sha256
from typing import Final

from jettison.collect.mark import Reading
from jettison.collect.packed import DigestText
from jettison.collect.quick_reading import references_of
from jettison.oci.digest import Digest
from jettison.oci.manifest import LARGEST_MANIFEST, ManifestError
from jettison.oci.problem import Problem
from jettison.storage.contract import Body

LARGEST: Final = LARGEST_MANIFEST
"""Bytes; a blob that is larger is no manifest."""


def reading_of(digest: DigestText, body: Body) -> Reading | None:
    """Return what a body refers to, why that is not known, or None where there is no body."""
    if not isinstance(body, bytes):
        return body
    if not _matches(digest, body):
        return wrong_hash(digest)
    try:
        return references_of(digest, body)
    except ManifestError as error:
        return Problem("damaged-manifest", str(error))


def wrong_hash(digest: DigestText) -> Problem:
    """Describe a manifest whose data is not what its digest says."""
    return Problem("wrong-hash", f"the data of manifest {digest} is not what its digest says")


def _matches(digest: DigestText, body: bytes) -> bool:
    # hashlib.new, which Digest.matches needs, looks the algorithm up and takes longer than hashing a manifest does.
    if digest.startswith("sha256:"):
        return sha256(body).hexdigest() == digest[7:]
    return Digest(digest).matches(body)
