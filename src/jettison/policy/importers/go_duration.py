"""Go's durations (time.ParseDuration): `168h`, `1h30m`, `1.5h`, `-10s`."""

import re
from fractions import Fraction
from typing import Final

_UNITS: Final = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "μs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_PART: Final = re.compile(r"([0-9]*)(\.([0-9]*))?([^0-9.]*)")
_MOST_DIGITS: Final = 20
_LONGEST: Final = Fraction(2**63 - 1, 10**9)


class GoDurationError(ValueError):
    """A text that Go refuses; the message is Go's. `invalid` where it says `invalid duration`."""

    def __init__(self, message: str, *, invalid: bool) -> None:
        super().__init__(message)
        self.invalid = invalid


def parse_go_duration(text: str) -> Fraction:
    """Return the seconds of a duration. Raises GoDurationError."""
    refused = GoDurationError(f'time: invalid duration "{text}"', invalid=True)
    rest = text[1:] if text[:1] in ("+", "-") else text
    sign = -1 if text[:1] == "-" else 1
    if rest == "0":
        return Fraction(0)
    if not rest:
        raise refused
    total = Fraction(0)
    position = 0
    while position < len(rest):
        match = _PART.match(rest, position)
        if match is None or (not match[1] and not match[3]) or len(match[1]) > _MOST_DIGITS:
            raise refused
        if not match[4]:
            raise GoDurationError(f'time: missing unit in duration "{text}"', invalid=False)
        if match[4] not in _UNITS:
            raise GoDurationError(f'time: unknown unit "{match[4]}" in duration "{text}"', invalid=False)
        fraction = (match[3] or "")[:_MOST_DIGITS]
        number = Fraction(int((match[1] or "0") + fraction), 10 ** len(fraction))
        total += number * _UNITS[match[4]]
        position = match.end()
    if total > _LONGEST:
        raise refused
    return sign * total
