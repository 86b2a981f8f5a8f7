"""The command line run inside the test's own process, which is fast, and judged by what a caller sees."""

import functools

import pytest
from tests.cli.commands import Command, Ended

from jettison.app import access
from jettison.cli.main import run
from jettison.registry.settings import Limits


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return a function that runs `jettison` with these arguments and returns how it ended.

    Failed requests are tried again without a pause.
    """
    monkeypatch.setattr(access, "Limits", functools.partial(Limits, backoff=0))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Ended:
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        told = capfd.readouterr()
        return Ended(status, told.out, told.err)

    return call
