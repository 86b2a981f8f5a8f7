"""Cron: an expression of five fields, as crontab(5) defines them, checked and read."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import Final, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from jettison.errors import UsageError

_FIELDS: Final = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day-of-month", "1-31"),
    ("month", "1-12 or jan-dec"),
    ("day-of-week", "0-7 or sun-sat, where 0 and 7 are Sunday"),
)
_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_NAMES: Final = {
    3: ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
    4: ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
}
_LAST: Final = (59, 23, 31, 12, 7)


@dataclass(frozen=True, slots=True)
class Cron:
    """A valid cron expression: the minutes, hours, days, months and weekdays that it names."""

    text: str
    """Five fields that every cron takes: names are numbers, macros are spelt out, `5/15` is a list."""
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 to 6, Sunday is 0."""
    both_days: bool
    """Whether day of month and day of week must both fit. crontab(5): either is enough, unless one begins with `*`."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an expression; raise UsageError, naming the bad field, for text that is none."""
        fields = _MACROS.get(text.strip().lower(), text).split()
        if len(fields) == 1 and fields[0].startswith("@"):
            raise UsageError(
                f"the cron expression {text!r} is not known here: use five fields, or {', '.join(_MACROS)}"
            )
        if len(fields) != len(_FIELDS):
            raise UsageError(
                f"the cron expression {text!r} has {len(fields)} fields: expected the five minute, hour, day-of-month, "
                'month and day-of-week (no seconds), as in "30 2 * * *" for half past two each night'
            )
        plain = [_plain(index, field.upper()) for index, field in enumerate(fields)]
        for index, field in enumerate(plain):
            if not _is_valid(index, field):
                name, range_ = _FIELDS[index]
                raise UsageError(
                    f"the cron expression {text!r} has a bad {name} field, {fields[index]!r}: expected {range_}, "
                    "*, lists (1,15), ranges (1-5) and steps (*/10), each range from low to high"
                )
        joined = " ".join(plain)
        try:
            parsed = CronSim(joined, datetime(2024, 1, 1, tzinfo=UTC))
            next(parsed)
        except (CronSimError, StopIteration) as error:
            raise UsageError(f"the cron expression {text!r} names a day that no month of it has") from error
        return cls(
            text=joined,
            minutes=frozenset(parsed.minutes),
            hours=frozenset(parsed.hours),
            days=frozenset(parsed.days),
            months=frozenset(parsed.months),
            weekdays=frozenset(day % 7 for day in parsed.weekdays if isinstance(day, int)),
            both_days=parsed.day_and,
        )

    def next_runs(self, after: datetime, number: int = 3) -> tuple[datetime, ...]:
        """Return the next `number` times after `after`, in its time zone, with cron's rules for clock changes."""
        return tuple(islice(CronSim(self.text, after), number))


def machine_time_zone() -> tzinfo:
    """Return the time zone of the machine's clock, by which cron and systemd go, whatever `$TZ` says here."""
    try:
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC


def _is_valid(index: int, field: str) -> bool:
    # L and # are cronsim's; cron does not know them.
    if re.fullmatch(r"[0-9*,/-]+", field) is None:
        return False
    try:
        CronSim(" ".join(field if n == index else "*" for n in range(len(_FIELDS))), datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


def _plain(index: int, field: str) -> str:
    """Write names as numbers and `start/step` as a list: crons differ in whether they take these."""
    names = _NAMES.get(index, ())
    first = 1 if index == 3 else 0
    terms = []
    for term in field.split(","):
        for number, name in enumerate(names, first):
            term = re.sub(rf"(?<![A-Z0-9]){name}(?![A-Z0-9])", str(number), term)  # noqa: PLW2901 - one rewriting after the other
        stepped = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})", term)
        if stepped is not None and int(stepped[2]) > 0 and int(stepped[1]) <= _LAST[index]:
            terms.append(",".join(map(str, range(int(stepped[1]), _LAST[index] + 1, int(stepped[2])))))
        else:
            terms.append(term)
    return ",".join(terms)
