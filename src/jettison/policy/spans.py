"""Spans of time and limits, as people write them."""

import re
from datetime import timedelta
from typing import Final

from jettison.policy.model import Share

_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "mo": timedelta(days=30),
    "y": timedelta(days=365),
}
_PART = re.compile(r"(\d+)\s*(s|mo|m|h|d|w|y)\s*")
_SPAN = re.compile(rf"(?:{_PART.pattern})+")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")


def parse_duration(text: str) -> timedelta:
    """Read `14d`, `24h`, `90m`, `2w`, `6mo` (30 days each), `1y` (365 days), or a sum: `1d12h`. Raises ValueError."""
    if _SPAN.fullmatch(text.strip()) is None:
        raise ValueError(f"{text!r} is no span of time: write 30m, 24h, 14d, 2w, 6mo or 1y")
    try:
        return sum((int(match[1]) * _UNITS[match[2]] for match in _PART.finditer(text)), timedelta())
    except OverflowError as error:
        raise ValueError(f"{text!r} is longer than time itself") from error


def parse_limit(text: str | float) -> Share | int:
    """Read a limit of deletions: `30%` of all tags, or a number of tags. Raises ValueError."""
    if isinstance(text, int | float) and not isinstance(text, bool) and text >= 0 and text % 1 == 0:
        return int(text)
    match = _PERCENT.fullmatch(str(text).strip())
    if match and float(match[1]) <= 100:
        return Share(float(match[1]))
    if str(text).strip().isdecimal():
        return int(str(text))
    raise ValueError(f"{text!r} is no limit: write a share such as 30% or a number of tags such as 200")
