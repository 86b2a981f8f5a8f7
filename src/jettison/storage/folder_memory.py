"""FolderMemory: what stands in folders, kept between dry runs with the stamp that tells whether it still does.

A folder's time of modification moves with every name that comes or goes, so one whose time has not moved need not be
listed again. What came within the clock's granularity of the listing could be missed, so a folder that was written to
just before it was listed is not remembered (as in git's index, "racy git"). For looking only: whatever removes anything
lists all folders anew.

The file, numbers little-endian: a heading; the sha256 of the rest; then for each folder the lengths of its path, its
stamp and its content, and those three. One whose checksum is wrong counts as empty, and it may be deleted at any time.
"""

import os
import struct
import time
from hashlib import sha256
from pathlib import Path
from typing import Final

from jettison.storage import cache_file

_HEADING: Final = b"jettison folders 2\n"
_ENTRY: Final = struct.Struct("<III")
_STAMP: Final = struct.Struct("<qqQ")
SUSPECT: Final = 2_000_000_000
"""Nanoseconds: the coarsest file systems tell even seconds only."""

Content = bytes | memoryview
Entry = tuple[bytes, Content]
"""Stamp and content."""


class FolderMemory:
    """What was found below one storage's root, in a folder of caches; `name` tells storages apart.

    Only what a run asks for is kept, so it is as large as the storage needs. Folders of blobs have their path for a
    name, which begins with `docker/`, repositories their own name below a slash.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"folders-{sha256(os.fsencode(name)).hexdigest()[:32]}"
        self._before: dict[str, Entry] | None = None
        self._kept: dict[str, bytes] = {}
        self._new: dict[str, Entry] = {}
        self._is_whole = True

    def entry(self, name: str) -> Entry | None:
        """Return what was remembered under a name, None for nothing. It is kept if `take` is told so."""
        return self._loaded().get(name)

    def recall(self, path: str, status: os.stat_result) -> bytes | None:
        """Return the packed digests in a folder, None where it has changed since or was never listed."""
        # It is given away, not kept: what is in use already should not be held twice.
        entry = self._loaded().pop(path, None)
        if entry is None or entry[0] != _stamp(status):
            return None
        self._kept[path] = entry[0]
        return bytes(entry[1])

    def note(self, path: str, status: os.stat_result, packed: bytes) -> None:
        """Keep what a folder holds. `status` must have been read before it was listed."""
        if status.st_mtime_ns < time.time_ns() - SUSPECT:
            self.take(path, (_stamp(status), packed))
        else:
            self.leave_out()

    def leave_out(self) -> None:
        """Take note that something was looked at that cannot be remembered."""
        self._is_whole = False

    def take(self, name: str, entry: Entry) -> None:
        """Keep something, be it new or what is remembered already."""
        if self._loaded().get(name) == entry:
            self._kept[name] = entry[0]
        else:
            self._kept.pop(name, None)
            self._new[name] = entry

    def state(self) -> bytes:
        """Return a digest of all that was found so far: what stands in all those folders is the same while it is.

        Nothing where some of it cannot be remembered.
        """
        if not self._is_whole:
            return b""
        found = self._kept | {name: stamp for name, (stamp, _) in self._new.items()}
        state = sha256()
        for name, stamp in sorted(found.items()):
            state.update(f"{len(name)} {name} {len(stamp)} ".encode("utf-8", "surrogateescape"))
            state.update(stamp)
        return state.digest()

    def save(self) -> None:
        """Write what this run saw, if any of it is new. That it cannot be written only makes the next run slower."""
        if not self._new:
            return
        before = _decoded(cache_file.read(self.path, _HEADING))
        kept = {name: before[name] for name in self._kept if name in before} | self._new
        entries: list[Content] = []
        for name, (stamp, content) in kept.items():
            path = os.fsencode(name)
            entries += (_ENTRY.pack(len(path), len(stamp), len(content)), path, stamp, content)
        try:
            cache_file.write(self.path, _HEADING, entries)
        except OSError:
            return
        self._kept.update((name, stamp) for name, (stamp, _) in self._new.items())
        self._new.clear()

    def load(self) -> None:
        """Read the file now, so that processes that are forked later share it."""
        self._loaded()

    def _loaded(self) -> dict[str, Entry]:
        if self._before is None:
            self._before = _decoded(cache_file.read(self.path, _HEADING))
        return self._before


def _decoded(body: memoryview | None) -> dict[str, Entry]:
    """Return what the file holds. Contents are looked at, not copied: most are as they were, and are not needed."""
    found: dict[str, Entry] = {}
    at = 0
    while body is not None and at < len(body):
        path_length, stamp_length, length = _ENTRY.unpack_from(body, at)
        stamp_at = at + _ENTRY.size + path_length
        content_at = stamp_at + stamp_length
        path = os.fsdecode(bytes(body[at + _ENTRY.size : stamp_at]))
        at = content_at + length
        found[path] = (bytes(body[stamp_at:content_at]), body[content_at:at])
    return found


def _stamp(status: os.stat_result) -> bytes:
    return _STAMP.pack(status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
