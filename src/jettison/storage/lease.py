"""Lease: keeps two collectors of one storage apart, and is free again as soon as its holder is dead.

A lock of the kernel on `<root>/jettison/lease`: it goes with the process, however that ends. On a network file system
the server keeps it for all machines, as long as they mount it with locks.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final

from jettison.errors import LockedError, StorageError
from jettison.storage.layout import OWN
from jettison.storage.refusal import way_out

_MADE_BY_TAKE: Final = object()
_FAR_FUTURE: Final = 2**32


class Lease:
    """The proof that this process alone collects here. Only `take_lease` can make one.

    `idle_since` is when the last holder came to its regular end; None where it was killed or failed, so that nobody
    knows when, and what it had asked a server for just before.
    """

    __slots__ = ("idle_since", "root")

    def __init__(self, maker: object, root: str, idle_since: datetime | None = None) -> None:
        if maker is not _MADE_BY_TAKE:
            raise TypeError("a Lease is made by jettison.storage.lease.take_lease, and by nothing else")
        self.root: Final = root
        self.idle_since: Final = idle_since


@contextmanager
def take_lease(root: str, purpose: str) -> Iterator[Lease]:
    """Hold the storage at `root` while the block runs.

    Raises LockedError where another collector holds it, StorageError where the storage cannot be written.
    """
    path = f"{root}/{OWN}/lease"
    try:
        os.makedirs(f"{root}/{OWN}", mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}), so nothing is collected; {way_out(error)}"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(f"the storage {root} is being collected by {_holder(descriptor)}; wait for it") from error
        except OSError as error:
            raise StorageError(
                f"{path}: this file system has no locks ({error.strerror}), so two collectors could not be kept apart"
            ) from error
        # Who ends regularly leaves it empty. A new one says that somebody ended just now, which does no harm.
        left = os.fstat(descriptor)
        idle_since = datetime.fromtimestamp(left.st_mtime, UTC) if left.st_size == 0 else None
        _say_who(descriptor, purpose)
        yield Lease(_MADE_BY_TAKE, root, idle_since)
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _say_who(descriptor: int, purpose: str) -> None:
    """Write who holds it, for the message that another one gets. On a full disk it only holds."""
    import json
    import socket

    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(), "for": purpose}
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(who).encode(), 0)
    except OSError:
        # Empty it would look like left by a regular end, should this process be killed: then in a far future.
        with suppress(OSError):
            os.utime(descriptor, (_FAR_FUTURE, _FAR_FUTURE))


def _holder(descriptor: int) -> str:
    import json

    try:
        who = json.loads(os.pread(descriptor, 4096, 0))
        return f"`jettison {who['for']}` (process {who['pid']} on {who['host']}, since {who['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
