"""Pacer: when the next request may go out, by the rate limit and by what the registry asked for."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


class Pacer:
    """Spaces requests evenly; all wait when the registry asked for a pause (429 or 503 with Retry-After)."""

    __slots__ = ("_interval", "_next", "_paused_until")

    def __init__(self, requests_per_second: float | None) -> None:
        self._interval = 1 / requests_per_second if requests_per_second else 0.0
        self._next = 0.0
        self._paused_until = 0.0

    def wait(self, now: float) -> float:
        """Take the next slot; return the seconds from `now` until it, 0 for at once."""
        start = max(now, self._next, self._paused_until)
        self._next = start + self._interval if self._interval else 0.0
        return start - now

    def pause(self, now: float, seconds: float) -> None:
        """Let nothing out for `seconds`."""
        self._paused_until = max(self._paused_until, now + seconds)


def retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait (RFC 9110, 10.2.3: seconds or an HTTP date).

    None where there is none or it cannot be read; a date in the past is 0.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        # Ten digits are three centuries; more would only overflow.
        return float(text[:10])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
