"""Extremes: clauses of which it is plain that they keep all that they are asked about, or nothing of it."""

from collections.abc import Sequence

from jettison.policy.clause import (
    AllOf,
    AnyOf,
    Clause,
    Everything,
    Newest,
    Not,
    Nothing,
    Periods,
    TagMatches,
    Within,
)


def keeps_all(clause: Clause) -> bool:
    """Whether it is plain that `clause` keeps all that it is asked about."""
    match clause:
        case Everything():
            return True
        case TagMatches(selector):
            return selector.matches_all
        case AnyOf(clauses):
            return any(map(keeps_all, clauses))
        case AllOf(clauses):
            return all(map(keeps_all, clauses))
        case Not(inner):
            return keeps_none(inner)
    return False


def keeps_none(clause: Clause) -> bool:
    """Whether it is plain that `clause` keeps nothing but what has no date."""
    match clause:
        case Nothing():
            return True
        case AnyOf(clauses):
            return all(map(keeps_none, clauses))
        case AllOf(clauses):
            return any(map(keeps_none, clauses)) or _contradict(clauses)
        case Not(inner):
            return keeps_all(inner)
        case Newest(among=among) | Periods(among=among) if among is not None:
            return keeps_none(among)
    return False


def _contradict(clauses: Sequence[Clause]) -> bool:
    """Whether something would have to be both younger and older than what the clauses say."""
    young = [each for each in clauses if isinstance(each, Within)]
    old = [each.clause for each in clauses if isinstance(each, Not) and isinstance(each.clause, Within)]
    return any(
        one.by is other.by and (one.age < other.age or (one.age == other.age and one.inclusive <= other.inclusive))
        for one in young
        for other in old
        if isinstance(other, Within)
    )
