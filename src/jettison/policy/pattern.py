"""Patterns that select tags and repositories: globs, regular expressions and versions."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Protocol

from jettison.errors import ConfigurationError
from jettison.oci.version import parse_version

MATCH_SECONDS: Final = 0.25
"""How long one expression with look-around may take on one tag; RE2's need no limit, they are linear."""
FREE_SECONDS: Final = 1.0
MEAN_SECONDS: Final = 0.0002
"""What it may take on all tags together: a second, and this much for each tag, so that 100,000 take 21 s at most."""

_NO_GROUPS: Final[Mapping[str, str]] = MappingProxyType({})


class PatternError(ValueError):
    """A pattern that cannot be understood; the text says why."""


class Pattern(Protocol):
    """Something that a tag or repository name matches as a whole, or does not."""

    def matches(self, name: str) -> bool:
        """Whether the whole of `name` matches."""
        ...


class TagPattern:
    """What all patterns over tags have: an image matches where some tag of it does."""

    __slots__ = ()

    def matches(self, name: str) -> bool:
        """Whether the tag `name` matches."""
        raise NotImplementedError

    def matches_image(self, tags: Sequence[str]) -> bool:
        """Whether an image with these tags matches."""
        return any(map(self.matches, tags))

    def groups(self, name: str) -> Mapping[str, str]:
        """Return what the named groups of a regular expression matched in the tag `name`."""
        return _NO_GROUPS

    @property
    def group_names(self) -> frozenset[str]:
        """The named groups that `groups` may return."""
        return frozenset()

    @property
    def matches_all(self) -> bool:
        """Whether it is plain that every tag matches."""
        return False


@dataclass(frozen=True, slots=True)
class Glob(TagPattern):
    """`*` within a path segment, `**` across segments, `?` one character, `[ab]`, `[!ab]`, `{one,two}`."""

    text: str
    _expression: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_expression", re.compile(_translate(self.text), re.DOTALL))

    def matches(self, name: str) -> bool:
        """Whether the whole of `name` matches."""
        return self._expression.fullmatch(name) is not None

    @property
    def expression(self) -> str:
        """The regular expression that says the same."""
        return self._expression.pattern

    @property
    def matches_all(self) -> bool:
        """Whether it is plain that every tag matches."""
        return self.text in ("*", "**")

    @property
    def is_literal(self) -> bool:
        """Whether it matches its own text and nothing else."""
        return not any(character in self.text for character in "*?[{")

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Regex(TagPattern):
    """A regular expression in RE2's language; what RE2 cannot say (look-around) runs under a time limit.

    It matches the whole tag, or with `anywhere` some part of it.
    """

    text: str
    anywhere: bool = False
    _compiled: "_Compiled" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", _compile(self.text, self.anywhere))

    def matches(self, name: str) -> bool:
        """Whether `name` matches. Raises ConfigurationError where that takes too long to find out."""
        try:
            return bool(self._compiled.matches(name))
        except TimeoutError as error:
            raise self._too_slow(name) from error

    def groups(self, name: str) -> Mapping[str, str]:
        """Return what the named groups matched in `name`; those that took no part are left out."""
        compiled = self._compiled
        if not compiled.groups:
            return _NO_GROUPS
        try:
            match = compiled.match(name)
        except TimeoutError as error:
            raise self._too_slow(name) from error
        if match is None:
            return _NO_GROUPS
        found: dict[str, str] = {}
        for group, number in compiled.groups:
            start, end = match.span(number)
            if start >= 0:
                found[group] = name[start:end]
        return found

    @property
    def group_names(self) -> frozenset[str]:
        """The expression's named groups."""
        return frozenset(name for name, _ in self._compiled.groups)

    @property
    def matches_all(self) -> bool:
        """Whether it is plain that every tag matches."""
        return self.text in (".*", ".+", "^.*$", "^.+$", "(?s).*", "") and (self.anywhere or self.text != "")

    def _too_slow(self, name: str) -> ConfigurationError:
        return ConfigurationError(
            f"the regular expression {self.text!r} took more than {MATCH_SECONDS} s on {name!r}, or too long on all "
            "tags together; write it without nested repetition or look-around"
        )

    def __str__(self) -> str:
        return f"/{self.text}/" + (" anywhere" if self.anywhere else "")


@dataclass(frozen=True, slots=True)
class VersionPattern(TagPattern):
    """Tags that are versions, and that match a glob besides (`*`: all of them)."""

    glob: Glob
    _all: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_all", self.glob.matches_all)

    def matches(self, name: str) -> bool:
        """Whether `name` is a version that the glob matches."""
        return (self._all or self.glob.matches(name)) and parse_version(name) is not None

    def __str__(self) -> str:
        return "versions" if self.glob.text == "*" else f"versions {self.glob}"


@dataclass(frozen=True, slots=True)
class RepositoryPatterns:
    """Patterns over repository names; globs that begin with `!` take out again what another pattern matched."""

    wanted: tuple[Pattern, ...]
    unwanted: tuple[Glob, ...] = ()

    @classmethod
    def parse(cls, texts: Sequence[str | Pattern]) -> "RepositoryPatterns":
        """Read globs as a policy lists them, other patterns among them. Raises PatternError."""
        wanted = tuple(
            Glob(each) if isinstance(each, str) else each
            for each in texts
            if not isinstance(each, str) or not each.startswith("!")
        )
        unwanted = tuple(Glob(each[1:]) for each in texts if isinstance(each, str) and each.startswith("!"))
        if not wanted:
            raise PatternError('no pattern selects a repository: those with ! only take out; put "**" before them')
        return cls(wanted, unwanted)

    def matches(self, name: str) -> bool:
        """Whether the repository is selected."""
        return any(each.matches(name) for each in self.wanted) and not any(each.matches(name) for each in self.unwanted)

    @property
    def matches_all(self) -> bool:
        """Whether it is plain that every repository is selected."""
        return not self.unwanted and any(
            each.text in ("**", "**/*") if isinstance(each, Glob) else isinstance(each, Regex) and each.matches_all
            for each in self.wanted
        )

    def __str__(self) -> str:
        return ", ".join([*map(str, self.wanted), *(f"!{each}" for each in self.unwanted)])


def _translate(text: str) -> str:
    """Return the regular expression of a glob. Raises PatternError for an unfinished bracket or brace."""
    if not text:
        raise PatternError("an empty pattern matches nothing")
    out: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        if text.startswith("**/", position) and (position == 0 or text[position - 1] == "/"):
            out.append("(?:.*/)?")
            position += 2
        elif text.startswith("**", position):
            out.append(".*")
            position += 1
        elif character in "[{":
            end = text.find("]" if character == "[" else "}", position + 2)
            if end < 0:
                raise PatternError(f"{text!r}: {character} is never closed")
            inside = text[position + 1 : end]
            if character == "[":
                inside = inside.replace("\\", r"\\").replace("[", r"\[")
                out.append(f"[^/{inside[1:]}]" if inside[0] in "!^" else f"[{inside}]")
            else:
                out.append("(?:" + "|".join(_translate(part) if part else "" for part in inside.split(",")) + ")")
            position = end
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(character) or re.escape(character))
        position += 1
    try:
        re.compile("".join(out))
    except re.error as error:
        raise PatternError(f"{text!r} is no pattern: {error}") from error
    return "".join(out)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Whether a text matches (something true, or not), the match itself, and the numbers of the named groups."""

    matches: Callable[[str], Any]
    match: Callable[[str], Any]
    groups: tuple[tuple[str, int], ...]


@lru_cache(maxsize=1024)
def _compile(text: str, anywhere: bool) -> _Compiled:
    """Compile an expression by RE2, or with a time limit where RE2 cannot say it."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        linear = re2.compile(text, options)
    except UnicodeEncodeError as error:
        raise PatternError(f"the regular expression {text!r} holds half a character") from error
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
    else:
        match = linear.search if anywhere else linear.fullmatch
        in_bytes = re2.compile(text.encode(), options)  # spares it to count characters, and gives the same places
        match_bytes = in_bytes.search if anywhere else in_bytes.fullmatch
        return _Compiled(
            _quick(text, anywhere, options) or match,
            lambda name: match_bytes(name.encode()) if name.isascii() else match(name),
            tuple(linear.groupindex.items()),
        )
    import regex

    try:
        expression = regex.compile(text)
    except regex.error as error:
        raise PatternError(f"the regular expression {text!r} cannot be read: {reason}") from error
    except RecursionError as error:
        raise PatternError("a regular expression nests its groups too deeply") from error
    match = _bounded(expression.search if anywhere else expression.fullmatch)
    return _Compiled(match, match, tuple(expression.groupindex.items()))


def _quick(text: str, anywhere: bool, options: Any) -> Callable[[str], Any] | None:
    """Return RE2's test of a set of one expression: it makes no match object, which takes six times as long.

    None where it would need more memory than it may have.
    """
    import re2

    tests = re2.Set.SearchSet(options) if anywhere else re2.Set.FullMatchSet(options)
    try:
        tests.Add(text)
        tests.Compile()
    except re2.error:
        return None
    return lambda name: tests.Match(name) is not None


def _bounded(match: Callable[..., Any]) -> Callable[[str], Any]:
    """Return `match` with a limit for each call, and one for the mean of all calls. Both raise TimeoutError.

    Without the second, an expression that takes just less than the first on each of 100,000 tags would run for hours.
    """
    allowance = FREE_SECONDS

    def bounded(name: str) -> Any:
        nonlocal allowance
        start = time.thread_time()
        found = match(name, timeout=MATCH_SECONDS)
        allowance = min(allowance + MEAN_SECONDS - (time.thread_time() - start), FREE_SECONDS)
        if allowance < 0:
            allowance = FREE_SECONDS
            raise TimeoutError
        return found

    return bounded
