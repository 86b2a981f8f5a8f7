"""Counting: the newest N, and the newest of each of the last N periods.

Both sort what they look at, the newest first, always the same way: by the date or version asked for, then by the
other one, then by name, then by digest. They walk it in that order and give out places.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, Final, NamedTuple

from jettison.oci.version import Version, parse_version
from jettison.policy.candidate import Candidate, Outcome, Setting
from jettison.policy.clause import Newest, Order, Period, Periods, Unknown

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_SHORT_HISTORY: Final = Outcome(None, "pulls-unknown", "it may have been pulled before pulls were known")


class _Entry(NamedTuple):
    """A candidate, by its number, in one group; `version` is the highest of its versions there, where it matters."""

    number: int
    candidate: Candidate
    version: Version | None = None


class _Group(NamedTuple):
    """What has one value of each key, in order; `unplaced` are those without a date or version to order by.

    `undecidable` (numbers) have a place that nobody can tell. `uncertain` are the last of `ordered`, from that position
    on: they may have been used later than is known, though not since pulls are known.
    """

    text: str
    ordered: list[_Entry]
    unplaced: list[_Entry]
    undecidable: frozenset[int]
    uncertain: int


def newest(
    clause: Newest, candidates: Sequence[Candidate], counted: Sequence[Outcome] | None, setting: Setting
) -> list[Outcome]:
    """Return the outcome of `newest` for each candidate. `counted` is what its `among` says."""
    outcomes: dict[int, Outcome] = {}
    for group in _groups(clause, candidates, counted, setting, outcomes):
        places: dict[str, int] = {}
        for position, (index, candidate, _) in enumerate(group.ordered):
            identity = candidate.name if clause.of_tags else candidate.digest
            place = places.get(identity)
            if place is None:
                if index in group.undecidable:
                    text = "as new as others, and its date is unknown"
                    _note(outcomes, index, Outcome(None, "unknown-date", text))
                    continue
                if position >= group.uncertain and len(places) < clause.count:
                    _note(outcomes, index, _SHORT_HISTORY)
                    continue
                place = places[identity] = len(places) + 1
            _note(outcomes, index, _place(place, clause.count, clause.by, group.text))
        for entry in group.unplaced:
            _note(outcomes, entry.number, _unknown(clause.by, setting))
    return [outcomes[index] for index in range(len(candidates))]


def periods(
    clause: Periods, candidates: Sequence[Candidate], counted: Sequence[Outcome] | None, setting: Setting
) -> list[Outcome]:
    """Return the outcome of `daily` and its kin for each candidate. `counted` is what its `among` says."""
    outcomes: dict[int, Outcome] = {}
    for group in _groups(clause, candidates, counted, setting, outcomes):
        chosen: dict[str, tuple[str, int]] = {}
        for position, (index, candidate, _) in enumerate(group.ordered):
            date = candidate.date(clause.by)
            if date is None and clause.unknown is Unknown.NOW:
                date = setting.now
            if date is None:
                keeps = clause.unknown is Unknown.NEWEST
                text = f"its date is unknown, and counts as the {clause.unknown}"
                _note(outcomes, index, Outcome(keeps, clause.period if keeps else f"not-{clause.period}", text))
                continue
            if position >= group.uncertain:
                _note(outcomes, index, _SHORT_HISTORY)
                continue
            label = period_of(date, clause.period, setting.timezone)
            if label not in chosen and len(chosen) < clause.count:
                chosen[label] = (candidate.digest, len(chosen) + 1)
            digest, place = chosen.get(label, (None, None))
            _note(outcomes, index, _in_period(clause, label, group.text, place, is_chosen=digest == candidate.digest))
        for entry in group.unplaced:
            _note(outcomes, entry.number, _unknown(clause.by, setting))
    return [outcomes[index] for index in range(len(candidates))]


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


def _note(outcomes: dict[int, Outcome], index: int, outcome: Outcome) -> None:
    """Take an outcome. An image may be in several groups: it is kept where one of them keeps it."""
    before = outcomes.get(index)
    if before is None or _RANK[outcome.keeps] > _RANK[before.keeps]:
        outcomes[index] = outcome


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


def _groups(
    clause: Newest | Periods,
    candidates: Sequence[Candidate],
    counted: Sequence[Outcome] | None,
    setting: Setting,
    outcomes: dict[int, Outcome],
) -> Iterable[_Group]:
    """Sort what the clause counts into groups and order each; what it does not count gets its outcome here."""
    entries: list[tuple[int, Candidate]] = list(enumerate(candidates))
    if counted is not None:
        for index, outcome in enumerate(counted):
            if outcome.keeps is False:
                text = f"not among what is counted: {outcome.text}"
                outcomes[index] = Outcome(False, "not-among", text)
        entries = [each for each in entries if each[0] not in outcomes]
    versions = clause.by is Order.VERSION
    lines = versions or setting.versions_only or "minor" in clause.per or "major" in clause.per
    groups: dict[tuple[str, ...], list[_Entry]] = {}
    if not lines and not clause.per:
        groups[()] = [_Entry(*each) for each in entries]
    else:
        for index, candidate in entries:
            keyed = _keyed(clause, candidate, setting, lines=lines)
            if not keyed:
                if clause.unknown is Unknown.KEEP:
                    what = "version" if versions else f"{' or '.join(clause.per) or 'version'}"
                    outcomes[index] = Outcome(None, f"unknown-{'version' if versions else 'key'}", f"no {what} is told")
                    continue
                keyed = {("",) * (lines + len(clause.per)): None}
            for key, version in keyed.items():
                groups.setdefault(key, []).append(_Entry(index, candidate, version))
    for key, members in groups.items():
        yield _order(clause, members, _group_text(key, clause.per, lines=lines), setting)


def _keyed(
    clause: Newest | Periods, candidate: Candidate, setting: Setting, *, lines: bool
) -> dict[tuple[str, ...], Version | None]:
    """Return the groups of a candidate, and its highest version in each."""
    keyed: dict[tuple[str, ...], Version | None] = {}
    for name in candidate.names:
        version = parse_version(name)
        if lines and version is None:
            continue
        key: list[str] = [version.line] if lines and version is not None else []
        groups = setting.selector.groups(name) if clause.per and setting.selector is not None else {}
        for part in clause.per:
            value = _key_of_version(part, version) if part in ("minor", "major", "variant") else groups.get(part)
            if value is None:
                break
            key.append(value)
        else:
            before = keyed.get(tuple(key))
            if before is None or (version is not None and before < version):
                keyed[tuple(key)] = version
    return keyed


def _key_of_version(part: str, version: Version | None) -> str | None:
    if version is None:
        return None
    if part == "variant":
        return version.variant
    numbers = (*version.release, 0)[: 2 if part == "minor" else 1]
    return ".".join(map(str, numbers))


def _group_text(key: tuple[str, ...], per: tuple[str, ...], *, lines: bool) -> str:
    line = key[0] if lines else ""
    parts = [f"{name} {value or '(none)'}" for name, value in zip(per, key[1:] if lines else key, strict=True)]
    if line.startswith("calendar"):
        parts.append(f"calendar versions{line.removeprefix('calendar').replace(' ', ' -')}")
    elif line and "variant" not in per:
        parts.append(f"-{line}")
    return f" of {', '.join(parts)}" if parts else ""


def _order(clause: Newest | Periods, members: list[_Entry], text: str, setting: Setting) -> _Group:
    by = clause.by
    keys: list[Any] = [_primary(by, entry) for entry in members]
    known = [(key, entry) for key, entry in zip(keys, members, strict=True) if key is not None]
    unknown = [entry for key, entry in zip(keys, members, strict=True) if key is None]
    unplaced: list[_Entry] = []
    if clause.unknown is Unknown.KEEP or (by is Order.PULLED and setting.pulls_since is None):
        unplaced, unknown = unknown, []
    if clause.unknown is Unknown.NOW:
        known += [(setting.now, entry) for entry in unknown]
        unknown = []
    unknown.sort(key=_tie_key, reverse=True)
    certain, uncertain = known, list[tuple[Any, _Entry]]()
    if by is Order.ACTIVE:
        certain, uncertain = _by_certainty(known, clause, setting)
    ordered = _sorted(certain, _version_tie_key if by is Order.VERSION else _tie_key)
    undecidable: frozenset[int] = frozenset()
    if by is Order.VERSION and clause.unknown is Unknown.KEEP:
        undecidable = _undecidable(ordered)
    if clause.unknown is Unknown.NEWEST:
        ordered = unknown + ordered
    first_uncertain = len(ordered)
    ordered += _sorted(uncertain, _tie_key)
    if clause.unknown is Unknown.OLDEST:
        first_uncertain = first_uncertain if uncertain else len(ordered) + len(unknown)
        ordered += unknown
    return _Group(text, ordered, unplaced, undecidable, first_uncertain)


def _primary(by: Order, entry: _Entry) -> Any:
    """Return what decides the order first, None where it is unknown."""
    match by:
        case Order.VERSION:
            return None if entry.version is None else entry.version.sort_key
        case Order.NAME:
            return max(entry.candidate.names, default=entry.candidate.name)
        case _:
            return entry.candidate.date(by)


def _sorted(keyed: list[tuple[Any, _Entry]], tie_key: Callable[[_Entry], Any]) -> list[_Entry]:
    """Sort, the highest key first. The second key is asked of those alone that share the first, which are few."""
    keyed = sorted(keyed, key=lambda pair: pair[0], reverse=True)
    ordered = [entry for _, entry in keyed]
    start = 0
    for end in range(1, len(keyed) + 1):
        if end == len(keyed) or keyed[end][0] != keyed[start][0]:
            if end - start > 1:
                ordered[start:end] = sorted(ordered[start:end], key=tie_key, reverse=True)
            start = end
    return ordered


def _tie_key(entry: _Entry) -> Any:
    candidate = entry.candidate
    version = entry.version or candidate.version
    name = max(candidate.names, default=candidate.name)
    return ((0,) if version is None else (1, version.sort_key), name, candidate.digest)


def _version_tie_key(entry: _Entry) -> Any:
    candidate = entry.candidate
    name = max(candidate.names, default=candidate.name)
    return (candidate.date() or _LONG_AGO, name, candidate.digest)


def _by_certainty(
    known: list[tuple[Any, _Entry]], clause: Newest | Periods, setting: Setting
) -> tuple[list[tuple[Any, _Entry]], list[tuple[Any, _Entry]]]:
    """Part those whose last use is known from those that may have been pulled before pulls were known.

    The latter were not used since, so all of the former come before them.
    """
    since = setting.pulls_since
    if since is not None and clause.unknown is Unknown.OLDEST:
        return known, []
    certain: list[tuple[Any, _Entry]] = []
    uncertain: list[tuple[Any, _Entry]] = []
    for date, entry in known:
        is_certain = entry.candidate.pulled is not None or (since is not None and date >= since)
        (certain if is_certain else uncertain).append((date, entry))
    return certain, uncertain


def _undecidable(ordered: Sequence[_Entry]) -> frozenset[int]:
    """Return what has a version that others have too (1.2.3-<commit>), without a date that tells which is newer."""
    found: set[int] = set()
    start = 0
    for end in range(1, len(ordered) + 1):
        if end < len(ordered) and ordered[end].version == ordered[start].version:
            continue
        run = ordered[start:end]
        if len(run) > 1 and len({entry.candidate.digest for entry in run}) > 1:
            found.update(entry.number for entry in run if entry.candidate.date() is None)
        start = end
    return frozenset(found)


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
