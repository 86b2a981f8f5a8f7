"""From a cron expression to systemd's calendar events (systemd.time(7)), exactly. Pure."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from jettison.schedule.cron import Cron

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def on_calendar(cron: Cron) -> tuple[str, ...]:
    """Return the events that together elapse when `cron` does, one `OnCalendar=` line each.

    systemd wants weekday and date both to fit; where cron is content with either, there is one event for each. A timer
    that two events name at the same time runs once.
    """
    time = f"{_list(cron.hours, range(24))}:{_list(cron.minutes, range(60))}:00"
    months, days = _list(cron.months, range(1, 13)), _list(cron.days, range(1, 32))
    # Sunday is the first day of cron's week and the last of systemd's.
    numbers = [(day - 1) % 7 for day in cron.weekdays]
    weekdays = "" if len(numbers) == 7 else ",".join(_ranges(numbers, _WEEKDAYS)) + " "
    if cron.both_days or days == "*" or not weekdays:
        # Either is enough, and one of them is every day: then the other does not matter.
        either = not cron.both_days
        return (f"{'' if either else weekdays}*-{months}-{'*' if either else days} {time}",)
    return (f"*-{months}-{days} {time}", f"{weekdays}*-{months}-* {time}")


def _list(numbers: frozenset[int], all_: range) -> str:
    return "*" if numbers == frozenset(all_) else ",".join(_ranges(numbers, [f"{n:02}" for n in range(all_.stop)]))


def _ranges(numbers: Iterable[int], names: "list[str] | tuple[str, ...]") -> Iterator[str]:
    """Name numbers, neighbours as ranges."""
    for _, group in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        run = [names[number] for _, number in group]
        yield run[0] if len(run) == 1 else f"{run[0]}..{run[-1]}"
