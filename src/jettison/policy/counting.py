"""Counting: the newest N, and the newest of each of the last N periods.

Both walk what they look at in order, the newest first, and give out places.
"""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final

from jettison.policy.candidate import Candidate, Outcome, Setting
from jettison.policy.clause import Newest, Order, Period, Periods, Unknown
from jettison.policy.grouping import groups_of

_UNDECIDABLE: Final = Outcome(None, "unknown-date", "as new as others, and its date is unknown")
_SHORT_HISTORY: Final = Outcome(None, "pulls-unknown", "it may have been pulled before pulls were known")


def newest(
    clause: Newest, candidates: Sequence[Candidate], counted: Sequence[Outcome] | None, setting: Setting
) -> list[Outcome]:
    """Return the outcome of `newest` for each candidate. `counted` is what its `among` says."""
    outcomes: dict[int, Outcome] = {}
    count, by, of_tags = clause.count, clause.by, clause.of_tags
    for text, ordered, unplaced, undecidable, uncertain in groups_of(clause, candidates, counted, setting, outcomes):
        places: dict[str, int] = {}
        surely_newer, shared = 0, None
        for position, (number, candidate, version) in enumerate(ordered):
            if undecidable and version != shared:
                surely_newer, shared = len(places), version
            identity = candidate.name if of_tags else candidate.digest
            place = places.get(identity)
            if place is not None:
                outcome = _place(place, count, by, text)
            elif number in undecidable and surely_newer < count:
                outcome = _UNDECIDABLE
            elif position >= uncertain and len(places) < count:
                outcome = _SHORT_HISTORY
            else:
                place = places[identity] = len(places) + 1
                outcome = _place(place, count, by, text)
            if number in outcomes:
                outcome = _better(outcomes[number], outcome)
            outcomes[number] = outcome
        for number, _, _ in unplaced:
            _note(outcomes, number, _unknown(by, setting))
    return [outcomes[number] for number in range(len(candidates))]


def periods(
    clause: Periods, candidates: Sequence[Candidate], counted: Sequence[Outcome] | None, setting: Setting
) -> list[Outcome]:
    """Return the outcome of `daily` and its kin for each candidate. `counted` is what its `among` says."""
    outcomes: dict[int, Outcome] = {}
    for group in groups_of(clause, candidates, counted, setting, outcomes):
        chosen: dict[str, tuple[str, int]] = {}
        for position, (number, candidate, _) in enumerate(group.ordered):
            date = candidate.date(clause.by)
            if date is None and clause.unknown is Unknown.NOW:
                date = setting.now
            if date is None:
                keeps = clause.unknown is Unknown.NEWEST
                text = f"its date is unknown, and counts as the {clause.unknown}"
                _note(outcomes, number, Outcome(keeps, clause.period if keeps else f"not-{clause.period}", text))
                continue
            if position >= group.uncertain:
                _note(outcomes, number, _SHORT_HISTORY)
                continue
            label = period_of(date, clause.period, setting.timezone)
            if label not in chosen and len(chosen) < clause.count:
                chosen[label] = (candidate.digest, len(chosen) + 1)
            digest, place = chosen.get(label, (None, None))
            _note(outcomes, number, _in_period(clause, label, group.text, place, is_chosen=digest == candidate.digest))
        for number, _, _ in group.unplaced:
            _note(outcomes, number, _unknown(clause.by, setting))
    return [outcomes[number] for number in range(len(candidates))]


def period_of(date: datetime, period: Period, timezone: tzinfo) -> str:
    """Return the period that a moment belongs to, as ISO 8601 writes it: 2026-11-24, 2026-W48, 2026-11, 2026."""
    try:
        there = date.astimezone(timezone)
    except OverflowError:  # the first or last day that there is
        there = date
    match period:
        case Period.DAILY:
            return f"{there.year:04}-{there.month:02}-{there.day:02}"
        case Period.WEEKLY:
            year, week, _ = there.isocalendar()
            return f"{year:04}-W{week:02}"
        case Period.MONTHLY:
            return f"{there.year:04}-{there.month:02}"
        case Period.YEARLY:
            return f"{there.year:04}"


def _in_period(clause: Periods, label: str, text: str, place: int | None, *, is_chosen: bool) -> Outcome:
    if place is None:
        why = f"{label} is before the last {clause.count} {_NOUNS[clause.period]}{text} that have images"
        return Outcome(False, f"not-{clause.period}", why)
    if is_chosen:
        why = f"newest{text} of {label} by {clause.by}, {_ordinal(place)} of the last {clause.count} with images"
        return Outcome(True, clause.period, why, place, text)
    return Outcome(False, f"not-{clause.period}", f"not the newest{text} of {label} by {clause.by}", place, text)


_NOUNS: Final = {Period.DAILY: "days", Period.WEEKLY: "weeks", Period.MONTHLY: "months", Period.YEARLY: "years"}


def _note(outcomes: dict[int, Outcome], number: int, outcome: Outcome) -> None:
    """Take an outcome. An image may be in several groups."""
    outcomes[number] = _better(outcomes[number], outcome) if number in outcomes else outcome


def _better(one: Outcome, other: Outcome) -> Outcome:
    """Return what goes for an image that is in several groups: it is kept where one of them keeps it.

    Where they agree, the better place tells why, so that the order of listing decides nothing.
    """
    return max(one, other, key=lambda each: (_RANK[each.keeps], -(each.place or 0), each.text))


_RANK: Final = {False: 0, None: 1, True: 2}


@lru_cache(maxsize=1 << 14)
def _place(place: int, count: int, by: Order, text: str) -> Outcome:
    kept = place <= count
    words = f"{_ordinal(place)} newest{text} by {by}, {'within' if kept else 'beyond'} {count}"
    return Outcome(kept, "newest" if kept else "not-newest", words, place, text)


def _unknown(by: Order, setting: Setting) -> Outcome:
    match by:
        case Order.VERSION:
            return Outcome(None, "unknown-version", "its version is unknown")
        case Order.PULLED if setting.pulls_since is None:
            return Outcome(None, "pulls-unknown", "nothing is known of pulls")
        case Order.PULLED:
            return Outcome(None, "never-pulled", f"no pull of it is known since {setting.pulls_since:%Y-%m-%d}")
        case _:
            return Outcome(None, "unknown-date", "its date is unknown")


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
