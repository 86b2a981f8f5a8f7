"""Pruning: what of a history is old, and forgetting it run by run.

Each run goes in a transaction of its own: what was forgotten when the command is stopped stays so, and on a full disk
the database's log needs room for one run, not for all.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, exists, func, or_, select, update

from jettison.history.database import Database
from jettison.history.registry_url import canonical
from jettison.history.runs import state_of
from jettison.history.schema import actions, manifests, pull_spans, pulls, runs
from jettison.oci.digest import Digest


class OldRun(NamedTuple):
    """A run that ended long ago."""

    number: int
    id: str


class Pruning:
    """Forgets what is old. All methods raise HistoryError where the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def old_runs(self, registries: Collection[str], before: datetime) -> list[OldRun]:
        """Return the runs on `registries` that ended before that moment, the oldest first.

        One that may still be at work is not among them, however long ago it began.
        """
        wanted = (
            select(runs.c.number, runs.c.id, runs.c.outcome, runs.c.host, runs.c.pid, runs.c.process_token)
            .where(runs.c.registry.in_(_names(registries)), func.coalesce(runs.c.ended, runs.c.started) < before)
            .order_by(runs.c.number)
        )
        with self._database.reading() as connection:
            rows: Sequence[Any] = [] if connection is None else connection.execute(wanted).all()
            return [OldRun(row.number, row.id) for row in rows if state_of(row) not in ("running", "unknown")]

    def digests(self, run: OldRun) -> frozenset[Digest]:
        """Return the digests that a run's actions name: of manifests, and of the blobs whose links it removed."""
        wanted = select(actions.c.digest).where(actions.c.run == run.number, actions.c.digest.is_not(None)).distinct()
        with self._database.reading() as connection:
            return frozenset() if connection is None else frozenset(map(Digest, connection.scalars(wanted)))

    def may_have_collected(self, registries: Collection[str]) -> bool:
        """Whether a run on `registries` moved something into a quarantine, or may have when it was stopped."""
        wanted = (
            select(actions.c.run)
            .join(runs)
            .where(
                runs.c.registry.in_(_names(registries)),
                actions.c.kind == "collect",
                or_(actions.c.detail.contains("quarantine"), actions.c.result.is_(None), actions.c.result == "failed"),
            )
            .limit(1)
        )
        with self._database.reading() as connection:
            return connection is not None and connection.execute(wanted).first() is not None

    def forget(self, run: OldRun) -> tuple[int, int]:
        """Forget a run, and the manifests that it deleted and no other run names; return how many actions and bodies.

        A manifest that was pushed again meanwhile is read from the registry again.
        """
        deleted = select(actions.c.digest).where(
            actions.c.run == run.number, actions.c.kind == "delete-manifest", actions.c.result.in_(["done", "gone"])
        )
        others = exists().where(actions.c.digest == manifests.c.digest, actions.c.run != run.number)
        with self._database.writing() as connection:
            bodies = connection.execute(delete(manifests).where(manifests.c.digest.in_(deleted), ~others)).rowcount
            steps = connection.execute(delete(actions).where(actions.c.run == run.number)).rowcount
            connection.execute(delete(runs).where(runs.c.number == run.number))
        return steps, bodies

    def old_pulls(self, registries: Collection[str], before: datetime) -> int:
        """Return of how many images the last pull was before that moment."""
        wanted = select(func.count()).where(pulls.c.registry.in_(_names(registries)), pulls.c.last < before)
        with self._database.reading() as connection:
            return 0 if connection is None else connection.scalar(wanted) or 0

    def forget_pulls(self, registries: Collection[str], before: datetime) -> int:
        """Forget pulls before that moment, and that they are known: nothing looks unused that was forgotten here."""
        names = _names(registries)
        with self._database.writing() as connection:
            gone = connection.execute(delete(pulls).where(pulls.c.registry.in_(names), pulls.c.last < before)).rowcount
            of_these = pull_spans.c.registry.in_(names)
            connection.execute(delete(pull_spans).where(of_these, pull_spans.c.until < before))
            connection.execute(update(pull_spans).where(of_these, pull_spans.c.since < before).values(since=before))
        return gone

    def compact(self) -> bool:
        """Give the space of what was forgotten back to the file system; False where there is no room to do it.

        A server's database does that by itself.
        """
        return self._database.compact()


def _names(registries: Collection[str]) -> list[str]:
    return sorted({canonical(name) for name in registries})
