"""One nursery for all crash tests of a process."""

from collections.abc import Iterator

import pytest
from tests.crash.dying import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Return what forks collections that die."""
    with Nursery() as nursery:
        yield nursery
