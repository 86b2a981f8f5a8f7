"""Shares: work that is done by several processes at once, where the machine has several processors.

A process is forked for each share, which takes a few milliseconds; what it found comes back through a pipe. Threads
would take turns: most of the work is many short calls to the system and Python's own.
"""

import marshal
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, cast

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")  # all of it of types that marshal writes
_SIGKILL: Final = 9
"""As on all systems that fork. The module `signal` takes as long to load as a fork does."""
MOST: Final = 4
"""Processes at once: beyond that, putting the results together takes the time that is won."""


def in_shares(work: Callable[[Sequence[ItemT]], ResultT], items: Sequence[ItemT], processes: int) -> list[ResultT]:
    """Return what `work` returns for each share of the items; it is never called without items.

    What it returns must be of the types that `marshal` writes. Where a process cannot be made or does not come to its
    end, its share is done here, so an error is raised as if there were no other process.
    """
    processes = min(processes, len(items), MOST) if _can_fork() else 1
    shares = [items[start::processes] for start in range(processes)]
    forked: list[_Forked | None] = []
    try:
        forked.extend(_fork(work, share) for share in shares[1:])
        results = [work(shares[0])] if items else []
        for share, process in zip(shares[1:], forked, strict=True):
            found = None if process is None else process.result()
            results.append(work(share) if found is None else found[0])
    finally:
        for process in forked:
            if process is not None:
                process.end()
    return results


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_fork() -> bool:
    """Whether a fork is safe: it leaves locks of other threads locked for ever, so there must be none."""
    threading = sys.modules.get("threading")
    return hasattr(os, "fork") and (threading is None or threading.active_count() == 1)


class _Forked:
    """A process under way, and the pipe that it writes its result to."""

    def __init__(self, process: int, pipe: int) -> None:
        self._process = process
        self._pipe = pipe

    def result(self) -> Any | None:
        """Return what the process found, in a tuple; None where it did not come to its end."""
        with os.fdopen(self._pipe, "rb", closefd=False) as pipe:
            written = pipe.read()
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        return marshal.loads(written) if status == 0 else None  # noqa: S302  # our own process wrote it

    def end(self) -> None:
        """Leave nothing behind."""
        os.close(self._pipe)
        if self._process:
            os.kill(self._process, _SIGKILL)
            os.waitpid(self._process, 0)


def _fork(work: Callable[[Sequence[ItemT]], ResultT], share: Sequence[ItemT]) -> _Forked | None:
    reading, writing = os.pipe()
    try:
        process = os.fork()
    except OSError:  # no memory or no process left: this one does it all
        os.close(reading)
        os.close(writing)
        return None
    if process:
        os.close(writing)
        return _Forked(process, reading)
    status = 1
    try:
        os.close(reading)
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            rest = memoryview(marshal.dumps(cast("Any", (work(share),))))
            while rest:
                rest = rest[pipe.write(rest) :]
        status = 0
    finally:
        # Whatever was raised is found again by the process that waits; nothing of this one may be flushed twice.
        os._exit(status)
