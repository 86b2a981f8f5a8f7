"""What the tags of a repository pointed to when a dry run last read them, so that looking at each link is enough.

A link that was written to since has another time of change, or is another file; nobody can set that time. Kept by
`FolderMemory` as the content of the folder of tags: how many there are, for each its link's time of change in
nanoseconds and inode, the digests, then the names.
"""

import os
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from jettison.collect.packed import WIDTH, DigestText, pack, unpack

_COUNT: Final = struct.Struct("<I")
_SUSPECT: Final = 2_000_000_000
"""Nanoseconds, as for folders: what was written just before it was read may be written again unnoticed."""

LinkStamp = tuple[int, int]


def stamps_of(names: Iterable[str], folder: int) -> list[LinkStamp] | None:
    """Return time of change and inode of the link of each tag; None where one cannot be looked at."""
    stamps: list[LinkStamp] = []
    try:
        for name in names:
            link = os.stat(f"{name}/current/link", dir_fd=folder)
            stamps.append((link.st_ctime_ns, link.st_ino))
    except OSError:
        return None
    return stamps


@dataclass(frozen=True, slots=True)
class RememberedTags:
    """Tags in the order of their names, all of which point to a sha256 digest."""

    names: Sequence[str]
    stamps: Sequence[LinkStamp]
    targets: Sequence[DigestText]

    @property
    def is_safe(self) -> bool:
        """Whether no link was written to just before it was read."""
        newest = max((changed for changed, _ in self.stamps), default=0)
        return newest < time.time_ns() - _SUSPECT

    def encoded(self) -> bytes:
        """Return it as bytes."""
        count = len(self.names)
        numbers = struct.pack(f"<{2 * count}Q", *(number for stamp in self.stamps for number in stamp))
        names = b"\0".join(map(os.fsencode, self.names))
        return _COUNT.pack(count) + numbers + pack(self.targets)[0] + names

    @classmethod
    def decoded(cls, content: bytes) -> "RememberedTags":
        """Return what `encoded` made bytes of."""
        (count,) = _COUNT.unpack_from(content)
        digests_at = _COUNT.size + 16 * count
        names_at = digests_at + WIDTH * count
        numbers = struct.unpack_from(f"<{2 * count}Q", content, _COUNT.size)
        names = list(map(os.fsdecode, content[names_at:].split(b"\0"))) if count else []
        return cls(names, list(zip(numbers[::2], numbers[1::2], strict=True)), unpack(content[digests_at:names_at]))
