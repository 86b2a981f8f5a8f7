"""Ordering: what a count sorts, the newest first, always the same way.

By the date or version asked for, then by the other one, then by name, then by digest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final, NamedTuple

from jettison.oci.version import Version
from jettison.policy.candidate import Candidate, Setting
from jettison.policy.clause import Newest, Order, Periods, Unknown

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
Entry = tuple[int, Candidate, Version | None]
"""A candidate, by its number, in one group, with the highest of its versions there, where that matters.

A plain tuple, since there is one for each tag of a registry in each count.
"""


_Keyed = tuple[Any, Entry]
"""An entry with what it is ordered by."""
_FIRST: Final = itemgetter(0)
_NONE: Final = frozenset[int]()


class Group(NamedTuple):
    """What has one value of each key, in order; `unplaced` are those without a date or version to order by.

    `undecidable` (numbers) have a place that nobody can tell. `uncertain` are the last of `ordered`, from that position
    on: they may have been used later than is known, though not since pulls are known.
    """

    text: str
    ordered: list[Entry]
    unplaced: list[Entry]
    undecidable: frozenset[int]
    uncertain: int


def in_order(clause: Newest | Periods, members: list[Entry], text: str, setting: Setting) -> Group:
    """Put one group in order; `text` names it."""
    by = clause.by
    primary = _PRIMARY.get(by)
    known: list[_Keyed] = []
    unknown: list[Entry] = []
    for entry in members:
        key = entry[1].date(by) if primary is None else primary(entry)
        if key is None:
            unknown.append(entry)
        else:
            known.append((key, entry))
    unplaced: list[Entry] = []
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
    return Group(text, ordered, unplaced, undecidable, first_uncertain)


def _version_of(entry: Entry) -> Any:
    version = entry[2]
    return None if version is None else version.sort_key


def _name_of(entry: Entry) -> str:
    candidate = entry[1]
    return max(candidate.names, default=candidate.name)


_PRIMARY: Final[Mapping[Order, Callable[[Entry], Any]]] = {Order.VERSION: _version_of, Order.NAME: _name_of}
"""What decides the order first; all other orders go by a date. None: unknown."""


def _sorted(keyed: list[_Keyed], tie_key: Callable[[Entry], Any]) -> list[Entry]:
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


def _tie_key(entry: Entry) -> Any:
    candidate = entry[1]
    version = entry[2] or candidate.version
    return ((0,) if version is None else (1, version.sort_key), _name_of(entry), candidate.digest)


def _version_tie_key(entry: Entry) -> Any:
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
