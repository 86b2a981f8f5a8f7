"""A history on the disk for each test; `JETTISON_TEST_POSTGRESQL` names an empty PostgreSQL database to use instead."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from jettison.history.store import History

POSTGRESQL = os.environ.get("JETTISON_TEST_POSTGRESQL")


@pytest.fixture
def location(tmp_path: Path) -> str:
    """Where the test's history is to be."""
    if POSTGRESQL is None:
        return str(tmp_path / "state" / "history.db")
    engine = create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return POSTGRESQL


@pytest.fixture
def history(location: str) -> Iterator[History]:
    """An empty history."""
    history = History.open(location)
    yield history
    history.close()
