"""Space kept free beside the history's file: a full disk must not keep the run from beginning that makes space."""

import contextlib
import os
from pathlib import Path
from typing import Final

RESERVED_BYTES = 8 << 20
"""Bytes: for the database's log, which SQLite lets grow to 4 MiB, and for some thousand actions of a run."""
_TIMES_FREE: Final = 8
"""Nothing is taken from a disk that has less than so many times as much free."""


def release(file: Path) -> None:
    """Give up what is kept free beside a database, where less than that is free on its disk."""
    with contextlib.suppress(OSError):
        if _free(file.parent) < RESERVED_BYTES:
            _reserve(file).unlink()


def keep(file: Path) -> None:
    """Keep space free beside a database that exists, where the disk has plenty."""
    with contextlib.suppress(OSError):
        if not file.exists() or _free(file.parent) < _TIMES_FREE * RESERVED_BYTES:
            return
        descriptor = os.open(_reserve(file), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size < RESERVED_BYTES:
                os.posix_fallocate(descriptor, 0, RESERVED_BYTES)
        finally:
            os.close(descriptor)


def _reserve(file: Path) -> Path:
    return file.with_name(f"{file.name}.reserve")


def _free(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
