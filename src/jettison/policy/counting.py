"""Counting: the newest N, and the newest of each of the last N periods.

Both sort what they look at, the newest first, always the same way: by the date or version asked for, then by the
other one, then by name, then by digest. They walk it in that order and give out places.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from jettison.oci.version import Version, parse_version
from jettison.policy.candidate import Candidate, Outcome, Setting
from jettison.policy.clause import Newest, Order, Period, Periods, Unknown
from jettison.policy.pattern import TagPattern

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_UNDECIDABLE: Final = Outcome(None, "unknown-date", "as new as others, and its date is unknown")
_SHORT_HISTORY: Final = Outcome(None, "pulls-unknown", "it may have been pulled before pulls were known")


_Entry = tuple[int, Candidate, Version | None]
"""A candidate, by its number, in one group, with the highest of its versions there, where that matters.

A plain tuple, since there is one for each tag of a registry in each count.
"""


_Keyed = tuple[Any, _Entry]
"""An entry with what it is ordered by."""
_Part = str | tuple[int, ...]
_Key = tuple[_Part, ...]
"""What the members of a group have in common: the line of versions where that counts, and each key of `per`."""
_Keyer = Callable[[str], tuple[_Key, Version | None] | None]
_FIRST: Final = itemgetter(0)
_NONE: Final = frozenset[int]()


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
    count, by, of_tags = clause.count, clause.by, clause.of_tags
    for text, ordered, unplaced, undecidable, uncertain in _groups(clause, candidates, counted, setting, outcomes):
        places: dict[str, int] = {}
        for position, (number, candidate, _) in enumerate(ordered):
            identity = candidate.name if of_tags else candidate.digest
            place = places.get(identity)
            if place is not None:
                outcome = _place(place, count, by, text)
            elif number in undecidable:
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
    for group in _groups(clause, candidates, counted, setting, outcomes):
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
    """Return what goes for an image that is in several groups: it is kept where one of them keeps it."""
    return other if _RANK[other.keeps] > _RANK[one.keeps] else one


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
    numbered: Iterable[tuple[int, Candidate]] = enumerate(candidates)
    if counted is not None:
        for number, outcome in enumerate(counted):
            if outcome.keeps is False:
                text = f"not among what is counted: {outcome.text}"
                outcomes[number] = Outcome(False, "not-among", text)
        numbered = [each for each in numbered if each[0] not in outcomes]
    versions = clause.by is Order.VERSION
    lines = versions or setting.versions_only or "minor" in clause.per or "major" in clause.per
    groups: dict[_Key, list[_Entry]] = {}
    if not lines and not clause.per:
        groups[()] = [(number, candidate, None) for number, candidate in numbered]
    else:
        key_of = _keyer(clause.per, setting.selector, lines=lines)
        for number, candidate in numbered:
            keyed = _keys(key_of, candidate.names)
            for key, version in keyed:
                group = groups.get(key)
                if group is None:
                    groups[key] = group = []
                group.append((number, candidate, version))
            if keyed:
                continue
            if clause.unknown is Unknown.KEEP:
                what = "version" if versions else " or ".join(clause.per) or "version"
                code = "unknown-version" if versions else "unknown-key"
                outcomes[number] = Outcome(None, code, f"no {what} is told")
            else:
                groups.setdefault(("",) * (lines + len(clause.per)), []).append((number, candidate, None))
    for key, members in groups.items():
        yield _order(clause, members, _group_text(key, clause.per, lines=lines), setting)


def _keys(key_of: _Keyer, names: Sequence[str]) -> Collection[tuple[_Key, Version | None]]:
    """Return the groups of a candidate, and its highest version in each. An image may be in several."""
    if len(names) == 1:
        found = key_of(names[0])
        return () if found is None else (found,)
    keyed: dict[_Key, Version | None] = {}
    for found in map(key_of, names):
        if found is not None:
            key, version = found
            before = keyed.get(key)
            keyed[key] = version if before is None or (version is not None and before < version) else before
    return keyed.items()


def _keyer(per: tuple[str, ...], selector: TagPattern | None, *, lines: bool) -> _Keyer:
    """Return what tells the group of a tag, None where the tag lacks one of the keys, and its version if that matters.

    The usual cases have a function of their own: it runs for each tag in each count.
    """

    def by_line(name: str) -> tuple[_Key, Version | None] | None:
        version = parse_version(name)
        return None if version is None else ((version.line,), version)

    def by_group(name: str) -> tuple[_Key, Version | None] | None:
        value = groups(name).get(only)
        return None if value is None else ((value,), None)

    def by_all(name: str) -> tuple[_Key, Version | None] | None:
        version = parse_version(name)
        if lines and version is None:
            return None
        found = groups(name) if has_groups else {}
        parts = [_part_of_version(part, version) if part in _VERSION_PARTS else found.get(part) for part in per]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return ((version.line, *known) if lines and version is not None else tuple(known)), version

    groups = selector.groups if selector is not None else lambda name: {}
    only = per[0] if per else ""
    has_groups = not set(per) <= _VERSION_PARTS
    if lines and not per:
        return by_line
    return by_group if has_groups and len(per) == 1 and not lines else by_all


_VERSION_PARTS: Final = frozenset({"minor", "major", "variant"})


def _part_of_version(part: str, version: Version | None) -> _Part | None:
    if version is None:
        return None
    if part == "variant":
        return version.variant
    return version.release[:1] if part == "major" else (*version.release, 0)[:2]


def _group_text(key: _Key, per: tuple[str, ...], *, lines: bool) -> str:
    if not key:
        return ""
    line = str(key[0]) if lines else ""
    parts = [
        f"{name} {'.'.join(map(str, value)) if isinstance(value, tuple) else value or '(none)'}"
        for name, value in zip(per, key[1:] if lines else key, strict=True)
    ]
    if line.startswith("calendar"):
        parts.append(f"calendar versions{line.removeprefix('calendar').replace(' ', ' -')}")
    elif line and "variant" not in per:
        parts.append(f"-{line}")
    return f" of {', '.join(parts)}" if parts else ""


def _order(clause: Newest | Periods, members: list[_Entry], text: str, setting: Setting) -> _Group:
    by = clause.by
    primary = _PRIMARY.get(by)
    known: list[_Keyed] = []
    unknown: list[_Entry] = []
    for entry in members:
        key = entry[1].date(by) if primary is None else primary(entry)
        if key is None:
            unknown.append(entry)
        else:
            known.append((key, entry))
    unplaced: list[_Entry] = []
    if clause.unknown is Unknown.KEEP or (by is Order.PULLED and setting.pulls_since is None):
        unplaced, unknown = unknown, []
    if clause.unknown is Unknown.NOW:
        known += [(setting.now, entry) for entry in unknown]
        unknown = []
    if unknown:
        unknown.sort(key=_tie_key, reverse=True)
    certain, uncertain = known, list[_Keyed]()
    if by is Order.ACTIVE:
        certain, uncertain = _by_certainty(known, clause, setting)
    undecidable = _NONE
    if by is Order.VERSION and clause.unknown is Unknown.KEEP:
        undecidable = _undecidable(certain)
    ordered = _sorted(certain, _version_tie_key if by is Order.VERSION else _tie_key)
    if clause.unknown is Unknown.NEWEST:
        ordered = unknown + ordered
    first_uncertain = len(ordered)
    if uncertain:
        ordered += _sorted(uncertain, _tie_key)
    if clause.unknown is Unknown.OLDEST:
        first_uncertain = first_uncertain if uncertain else len(ordered) + len(unknown)
        ordered += unknown
    return _Group(text, ordered, unplaced, undecidable, first_uncertain)


def _version_of(entry: _Entry) -> Any:
    version = entry[2]
    return None if version is None else version.sort_key


def _name_of(entry: _Entry) -> str:
    candidate = entry[1]
    return max(candidate.names, default=candidate.name)


_PRIMARY: Final[Mapping[Order, Callable[[_Entry], Any]]] = {Order.VERSION: _version_of, Order.NAME: _name_of}
"""What decides the order first; all other orders go by a date. None: unknown."""


def _sorted(keyed: list[_Keyed], tie_key: Callable[[_Entry], Any]) -> list[_Entry]:
    """Sort, the highest key first. The second key is asked of those alone that share the first, which are few."""
    if len(keyed) < 2:
        return [entry for _, entry in keyed]
    keyed = sorted(keyed, key=_FIRST, reverse=True)
    ordered = [entry for _, entry in keyed]
    if len({key for key, _ in keyed}) == len(keyed):
        return ordered
    for start, end in _runs(keyed):
        ordered[start:end] = sorted(ordered[start:end], key=tie_key, reverse=True)
    return ordered


def _runs(keyed: Sequence[_Keyed]) -> Iterator[tuple[int, int]]:
    """Yield where more than one in a row have the same key: the first, and the one behind the last."""
    start = 0
    for end in range(1, len(keyed) + 1):
        if end == len(keyed) or keyed[end][0] != keyed[start][0]:
            if end - start > 1:
                yield start, end
            start = end


def _tie_key(entry: _Entry) -> Any:
    candidate = entry[1]
    version = entry[2] or candidate.version
    return ((0,) if version is None else (1, version.sort_key), _name_of(entry), candidate.digest)


def _version_tie_key(entry: _Entry) -> Any:
    candidate = entry[1]
    return (candidate.date() or _LONG_AGO, _name_of(entry), candidate.digest)


def _by_certainty(known: list[_Keyed], clause: Newest | Periods, setting: Setting) -> tuple[list[_Keyed], list[_Keyed]]:
    """Part those whose last use is known from those that may have been pulled before pulls were known.

    The latter were not used since, so all of the former come before them.
    """
    since = setting.pulls_since
    if since is not None and clause.unknown is Unknown.OLDEST:
        return known, []
    certain: list[_Keyed] = []
    uncertain: list[_Keyed] = []
    for date, entry in known:
        is_certain = entry[1].pulled is not None or (since is not None and date >= since)
        (certain if is_certain else uncertain).append((date, entry))
    return certain, uncertain


def _undecidable(keyed: Sequence[_Keyed]) -> frozenset[int]:
    """Return what has a version that others have too (1.2.3-<commit>), without a date that tells which is newer."""
    if len({key for key, _ in keyed}) == len(keyed):
        return _NONE
    by_version = sorted(keyed, key=_FIRST)
    found: set[int] = set()
    for start, end in _runs(by_version):
        run = [entry for _, entry in by_version[start:end]]
        if len({candidate.digest for _, candidate, _ in run}) > 1:
            found.update(number for number, candidate, _ in run if candidate.date() is None)
    return frozenset(found)


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
