"""FirstSeen: since when each tag points where it does, as far as jettison has looked.

Over the API nobody tells when a tag was pushed. A tag that was not there at the last look was pushed since then, so the
time of this look is at least not too early, and what counts from it stays long enough. A tag that was there when its
repository was looked at for the first time may be of any age: of it nothing is known.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, select

from jettison.history.database import Database
from jettison.history.registry_url import canonical
from jettison.history.schema import seen_repositories, seen_tags
from jettison.oci.digest import Digest

_REPOSITORIES: Final = 300
_TAGS: Final = 20_000


class FirstSeen:
    """When tags were seen first. Methods raise HistoryError where the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def look(
        self, registry: str, tags: Mapping[str, Mapping[str, Digest]], now: datetime
    ) -> dict[str, dict[str, datetime]]:
        """Note what is there (by repository: each tag and its digest), and return since when, where that is known.

        Name only repositories whose tags were all listed: a tag that is missing here is forgotten, and will be a new
        one when it comes back.
        """
        name = canonical(registry)
        found: dict[str, dict[str, datetime]] = {}
        for batch in _batches(tags):
            changes = _Changes(now)
            with self._database.reading() as connection:
                looked, before = _read(connection, name, list(batch))
            for repository, present in batch.items():
                known = before.get(repository, {})
                changes.compare(repository, known, present, is_first=repository not in looked)
                found[repository] = {
                    tag: since
                    for tag, digest in present.items()
                    if (since := _since(known.get(tag), digest, repository in looked, now)) is not None
                }
            if changes.any:
                with self._database.writing() as writing:
                    changes.write(writing, self._database, name)
        return found


def _since(
    known: "tuple[str, datetime | None] | None", digest: Digest, was_looked_at: bool, now: datetime
) -> datetime | None:
    if known is not None and known[0] == digest:
        return known[1]
    return now if was_looked_at else None


class _Changes:
    """What differs from the last look."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._first: list[str] = []
        self._tags: list[dict[str, Any]] = []
        self._gone: list[tuple[str, str]] = []

    @property
    def any(self) -> bool:
        return bool(self._first or self._tags or self._gone)

    def compare(
        self,
        repository: str,
        known: "Mapping[str, tuple[str, datetime | None]]",
        present: Mapping[str, Digest],
        *,
        is_first: bool,
    ) -> None:
        if is_first:
            self._first.append(repository)
        for tag, digest in present.items():
            if tag not in known or known[tag][0] != digest:
                since = None if is_first else self._now
                self._tags.append({"repository": repository, "tag": tag, "digest": str(digest), "since": since})
        self._gone += [(repository, tag) for tag in known.keys() - present.keys()]

    def write(self, connection: Connection, database: Database, registry: str) -> None:
        # The same order in every process, so that two that write the same rows do not block each other for good.
        for repository, tag in sorted(self._gone):
            connection.execute(
                delete(seen_tags).where(
                    seen_tags.c.registry == registry, seen_tags.c.repository == repository, seen_tags.c.tag == tag
                )
            )
        if self._first:
            into = database.insert(seen_repositories).on_conflict_do_nothing()
            rows = [{"registry": registry, "repository": name, "since": self._now} for name in sorted(self._first)]
            connection.execute(into, rows)
        if self._tags:
            adding = database.insert(seen_tags)
            # Another process may have noted the same change first; its moment is the earlier one, and stays.
            adding = adding.on_conflict_do_update(
                index_elements=["registry", "repository", "tag"],
                set_={"digest": adding.excluded.digest, "since": adding.excluded.since},
                where=seen_tags.c.digest != adding.excluded.digest,
            )
            rows = sorted(self._tags, key=lambda row: (row["repository"], row["tag"]))
            connection.execute(adding, [{"registry": registry, **row} for row in rows])


def _read(
    connection: Connection | None, registry: str, names: list[str]
) -> "tuple[set[str], dict[str, dict[str, tuple[str, datetime | None]]]]":
    tags: dict[str, dict[str, tuple[str, datetime | None]]] = {}
    if connection is None:
        return set(), tags
    looked = select(seen_repositories.c.repository).where(
        seen_repositories.c.registry == registry, seen_repositories.c.repository.in_(names)
    )
    wanted = select(seen_tags.c.repository, seen_tags.c.tag, seen_tags.c.digest, seen_tags.c.since).where(
        seen_tags.c.registry == registry, seen_tags.c.repository.in_(names)
    )
    for repository, tag, digest, since in connection.execute(wanted):
        tags.setdefault(repository, {})[tag] = (digest, since)
    return set(connection.scalars(looked)), tags


def _batches(tags: Mapping[str, Mapping[str, Digest]]) -> Iterator[dict[str, Mapping[str, Digest]]]:
    """Yield repositories in groups that are looked up together, in the order of their names."""
    batch: dict[str, Mapping[str, Digest]] = {}
    held = 0
    for name in sorted(tags):
        batch[name] = tags[name]
        held += len(tags[name])
        if len(batch) >= _REPOSITORIES or held >= _TAGS:
            yield batch
            batch, held = {}, 0
    if batch:
        yield batch
