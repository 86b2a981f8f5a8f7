"""Lease: keeps two collectors of one storage apart, and is free again as soon as its holder is dead.

A lock of the kernel on `<root>/jettison/lease`: it goes with the process, however that ends. On a network file system
the server keeps it for all machines, as long as they mount it with locks.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from jettison.errors import LockedError, StorageError
from jettison.storage.layout import OWN
from jettison.storage.refusal import way_out

_MADE_BY_TAKE: Final = object()


class Lease:
    """The proof that this process alone collects here. Only `take_lease` can make one."""

    __slots__ = ("root",)

    def __init__(self, maker: object, root: str) -> None:
        if maker is not _MADE_BY_TAKE:
            raise TypeError("a Lease is made by jettison.storage.lease.take_lease, and by nothing else")
        self.root: Final = root


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
        _say_who(descriptor, purpose)
        yield Lease(_MADE_BY_TAKE, root)
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
        return


def _holder(descriptor: int) -> str:
    import json

    try:
        who = json.loads(os.pread(descriptor, 4096, 0))
        return f"`jettison {who['for']}` (process {who['pid']} on {who['host']}, since {who['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
