"""What a selector can match at all, and whether others match it too. Pure questions about a policy, without any tag.

Whether a tag is a version is no question of grammar alone, so each question is asked twice: for tags that are versions,
and for tags that are none. What cannot be told (look-around, expressions that grow too large) counts as unknown, and
about what is unknown nobody is warned.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from jettison.oci.version import parse_version
from jettison.policy.model import RepositoryPolicy, Rule, Unit
from jettison.policy.names import Book, Names, UnknownNamesError
from jettison.policy.names_of_regex import names_of_regex
from jettison.policy.pattern import Glob, Pattern, Regex, RepositoryPatterns, TagPattern, VersionPattern
from jettison.policy.selectors import AllSelectors, AnySelector, NotSelector, Untagged

_TAG: Final = "[A-Za-z0-9_][A-Za-z0-9._-]*"
_VERSION: Final = ".*[0-9].*"
_SEGMENT: Final = "[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = f"{_SEGMENT}(?:/{_SEGMENT})*"
_LONGEST_TAG: Final = 128
_MOST_WAYS: Final = 200
_WILD: Final = frozenset("*?[{")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The names that a pattern matches, from below and from above; both are the same where they are known exactly."""

    low: Names
    high: Names


Way = tuple[TagPattern, ...]
"""A way to match an image: each of these must match some tag of it; Untagged that there is none."""


class Reach:
    """Answers for one policy file. Every answer may be False for "cannot tell"."""

    def __init__(self) -> None:
        self._book = Book()
        tag = names_of_regex(self._book, _TAG)
        version = names_of_regex(self._book, _VERSION)
        self._worlds = {True: self._book.both((tag, version)), False: tag}
        self._repository = names_of_regex(self._book, _REPOSITORY)

    def matches_nothing(self, rule: Rule, unit: Unit) -> bool:
        """Whether no tag, or no image, can ever match the rule's selector."""
        if unit is Unit.TAG:
            return self._no_tag([rule.selector])
        try:
            return not self._possible_ways(rule.selector)
        except UnknownNamesError:
            return False

    def names_no_tag(self, selector: TagPattern) -> bool:
        """Whether no tag can ever match a selector."""
        return self._no_tag([selector])

    def is_covered(self, rule: Rule, unit: Unit, earlier: Sequence[TagPattern]) -> bool:
        """Whether all that the rule's selector matches is matched by `earlier` selectors already."""
        if not earlier:
            return False
        if unit is Unit.TAG:
            return self._no_tag([rule.selector], but=earlier)
        try:
            ways = [way for each in earlier for way in _ways(each)]
            possible = self._possible_ways(rule.selector)
        except UnknownNamesError:
            return False
        alone = [way[0] for way in ways if len(way) == 1]
        return all(
            any(self._meets(part, alone) for part in mine)
            or any(all(any(self._meets(part, [theirs]) for part in mine) for theirs in way) for way in ways)
            for mine in possible
        )

    def claims_no_version(self, rule: Rule) -> bool:
        """Whether nothing that the rule's selector matches can be a version."""
        try:
            names = self._book.both((self._worlds[True], self._bounds(rule.selector, version=True).high))
            return self._book.shortest(names) is None
        except UnknownNamesError:
            return False

    def no_repository(self, policy: RepositoryPolicy, earlier: Sequence[RepositoryPolicy] = ()) -> bool:
        """Whether no repository can match the policy that no `earlier` one matches."""
        try:
            mine = self._repositories(policy.repositories).high
            others = self._book.either(self._repositories(each.repositories).low for each in earlier)
            return self._book.shortest(self._book.without(self._book.both((self._repository, mine)), others)) is None
        except UnknownNamesError:
            return False

    def a_repository(self, policy: RepositoryPolicy) -> str | None:
        """Return the shortest name that the policy's patterns match, None where none is found."""
        try:
            wanted = self._book.both((self._repository, self._repositories(policy.repositories).high))
            name = self._book.shortest(wanted)
        except UnknownNamesError:
            return None
        return name if name is not None and policy.repositories.matches(name) else None

    def _no_tag(self, patterns: Iterable[TagPattern], *, but: Iterable[TagPattern] = ()) -> bool:
        """Whether no tag matches all of `patterns` and none of `but`."""
        patterns, but = list(patterns), list(but)
        try:
            for version, world in self._worlds.items():
                mine = self._book.both((world, *(self._bounds(each, version=version).high for each in patterns)))
                others = self._book.either(self._bounds(each, version=version).low for each in but)
                found = self._book.shortest(self._book.without(mine, others))
                if found is not None and len(found) <= _LONGEST_TAG:
                    return False
        except UnknownNamesError:
            return False
        return True

    def _meets(self, part: TagPattern, others: Sequence[TagPattern]) -> bool:
        """Whether every tag that `part` matches is matched by one of `others`; being untagged by being untagged."""
        if isinstance(part, Untagged):
            return any(isinstance(each, Untagged) for each in others)
        return self._no_tag([part], but=[each for each in others if not isinstance(each, Untagged)])

    def _possible_ways(self, selector: TagPattern) -> list[Way]:
        return [way for way in _ways(selector) if self._is_possible(way)]

    def _is_possible(self, way: Way) -> bool:
        if any(isinstance(part, Untagged) for part in way):
            return all(isinstance(part, Untagged) for part in way)
        return not any(self._no_tag([part]) for part in way)

    def _repositories(self, patterns: RepositoryPatterns) -> Bounds:
        wanted = [self._pattern(each) for each in patterns.wanted]
        unwanted = [self._pattern(each) for each in patterns.unwanted]
        book = self._book
        return Bounds(
            book.without(book.either(each.low for each in wanted), book.either(each.high for each in unwanted)),
            book.without(book.either(each.high for each in wanted), book.either(each.low for each in unwanted)),
        )

    def _bounds(self, selector: TagPattern, *, version: bool) -> Bounds:
        book = self._book
        match selector:
            case AnySelector(parts):
                inner = [self._bounds(part, version=version) for part in parts]
                return Bounds(book.either(each.low for each in inner), book.either(each.high for each in inner))
            case AllSelectors(parts):
                inner = [self._bounds(part, version=version) for part in parts]
                return Bounds(book.both(each.low for each in inner), book.both(each.high for each in inner))
            case NotSelector(part):
                turned = self._bounds(part, version=version)
                return Bounds(book.other_than(turned.high), book.other_than(turned.low))
            case VersionPattern(glob):
                literal = not _WILD & set(glob.text)
                if not version or (literal and parse_version(glob.text) is None):
                    return Bounds(book.nothing, book.nothing)
                return self._pattern(glob)
            case Untagged():
                return Bounds(book.nothing, book.nothing)
        return self._pattern(selector)

    def _pattern(self, pattern: Pattern) -> Bounds:
        try:
            match pattern:
                case Glob():
                    names = names_of_regex(self._book, pattern.expression)
                case Regex():
                    names = names_of_regex(self._book, pattern.text, anywhere=pattern.anywhere)
                case _:
                    return Bounds(self._book.nothing, self._book.anything)
        except UnknownNamesError:
            return Bounds(self._book.nothing, self._book.anything)
        return Bounds(names, names)


def _ways(selector: TagPattern) -> list[Way]:
    """Return the ways in which an image can match, any of which is enough (a disjunctive normal form).

    Raises UnknownNamesError where there are more than anybody writes.
    """
    match selector:
        case AnySelector(parts):
            return [way for part in parts for way in _ways(part)]
        case AllSelectors(parts):
            ways: list[Way] = [()]
            for part in parts:
                ways = [(*before, *way) for before in ways for way in _ways(part)]
                if len(ways) > _MOST_WAYS:
                    raise UnknownNamesError("too many ways")
            return ways
    return [(selector,)]
