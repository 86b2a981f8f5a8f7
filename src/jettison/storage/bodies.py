"""Manifest bodies among the condemned, which a serving registry must not lose too early.

Up to 3.1.1 a server that remembers a manifest's body does not write it again when the manifest is pushed again, and no
request makes it forget. So a body stays until every server process is known to have started after the body became
unreachable, or to have no descriptor cache. They are small. One may have come as a blob, so they are told by content.

The worst interleaving: a body becomes unreachable, the server restarts, the manifest is pushed again (now the server
remembers the body) and deleted again, all between two of our runs. So what a push and a deletion leave in the storage,
the changed folder of the manifest's link, is noted too; the time only counts while that is as it was noted. Played by
tests/app/test_collect_bodies.py.
"""

import os
import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec

from jettison.collect.blob import StoredBlob
from jettison.collect.references import DigestText
from jettison.oci.manifest import LARGEST_MANIFEST
from jettison.storage import layout
from jettison.storage.contract import StorageReader
from jettison.storage.files import TooLargeError, is_absent, names_in, read_file
from jettison.storage.layout import OWN
from jettison.storage.lease import Lease

_WAITING: Final = f"{OWN}/waiting.json"
_LARGEST: Final = 256 << 20
_PROBE: Final = 512
# Go, which the registry reads JSON with, takes keys in any case.
_VERSION = re.compile(rb"schemaversion", re.IGNORECASE)


def manifest_bodies(root: str, blobs: Iterable[StoredBlob]) -> frozenset[DigestText]:
    """Return those of `blobs` that are manifests by content, and those that cannot be read, which may be."""
    return frozenset(blob.digest for blob in blobs if blob.size <= LARGEST_MANIFEST and _is_manifest(root, blob))


def _is_manifest(root: str, blob: StoredBlob) -> bool:
    path = f"{root}/{layout.blob_data(blob.digest)}"
    try:
        with open(path, "rb") as file:
            # Layers are compressed archives: their first bytes tell, and the rest is not read.
            beginning = file.read(_PROBE).lstrip()
        if beginning and not beginning.startswith(b"{"):
            return False
        body = read_file(path, LARGEST_MANIFEST)
    except FileNotFoundError:
        return False
    except (OSError, TooLargeError):
        return True
    if not body.lstrip().startswith(b"{"):
        return False
    return _VERSION.search(body) is not None or (b"\\u" in body and _has_escaped_version(body))


def _has_escaped_version(body: bytes) -> bool:
    try:
        return any(key.lower() == "schemaversion" for key in msgspec.json.decode(body, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True


def traces(storage: StorageReader, digests: AbstractSet[DigestText]) -> Mapping[DigestText, str | None]:
    """Return, for each digest, what tells whether any repository linked it or let it go meanwhile: any such change
    changes the trace. None where a repository links it now, or where that cannot be told.
    """
    found: dict[DigestText, list[str]] = {digest: [] for digest in digests}
    unknown: set[DigestText] = set()
    if not digests:
        return {}
    listing = storage.repositories()
    if not listing.is_complete:
        return dict.fromkeys(digests)
    for name in listing.names:
        for kind in (layout.revisions_folder(name), layout.layers_folder(name)):
            for algorithm in {digest.partition(":")[0] for digest in digests}:
                folder = f"{storage.name}/{kind}/{algorithm}"
                try:
                    names = names_in(folder)
                except OSError as error:
                    if is_absent(error):
                        continue
                    return dict.fromkeys(digests)
                for text in names:
                    digest = f"{algorithm}:{text}"
                    if digest in found:
                        _look(folder, text, digest, found[digest], unknown)
    return {
        digest: None if digest in unknown else sha256("\n".join(sorted(lines)).encode()).hexdigest()
        for digest, lines in found.items()
    }


def _look(folder: str, name: str, digest: DigestText, lines: list[str], unknown: set[DigestText]) -> None:
    """Add one folder of a link to a digest's trace. A link that is written or removed changes the folder."""
    try:
        lines.append(f"{layout.readable(folder)}/{name} {os.stat(f'{folder}/{name}').st_ctime_ns}")
        os.lstat(f"{folder}/{name}/link")
    except OSError as error:
        if not is_absent(error):
            unknown.add(digest)
    else:
        unknown.add(digest)


class _Note(msgspec.Struct):
    since: datetime
    trace: str


class WaitingBodies:
    """Since when each body is known to be unreachable, kept beside the quarantine."""

    def __init__(self, lease: Lease) -> None:
        self._path = f"{lease.root}/{_WAITING}"

    def update(
        self, bodies: Mapping[DigestText, str | None], now: datetime, started: datetime | None
    ) -> frozenset[DigestText]:
        """Note `bodies`, given with their traces, as unreachable since now, or since they were noted with the same
        trace; forget all others. Return those that became unreachable before `started`, when the oldest of the server
        processes started; none where nobody knows that.

        A server that started in the future shows that the clock was set back: what is noted then waits for the start
        after that one. A file that is damaged or cannot be written (the disk is full), only makes all wait anew.
        """
        before = self._read()
        # Whatever the clock says, a process that runs now started before now.
        since = now if started is None else max(now, started)
        notes: dict[DigestText, _Note] = {}
        for digest, trace in bodies.items():
            if trace is None:
                continue
            noted = before.get(digest)
            notes[digest] = noted if noted is not None and noted.trace == trace else _Note(since, trace)
        if notes != before and not self._is_written(notes):
            return frozenset()
        if started is None:
            return frozenset()
        return frozenset(digest for digest, note in notes.items() if note.since < started)

    def _is_written(self, notes: Mapping[DigestText, _Note]) -> bool:
        part = f"{self._path}.part"
        try:
            with open(part, "wb") as file:
                file.write(msgspec.json.encode(notes, enc_hook=str))
            os.rename(part, self._path)
        except OSError:
            # What was noted before is not true of all of them any more.
            for path in (part, self._path):
                with suppress(OSError):
                    os.unlink(path)
            return False
        return True

    def _read(self) -> dict[DigestText, _Note]:
        try:
            return msgspec.json.decode(read_file(self._path, _LARGEST), type=dict[str, _Note])
        except (OSError, TooLargeError, msgspec.DecodeError):
            return {}
