"""Alembic's migrations of the history database; `database.Database` runs them when they are needed."""
