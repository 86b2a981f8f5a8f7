"""Cron expressions: read as cron reads them, refused by the name of the field."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given, reject
from hypothesis import strategies as st
from tests.schedule.strategies import expressions

from jettison.errors import UsageError
from jettison.schedule.cron import Cron

NOW = datetime(2026, 11, 24, 5, 30, tzinfo=UTC)


@given(expressions())
def test_the_plain_spelling_means_what_was_written(text: str) -> None:
    try:
        expected = list(islice(CronSim(text, NOW), 5))
        cron = Cron.parse(text)
    except (CronSimError, UsageError):
        reject()
    assert list(cron.next_runs(NOW, 5)) == expected
    assert Cron.parse(cron.text) == cron
    assert set(cron.text) <= set("0123456789*,/- ")


@given(expressions())
def test_every_time_fits_the_sets(text: str) -> None:
    try:
        cron = Cron.parse(text)
    except UsageError:
        reject()
    for time in cron.next_runs(NOW, 3):
        assert (time.minute in cron.minutes, time.hour in cron.hours, time.month in cron.months) == (True, True, True)
        fits = (time.day in cron.days, (time.weekday() + 1) % 7 in cron.weekdays)
        assert all(fits) if cron.both_days else any(fits)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("@daily", "0 0 * * *"),
        (" @Weekly ", "0 0 * * 0"),
        ("5/20  3\t* jan-MAR Mon,fri", "5,25,45 3 * 1-3 1,5"),
        ("*/15 * * * 7", "*/15 * * * 7"),
    ],
)
def test_spellings(text: str, plain: str) -> None:
    assert Cron.parse(text).text == plain


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("60 * * * *", "bad minute field, '60': expected 0-59"),
        ("0 25 * * *", "bad hour field, '25'"),
        ("0 0 0 * *", "bad day-of-month field, '0'"),
        ("0 0 L * *", "bad day-of-month field, 'L'"),
        ("0 0 LW * *", "bad day-of-month field, 'LW'"),
        ("0 0 * 13 *", "bad month field, '13'"),
        ("0 0 * janvier *", "bad month field, 'janvier'"),
        ("0 0 * * 8", "bad day-of-week field, '8'"),
        ("0 0 * * fri-sun", "bad day-of-week field, 'fri-sun'"),
        ("0 0 * * 5L", "bad day-of-week field, '5L'"),
        ("0 0 * * mon#1", "bad day-of-week field, 'mon#1'"),
        ("*/0 * * * *", "bad minute field"),
        ("5/0 * * * *", "bad minute field"),
        ("1,,2 * * * *", "bad minute field"),
        ("٣ * * * *", "bad minute field"),
        ("0 0 31 2 *", "names a day that no month of it has"),
        ("0 0 30 feb */2", "names a day"),
        ("0 0 * *", "has 4 fields"),
        ("0 0 0 * * *", r"has 6 fields: .*\(no seconds\)"),
        ("", "has 0 fields"),
        ("@reboot", "not known here.*@daily"),
    ],
)
def test_a_bad_expression_is_refused_by_the_name_of_its_field(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Cron.parse(text)


@given(
    st.text(max_size=30) | st.lists(st.text("0123456789*,-/LW#?jan ", max_size=6), min_size=5, max_size=5).map(" ".join)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        cron = Cron.parse(text)
    except UsageError:
        return
    assert len(cron.next_runs(NOW)) == 3


def test_a_time_that_the_clock_skips_is_not_lost() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    runs = Cron.parse("30 2 * * *").next_runs(datetime(2026, 3, 28, 12, tzinfo=berlin), 2)
    assert [run.isoformat() for run in runs] == ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
