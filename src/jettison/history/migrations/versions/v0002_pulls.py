"""What became of images: pulls, from when on they are known, the logs they came from, and when tags were first seen."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "pulls",
        sa.Column("registry", sa.Text, nullable=False),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("last", moment, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("registry", "repository", "reference", name="pk_pulls"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pull_spans",
        sa.Column("registry", sa.Text, nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.PrimaryKeyConstraint("registry", "since", name="pk_pull_spans"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pull_logs",
        sa.Column("registry", sa.Text, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("own_log", sa.Boolean, nullable=False),
        sa.Column("imported", moment, nullable=False),
        sa.PrimaryKeyConstraint("registry", "head", "content", name="pk_pull_logs"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "seen_repositories",
        sa.Column("registry", sa.Text, nullable=False),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.PrimaryKeyConstraint("registry", "repository", name="pk_seen_repositories"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "seen_tags",
        sa.Column("registry", sa.Text, nullable=False),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("since", moment),
        sa.PrimaryKeyConstraint("registry", "repository", "tag", name="pk_seen_tags"),
        sqlite_with_rowid=False,
    )
