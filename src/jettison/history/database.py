"""The history's database: found, made, brought up to date, and its errors put into words.

It is opened at the first use and made at the first write, so that verbs which only read leave nothing behind.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, func, inspect, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from jettison.errors import HistoryError, UsageError
from jettison.history.reserve import release
from jettison.history.schema import REVISION, VERSION_TABLE, make_tables, version

if TYPE_CHECKING:  # it takes a fortieth of a second to load, and few histories are in PostgreSQL
    from sqlalchemy.dialects import postgresql

_WRITES: Final = "jettison_writes"
_WORTH_COMPACTING: Final = 10
"""A file is written anew where this part of it is free: a tenth."""
_MIGRATING: Final = 0x6A657474  # any number that no other program of the same database locks: "jett"
_ELSEWHERE: Final = "or keep the history elsewhere with --history URL"

_CAUSES: Final = {
    "SQLITE_FULL": ("the disk is full", f"free some space, {_ELSEWHERE}"),
    "SQLITE_READONLY": ("it may not be written", f"give this user the right to write it and its folder, {_ELSEWHERE}"),
    "SQLITE_PERM": ("it may not be opened", f"give this user the right to read and write it, {_ELSEWHERE}"),
    "SQLITE_CANTOPEN": ("it cannot be opened", f"give this user the right to read and write it, {_ELSEWHERE}"),
    "SQLITE_CORRUPT": ("it is damaged", f"move it away so that a new one is made, {_ELSEWHERE}"),
    "SQLITE_NOTADB": (
        "it is no SQLite database, or is damaged",
        f"move it away so that a new one is made, {_ELSEWHERE}",
    ),
    "SQLITE_BUSY": ("another process keeps it locked", f"wait for that process to end, {_ELSEWHERE}"),
    "SQLITE_LOCKED": ("another process keeps it locked", f"wait for that process to end, {_ELSEWHERE}"),
}


class Database:
    """Connections to the history's database, each use one transaction. Its name never holds a password."""

    def __init__(self, location: str | Path, lock_timeout: float = 30.0) -> None:
        """Name the database, without opening it.

        `location` is a SQLAlchemy URL of SQLite or PostgreSQL, or a path of a SQLite file. `lock_timeout` is how many
        seconds to wait for another process that is writing. Raises UsageError for a location that cannot be meant.
        """
        self._url = _parse(location)
        self._file = Path(self._url.database or "") if self._url.get_backend_name() == "sqlite" else None
        self._lock_timeout = lock_timeout
        self._engine: Engine | None = None
        self._current = False

    @property
    def name(self) -> str:
        """The database as messages name it: the file, or the URL without password and options."""
        if self._file is not None:
            return str(self._file)
        url = self._url
        return URL.create(url.drivername, url.username, None, url.host, url.port, url.database).render_as_string()

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """Give a connection that sees one state of the database; None while there is no history yet.

        Raises HistoryError where the database cannot be read.
        """
        with self._in_words("read"):
            if not self._current and (not self._exists() or self._revision() is None):
                yield None
                return
            self._update()
            with self._open().connect() as connection:
                try:
                    yield connection
                except ValueError as error:
                    # Rows are read and parsed in the block: a date, JSON or digest that is none was not written so.
                    raise self.damaged(str(error)[:200]) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection whose changes are on the disk when the block ends; an error in it undoes all of them.

        Raises HistoryError where the database cannot be made or written.
        """
        with self._in_words("written"):
            self._make_file()
            self._update()
            with self._writer().begin() as connection:
                yield connection

    def insert(self, table: Table) -> "sqlite.Insert | postgresql.Insert":
        """Return an INSERT into `table` that can be told what to do with rows that are there already."""
        if self._file is not None:
            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)

    def upsert(self, table: Table, key: str) -> "sqlite.Insert | postgresql.Insert":
        """Return an INSERT into `table` that overwrites the row of the same `key` where it differs."""
        values = [column.name for column in table.columns if column.name not in (key, "first_seen")]
        if self._file is not None:
            into = sqlite.insert(table)
            return into.on_conflict_do_update(
                index_elements=[key],
                set_={name: into.excluded[name] for name in values},
                where=_differs(table, into, values),
            )
        from sqlalchemy.dialects import postgresql

        into_postgresql = postgresql.insert(table)
        return into_postgresql.on_conflict_do_update(
            index_elements=[key],
            set_={name: into_postgresql.excluded[name] for name in values},
            where=_differs(table, into_postgresql, values),
        )

    def compact(self) -> bool:
        """Give free pages of a SQLite file back to the file system; False where the disk has no room to do it.

        The file is written anew beside itself and into its log, so that needs twice the space of what is in it. Raises
        HistoryError, for one that another process keeps locked too.
        """
        if self._file is None or not self._exists():
            return True
        with self._in_words("compacted"):
            connection = self._open().raw_connection()
            try:
                cursor = connection.cursor()
                pages, free, size = (
                    int(cursor.execute(f"PRAGMA {name}").fetchone()[0])
                    for name in ("page_count", "freelist_count", "page_size")
                )
                if free * _WORTH_COMPACTING < pages:
                    return True
                if shutil.disk_usage(self._file.parent).free < 2 * (pages - free) * size:
                    return False
                for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                    cursor.execute(statement).fetchall()
            finally:
                connection.close()
        return True

    def damaged(self, what: str) -> HistoryError:
        """Return the error for a row, described by `what`, that cannot be what was written."""
        cause, way_out = _CAUSES["SQLITE_CORRUPT"]
        return HistoryError(f"the history database {self.name}: {cause} ({what}); {way_out}")

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _exists(self) -> bool:
        return self._file is None or self._file.exists()

    def _make_file(self) -> None:
        """Make the file for nobody but its owner: a history names every image of a registry."""
        if self._file is None or self._current:
            return
        if not self._file.parent.is_dir():
            self._file.parent.parent.mkdir(parents=True, exist_ok=True)
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
        # SQLite gives its -wal and -shm files the mode of the database.
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def _open(self) -> Engine:
        if self._engine is None:
            if self._file is not None:
                release(self._file)
            self._engine = _engine(self._url, self._lock_timeout, on_file=self._file is not None)
        return self._engine

    def _writer(self) -> Engine:
        return self._open().execution_options(**{_WRITES: True})

    def _revision(self) -> str | None:
        """Return the migration that the database is at, None for a database without history."""
        with self._open().connect() as connection:
            return _revision_of(connection)

    def _update(self) -> None:
        """Bring the tables up to date, once per process. A plain SELECT tells whether Alembic's import is needed."""
        if self._current:
            return
        if self._revision() != REVISION:
            with self._writer().begin() as connection:
                if self._file is None:
                    # SQLite lets one process write at a time, PostgreSQL must be asked to.
                    connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
                # Another process may have done it while this one waited for the lock.
                revision = _revision_of(connection)
                if revision is None:
                    make_tables(connection)
                elif revision != REVISION:
                    self._migrate(connection, revision)
        self._current = True

    def _migrate(self, connection: Connection, revision: str) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        scripts = Path(__file__).parent / "migrations"
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        config.attributes["connection"] = connection
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if revision not in known:
            raise HistoryError(
                f"the history database {self.name} was made by a newer jettison (its tables are at {revision[:40]!r}, "
                f"this one knows up to {REVISION!r}): update jettison, {_ELSEWHERE}"
            )
        command.upgrade(config, "head")

    @contextmanager
    def _in_words(self, done: str) -> Iterator[None]:
        """Translate what SQLAlchemy, SQLite and the file system raise."""
        try:
            yield
        except (DBAPIError, PoolTimeoutError, sqlite3.Error) as error:
            # The cause is chained without SQLAlchemy's own error, which may show a statement's values.
            origin = getattr(error, "orig", None) or error
            raise self._error(done, origin) from origin
        except OSError as error:
            raise HistoryError(
                f"the history database {self.name} cannot be {done}: {error.strerror or error}; give this user the "
                f"right to read and write it and its folder, {_ELSEWHERE}"
            ) from error
        except ModuleNotFoundError as error:
            raise HistoryError(
                f"the history database {self.name} needs the Python package {error.name!r}: install it beside "
                f"jettison, {_ELSEWHERE}"
            ) from error

    def _error(self, done: str, origin: BaseException) -> HistoryError:
        code = getattr(origin, "sqlite_errorname", None) or ""
        base = "_".join(code.split("_")[:2])
        # A full disk shows as a failed write of the shared memory file, too.
        full = base == "SQLITE_IOERR" and self._file is not None and _is_full(self._file.parent)
        cause, way_out = (
            _CAUSES["SQLITE_FULL" if full else base] if full or base in _CAUSES else (self._said(origin), "")
        )
        way_out = way_out or "look at the database, " + _ELSEWHERE
        return HistoryError(f"the history database {self.name} cannot be {done}: {cause}; {way_out}")

    def _said(self, origin: BaseException) -> str:
        said = " ".join(str(origin).split())[:500] or type(origin).__name__
        hidden = [
            str(self._url.password or ""),
            *(str(value) for key, value in self._url.query.items() if "pass" in key),
        ]
        for secret in filter(None, hidden):
            said = said.replace(secret, "***")
        return said


def _parse(location: str | Path) -> URL:
    if isinstance(location, Path) or "://" not in location:
        return URL.create("sqlite", database=str(Path(location).expanduser().absolute()))
    try:
        # People write the URL as PostgreSQL's own tools take it.
        scheme, rest = location.split("://", 1)
        if scheme in ("postgres", "postgresql"):
            scheme = "postgresql+psycopg"
        url = make_url(f"{scheme}://{rest}")
        backend = url.get_backend_name()
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        # Not chained: those errors may repeat the URL, and it may hold a password.
        backend = ""
    except ModuleNotFoundError:
        backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise UsageError(
            f"--history {location.partition('://')[0]}://...: not a database that jettison can use; give a file, "
            "sqlite:////path/to/file, or postgresql://user@host/database"
        )
    if backend == "sqlite":
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise UsageError("--history sqlite://: name a file, as in sqlite:////var/lib/jettison/history.db")
        url = url.set(database=str(Path(url.database).absolute()))
    return url


def _engine(url: URL, lock_timeout: float, *, on_file: bool) -> Engine:
    arguments: dict[str, Any] = {"timeout": lock_timeout} if on_file else {"connect_timeout": 10}
    engine = create_engine(url, connect_args=arguments, hide_parameters=True, pool_pre_ping=not on_file)
    if on_file:
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # We say BEGIN ourselves (see _begin); sqlite3 would say it late, and only before some statements.
    connection.isolation_level = None
    # FULL: what is committed is on the disk, so that "written before it happens" holds when the power goes.
    for pragma in ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later is refused at once when another process wrote in between,
    # whatever the timeout says (sqlite.org, "Isolation", SQLITE_BUSY_SNAPSHOT). One that will write says so first.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision_of(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.scalar(select(version.c.version_num))
    return revision


def _differs(table: Table, into: "sqlite.Insert | postgresql.Insert", values: list[str]) -> Any:
    # Most rows of a bulk insert are there already and the same: rewriting them would double the database's log.
    condition = table.c[values[0]].is_distinct_from(into.excluded[values[0]])
    for name in values[1:]:
        condition |= table.c[name].is_distinct_from(into.excluded[name])
    return condition


def _is_full(folder: Path) -> bool:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize < 64 * 1024
