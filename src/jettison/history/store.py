"""History: the door to the history database.

It loads SQLAlchemy when the database is first asked, and never to learn that there is none yet: what only looks at a
storage then starts in half the time.
"""

from datetime import timedelta
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Self

from jettison.history.reserve import keep
from jettison.history.state import state_folder
from jettison.pulls.spans import DEFAULT_GAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.history.cache import ConfigCache, ManifestCache
    from jettison.history.database import Database
    from jettison.history.first_seen import FirstSeen
    from jettison.history.journal import Run
    from jettison.history.model import ActionRecord, PlannedAction, RunRecord, RunSummary
    from jettison.history.prune import Pruning
    from jettison.history.pulls import PullStore
    from jettison.history.runs import RunStore


class History:
    """The history database: runs with their journals, the caches `manifests` and `configs`, and what is known of
    `pulls` and of when tags were `first_seen`.

    Synchronous, and safe to use from several threads and processes at once.
    """

    def __init__(self, location: str | Path, lock_timeout: float = 30.0, pull_gap: timedelta = DEFAULT_GAP) -> None:
        self._location = location
        self._lock_timeout = lock_timeout
        self._pull_gap = pull_gap
        self._made: Database | None = None
        self._making = Lock()
        self._file = Path(location).expanduser().absolute() if "://" not in str(location) else None
        if self._file is None:
            _ = self._database  # a URL that cannot be meant is refused at once

    @classmethod
    def open(
        cls, location: str | Path | None = None, *, lock_timeout: float = 30.0, pull_gap: timedelta = DEFAULT_GAP
    ) -> Self:
        """Name the history: a path, a SQLAlchemy URL, or None for `history.db` in this user's state folder.

        Nothing is opened before the first use, nor made before the first write. `lock_timeout` is how many seconds a
        write waits for another process, `pull_gap` how long access logs may be silent before it counts as a hole in
        them. Raises UsageError for a location that cannot be meant.
        """
        return cls(state_folder() / "history.db" if location is None else location, lock_timeout, pull_gap)

    def __repr__(self) -> str:
        return f"History({self.name!r})"

    @property
    def name(self) -> str:
        """The database as messages name it; never with a password."""
        return str(self._file) if self._file is not None else self._database.name

    @property
    def may_know(self) -> bool:
        """Whether anything can be known here: nothing is where the file of a history was never made."""
        try:
            return self._file is None or self._file.exists()
        except OSError:  # whoever reads it is told why it cannot be
            return True

    def keep_space(self) -> None:
        """Keep some space free for the next run's journal, so that it can begin on a full disk. Never fails."""
        if self._file is not None:
            keep(self._file)

    @cached_property
    def manifests(self) -> "ManifestCache":
        """Manifests that were read, and those that were deleted."""
        from jettison.history.cache import ManifestCache

        return ManifestCache(self._database)

    @cached_property
    def configs(self) -> "ConfigCache":
        """What configs said."""
        from jettison.history.cache import ConfigCache

        return ConfigCache(self._database)

    @cached_property
    def pulls(self) -> "PullStore":
        """What was pulled when."""
        from jettison.history.pulls import PullStore

        return PullStore(self._database, self._pull_gap)

    @cached_property
    def first_seen(self) -> "FirstSeen":
        """Since when tags point where they do."""
        from jettison.history.first_seen import FirstSeen

        return FirstSeen(self._database)

    @cached_property
    def pruning(self) -> "Pruning":
        """Forgetting what is old."""
        from jettison.history.prune import Pruning

        return Pruning(self._database)

    @cached_property
    def _runs(self) -> "RunStore":
        from jettison.history.runs import RunStore

        return RunStore(self._database)

    @property
    def _database(self) -> "Database":
        from jettison.history.database import Database

        with self._making:
            if self._made is None:
                self._made = Database(self._location, self._lock_timeout)
        return self._made

    def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            self._made.close()

    def begin_run(
        self, registry: str, command: str, planned: "Sequence[PlannedAction]" = (), plan_json: bytes | None = None
    ) -> "Run":
        """Journal that this process begins `command` (the verb) on `registry`, and what it means to do.

        The planned actions get the sequence numbers 1, 2, ... in their order. Raises HistoryError.
        """
        return self._runs.begin_run(registry, command, planned, plan_json)

    def runs(self, registry: str | None = None, limit: int | None = 20) -> "list[RunSummary]":
        """Return the newest runs, of `registry` or of all, newest first. Raises HistoryError."""
        return self._runs.runs(registry, limit)

    def run(self, id_or_prefix: str) -> "RunRecord":
        """Return the run with this id, or the only one whose id begins so, with its journal.

        Raises UsageError where there is none or more than one, and HistoryError.
        """
        return self._runs.run(id_or_prefix)

    def unfinished(self, registry: str) -> "list[ActionRecord]":
        """Return the manifests of `registry` that a run meant to delete and did not, though nothing spoke against it.

        They are the actions `delete-manifest` without result, or failed, of runs that were killed, interrupted, failed,
        or done in part, oldest first, unless a later action on the same digest in the same repository ended otherwise.
        Where a run deletes tags before digests, such a manifest has no tag any more, and no listing shows it. These are
        candidates to look at: whether one may go must be decided anew, for somebody may have tagged it since. Raises
        HistoryError.
        """
        return self._runs.unfinished(registry)
