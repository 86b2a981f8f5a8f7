"""Alembic's entry: migrate over the connection, and in the transaction, that `database.Database` hands in."""

from alembic import context

from jettison.history.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
