"""What each keep clause says of the tags that a rule claims.

An outcome is True (keeps), False (does not keep) or None (cannot know, since a date is missing). None survives `all`
only where no other clause says False, and what ends as None is kept: an unknown date keeps and takes no place.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from jettison.policy.candidate import Candidate, Outcome, Setting
from jettison.policy.clause import (
    AllOf,
    AnyOf,
    Clause,
    DigestMatches,
    Everything,
    InRepositories,
    Newest,
    Not,
    Nothing,
    Order,
    Periods,
    PulledWithin,
    Tagged,
    TagMatches,
    Unknown,
    Within,
)
from jettison.policy.counting import newest, periods

_EVERYTHING: Final = Outcome(True, "everything", "the rule keeps everything")
_NOTHING: Final = Outcome(False, "nothing", "the rule keeps nothing")
_UNKNOWN_DATE: Final = Outcome(None, "unknown-date", "its date is unknown")


def weigh(clause: Clause, candidates: Sequence[Candidate], setting: Setting) -> list[Outcome]:
    """Return the outcome of `clause` for each candidate, in their order."""
    match clause:
        case Everything():
            return [_EVERYTHING] * len(candidates)
        case Nothing():
            return [_NOTHING] * len(candidates)
        case Within():
            limit = duration_text(clause.age)
            return [_within(clause, each, setting, limit) for each in candidates]
        case PulledWithin():
            return [_pulled_within(clause, each, setting) for each in candidates]
        case Newest():
            return newest(clause, candidates, _counted(clause, candidates, setting), setting)
        case Periods():
            return periods(clause, candidates, _counted(clause, candidates, setting), setting)
        case AnyOf(clauses):
            return _combined([weigh(each, candidates, setting) for each in clauses], _any)
        case AllOf(clauses):
            return _combined([weigh(each, candidates, setting) for each in clauses], _all)
        case Not(inner):
            return [_negated(outcome) for outcome in weigh(inner, candidates, setting)]
        case TagMatches() | InRepositories() | Tagged() | DigestMatches():
            return [_predicate(clause, each) for each in candidates]


def _counted(clause: Newest | Periods, candidates: Sequence[Candidate], setting: Setting) -> list[Outcome] | None:
    return None if clause.among is None else weigh(clause.among, candidates, setting)


def _negated(outcome: Outcome) -> Outcome:
    return Outcome(None if outcome.keeps is None else not outcome.keeps, outcome.code, f"not: {outcome.text}")


def _within(clause: Within, candidate: Candidate, setting: Setting, limit: str) -> Outcome:
    date = candidate.date(clause.by)
    age = None if date is None else setting.now - date
    young = age is not None and _is_younger(age, clause.age, inclusive=clause.inclusive)
    if not young and clause.by in (Order.PULLED, Order.ACTIVE) and not _pulls_are_known(clause.age, setting):
        return _pulls_unknown(clause.age)
    if age is None:
        if clause.unknown is Unknown.KEEP:
            return _UNKNOWN_DATE
        keeps = clause.unknown in (Unknown.NEWEST, Unknown.NOW)
        text = f"its date is unknown, and counts as {'' if clause.unknown is Unknown.NOW else 'the '}{clause.unknown}"
        return Outcome(keeps, "within" if keeps else "too-old", text)
    verb = _VERBS.get(clause.by)
    text = f"{duration_text(age)} old" if verb is None else f"{verb} {duration_text(age)} ago"
    if young:
        return Outcome(True, "within", f"{text}, within {limit}")
    return Outcome(False, "too-old", f"{text}, older than {limit}")


_VERBS: Final = {Order.PULLED: "last pulled", Order.ACTIVE: "last used"}


def _pulled_within(clause: PulledWithin, candidate: Candidate, setting: Setting) -> Outcome:
    for date, verb in ((candidate.pulled, "pulled"), (candidate.date() if clause.or_pushed else None, "pushed")):
        if date is not None and _is_younger(setting.now - date, clause.age, inclusive=clause.inclusive):
            text = f"{verb} {duration_text(setting.now - date)} ago, within {duration_text(clause.age)}"
            return Outcome(True, "pulled-within", text)
    if not _pulls_are_known(clause.age, setting):
        return _pulls_unknown(clause.age)
    if clause.or_pushed and candidate.date() is None:
        return _UNKNOWN_DATE
    return Outcome(False, "not-pulled", f"not pulled within {duration_text(clause.age)}")


def _is_younger(age: timedelta, limit: timedelta, *, inclusive: bool) -> bool:
    return age < limit or (inclusive and age == limit)


def _pulls_are_known(age: timedelta, setting: Setting) -> bool:
    """Whether every pull within `age` would be known."""
    return setting.pulls_since is not None and setting.now - setting.pulls_since >= age


def _pulls_unknown(age: timedelta) -> Outcome:
    return Outcome(None, "pulls-unknown", f"pulls are not known for {duration_text(age)} yet")


def _predicate(clause: TagMatches | InRepositories | Tagged | DigestMatches, candidate: Candidate) -> Outcome:
    match clause:
        case TagMatches(selector):
            holds = selector.matches_image(candidate.tags)
            return Outcome(holds, "tags", f"{'matches' if holds else 'does not match'} {selector}")
        case InRepositories(patterns):
            holds = patterns.matches(candidate.repository)
            return Outcome(holds, "repositories", f"its repository {'matches' if holds else 'is not in'} {patterns}")
        case Tagged(wanted):
            tagged = bool(candidate.tags)
            return Outcome(tagged is wanted, "tagged", "it has a tag" if tagged else "it has no tag")
        case DigestMatches(glob):
            holds = glob.matches(candidate.digest)
            return Outcome(holds, "digest", f"its digest {'matches' if holds else 'does not match'} {glob}")


def _combined(parts: Sequence[Sequence[Outcome]], combine: Callable[[Sequence[Outcome]], Outcome]) -> list[Outcome]:
    return [combine(outcomes) for outcomes in zip(*parts, strict=True)]


def combined(clause: AnyOf | AllOf | Not, outcomes: Sequence[Outcome]) -> Outcome:
    """Return what a composed clause says of one candidate, from what its parts say of it."""
    match clause:
        case AnyOf():
            return _any(outcomes)
        case AllOf():
            return _all(outcomes)
        case Not():
            return _negated(outcomes[0])


def _any(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome that keeps; where none does, all their reasons together."""
    for wanted in (True, None):
        for outcome in outcomes:
            if outcome.keeps is wanted:
                return outcome
    return Outcome(False, outcomes[0].code, "; ".join([outcome.text for outcome in outcomes]))


def _all(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome that does not keep; where none is, all their reasons together."""
    for outcome in outcomes:
        if outcome.keeps is False:
            return outcome
    unknown = any(outcome.keeps is None for outcome in outcomes)
    return Outcome(None if unknown else True, outcomes[0].code, "; ".join([outcome.text for outcome in outcomes]))


def duration_text(span: timedelta) -> str:
    """Return a span in its largest whole unit, as people say it: `14 days`, `3 hours`."""
    seconds = max(span.days * 86400 + span.seconds, 0)
    if seconds >= 172800:
        return f"{seconds // 86400} days"
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
