"""Policy: what to keep, as values. `parse.py` reads them from a file, `evaluate.py` decides by them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from jettison.policy.pattern import Glob, Pattern, RepositoryPatterns, VersionPattern


class Order(StrEnum):
    """By what `newest` orders; the newest comes first.

    PUSHED takes the creation date where the source tells no push time, CREATED the other way round.
    """

    VERSION = "version"
    PUSHED = "pushed"
    CREATED = "created"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Newest:
    """Keeps the newest `count` digests of what the rule claims, each line of versions counted by itself."""

    count: int
    by: Order


@dataclass(frozen=True, slots=True)
class Within:
    """Keeps what is younger than `age`, and what tells no date."""

    age: timedelta


@dataclass(frozen=True, slots=True)
class Everything:
    """Keeps all that the rule claims."""


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


Clause = Newest | Within | Everything | AnyOf | AllOf | Not


@dataclass(frozen=True, slots=True)
class Rule:
    """Claims the tags that one of its patterns matches, and keeps those that its clause keeps."""

    name: str
    tags: tuple[Pattern, ...]
    keep: Clause

    def claims(self, tag: str) -> bool:
        """Whether the rule's selector matches `tag`."""
        return any(pattern.matches(tag) for pattern in self.tags)


@dataclass(frozen=True, slots=True)
class RepositoryPolicy:
    """The rules for the repositories that its patterns match; `untagged` is None where untagged manifests stay."""

    repositories: RepositoryPatterns
    rules: tuple[Rule, ...] = ()
    untagged: Clause | None = None


class LastImage(StrEnum):
    """What to do about a repository that would lose all its tags."""

    REFUSE = "refuse"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Share:
    """A part of all tags, in percent."""

    percent: float

    def __str__(self) -> str:
        return f"{self.percent:g}%"


@dataclass(frozen=True, slots=True)
class Limits:
    """The brakes: the most that a run may delete (a share or a number of tags; None: no limit)."""

    deletions: Share | int | None = None
    last_image: LastImage = LastImage.REFUSE


@dataclass(frozen=True, slots=True)
class Policy:
    """All of it. `protect` wins over everything; the first of `policies` that matches a repository applies to it."""

    policies: tuple[RepositoryPolicy, ...]
    protect: tuple[Pattern, ...] = ()
    limits: Limits = Limits()

    def for_repository(self, name: str) -> RepositoryPolicy | None:
        """Return the policy that applies to a repository, None where none does."""
        return next((policy for policy in self.policies if policy.repositories.matches(name)), None)

    def protects(self, tag: str) -> bool:
        """Whether `tag` is protected."""
        return any(pattern.matches(tag) for pattern in self.protect)


def keep_newest_versions(count: int, *, protect: Sequence[str] = (), limits: Limits = Limits()) -> Policy:
    """Return the policy of `--keep COUNT`: in every repository the newest `count` versions, and all other tags."""
    rule = Rule(f"--keep {count}", (VersionPattern(Glob("*")),), Newest(count, Order.VERSION))
    everywhere = RepositoryPatterns((Glob("**"),))
    return Policy((RepositoryPolicy(everywhere, (rule,)),), tuple(Glob(text) for text in protect), limits)
