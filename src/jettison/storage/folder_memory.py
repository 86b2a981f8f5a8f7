"""FolderMemory: the digests that stand in folders as names, kept between dry runs.

A folder's time of modification moves with every name that comes or goes, so one whose time has not moved need not be
listed again. What came within the clock's granularity of the listing could be missed, so a folder that was written to
just before it was listed is not remembered (as in git's index, "racy git"). For looking only: whatever removes anything
lists all folders anew.

The file, numbers little-endian: a heading; the sha256 of the rest; then for each folder the lengths of its path and of
what is in it, times of modification and change in nanoseconds and inode, the path, and the digests, 32 bytes each. One
whose checksum is wrong counts as empty, and it may be deleted at any time.
"""

import os
import struct
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

from jettison.storage import cache_file

_HEADING: Final = b"jettison folders 1\n"
_ENTRY: Final = struct.Struct("<IIqqQ")
_SUSPECT: Final = 2_000_000_000
"""Nanoseconds: the coarsest file systems tell even seconds only."""

_Stamp = tuple[int, int, int]
_Entry = tuple[_Stamp, bytes]


class FolderMemory:
    """What was listed below one storage's root, in a folder of caches; `name` tells storages apart.

    Only what a run asks for is kept, so it is as large as the storage needs.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"folders-{sha256(os.fsencode(name)).hexdigest()[:32]}"
        self._before: dict[str, _Entry] | None = None
        self._recalled: set[str] = set()
        self._new: dict[str, _Entry] = {}

    def recall(self, path: str, status: os.stat_result) -> bytes | None:
        """Return the packed digests in a folder, None where it has changed since or was never listed."""
        if self._before is None:
            self._before = cache_file.read(self.path, _HEADING, _decoded) or {}
        # It is given away, not kept: what is in use already should not be held twice.
        entry = self._before.pop(path, None)
        if entry is None or entry[0] != _stamp(status):
            return None
        self._recalled.add(path)
        return entry[1]

    def note(self, path: str, status: os.stat_result, packed: bytes) -> None:
        """Keep what a folder holds. `status` must have been read before it was listed."""
        if status.st_mtime_ns < time.time_ns() - _SUSPECT:
            self._recalled.discard(path)
            self._new[path] = (_stamp(status), packed)

    def save(self) -> None:
        """Write what this run saw, if any of it is new. That it cannot be written only makes the next run slower."""
        if not self._new:
            return
        before = cache_file.read(self.path, _HEADING, _decoded) or {}
        kept = {path: before[path] for path in self._recalled if path in before} | self._new
        entries = (
            part
            for path, (stamp, packed) in kept.items()
            for part in (_ENTRY.pack(len(os.fsencode(path)), len(packed), *stamp), os.fsencode(path), packed)
        )
        try:
            cache_file.write(self.path, _HEADING, entries)
        except OSError:
            return
        self._recalled |= self._new.keys()
        self._new.clear()


def _decoded(body: memoryview) -> dict[str, _Entry]:
    found: dict[str, _Entry] = {}
    at = 0
    while at < len(body):
        path_length, length, *stamp = _ENTRY.unpack_from(body, at)
        start = at + _ENTRY.size
        at = start + path_length + length
        path = os.fsdecode(bytes(body[start : start + path_length]))
        found[path] = ((stamp[0], stamp[1], stamp[2]), bytes(body[start + path_length : at]))
    return found


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino
