"""Selectors: patterns over tags composed, for a tag by itself and for an image with all its tags."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jettison.policy.pattern import TagPattern, VersionPattern

Selector = TagPattern
"""What a rule's `tags` holds: a pattern, or several composed."""


@dataclass(frozen=True, slots=True)
class Untagged(TagPattern):
    """An image without any tag. No tag matches."""

    def matches(self, name: str) -> bool:
        """Whether the tag `name` matches: never."""
        return False

    def matches_image(self, tags: Sequence[str]) -> bool:
        """Whether an image with these tags matches."""
        return not tags

    def __str__(self) -> str:
        return "untagged"


@dataclass(frozen=True, slots=True)
class AllSelectors(TagPattern):
    """A tag that each part matches; an image of which each part matches some tag, maybe different ones (as ECR's)."""

    parts: tuple[TagPattern, ...]

    def matches(self, name: str) -> bool:
        """Whether each part matches the tag `name`."""
        return all(part.matches(name) for part in self.parts)

    def matches_image(self, tags: Sequence[str]) -> bool:
        """Whether each part matches some of these tags."""
        return all(part.matches_image(tags) for part in self.parts)

    def groups(self, name: str) -> Mapping[str, str]:
        """Return the named groups of all parts; an earlier part's win."""
        return _groups(self.parts, name)

    @property
    def group_names(self) -> frozenset[str]:
        """The named groups of all parts."""
        return frozenset[str]().union(*(part.group_names for part in self.parts))

    @property
    def matches_all(self) -> bool:
        """Whether it is plain that every tag matches."""
        return all(part.matches_all for part in self.parts)

    def __str__(self) -> str:
        return "all of (" + ", ".join(map(str, self.parts)) + ")"


@dataclass(frozen=True, slots=True)
class AnySelector(TagPattern):
    """What at least one part matches."""

    parts: tuple[TagPattern, ...]

    def matches(self, name: str) -> bool:
        """Whether some part matches the tag `name`."""
        return any(part.matches(name) for part in self.parts)

    def matches_image(self, tags: Sequence[str]) -> bool:
        """Whether some part matches an image with these tags."""
        return any(part.matches_image(tags) for part in self.parts)

    def groups(self, name: str) -> Mapping[str, str]:
        """Return the named groups of the parts that match; an earlier part's win."""
        return _groups(self.parts, name)

    @property
    def group_names(self) -> frozenset[str]:
        """The named groups of all parts."""
        return frozenset[str]().union(*(part.group_names for part in self.parts))

    @property
    def matches_all(self) -> bool:
        """Whether it is plain that every tag matches."""
        return any(part.matches_all for part in self.parts)

    def __str__(self) -> str:
        return "any of (" + ", ".join(map(str, self.parts)) + ")"


@dataclass(frozen=True, slots=True)
class NotSelector(TagPattern):
    """A tag that `part` does not match; an image with some such tag."""

    part: TagPattern

    def matches(self, name: str) -> bool:
        """Whether the tag `name` does not match."""
        return not self.part.matches(name)

    @property
    def matches_all(self) -> bool:
        """Whether it is plain that every tag matches."""
        return isinstance(self.part, Untagged)

    def __str__(self) -> str:
        return f"not {self.part}"


def selects_versions(selector: TagPattern) -> bool:
    """Whether all that `selector` matches are versions, so that counts order by version unless told otherwise."""
    match selector:
        case VersionPattern():
            return True
        case AnySelector(parts):
            return all(selects_versions(part) for part in parts)
        case AllSelectors(parts):
            return any(selects_versions(part) for part in parts)
        case _:
            return False


def leaves(selector: TagPattern) -> Iterator[TagPattern]:
    """Yield the patterns that `selector` is composed of."""
    match selector:
        case AnySelector(parts) | AllSelectors(parts):
            for part in parts:
                yield from leaves(part)
        case NotSelector(part):
            yield from leaves(part)
        case _:
            yield selector


def _groups(parts: Sequence[TagPattern], name: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in parts:
        for group, text in part.groups(name).items():
            found.setdefault(group, text)
    return found
