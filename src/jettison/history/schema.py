"""The history's tables, in SQL that SQLite and PostgreSQL both take.

A new history gets them at once, an older one through the migrations; a test holds that both come to the same. Changing
a table means a new migration and a new `REVISION`.
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    insert,
)

REVISION: Final = "0002"
"""The newest migration: what the database must be at for this version of jettison."""

# Not Alembic's own name: in a PostgreSQL database that another program uses too, that one is taken.
VERSION_TABLE: Final = "jettison_version"

# As Alembic makes it (alembic/ddl/impl.py, version_table_impl), which reads it when the next migration comes.
version = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, in UTC whatever the database keeps of time zones: SQLite keeps nothing."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; ValueError for a moment without time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give the moment its time zone back."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite numbers rows by itself in a column that is INTEGER and nothing else.
_Number = BigInteger().with_variant(Integer(), "sqlite")

runs = Table(
    "runs",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("registry", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("started", UtcDateTime, nullable=False),
    Column("ended", UtcDateTime),
    Column("outcome", Text),
    Column("exit_status", Integer),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("process_token", Text, nullable=False),
    Column("plan", LargeBinary),  # JSON, compressed with zlib
    Column("totals", Text, nullable=False, server_default="{}"),  # JSON
    Column("message", Text, nullable=False, server_default=""),
)
Index("ix_runs_registry", runs.c.registry, runs.c.number)

actions = Table(
    "actions",
    metadata,
    Column("run", _Number, ForeignKey(runs.c.number, ondelete="CASCADE"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("digest", Text),
    Column("tags", Text, nullable=False),  # JSON
    Column("reason_code", Text, nullable=False),
    Column("reason_text", Text, nullable=False),
    Column("frees", BigInteger, nullable=False),
    Column("begun_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("result", Text),
    Column("detail", Text, nullable=False, server_default=""),
)
Index("ix_actions_digest", actions.c.digest)

manifests = Table(
    "manifests",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("media_type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # compressed with zlib
    Column("first_seen", UtcDateTime, nullable=False),
)

configs = Table(
    "configs",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("created", UtcDateTime),
    Column("platform", Text),
    Column("first_seen", UtcDateTime, nullable=False),
)

# What became of images after they were pushed: when they were pulled, and when jettison first saw their tags. There may
# be a row for each tag, and a key makes most of a row: without a number of its own SQLite keeps it once, not twice.

pulls = Table(
    "pulls",
    metadata,
    Column("registry", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("reference", Text, primary_key=True),  # a tag or a digest
    Column("last", UtcDateTime, nullable=False),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

pull_spans = Table(
    "pull_spans",
    metadata,
    Column("registry", Text, primary_key=True),
    Column("since", UtcDateTime, primary_key=True),
    Column("until", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

pull_logs = Table(
    "pull_logs",
    metadata,
    Column("registry", Text, primary_key=True),
    Column("head", Text, primary_key=True),  # hash of the log's first line
    Column("content", Text, primary_key=True),  # hash of all that was imported of it
    Column("bytes", BigInteger, nullable=False),
    Column("own_log", Boolean, nullable=False),  # the registry's own: each request stands in it twice
    Column("imported", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

seen_repositories = Table(
    "seen_repositories",
    metadata,
    Column("registry", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

seen_tags = Table(
    "seen_tags",
    metadata,
    Column("registry", Text, primary_key=True),
    Column("repository", Text, primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("since", UtcDateTime),  # NULL: it was there when the repository was first looked at
    sqlite_with_rowid=False,
)


def make_tables(connection: Connection) -> None:
    """Make all tables in a database that has none of them: loading Alembic to do it takes a third of a second."""
    metadata.create_all(connection, checkfirst=False)
    version.create(connection)
    connection.execute(insert(version).values(version_num=REVISION))
