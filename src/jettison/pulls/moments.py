"""Moments as logs write them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from jettison.oci.config import known_date

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), start=1
    )
}


def common_moment(text: bytes) -> datetime | None:
    """Read `24/Nov/2026:10:02:57 +0000`, as Apache's common log format has it; None for anything else."""
    if len(text) != 26 or text[2:3] != b"/" or text[6:7] != b"/":
        return None
    try:
        month = _MONTHS[text[3:6]]
        hours, minutes = int(text[22:24]), int(text[24:26])
        behind = timedelta(hours=hours, minutes=minutes) * (-1 if text[21:22] == b"-" else 1)
        local = datetime(
            int(text[7:11]),
            month,
            int(text[0:2]),
            int(text[12:14]),
            int(text[15:17]),
            int(text[18:20]),
            tzinfo=timezone(behind),
        )
        return known_date(local.astimezone(UTC))
    except (KeyError, ValueError, OverflowError):
        return None


def iso_moment(text: str) -> datetime | None:
    """Read `2026-11-24T10:02:57.322581501Z` (RFC 3339); None for anything else, and for one without a zone."""
    try:
        moment = datetime.fromisoformat(text)
        return known_date(moment.astimezone(UTC)) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
