"""One run per registry on this machine: a lock that the kernel lets go when its holder dies, however it dies.

Two runs on one registry would each plan what the other is deleting, and each count what the other frees. Verbs that
only read do not lock.
"""

import errno
import fcntl
import getpass
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from jettison.errors import HistoryError, LockedError
from jettison.history.registry_url import canonical


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a registry."""

    registry: str
    command: str
    pid: int
    user: str
    host: str
    since: datetime

    @classmethod
    def parse(cls, text: bytes) -> Self | None:
        """Read what a holder wrote; None for text that no holder wrote completely."""
        try:
            fields = json.loads(text)
            since = datetime.fromisoformat(fields.pop("since"))
            return cls(since=since, **fields) if since.tzinfo is not None else None
        except (ValueError, TypeError, AttributeError, KeyError):
            return None

    def text(self) -> bytes:
        """Return the lock file's content: one line of JSON."""
        return json.dumps(asdict(self) | {"since": self.since.isoformat()}).encode() + b"\n"


@contextmanager
def registry_lock(state_folder: Path, registry: str, command: str) -> Iterator[None]:
    """Hold `registry` while the block runs `command` (the verb).

    There is one lock per spelling of the registry's URL (see `registry_url.canonical`) and per state folder, so users
    share it who share the folder. Raises LockedError, at once, when another process holds it, and HistoryError where
    the folder does not take a lock.
    """
    registry = canonical(registry)
    path = state_folder / "locks" / f"{hashlib.sha256(registry.encode()).hexdigest()[:32]}.lock"
    descriptor = _open(path)
    try:
        _take(descriptor, path, registry)
        holder = Holder(registry, command, os.getpid(), _user(), socket.gethostname(), datetime.now(UTC))
        try:
            _write(descriptor, holder.text())
        except OSError as error:
            # The lock holds whatever the file says, and a full disk must not keep anybody from making space.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise _unusable(path, error) from error
        try:
            yield
        finally:
            # The file stays: removing it would let a third process lock a new file while a second holds this one.
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def held_message(registry: str, holder: Holder | None, now: datetime) -> str:
    """Return the sentence about a held registry; `holder` is None where the file does not tell (yet) who it is."""
    way_out = "wait for it to end, or stop it with Ctrl-C: two runs on one registry would undo each other's figures"
    if holder is None:
        return f"registry {registry} is held by another run of jettison; {way_out}"
    since = holder.since.astimezone()
    day = "" if since.date() == now.astimezone().date() else f"{since:%Y-%m-%d} "
    return (
        f"registry {registry} is held by `jettison {holder.command}` (process {holder.pid} of user {holder.user} on "
        f"host {holder.host}) since {day}{since:%H:%M:%S}, {_ago((now - holder.since).total_seconds())} ago; {way_out}"
    )


def _open(path: Path) -> int:
    try:
        path.parent.parent.parent.mkdir(parents=True, exist_ok=True)
        path.parent.parent.mkdir(mode=0o700, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        # Close-on-exec (Python's default): a program that the run starts and that outlives it must not keep the lock.
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error


def _take(descriptor: int, path: Path, registry: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = Holder.parse(os.pread(descriptor, 65536, 0))
        raise LockedError(held_message(registry, holder, datetime.now(UTC))) from error
    except OSError as error:
        raise _unusable(path, error) from error


def _write(descriptor: int, content: bytes) -> None:
    # A dead holder's line is still there. A reader in between sees an empty file, and says that it cannot tell.
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, content, 0)


def _unusable(path: Path, error: OSError) -> HistoryError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    way_out = "make some space there" if full else "give this user the right to write that folder"
    return HistoryError(
        f"the lock file {path} cannot be used: {error.strerror}; {way_out}, or set XDG_STATE_HOME to a folder that can "
        "be written"
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A container's user often has no entry in /etc/passwd.
        return str(os.getuid())


def _ago(seconds: float) -> str:
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {name}{'' if number == 1 else 's'}"
    number = max(int(seconds), 0)
    return f"{number} second{'' if number == 1 else 's'}"
