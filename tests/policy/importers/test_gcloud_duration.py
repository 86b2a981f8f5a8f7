"""Durations are read as gcloud and the server read them."""

from decimal import Decimal

import pytest

from jettison.policy.importers.gcloud_duration import parse_gcloud, parse_seconds

DAY = 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30d", 30 * DAY),
        ("30D", 30 * DAY),
        ("+30d", 30 * DAY),
        ("P30D", 30 * DAY),
        ("P1M", 2_629_744),
        ("PT90M", 90 * 60),
        ("90m", 90 * 60),
        ("P1DT1M", DAY + 60),
        ("p1w2dt3h4m5s", 9 * DAY + 3 * 3600 + 4 * 60 + 5),
        ("2w", 14 * DAY),
        ("1d12h", DAY + DAY // 2),
        ("1.5d", DAY + DAY // 2),
        ("1,5d", DAY + DAY // 2),
        ("0.5h", 1800),
        ("1.5s", "1.5"),
        ("1500ms", "1.5"),
        ("36h", 36 * 3600),
        ("365d", 365 * DAY),
        ("366d", 31_556_926),
        ("400d", 34_494_526),
        ("1y", 31_556_926),
        ("P13M", 34_186_670),
        ("9000h", 9000 * 3600),
        ("604800s", 7 * DAY),
        ("P0", 0),
    ],
)
def test_gcloud_sends_these_seconds(text: str, seconds: int | str) -> None:
    assert parse_gcloud(text) == Decimal(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30", "must end with time part"),
        ("30x", "Unknown character 'X'"),
        ("month", "must be preceded by a number"),
        ("", "it is empty"),
        ("P", "it is empty"),
        ("1.2.3d", "no number"),
        ("PT1HT1M", "at most one 'T'"),
        ("-1d", "lies in the future"),
        ("9" * 200 + "d", "too long"),
    ],
)
def test_what_gcloud_cannot_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_gcloud(text)


def test_the_server_takes_seconds_only() -> None:
    assert parse_seconds("2592000s") == 30 * DAY
    assert parse_seconds("0.000000001s") == Decimal("0.000000001")
    for text in ("30d", "1", "-1s", "1.0000000001s", "s"):
        with pytest.raises(ValueError, match="no duration in seconds"):
            parse_seconds(text)
