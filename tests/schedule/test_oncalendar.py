"""Cron and systemd at the same times: asked of systemd itself where it is there, and of a small reader of events."""

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from cronsim import CronSim
from hypothesis import example, given, reject, settings
from tests.schedule.strategies import expressions

from jettison.errors import UsageError
from jettison.schedule.cron import Cron
from jettison.schedule.oncalendar import on_calendar

NOW = datetime(2026, 11, 24, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "events"),
    [
        ("0 0 * * *", ("*-*-* 00:00:00",)),
        ("30 2 * * 1-5", ("Mon..Fri *-*-* 02:30:00",)),
        ("0 0 * * 0", ("Sun *-*-* 00:00:00",)),
        ("0 0 * * 0-7", ("*-*-* 00:00:00",)),
        ("0 0 * * 5-7", ("Fri..Sun *-*-* 00:00:00",)),
        ("*/20 8-10,22 1,15 jan,mar *", ("*-01,03-01,15 08..10,22:00,20,40:00",)),
        ("0 4 1 * mon", ("*-*-01 04:00:00", "Mon *-*-* 04:00:00")),
        ("0 4 */2 * mon", ("Mon *-*-01,03,05,07,09,11,13,15,17,19,21,23,25,27,29,31 04:00:00",)),
        ("0 4 1-31 * mon", ("*-*-* 04:00:00",)),
        ("0 4 1 * 0-6", ("*-*-* 04:00:00",)),
    ],
)
def test_events(cron: str, events: tuple[str, ...]) -> None:
    assert on_calendar(Cron.parse(cron)) == events


def numbers(text: str, names: tuple[str, ...] = ()) -> set[int]:
    def number(word: str) -> int:
        return names.index(word) if names else int(word)

    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("..")
        found |= set(range(number(first), number(last or first) + 1))
    return found


def elapses(event: str, time: datetime) -> bool:
    """Read an event of the few forms that we write, by systemd.time(7)."""
    match = re.fullmatch(r"(?:(\S+) )?\*-(\S+)-(\S+) ([^: ]+):([^: ]+):00", event)
    assert match is not None
    weekdays, month, day, hour, minute = match.groups()
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return (weekdays is None or time.weekday() in numbers(weekdays, names)) and all(
        field == "*" or value in numbers(field)
        for field, value in ((month, time.month), (day, time.day), (hour, time.hour), (minute, time.minute))
    )


@given(expressions())
@example("59 23 31 12 7")
@example("0 0 1 * mon")
@example("0 0 */2,1 * */3")
def test_the_events_elapse_when_cron_does(text: str) -> None:
    try:
        cron = Cron.parse(text)
    except UsageError:
        reject()
    events = on_calendar(cron)
    # All minutes of the first day of cron, and noons and midnights around: events may not elapse at other times either.
    (first,) = cron.next_runs(NOW, 1)
    day = first.replace(hour=0, minute=0)
    expected = set()
    for time in CronSim(cron.text, day - timedelta(minutes=1)):
        if time >= day + timedelta(days=1):
            break
        expected.add(time)
    minutes = (day + timedelta(minutes=n) for n in range(24 * 60))
    assert {minute for minute in minutes if any(elapses(event, minute) for event in events)} == expected
    for n in range(400):
        some_day = (first + timedelta(days=n)).replace(hour=first.hour, minute=first.minute)
        runs = next(CronSim(cron.text, some_day - timedelta(minutes=1))) == some_day
        assert any(elapses(event, some_day) for event in events) == runs


@pytest.mark.real
@settings(max_examples=60, deadline=None)
@given(expressions())
@example("59 23 31 12 7")
@example("0 0 1 * mon")
def test_systemd_itself_agrees(text: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    try:
        cron = Cron.parse(text)
    except UsageError:
        reject()
    elapsed: set[datetime] = set()
    for event in on_calendar(cron):
        said = subprocess.run(
            [
                "systemd-analyze",
                "calendar",
                "--iterations=6",
                f"--base-time={NOW:%Y-%m-%d %H:%M:%S} UTC",
                event + " UTC",
            ],
            capture_output=True,
            text=True,
            check=True,
            env={"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        ).stdout
        elapsed |= {
            datetime.strptime(time, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            for time in re.findall(r"(?:Next elapse|Iter\. #\d+|\(in UTC\)): \w+ (\S+ \S+) UTC", said)
        }
    assert sorted(elapsed)[:6] == list(islice(CronSim(cron.text, NOW), 6))
