"""The first tables: runs, actions, manifests, configs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    # A migration is a record of the past: it names types and columns itself and takes nothing from `schema`.
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "runs",
        sa.Column("number", number, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("registry", sa.Text, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("started", moment, nullable=False),
        sa.Column("ended", moment),
        sa.Column("outcome", sa.Text),
        sa.Column("exit_status", sa.Integer),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("process_token", sa.Text, nullable=False),
        sa.Column("plan", sa.LargeBinary),
        sa.Column("totals", sa.Text, nullable=False, server_default="{}"),
        sa.Column("message", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("number", name="pk_runs"),
        sa.UniqueConstraint("id", name="uq_runs_id"),
    )
    op.create_index("ix_runs_registry", "runs", ["registry", "number"])
    op.create_table(
        "actions",
        sa.Column("run", number, nullable=False),
        sa.Column("sequence", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("reason_code", sa.Text, nullable=False),
        sa.Column("reason_text", sa.Text, nullable=False),
        sa.Column("frees", sa.BigInteger, nullable=False),
        sa.Column("begun_at", moment),
        sa.Column("ended_at", moment),
        sa.Column("result", sa.Text),
        sa.Column("detail", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("run", "sequence", name="pk_actions"),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name="fk_actions_run", ondelete="CASCADE"),
    )
    op.create_index("ix_actions_digest", "actions", ["digest"])
    op.create_table(
        "manifests",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("first_seen", moment, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_manifests"),
    )
    op.create_table(
        "configs",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("created", moment),
        sa.Column("platform", sa.Text),
        sa.Column("first_seen", moment, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_configs"),
    )
