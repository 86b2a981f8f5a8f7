"""On which file systems a storage lies: on a network's, what another machine wrote may be seen later than it was."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jettison.storage import layout

_MOUNTS: Final = Path("/proc/self/mountinfo")
# All of them are this kernel's own: what a process on this machine wrote, every other sees at once.
_LOCAL: Final = frozenset(
    {"bcachefs", "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "reiserfs", "tmpfs", "xfs", "zfs"}
)


def remote_file_system(root: str, mounts: Path = _MOUNTS) -> str | None:
    """Return the kind of a file system of this storage that may be a network's, None where all are local.

    `root` is the storage's root directory. What cannot be told counts as a network's.
    """
    try:
        known = list(_mounts(mounts.read_text(encoding="utf-8", errors="surrogateescape")))
    except OSError:
        return "unknown"
    folders = [root, *(f"{root}/{folder}" for folder in (layout.BASE, layout.BLOBS, layout.REPOSITORIES))]
    for folder in dict.fromkeys(map(os.path.realpath, folders)):
        below = [kind for place, kind in known if _holds(folder, place)]
        # What was mounted last lies above what was there before.
        over = [(len(place), number, kind) for number, (place, kind) in enumerate(known) if _holds(place, folder)]
        under = max(over, default=(0, 0, "unknown"))
        for kind in (under[2], *below):
            if kind not in _LOCAL:
                return kind
    return None


def _mounts(text: str) -> Iterator[tuple[str, str]]:
    """Yield place and kind of each mount (proc(5), mountinfo)."""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        place = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), left.split(" ")[4])
        yield place, right.split(" ")[0]


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
