"""Manifest bodies among the condemned, which a serving registry must not lose too early.

Up to 3.1.1 a server that remembers a manifest's body does not write it again when the manifest is pushed again, and no
request makes it forget. So a body stays until every server process is known to have started after the body became
unreachable, or to have no descriptor cache. They are small. One may have come as a blob, so they are told by content.
"""

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from jettison.collect.blob import StoredBlob
from jettison.collect.references import DigestText
from jettison.errors import StorageError
from jettison.oci.manifest import LARGEST_MANIFEST
from jettison.storage import layout
from jettison.storage.files import TooLargeError, read_file
from jettison.storage.lease import FOLDER, Lease

_WAITING: Final = f"{FOLDER}/waiting.json"
_LARGEST: Final = 256 << 20
_PROBE: Final = 512


class _Shape(msgspec.Struct):
    schemaVersion: int = 0  # noqa: N815  (the wire's own name)


def manifest_bodies(root: str, blobs: Iterable[StoredBlob]) -> frozenset[DigestText]:
    """Return those of `blobs` that are manifests by content, and those that cannot be read, which may be."""
    return frozenset(blob.digest for blob in blobs if blob.size <= LARGEST_MANIFEST and _is_manifest(root, blob))


def _is_manifest(root: str, blob: StoredBlob) -> bool:
    path = f"{root}/{layout.blob_data(blob.digest)}"
    try:
        with open(path, "rb") as file:
            # Layers are compressed archives: their first bytes tell, and the rest is not read.
            if not file.read(_PROBE).lstrip().startswith(b"{"):
                return False
        return msgspec.json.decode(read_file(path, LARGEST_MANIFEST), type=_Shape).schemaVersion == 2
    except FileNotFoundError:
        return False
    except msgspec.DecodeError:
        return False
    except (OSError, TooLargeError):
        return True


class WaitingBodies:
    """Since when each body is known to be unreachable, kept beside the quarantine."""

    def __init__(self, lease: Lease) -> None:
        self._path = f"{lease.root}/{_WAITING}"

    def update(self, bodies: Iterable[DigestText], now: datetime) -> Mapping[DigestText, datetime]:
        """Note `bodies` as unreachable since now, or since they were noted; forget all others. Return the times.

        A file that is damaged or cannot be written only makes them wait anew.
        """
        before = self._read()
        times = {digest: before.get(digest, now) for digest in bodies}
        if times != before:
            part = f"{self._path}.part"
            try:
                with open(part, "wb") as file:
                    file.write(msgspec.json.encode(times))
                os.rename(part, self._path)
            except OSError as error:
                raise StorageError(f"{self._path} cannot be written: {error.strerror}") from error
        return times

    def _read(self) -> dict[DigestText, datetime]:
        try:
            return msgspec.json.decode(read_file(self._path, _LARGEST), type=dict[str, datetime])
        except (OSError, TooLargeError, msgspec.DecodeError):
            return {}
