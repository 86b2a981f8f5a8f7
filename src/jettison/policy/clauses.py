"""What each keep clause says of the tags that a rule claims.

An outcome is True (keeps), False (does not keep) or None (cannot know, since a date is missing). None survives `all`
only where no other clause says False, and what ends as None is kept: an unknown date keeps and takes no place.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jettison.errors import ConfigurationError
from jettison.oci.digest import Digest
from jettison.oci.version import Version
from jettison.policy.model import AllOf, AnyOf, Clause, Everything, Newest, Not, Order, Within


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tag that a rule claims (or an untagged manifest, named by its digest), with all that a clause may ask."""

    name: str
    digest: Digest
    version: Version | None
    pushed: datetime | None
    created: datetime | None

    def date(self, order: Order = Order.PUSHED) -> datetime | None:
        """Return the date that counts: the preferred one, else the other one."""
        first, second = (self.created, self.pushed) if order is Order.CREATED else (self.pushed, self.created)
        return first or second


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a clause says of one candidate, and why, in words."""

    keeps: bool | None
    code: str
    text: str


def weigh(clause: Clause, candidates: Sequence[Candidate], now: datetime) -> Mapping[str, Outcome]:
    """Return the outcome of `clause` for each candidate, by name."""
    match clause:
        case Everything():
            return {each.name: Outcome(True, "everything", "the rule keeps everything") for each in candidates}
        case Within(age):
            return {each.name: _within(each, age, now) for each in candidates}
        case Newest():
            return _newest(clause, candidates)
        case AnyOf(clauses):
            return _combined([weigh(each, candidates, now) for each in clauses], candidates, _any)
        case AllOf(clauses):
            return _combined([weigh(each, candidates, now) for each in clauses], candidates, _all)
        case Not(inner):
            return {
                name: Outcome(
                    None if outcome.keeps is None else not outcome.keeps, outcome.code, f"not: {outcome.text}"
                )
                for name, outcome in weigh(inner, candidates, now).items()
            }
        case _:
            raise ConfigurationError(f"{type(clause).__name__} cannot be decided yet")


def _within(candidate: Candidate, age: timedelta, now: datetime) -> Outcome:
    date = candidate.date()
    if date is None:
        return Outcome(None, "unknown-date", "its date is unknown")
    young = now - date < age
    text = f"{duration_text(now - date)} old, {'within' if young else 'older than'} {duration_text(age)}"
    return Outcome(young, "within" if young else "too-old", text)


def _newest(clause: Newest, candidates: Sequence[Candidate]) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    lines: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        line = candidate.version.line if clause.by is Order.VERSION and candidate.version else ""
        lines.setdefault(line, []).append(candidate)
    for line, members in lines.items():
        outcomes |= _newest_of_line(clause, members, f" of -{line}" if line else "")
    return outcomes


def _newest_of_line(clause: Newest, members: Iterable[Candidate], line: str) -> dict[str, Outcome]:
    """Walk one line from the newest on. A digest takes one place, whichever of its tags comes first."""
    outcomes: dict[str, Outcome] = {}
    ordered: list[Candidate] = []
    for candidate in members:
        if _place_is_known(clause.by, candidate):
            ordered.append(candidate)
        else:
            what = "version" if clause.by is Order.VERSION else "date"
            outcomes[candidate.name] = Outcome(None, f"unknown-{what}", f"its {what} is unknown")
    ordered.sort(key=lambda each: each.name, reverse=True)
    ordered.sort(key=lambda each: _sort_key(clause.by, each), reverse=True)
    undecidable = _undecidable(clause.by, ordered)
    places: dict[Digest, int] = {}
    for candidate in ordered:
        if candidate.digest not in places and candidate.name in undecidable:
            outcomes[candidate.name] = Outcome(None, "unknown-date", "as new as others, and its date is unknown")
            continue
        place = places.setdefault(candidate.digest, len(places) + 1)
        kept = place <= clause.count
        text = f"{_ordinal(place)} newest{line} by {clause.by}, {'within' if kept else 'beyond'} {clause.count}"
        outcomes[candidate.name] = Outcome(kept, "newest" if kept else "not-newest", text)
    return outcomes


def _undecidable(by: Order, ordered: Sequence[Candidate]) -> set[str]:
    """Return the tags whose version others have too (1.2.3-<commit>), without a date that tells which is newer."""
    if by is not Order.VERSION:
        return set()
    same: dict[Version, list[Candidate]] = {}
    for candidate in ordered:
        if candidate.version is not None:
            same.setdefault(candidate.version, []).append(candidate)
    return {
        each.name
        for group in same.values()
        if len({member.digest for member in group}) > 1
        for each in group
        if each.date() is None
    }


def _place_is_known(by: Order, candidate: Candidate) -> bool:
    match by:
        case Order.VERSION:
            return candidate.version is not None
        case Order.NAME:
            return True
        case _:
            return candidate.date(by) is not None


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _sort_key(by: Order, candidate: Candidate) -> Any:
    match by:
        case Order.VERSION:
            return (candidate.version, candidate.date() or _LONG_AGO)
        case Order.NAME:
            return candidate.name
        case _:
            return candidate.date(by)


def _combined(
    parts: Sequence[Mapping[str, Outcome]],
    candidates: Sequence[Candidate],
    combine: Callable[[Sequence[Outcome]], Outcome],
) -> dict[str, Outcome]:
    return {each.name: combine([part[each.name] for part in parts]) for each in candidates}


def _any(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome that keeps; where none does, all their reasons together."""
    for wanted in (True, None):
        for outcome in outcomes:
            if outcome.keeps is wanted:
                return outcome
    return Outcome(False, outcomes[0].code, "; ".join(outcome.text for outcome in outcomes))


def _all(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome that does not keep; where none is, all their reasons together."""
    for outcome in outcomes:
        if outcome.keeps is False:
            return outcome
    unknown = any(outcome.keeps is None for outcome in outcomes)
    return Outcome(None if unknown else True, outcomes[0].code, "; ".join(outcome.text for outcome in outcomes))


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def duration_text(span: timedelta) -> str:
    """Return a span in its largest whole unit, as people say it: `14 days`, `3 hours`."""
    seconds = max(int(span.total_seconds()), 0)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
