"""Pulls: which image was pulled last when, from when on that is known, and which logs it was learnt from.

A log may be imported any number of times, and may have grown in between: how much of it was imported is kept with a
hash of just that much, in the transaction that adds its pulls. So a count never counts a line twice, also where an
import is killed in the middle.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, case, delete, insert, select

from jettison.errors import LockedError
from jettison.history.database import Database
from jettison.history.registry_url import canonical
from jettison.history.schema import pull_logs, pull_spans, pulls
from jettison.pulls.spans import DEFAULT_GAP, Span, joined, known_since

_BATCH: Final = 1000


class LogPosition(NamedTuple):
    """How much of a log was imported: `size` bytes of its text, with their hash `content`.

    `head` is the hash of its first line. `own_log`: it is the registry's own, in which each request stands twice.
    """

    head: str
    content: str
    size: int
    own_log: bool = False


class Pulled(NamedTuple):
    """An image's pulls: `reference` is a tag or a digest."""

    repository: str
    reference: str
    last: datetime
    times: int


class PullStore:
    """The pulls of all registries. All methods raise HistoryError where the database cannot be used.

    `gap`: how long logs may be silent before it counts as a hole in them.
    """

    def __init__(self, database: Database, gap: timedelta = DEFAULT_GAP) -> None:
        self._database = database
        self.gap = gap

    def positions(self, registry: str, head: str) -> tuple[LogPosition, ...]:
        """Return how far logs were imported that begin with the line of this hash, the furthest first."""
        with self._database.reading() as connection:
            return () if connection is None else _positions(connection, canonical(registry), head)

    def record(
        self,
        registry: str,
        counted: Mapping[tuple[str, str], tuple[int, datetime]],
        spans: Sequence[Span],
        reached: LogPosition,
        before: LogPosition | None,
        seen: Collection[LogPosition] | None = None,
    ) -> None:
        """Add pulls (by repository and reference: how many, and the last), and note how far their log is imported.

        `before` is the position that this import went on from, `seen` those that `positions` gave it. Raises
        LockedError where another import has gone on from there meanwhile, or has begun the same log; then nothing is
        added.
        """
        name = canonical(registry)
        with self._database.writing() as connection:
            self._move(connection, name, reached, before, seen)
            rows = [
                {"registry": name, "repository": repository, "reference": reference, "last": last, "count": count}
                for (repository, reference), (count, last) in sorted(counted.items())
            ]
            if rows:
                connection.execute(self._adding(), rows)
            if spans:
                self._add_spans(connection, name, spans)

    def pulled(self, registry: str, repositories: Iterable[str]) -> dict[str, dict[str, datetime]]:
        """Return by repository when each tag and digest was last pulled."""
        found: dict[str, dict[str, datetime]] = {}
        with self._database.reading() as connection:
            if connection is None:
                return found
            for batch in _batches(sorted(set(repositories))):
                wanted = select(pulls.c.repository, pulls.c.reference, pulls.c.last).where(
                    pulls.c.registry == canonical(registry), pulls.c.repository.in_(batch)
                )
                for repository, reference, last in connection.execute(wanted):
                    found.setdefault(repository, {})[reference] = last
        return found

    def spans(self, registry: str) -> tuple[Span, ...]:
        """Return from when until when pulls are known."""
        wanted = select(pull_spans.c.since, pull_spans.c.until).where(pull_spans.c.registry == canonical(registry))
        with self._database.reading() as connection:
            if connection is None:
                return ()
            return tuple(Span(*row) for row in connection.execute(wanted.order_by(pull_spans.c.since)))

    def known_since(self, registry: str, now: datetime) -> datetime | None:
        """Return from when on pulls are known without a hole until now; None where they are not."""
        return known_since(self.spans(registry), now, self.gap)

    def listed(self, registry: str, limit: int | None = None) -> list[Pulled]:
        """Return what was pulled, the latest first."""
        wanted = (
            select(pulls.c.repository, pulls.c.reference, pulls.c.last, pulls.c.count)
            .where(pulls.c.registry == canonical(registry))
            .order_by(pulls.c.last.desc(), pulls.c.repository, pulls.c.reference)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [] if connection is None else [Pulled(*row) for row in connection.execute(wanted)]

    def registries(self) -> list[str]:
        """Return the registries of which pulls are known."""
        wanted = select(pull_spans.c.registry).distinct().order_by(pull_spans.c.registry)
        with self._database.reading() as connection:
            return [] if connection is None else list(connection.scalars(wanted))

    def _move(
        self,
        connection: Connection,
        registry: str,
        reached: LogPosition,
        before: LogPosition | None,
        seen: Collection[LogPosition] | None,
    ) -> None:
        # An import that began this log after `seen` was read counts its lines too. It is told by its row, whichever of
        # both is further; so is one that took away the row that this one goes on from.
        there = {position.content for position in _positions(connection, registry, reached.head)}
        expected = there if seen is None else {position.content for position in seen}
        if reached.content in there or there - expected or (before is not None and before.content not in there):
            raise LockedError(
                "another `jettison pulls import` works on the same log: nothing is counted twice; wait for it to end, "
                "and import again"
            )
        if before is not None:
            connection.execute(
                delete(pull_logs).where(
                    pull_logs.c.registry == registry,
                    pull_logs.c.head == before.head,
                    pull_logs.c.content == before.content,
                )
            )
        row = {"head": reached.head, "content": reached.content, "bytes": reached.size, "own_log": reached.own_log}
        connection.execute(insert(pull_logs).values(registry=registry, imported=datetime.now(UTC), **row))

    def _adding(self) -> Any:
        into = self._database.insert(pulls)
        return into.on_conflict_do_update(
            index_elements=["registry", "repository", "reference"],
            set_={
                "count": pulls.c.count + into.excluded.count,
                "last": case((into.excluded.last > pulls.c.last, into.excluded.last), else_=pulls.c.last),
            },
        )

    def _add_spans(self, connection: Connection, registry: str, spans: Sequence[Span]) -> None:
        # Kept as they are but for overlaps: how long a silence may be is for those to say who read them.
        there = connection.execute(
            select(pull_spans.c.since, pull_spans.c.until).where(pull_spans.c.registry == registry)
        )
        before = {Span(since, until) for since, until in there}
        after = set(joined([*before, *spans], timedelta(0)))
        for since, _ in sorted(before - after):
            connection.execute(delete(pull_spans).where(pull_spans.c.registry == registry, pull_spans.c.since == since))
        fresh = [{"registry": registry, "since": since, "until": until} for since, until in sorted(after - before)]
        if fresh:
            connection.execute(insert(pull_spans), fresh)


def _positions(connection: Connection, registry: str, head: str) -> tuple[LogPosition, ...]:
    wanted = (
        select(pull_logs.c.head, pull_logs.c.content, pull_logs.c.bytes, pull_logs.c.own_log)
        .where(pull_logs.c.registry == registry, pull_logs.c.head == head)
        .order_by(pull_logs.c.bytes.desc(), pull_logs.c.content)
    )
    return tuple(LogPosition(*row) for row in connection.execute(wanted))


def _batches(names: Collection[str]) -> Iterator[list[str]]:
    every = list(names)
    for start in range(0, len(every), _BATCH):
        yield every[start : start + _BATCH]
