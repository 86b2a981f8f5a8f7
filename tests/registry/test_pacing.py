"""When the next request may go out, without any clock."""

from datetime import UTC, datetime

import pytest

from jettison.registry.pacing import Pacer, retry_after

NOON = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def test_spaces_requests_evenly() -> None:
    pacer = Pacer(4)
    assert [pacer.wait(100.0) for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]
    assert pacer.wait(200.0) == 0.0


def test_never_waits_without_a_rate() -> None:
    pacer = Pacer(None)
    assert [pacer.wait(1.0) for _ in range(3)] == [0.0, 0.0, 0.0]


def test_holds_everything_back_during_a_pause() -> None:
    pacer = Pacer(None)
    pacer.pause(10.0, 5.0)
    pacer.pause(10.0, 1.0)
    assert pacer.wait(11.0) == 4.0
    assert pacer.wait(15.0) == 0.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0.0),
        ("Tuesday, 24-Nov-26 12:00:05 GMT", 5.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("9" * 400, 9999999999.0),
    ],
)
def test_reads_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOON) == seconds
