"""Processes that kill themselves with SIGKILL at a given step of a collection.

A `Nursery` is one small process that has everything imported and forks a child for each collection: so a kill costs
milliseconds, and nothing of the tests' own process (threads, event loops) is in the child.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.app.collecting import NO_GRACE, collect

from jettison.app.collect_offline import OfflineCollector
from jettison.storage.lease import take_lease
from jettison.storage.local import LocalStorage

_TOP: Final = Path(__file__).parents[2]


def killing(step: str, occurrence: int) -> Callable[[str], None]:
    """Return a `step` that kills this process when a name is told for the n-th time."""
    seen: Counter[str] = Counter()

    def reached(name: str) -> None:
        seen[name] += 1
        if name == step and seen[name] == occurrence:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


def collect_offline(
    root: Path, *, step: Callable[[str], None] = lambda name: None, purge_now: bool, later: timedelta = timedelta(0)
) -> None:
    """Collect once without a server; the chores of housekeeping are left."""
    with take_lease(str(root), "a test") as lease:
        collector = OfflineCollector(
            lease,
            LocalStorage(root),
            margins=NO_GRACE,
            run="a test",
            now=lambda: datetime.now(UTC) + later,
            step=step,
        )
        collector.collect(purge_now=purge_now)


class Nursery:
    """Forks collections and tells how each ended."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.dying"],
            cwd=_TOP,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def collect(
        self,
        root: Path,
        url: str | None,
        step: str,
        occurrence: int = 1,
        *,
        purge_now: bool = True,
        later: timedelta = timedelta(0),
    ) -> int:
        """Collect in a child, beside the server at `url` or without one; return how it ended (a signal is negative)."""
        wanted = {
            "root": str(root),
            "url": url,
            "step": step,
            "occurrence": occurrence,
            "purge_now": purge_now,
            "days": later.days,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _child(root: Path, url: str | None, step: str, occurrence: int, *, purge_now: bool, later: timedelta) -> None:
    kill = killing(step, occurrence)
    if url is None:
        collect_offline(root, step=kill, purge_now=purge_now, later=later)
    else:
        asyncio.run(collect(root, url, step=kill, purge_now=purge_now, later=later))


def _serve() -> None:
    for line in sys.stdin:
        wanted = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                later = timedelta(days=wanted["days"])
                url, step, occurrence = wanted["url"], wanted["step"], wanted["occurrence"]
                _child(Path(wanted["root"]), url, step, occurrence, purge_now=wanted["purge_now"], later=later)
                status = 0
            finally:
                # Not sys.exit: what this child inherited is not its own to tidy up.
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
