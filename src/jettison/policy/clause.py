"""Clause: what a rule keeps, as values. `clauses.py` says what each means for the tags that a rule claims."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Union

from jettison.policy.pattern import Glob, RepositoryPatterns, TagPattern


class Order(StrEnum):
    """By what a count orders; the newest comes first.

    PUSHED takes the creation date where the source tells no push time, CREATED the other way round. ACTIVE is the
    latest of PUSHED, PULLED and, for an image, its tags' times. STORED is when the image itself came into the
    repository, whichever tag it got since; TAGGED the latest of that and of its tags' times. BUILT is the creation
    date, for which no push time stands in.
    """

    VERSION = "version"
    PUSHED = "pushed"
    CREATED = "created"
    PULLED = "pulled"
    ACTIVE = "active"
    STORED = "stored"
    TAGGED = "tagged"
    BUILT = "built"
    NAME = "name"


class Unknown(StrEnum):
    """What becomes of something that has no date or version to order by.

    KEEP keeps it, and it takes no place; OLDEST sorts it last, NEWEST first, NOW as if it dated from this moment: there
    it takes places.
    """

    KEEP = "keep"
    OLDEST = "oldest"
    NEWEST = "newest"
    NOW = "now"


class Period(StrEnum):
    """A stretch of the calendar, in the policy's time zone. Weeks are those of ISO 8601."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


@dataclass(frozen=True, slots=True)
class Newest:
    """Keeps the newest `count` digests of what the rule claims, each line of versions counted by itself.

    `per` are keys (minor, major, variant, or a named group of the rule's expression) of which each value has a count
    of its own. `of_tags` counts tags instead of digests. `among` is a clause: the count looks only at what it keeps.
    """

    count: int
    by: Order
    per: tuple[str, ...] = ()
    of_tags: bool = False
    among: Union["Clause", None] = None
    unknown: Unknown = Unknown.KEEP


@dataclass(frozen=True, slots=True)
class Periods:
    """Keeps the newest of each of the last `count` periods that have images."""

    period: Period
    count: int
    by: Order = Order.PUSHED
    per: tuple[str, ...] = ()
    among: Union["Clause", None] = None
    unknown: Unknown = Unknown.KEEP


@dataclass(frozen=True, slots=True)
class Within:
    """Keeps what is younger than `age` (with `inclusive`: also what is exactly as old)."""

    age: timedelta
    by: Order = Order.PUSHED
    inclusive: bool = False
    unknown: Unknown = Unknown.KEEP


@dataclass(frozen=True, slots=True)
class PulledWithin:
    """Keeps what was pulled within `age`, and everything while pulls are known for less than that.

    With `or_pushed` a push counts as a pull.
    """

    age: timedelta
    or_pushed: bool = False
    inclusive: bool = False


@dataclass(frozen=True, slots=True)
class Everything:
    """Keeps all that the rule claims."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Keeps nothing that the rule claims."""


@dataclass(frozen=True, slots=True)
class TagMatches:
    """Keeps the tags that the selector matches, or the images with such tags."""

    selector: TagPattern


@dataclass(frozen=True, slots=True)
class InRepositories:
    """Keeps what is in a repository that the patterns match."""

    repositories: RepositoryPatterns


@dataclass(frozen=True, slots=True)
class Tagged:
    """Keeps what has a tag, or with `tagged` false what has none."""

    tagged: bool


@dataclass(frozen=True, slots=True)
class DigestMatches:
    """Keeps what has a digest that the glob matches."""

    digest: Glob


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Keeps what at least one of its clauses keeps."""

    clauses: tuple["Clause", ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Keeps what every one of its clauses keeps."""

    clauses: tuple["Clause", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Keeps what its clause does not keep; what is unknown stays unknown, and is kept."""

    clause: "Clause"


Clause = (
    Newest
    | Periods
    | Within
    | PulledWithin
    | Everything
    | Nothing
    | TagMatches
    | InRepositories
    | Tagged
    | DigestMatches
    | AnyOf
    | AllOf
    | Not
)


def with_inner(clause: Clause) -> Iterator[Clause]:
    """Yield a clause and all that are inside of it."""
    yield clause
    match clause:
        case AnyOf(clauses) | AllOf(clauses):
            for each in clauses:
                yield from with_inner(each)
        case Not(inner):
            yield from with_inner(inner)
        case Newest(among=among) | Periods(among=among) if among is not None:
            yield from with_inner(among)
