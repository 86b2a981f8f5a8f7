"""Policy: what to keep, as values. `parse.py` reads them from a file, `evaluate.py` decides by them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Any, Final

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
    Period,
    Periods,
    PulledWithin,
    Tagged,
    TagMatches,
    Unknown,
    Within,
)
from jettison.policy.pattern import Glob, RepositoryPatterns, TagPattern, VersionPattern
from jettison.policy.selectors import AnySelector, selects_versions

__all__ = [
    "AllOf",
    "AnyOf",
    "Clause",
    "Counts",
    "DigestMatches",
    "Everything",
    "InRepositories",
    "LastImage",
    "Limits",
    "Newest",
    "Not",
    "Nothing",
    "Order",
    "Period",
    "Periods",
    "Policy",
    "PulledWithin",
    "Referrers",
    "RepositoryPolicy",
    "Rule",
    "Share",
    "TagMatches",
    "Tagged",
    "Unit",
    "Unknown",
    "Within",
    "keep_newest_versions",
]


class Unit(StrEnum):
    """What a policy decides: each tag by itself, or each image with all its tags."""

    TAG = "tag"
    IMAGE = "image"


class Counts(StrEnum):
    """What a rule's counts look at: what the rule claims, or all that its selector matches."""

    CLAIMED = "claimed"
    MATCHING = "matching"


@dataclass(frozen=True, slots=True)
class Rule:
    """Claims the tags (or images) that one of its selectors matches, and keeps those that its clause keeps."""

    name: str
    tags: tuple[TagPattern, ...]
    keep: Clause
    counts: Counts = Counts.CLAIMED

    def claims(self, tag: str) -> bool:
        """Whether the rule's selector matches `tag`."""
        for pattern in self.tags:  # noqa: SIM110  (half the time of any(), for each tag of a registry)
            if pattern.matches(tag):
                return True
        return False

    def claims_image(self, tags: Sequence[str]) -> bool:
        """Whether the rule's selector matches an image with these tags."""
        return any(pattern.matches_image(tags) for pattern in self.tags)

    @property
    def selector(self) -> TagPattern:
        """The rule's selectors as one."""
        return self.tags[0] if len(self.tags) == 1 else AnySelector(self.tags)

    @property
    def selects_versions(self) -> bool:
        """Whether the rule claims nothing but versions."""
        return selects_versions(self.selector)


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
class Referrers:
    """What becomes of referrers. None: those of a kept subject stay, and so do those without a subject here.

    Those of an expired subject go with it but for those that `of_expired` keeps.
    """

    of_kept: Clause | None = None
    orphaned: Clause | None = None
    of_expired: Clause | None = None


STAYS: Final = Referrers()


@dataclass(frozen=True, slots=True)
class RepositoryPolicy:
    """The rules for the repositories that its patterns match.

    `untagged` is None where untagged manifests stay. One that is not `enabled` keeps everything. `limits` are the
    brakes of its repositories, besides the global ones. The platforms of an index that expires go with it but for those
    that `platforms` keeps. With `images_outlive_tags` the last tag of an image takes only itself away: the image is
    untagged then, and `untagged` decides it.
    """

    repositories: RepositoryPatterns
    rules: tuple[Rule, ...] = ()
    untagged: Clause | None = None
    name: str | None = None
    unit: Unit = Unit.TAG
    enabled: bool = True
    referrers: Referrers = STAYS
    limits: Limits | None = None
    platforms: Clause | None = None
    images_outlive_tags: bool = False

    @property
    def clauses_beside_rules(self) -> tuple[Clause, ...]:
        """The clauses about manifests that no rule decides."""
        referrers = self.referrers
        found = (self.untagged, self.platforms, referrers.of_kept, referrers.orphaned, referrers.of_expired)
        return tuple(each for each in found if each is not None)

    def with_limits(self, **changes: Any) -> "RepositoryPolicy":
        """Return it with its own brakes changed, where it has any."""
        return self if self.limits is None else replace(self, limits=replace(self.limits, **changes))

    @property
    def label(self) -> str:
        """Its name, or the repositories that it is for."""
        return self.name or str(self.repositories)


@dataclass(frozen=True, slots=True)
class Policy:
    """All of it. `protect` wins over everything; the first of `policies` that matches a repository applies to it.

    `in_use` names the sources that tell which images run; they are asked elsewhere. `timezone` is that of periods.
    """

    policies: tuple[RepositoryPolicy, ...]
    protect: tuple[TagPattern, ...] = ()
    limits: Limits = Limits()
    timezone: tzinfo = UTC
    in_use: tuple[str, ...] = ()

    def for_repository(self, name: str) -> RepositoryPolicy | None:
        """Return the policy that applies to a repository, None where none does."""
        return next((policy for policy in self.policies if policy.repositories.matches(name)), None)

    @property
    def protects(self) -> Callable[[str], bool]:
        """The test whether a tag is protected."""
        literal = {pattern.text for pattern in self.protect if isinstance(pattern, Glob) and pattern.is_literal}
        others = [pattern for pattern in self.protect if not isinstance(pattern, Glob) or not pattern.is_literal]
        if not others:
            return literal.__contains__
        return lambda tag: tag in literal or any(pattern.matches(tag) for pattern in others)


def keep_newest_versions(count: int, *, protect: Sequence[str] = (), limits: Limits = Limits()) -> Policy:
    """Return the policy of `--keep COUNT`: in every repository the newest `count` versions, and all other tags."""
    rule = Rule(f"--keep {count}", (VersionPattern(Glob("*")),), Newest(count, Order.VERSION))
    everywhere = RepositoryPatterns((Glob("**"),))
    return Policy((RepositoryPolicy(everywhere, (rule,)),), tuple(Glob(text) for text in protect), limits)
