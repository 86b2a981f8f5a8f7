"""Durations as gcloud reads them in a policy file: parts of ISO 8601, with fractions, in any case of letters.

gcloud sends seconds to the server. What it makes of calendar units is its own: a year has 365.2422 days, a month is its
twelfth, and 366 days become a year (googlecloudsdk/core/util/iso_duration.py). The server itself knows seconds only.
"""

import re
from decimal import Decimal
from typing import Final

_UNITS: Final = ("Y", "MO", "D", "H", "M", "S")
_YEAR: Final = Decimal("365.2422")
"""Days."""
_DAY: Final = 86_400
"""Seconds."""
_PART: Final = re.compile(r"([0-9.,]*)([^0-9.,])")
_SUBSECONDS: Final = {"M": Decimal(1000), "U": Decimal(1_000_000), "N": Decimal(1_000_000_000)}
_SERVER: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)s")
_LONGEST: Final = 100


def parse_seconds(text: str) -> Decimal:
    """Read a duration of the server: `2592000s`, `1.5s`. Raises ValueError."""
    match = _SERVER.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration in seconds, such as 2592000s")
    return Decimal(match[1])


def parse_gcloud(text: str) -> Decimal:
    """Return the seconds of `30d`, `P1M`, `PT90M`, `1d12h`, `1.5d`. Raises ValueError."""
    if len(text) > _LONGEST:
        raise ValueError("it is too long for a duration")
    upper = text.upper()
    if upper.startswith("-"):
        raise ValueError(f"{text!r} lies in the future")
    rest = upper.removeprefix("+")
    if rest == "P0":
        return Decimal(0)
    if not rest.strip("PT"):
        raise ValueError("it is empty")
    dated = rest.startswith("P")
    return _total(_parts(rest.removeprefix("P"), dated=dated))


def _parts(text: str, *, dated: bool) -> dict[str, Decimal]:
    """Add up the parts. `dated`: it began with P, so M is months until a T or a unit of time was seen."""
    parts = dict.fromkeys(_UNITS, Decimal(0))
    separated, position = False, 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            raise ValueError("Duration must end with time part character.")
        position = match.end()
        amount, unit = match[1].replace(",", "."), match[2]
        if unit == "T":
            if separated or amount:
                raise ValueError("A duration may contain at most one 'T' separator.")
            separated, dated = True, False
            continue
        if not amount:
            raise ValueError(f"Duration unit '{text[match.start() :]}' must be preceded by a number.")
        number = _number(amount)
        if unit in _SUBSECONDS and text[position:] == "S":
            parts["S"] += number / _SUBSECONDS[unit]
            break
        dated = _add(parts, number, unit, dated=dated)
    return parts


def _add(parts: dict[str, Decimal], number: Decimal, unit: str, *, dated: bool) -> bool:
    """Add one part; return whether an M after it is still months."""
    match unit:
        case "Y" | "D":
            parts[unit] += number
        case "W":
            parts["D"] += 7 * number
        case "M" if dated:
            parts["MO"] += number
            return False
        case "H" | "M" | "S":
            parts[unit] += number
            return False
        case _:
            raise ValueError(f"Unknown character '{unit}' in duration.")
    return dated


def _number(text: str) -> Decimal:
    if text.count(".") > 1 or text == ".":
        raise ValueError(f"{text!r} is no number")
    return Decimal(text)


def _total(parts: dict[str, Decimal]) -> Decimal:
    """Return the seconds: fractions go down to the next unit, then what is too much goes up."""
    years = _whole(parts, "Y", "D", _YEAR)
    months = _whole(parts, "MO", "D", _YEAR / 12, truncated=True)
    days = _whole(parts, "D", "H", Decimal(24))
    hours = _whole(parts, "H", "M", Decimal(60))
    minutes = _whole(parts, "M", "S", Decimal(60))
    time = parts["S"] + 60 * minutes + 3600 * hours
    if not (years or months or days):
        return time
    carried, time = divmod(time, _DAY)
    days += int(carried)
    if days >= 366:
        days -= 366
        years += 1
    more = int(days / _YEAR)
    days -= int(more * _YEAR)
    years += more
    total = time + days * _DAY + (years + Decimal(months) / 12) * _YEAR * _DAY
    fraction = time % 1
    return (total - fraction).quantize(Decimal(1)) + fraction


def _whole(parts: dict[str, Decimal], unit: str, below: str, factor: Decimal, *, truncated: bool = False) -> int:
    """Return the whole number of a unit, and give its fraction (to four digits) to the unit below."""
    whole = int(parts[unit])
    fraction = (round(parts[unit], 4) - whole) * factor
    parts[below] += int(fraction) if truncated else fraction
    return whole
