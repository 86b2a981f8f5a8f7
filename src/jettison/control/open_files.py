"""Which files of the storage a stopped server was just writing.

A server that is killed in the middle of a write leaves half of a file. 2.8 writes links and manifests in place: an
empty link makes its own collector give up for ever, and a manifest cut short is taken for present when it is pushed
again. So a server is killed only at a moment at which it has no such file open for writing; `/proc/PID/fd` shows them,
and with which right each is open. Uploads are apart: they stay open for as long as they last, and a new server drops or
resumes them.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# What every path of the storage has in it, wherever its root is (distribution, registry/storage/paths.go).
_STORAGE: Final = "/docker/registry/v2/"
_UPLOADS: Final = "/_uploads/"


def being_written(listing: str) -> list[str]:
    """Return the storage's files that `ls -l /proc/PID/fd` shows open for writing."""
    shown = (line.partition(" -> ") for line in listing.splitlines())
    return _of_storage(target for entry, arrow, target in shown if arrow and entry[2:3] == "w")


def being_written_here(pid: int) -> list[str]:
    """Return the same of a process of this machine. Raises OSError for one that is not ours to look at."""
    entries = Path(f"/proc/{pid}/fd").iterdir()
    return _of_storage(os.fspath(entry.readlink()) for entry in entries if entry.lstat().st_mode & stat.S_IWUSR)


def _of_storage(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if _STORAGE in path and _UPLOADS not in path]
