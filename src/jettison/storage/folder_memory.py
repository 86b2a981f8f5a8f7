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

_HEADING: Final = b"jettison folders 1\n"
_BODY: Final = len(_HEADING) + sha256().digest_size
_ENTRY: Final = struct.Struct("<IIqqQ")
_SUSPECT: Final = 2_000_000_000
"""Nanoseconds: the coarsest file systems tell even seconds only."""

_Stamp = tuple[int, int, int]


class FolderMemory:
    """What was listed below one storage's root, in a folder of caches; `name` tells storages apart.

    Only what a run asks for is kept, so it is as large as the storage needs.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"folders-{sha256(os.fsencode(name)).hexdigest()[:32]}"
        self._before: dict[str, tuple[_Stamp, bytes]] | None = None
        self._kept: dict[str, tuple[_Stamp, bytes]] = {}
        self._is_new = False

    def recall(self, path: str, status: os.stat_result) -> bytes | None:
        """Return the packed digests in a folder, None where it has changed since or was never listed."""
        if self._before is None:
            self._before = self._load()
        entry = self._before.get(path)
        if entry is None or entry[0] != _stamp(status):
            return None
        self._kept[path] = entry
        return entry[1]

    def note(self, path: str, status: os.stat_result, packed: bytes) -> None:
        """Keep what a folder holds. `status` must have been read before it was listed."""
        if status.st_mtime_ns < time.time_ns() - _SUSPECT:
            self._kept[path] = (_stamp(status), packed)
            self._is_new = True

    def save(self) -> None:
        """Write what this run saw, if any of it is new. That it cannot be written only makes the next run slower."""
        if not self._is_new:
            return
        entries = [
            part
            for path, (stamp, packed) in self._kept.items()
            for part in (_ENTRY.pack(len(os.fsencode(path)), len(packed), *stamp), os.fsencode(path), packed)
        ]
        checksum = sha256()
        for entry in entries:
            checksum.update(entry)
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with beside.open("wb") as file:
                    file.writelines([_HEADING, checksum.digest(), *entries])
                beside.replace(self.path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError:
            return
        self._is_new = False

    def _load(self) -> dict[str, tuple[_Stamp, bytes]]:
        try:
            content = memoryview(self.path.read_bytes())
        except OSError:  # none yet, or one that may not be read: the folders themselves are there
            return {}
        body = content[_BODY:]
        if content[:_BODY] != _HEADING + sha256(body).digest():
            return {}
        found: dict[str, tuple[_Stamp, bytes]] = {}
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
