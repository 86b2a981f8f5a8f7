"""Selectors: patterns over tags composed, for a tag by itself and for an image with all its tags."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

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
class _Composed(TagPattern):
    """Several parts. Which of them must match, `_enough` says: `all` or `any`."""

    parts: tuple[TagPattern, ...]
    _enough: ClassVar["staticmethod[[Iterable[object]], bool]"]

    def matches(self, name: str) -> bool:
        """Whether enough parts match the tag `name`."""
        return self._enough(part.matches(name) for part in self.parts)

    def matches_image(self, tags: Sequence[str]) -> bool:
        """Whether enough parts match an image with these tags."""
        return self._enough(part.matches_image(tags) for part in self.parts)

    @property
    def matches_all(self) -> bool:
        """Whether it is plain that every tag matches."""
        return self._enough(part.matches_all for part in self.parts)

    def groups(self, name: str) -> Mapping[str, str]:
        """Return the named groups of the parts that match; an earlier part's win."""
        found: dict[str, str] = {}
        for part in self.parts:
            for group, text in part.groups(name).items():
                found.setdefault(group, text)
        return found

    @property
    def group_names(self) -> frozenset[str]:
        """The named groups of all parts."""
        return frozenset[str]().union(*(part.group_names for part in self.parts))

    def __str__(self) -> str:
        return f"{self._enough.__name__} of ({', '.join(map(str, self.parts))})"


@dataclass(frozen=True, slots=True)
class AllSelectors(_Composed):
    """A tag that each part matches; an image of which each part matches some tag, maybe different ones (as ECR's)."""

    _enough = staticmethod(all)


@dataclass(frozen=True, slots=True)
class AnySelector(_Composed):
    """What at least one part matches."""

    _enough = staticmethod(any)


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
