"""Spans: from when until when pulls are known, with a hole wherever the logs are silent for too long."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

DEFAULT_GAP: Final = timedelta(days=3)
"""A silence up to this long is taken for a quiet weekend, a longer one for a log that is missing."""


class Span(NamedTuple):
    """Pulls are known from `since` until `until`."""

    since: datetime
    until: datetime


def joined(spans: Iterable[Span], gap: timedelta) -> tuple[Span, ...]:
    """Return `spans` in order, with those made one that overlap or are at most `gap` apart."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.since - found[-1].until <= gap:
            found[-1] = Span(found[-1].since, max(found[-1].until, span.until))
        else:
            found.append(span)
    return tuple(found)


def known_since(spans: Iterable[Span], now: datetime, gap: timedelta) -> datetime | None:
    """Return from when on pulls are known without a hole until now; None where the newest known time is too old.

    Whoever stopped importing logs learns of no pull any more. What was pulled since then must not look unused.
    """
    past = [Span(span.since, min(span.until, now)) for span in spans if span.since <= now]
    merged = joined(past, gap)
    return merged[-1].since if merged and now - merged[-1].until <= gap else None


@dataclass(slots=True)
class SpanCollector:
    """Gathers spans out of moments in any order; those of a log nearly always come in theirs."""

    gap: timedelta
    _spans: list[Span] = field(default_factory=list)
    _at: int = -1

    def add(self, moment: datetime) -> None:
        """Note that the log was being written at `moment`."""
        if self._at >= 0:
            since, until = self._spans[self._at]
            if since <= moment <= until:
                return
            following = self._spans[self._at + 1].since if self._at + 1 < len(self._spans) else None
            if until < moment <= until + self.gap and (following is None or moment + self.gap < following):
                self._spans[self._at] = Span(since, moment)
                return
        self._spans = list(joined([*self._spans, Span(moment, moment)], self.gap))
        self._at = bisect_right(self._spans, moment, key=lambda span: span.since) - 1

    @property
    def spans(self) -> tuple[Span, ...]:
        """What was gathered, in order."""
        return tuple(self._spans)
