"""Clauses in words, as short as they are written."""

from datetime import timedelta
from typing import Final

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

_UNITS: Final = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", timedelta(minutes=1)))


def clause_text(clause: Clause) -> str:
    """Return a clause as a policy file says it, on one line."""
    match clause:
        case Everything():
            return "everything: true"
        case Nothing():
            return "nothing: true"
        case AnyOf(clauses):
            return f"any: [{_list_text(clauses)}]"
        case AllOf(clauses):
            return f"all: [{_list_text(clauses)}]"
        case Not(inner):
            return f"not: {{{clause_text(inner)}}}"
        case Within(age, by, inclusive, unknown):
            order = "" if by is Order.PUSHED else f", by: {by}"
            return f"within: {span_text(age)}{order}" + _options(inclusive=inclusive, unknown=unknown)
        case PulledWithin(age, or_pushed, inclusive):
            pushed = ", or_pushed: true" if or_pushed else ""
            return f"pulled_within: {span_text(age)}{pushed}" + _options(inclusive=inclusive)
        case Newest() | Periods():
            return _count_text(clause)
        case TagMatches() | InRepositories() | Tagged() | DigestMatches():
            return _predicate_text(clause)


def _predicate_text(clause: TagMatches | InRepositories | Tagged | DigestMatches) -> str:
    match clause:
        case TagMatches(selector):
            return f"tags: {selector}"
        case InRepositories(repositories):
            return f"repositories: {repositories}"
        case Tagged(tagged):
            return f"tagged: {str(tagged).lower()}"
        case DigestMatches(digest):
            return f"digest: {digest}"


def _list_text(clauses: tuple[Clause, ...]) -> str:
    return ", ".join(f"{{{clause_text(each)}}}" for each in clauses)


def _count_text(clause: Newest | Periods) -> str:
    name = clause.period.value if isinstance(clause, Periods) else "newest"
    text = f"{name}: {clause.count}, by: {clause.by}"
    if clause.per:
        text += f", per: {clause.per[0] if len(clause.per) == 1 else '[' + ', '.join(clause.per) + ']'}"
    if isinstance(clause, Newest) and clause.of_tags:
        text += ", of: tags"
    if clause.among is not None:
        text += f", among: {{{clause_text(clause.among)}}}"
    return text + _options(unknown=clause.unknown)


def _options(*, inclusive: bool = False, unknown: Unknown = Unknown.KEEP) -> str:
    return (", inclusive: true" if inclusive else "") + (f", unknown: {unknown}" if unknown is not Unknown.KEEP else "")


def span_text(span: timedelta) -> str:
    """Return a span of time as a policy file says it: `14d`, `1d12h`."""
    parts: list[str] = []
    left = span
    for unit, length in _UNITS:
        count = left // length
        if count:
            parts.append(f"{count}{unit}")
            left -= count * length
    if left or not parts:
        parts.append(f"{left.seconds}s")
    return "".join(parts)
