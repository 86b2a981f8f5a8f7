"""Documents that never change, kept by their digest so that each is read from a registry once, ever."""

import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Column, Table, bindparam, select

from jettison.history.database import Database
from jettison.history.model import StoredManifest
from jettison.history.schema import configs, manifests
from jettison.oci.config import ConfigFacts
from jettison.oci.digest import Digest

# Parameters of one statement; SQLite takes 32,766 and PostgreSQL 65,535, and more than this makes it no faster.
_BATCH: Final = 1000
# No registry takes a larger manifest (distribution-spec, "Pushing manifests": at least 4 MiB), so none larger is kept.
_LARGEST_BODY: Final = 4 * 1024 * 1024


class ManifestCache:
    """Manifests by digest. What it gives back has been compared with its digest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_empty(self) -> bool:
        """Whether no manifest is kept here at all. Raises HistoryError where the database cannot be read."""
        with self._database.reading() as connection:
            return connection is None or connection.execute(select(manifests.c.digest).limit(1)).first() is None

    def known(self, digests: Iterable[Digest]) -> dict[Digest, StoredManifest]:
        """Return those of `digests` that are kept here.

        A body that is damaged is left out, so that it is read from the registry again, and then overwritten by
        `remember`. Raises HistoryError where the database cannot be read.
        """
        found = {}
        columns = (manifests.c.digest, manifests.c.media_type, manifests.c.body)
        for text, media_type, compressed in _rows(self._database, columns, digests):
            digest, body = Digest(text), _decompressed(compressed)
            if body is not None and digest.matches(body):
                found[digest] = StoredManifest(media_type, body)
        return found

    def remember(self, entries: Iterable[tuple[Digest, str, bytes]]) -> None:
        """Keep manifests: digest, media type, body. All of them are on the disk when this returns.

        Raises ValueError for a body that does not have its digest, HistoryError where the database cannot be written.
        """
        seen = datetime.now(UTC)
        rows = []
        for digest, media_type, body in entries:
            if not digest.matches(body):
                raise ValueError(f"a body that does not have the digest {digest} cannot be kept under it")
            if len(body) <= _LARGEST_BODY:
                rows.append({"digest": digest, "media_type": media_type, "body": _compressed(body), "first_seen": seen})
        _write(self._database, manifests, rows)


class ConfigCache:
    """What configs said of their images, by the config's digest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, digests: Iterable[Digest]) -> dict[Digest, ConfigFacts]:
        """Return those of `digests` that are kept here. Raises HistoryError where the database cannot be read."""
        columns = (configs.c.digest, configs.c.created, configs.c.platform)
        return {
            Digest(text): ConfigFacts(created, platform)
            for text, created, platform in _rows(self._database, columns, digests)
        }

    def remember(self, entries: Iterable[tuple[Digest, ConfigFacts]]) -> None:
        """Keep facts, all of them on the disk when this returns. Raises HistoryError where they cannot be written."""
        seen = datetime.now(UTC)
        rows = []
        for digest, facts in entries:
            created = facts.created
            if created is not None:
                try:
                    created = created.astimezone(UTC)
                except OverflowError:
                    # A date at the very edge of the calendar, which UTC moves beyond it: it is read again each time.
                    continue
            rows.append({"digest": digest, "created": created, "platform": facts.platform, "first_seen": seen})
        _write(self._database, configs, rows)


def _rows(database: Database, columns: Sequence[Column[Any]], digests: Iterable[Digest]) -> Iterator[Any]:
    """Yield `columns`, the first of which is the digest, of those rows that are there."""
    wanted = iter(dict.fromkeys(digests))
    statement = select(*columns).where(columns[0].in_(bindparam("digests", expanding=True)))
    with database.reading() as connection:
        while connection is not None and (batch := [str(digest) for digest in islice(wanted, _BATCH)]):
            yield from connection.execute(statement, {"digests": batch}).all()


def _write(database: Database, table: Table, rows: Collection[dict[str, Any]]) -> None:
    if rows:
        with database.writing() as connection:
            # The same order in every process: two that insert the same rows crosswise would block each other for good.
            connection.execute(database.upsert(table, "digest"), sorted(rows, key=lambda row: str(row["digest"])))


def _compressed(body: bytes) -> bytes:
    # With a window of the body's size: most of the work on a small one is to clear the memory of the usual window.
    return zlib.compress(body, 1, wbits=min(15, max(9, len(body).bit_length())))


def _decompressed(body: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(body, _LARGEST_BODY)
    except zlib.error:
        return None
