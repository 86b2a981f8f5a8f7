"""Patterns that select tags and repositories: globs, regular expressions and versions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Protocol

from jettison.errors import ConfigurationError
from jettison.oci.version import parse_version

MATCH_SECONDS: Final = 0.25
"""How long one expression with look-around may take on one tag; RE2's need no limit, they are linear."""


class PatternError(ValueError):
    """A pattern that cannot be understood; the text says why."""


class Pattern(Protocol):
    """Something that a tag or repository name matches as a whole, or does not."""

    def matches(self, name: str) -> bool:
        """Whether the whole of `name` matches."""
        ...


@dataclass(frozen=True, slots=True)
class Glob:
    """`*` within a path segment, `**` across segments, `?` one character, `[ab]`, `[!ab]`, `{one,two}`."""

    text: str
    _expression: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_expression", re.compile(_translate(self.text), re.DOTALL))

    def matches(self, name: str) -> bool:
        """Whether the whole of `name` matches."""
        return self._expression.fullmatch(name) is not None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression in RE2's language; what RE2 cannot say (look-around) runs under a time limit."""

    text: str
    _expression: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_expression", _compile(self.text))

    def matches(self, name: str) -> bool:
        """Whether the whole of `name` matches. Raises ConfigurationError where that takes too long to find out."""
        try:
            return self._expression(name) is not None
        except TimeoutError as error:
            raise ConfigurationError(
                f"the regular expression {self.text!r} took more than {MATCH_SECONDS} s on {name!r}; "
                "write it without nested repetition or look-around"
            ) from error

    def __str__(self) -> str:
        return f"/{self.text}/"


@dataclass(frozen=True, slots=True)
class VersionPattern:
    """Tags that are versions, and that match a glob besides (`*`: all of them)."""

    glob: Glob

    def matches(self, name: str) -> bool:
        """Whether `name` is a version that the glob matches."""
        return self.glob.matches(name) and parse_version(name) is not None

    def __str__(self) -> str:
        return "versions" if self.glob.text == "*" else f"versions {self.glob}"


@dataclass(frozen=True, slots=True)
class RepositoryPatterns:
    """Globs over repository names; those that begin with `!` take out again what another one matched."""

    wanted: tuple[Glob, ...]
    unwanted: tuple[Glob, ...] = ()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "RepositoryPatterns":
        """Read patterns as a policy lists them. Raises PatternError."""
        wanted = tuple(Glob(text) for text in texts if not text.startswith("!"))
        unwanted = tuple(Glob(text[1:]) for text in texts if text.startswith("!"))
        if not wanted:
            raise PatternError('no pattern selects a repository: those with ! only take out; put "**" before them')
        return cls(wanted, unwanted)

    def matches(self, name: str) -> bool:
        """Whether the repository is selected."""
        return any(glob.matches(name) for glob in self.wanted) and not any(glob.matches(name) for glob in self.unwanted)


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
                out.append(f"[^{inside[1:]}]" if inside[0] in "!^" else f"[{inside}]")
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


@lru_cache(maxsize=1024)
def _compile(text: str) -> Any:
    """Return a full-match function: RE2's where RE2 can say it, else one with a time limit."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options).fullmatch
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
    import regex

    try:
        expression = regex.compile(text)
    except regex.error as error:
        raise PatternError(f"the regular expression {text!r} cannot be read: {reason}") from error
    return lambda name: expression.fullmatch(name, timeout=MATCH_SECONDS)
