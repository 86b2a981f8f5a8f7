"""An nginx in front of a registry, and skopeo to pull through it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jettison.testing.nginx import Nginx
from jettison.testing.programs import Missing, nginx

MakeNginx = Callable[..., Nginx]


@pytest.fixture
def make_nginx(tmp_path: Path, need: Callable[[Path | Missing], Path]) -> Iterator[MakeNginx]:
    """Return a function that starts an nginx in front of a URL; without an nginx the test is skipped by name."""
    need(nginx())
    with contextlib.ExitStack() as stack:

        def make(url: str, **options: object) -> Nginx:
            return stack.enter_context(Nginx(url, tmp_path / "nginx", **options))  # type: ignore[arg-type]  # checked there

        yield make
