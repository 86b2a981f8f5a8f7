"""Globs of other systems to ours: two releases of the Go library doublestar, each with a dialect of its own.

Braces are written out as alternatives, so that one of their globs becomes a list of ours. Sources: doublestar.go and
doublestar_test.go of v1.3.4 (Harbor), match.go, validate.go and doublestar_test.go of v4 (zot).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import product
from typing import Final

from jettison.errors import PolicyImportError
from jettison.policy.importers.model import glob_text
from jettison.policy.pattern import Glob

_MOST_ALTERNATIVES: Final = 200
_NAMES: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
"""What tags and the parts of repository names are made of."""
NEVER: Final = "/"
"""A glob of ours that matches no tag and no repository."""


class Dialect(Enum):
    """A release of doublestar."""

    V1 = auto()
    V4 = auto()


class _Kind(Enum):
    TEXT = auto()
    STAR = auto()
    ONE = auto()
    CLASS = auto()
    SLASH = auto()
    ALTERNATIVE = auto()
    """Here an alternative of a brace begins: each release looks at `**` there in its own way."""


@dataclass(frozen=True, slots=True)
class _Piece:
    kind: _Kind
    text: str = ""


_Pieces = tuple[_Piece, ...]
_STAR: Final = _Piece(_Kind.STAR)
_SLASH: Final = _Piece(_Kind.SLASH)
_ALTERNATIVE: Final = _Piece(_Kind.ALTERNATIVE)


def our_globs(text: str, dialect: Dialect) -> list[str]:
    """Return globs of ours that match, together, the names that `text` matches there. Without braces it is one or two.

    Raises PolicyImportError for what the library calls a malformed pattern.
    """
    alternatives: list[Sequence[_Pieces]] = [_components(pieces) for pieces in _Reader(text, dialect).read()]
    if dialect is Dialect.V1:
        alternatives = _living_in_v1(text, alternatives)
    globs = [glob for each in alternatives for glob in _write(text, each, dialect) if glob]
    return list(dict.fromkeys(globs)) or [NEVER]


class _Reader:
    """Reads one pattern into the alternatives that its braces make."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self._text = text
        self._dialect = dialect
        self._at = 0

    def read(self) -> list[_Pieces]:
        """Return every alternative. Raises PolicyImportError."""
        alternatives = self._sequence(depth=0)
        if self._at < len(self._text):
            raise self._malformed("} without {")
        return alternatives

    def _malformed(self, why: str) -> PolicyImportError:
        return PolicyImportError(f"syntax error in pattern {self._text!r}: {why}")

    def _sequence(self, depth: int) -> list[_Pieces]:
        """Read on to the end of the pattern, or of one alternative."""
        made: list[_Pieces] = [()]
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "{":
                inner = self._braces(depth)
                if len(made) * len(inner) > _MOST_ALTERNATIVES:
                    raise PolicyImportError(f"{self._text!r} has more than {_MOST_ALTERNATIVES} alternatives")
                made = [(*before, _ALTERNATIVE, *after) for before, after in product(made, inner)]
                continue
            if depth and char in ",}":
                break
            if char == "}" and self._dialect is Dialect.V4:
                break
            piece = self._piece(char)
            made = [(*each, piece) for each in made]
        return made

    def _braces(self, depth: int) -> list[_Pieces]:
        if depth > 20:
            raise self._malformed("braces are nested too deeply")
        alternatives: list[_Pieces] = []
        while True:
            self._at += 1
            alternatives += self._sequence(depth + 1)
            if self._at >= len(self._text):
                raise self._malformed("{ is never closed")
            if self._text[self._at] == "}":
                self._at += 1
                return alternatives

    def _piece(self, char: str) -> _Piece:
        if char == "[":
            return self._class()
        self._at += 1
        match char:
            case "*":
                return _STAR
            case "?":
                return _Piece(_Kind.ONE)
            case "/":
                return _SLASH
            case "\\":
                if self._at >= len(self._text):
                    raise self._malformed("it ends in a backslash")
                self._at += 1
                return _Piece(_Kind.TEXT, self._text[self._at - 1])
            case _:
                return _Piece(_Kind.TEXT, char)

    def _class(self) -> _Piece:
        """Read a class; its text is the characters of names that it matches, whatever else it names."""
        start = self._at + 1
        end = start
        while end < len(self._text) and self._text[end] != "]":
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text):
            raise self._malformed("[ is never closed")
        inside = self._text[start:end]
        self._at = end + 1
        negated = inside[:1] == "^" or (inside[:1] == "!" and self._dialect is Dialect.V4)
        members = self._members(inside[1:] if negated else inside)
        kept = _NAMES - members if negated else _NAMES & members
        if self._dialect is Dialect.V4 and negated == ("/" not in members):  # there a class may match a slash
            kept |= {"/"}
        return _Piece(_Kind.CLASS, "".join(sorted(kept)))

    def _members(self, inside: str) -> frozenset[str]:
        strict = self._dialect is Dialect.V1
        if not inside:
            raise self._malformed("a class is empty")
        members: set[str] = set()
        characters = _unescaped(inside)
        position = 0
        while position < len(characters):
            low, escaped = characters[position]
            if strict and low == "-" and not escaped:
                raise self._malformed("a bare - in a class")
            position += 1
            high = low
            if position < len(characters) and characters[position] == ("-", False):
                if position + 1 < len(characters):
                    high, escaped = characters[position + 1]
                    if strict and high == "-" and not escaped:
                        raise self._malformed("a bare - in a class")
                    position += 2
                elif strict:
                    raise self._malformed("a bare - in a class")
            members.update(char for char in (*_NAMES, "/") if low <= char <= high)
        return frozenset(members)


def _unescaped(inside: str) -> list[tuple[str, bool]]:
    """Return the characters of a class, each with whether a backslash stood before it."""
    characters: list[tuple[str, bool]] = []
    position = 0
    while position < len(inside):
        escaped = inside[position] == "\\" and position + 1 < len(inside)
        position += escaped
        characters.append((inside[position], escaped))
        position += 1
    return characters


def _components(pieces: _Pieces) -> list[_Pieces]:
    components: list[list[_Piece]] = [[]]
    for piece in pieces:
        if piece is _SLASH:
            components.append([])
        else:
            components[-1].append(piece)
    return [tuple(each) for each in components]


def _write(text: str, components: Sequence[_Pieces], dialect: Dialect) -> list[str]:
    """Return our globs of one alternative: none where it can match nothing, two where it ends in `/**` in v4."""
    written: list[str] = []
    for component in components:
        last = component is components[-1] or (dialect is Dialect.V1)
        one = _component(text, component, dialect, last=last)
        if one is None:
            return []
        written.append(one)
    if dialect is Dialect.V4 and len(written) > 1:
        if components[-1] == (_STAR, _STAR):
            above = written[-2]
            if above.endswith("*") and above != "**":  # `web*/**` matches web1, but not web
                above = f"{above[:-1]}?*"
            return ["/".join([*written[:-2], above]), "/".join(written)]
        if written[-1] == "" and components[-2][-2:] == (_STAR, _STAR):  # there `x**/` matches x, and `x/**/` too
            before = [written[-2].removesuffix("*")] if written[-2] != "**" else []
            return ["/".join([*written[:-2], *before])]
    return ["/".join(written)]


def _component(text: str, component: _Pieces, dialect: Dialect, *, last: bool) -> str | None:
    """Return our glob of what stands between two slashes; None where it can match nothing."""
    if component == (_STAR, _STAR):
        return "**"
    if dialect is Dialect.V4 and component[-3:] == (_ALTERNATIVE, _STAR, _STAR):
        before = component[:-2]  # v4 starts anew at each alternative, as if a segment began there
        if all(piece is _ALTERNATIVE for piece in before):
            return "**"
        if not last:
            raise PolicyImportError(f"{text!r}: ** in braces behind other text cannot be told in a glob of ours")
        return f"{_component(text, before, dialect, last=False)}**"
    return _plain_component(component, last=last)


def _plain_component(component: _Pieces, *, last: bool) -> str | None:
    """Return our glob of a component in which stars stay within it; None where it can match nothing."""
    parts: list[str] = []
    for piece in component:
        match piece.kind:
            case _Kind.TEXT:
                parts.append(glob_text(piece.text))
            case _Kind.ONE:
                parts.append("?")
            case _Kind.CLASS:
                if not piece.text:
                    return None
                parts.append(_class_text(piece.text))
            case _Kind.STAR:
                if parts[-1:] != ["*"]:  # two of ours cross slashes
                    parts.append("*")
            case _:
                pass
    if last and _stars_want_something(component):
        parts.insert(-1, "?")
    return "".join(parts)


def _stars_want_something(component: _Pieces) -> bool:
    """Whether stars end it that match no nothing: three or more, or some with an empty alternative behind them."""
    trimmed = list(component)
    while trimmed and trimmed[-1] is _ALTERNATIVE:
        trimmed.pop()
    stars = 0
    while stars < len(trimmed) and trimmed[-1 - stars] is _STAR:
        stars += 1
    return stars > 2 or (stars > 0 and len(trimmed) < len(component))


def _living_in_v1(text: str, alternatives: Sequence[Sequence[_Pieces]]) -> list[Sequence[_Pieces]]:
    """Leave out the alternatives that never match in v1, though they seem to.

    It looks at a component with all alternatives of its braces at once. Stars with an empty alternative behind them
    match nothing. Where one alternative ends with the name and another one would go on (`{web,web/**}` for web), the
    end is overlooked. Braces that hold a slash behind other text are an error as soon as a name ends before them.
    """
    for components in alternatives:
        for component, goes_on in zip(components, [True] * (len(components) - 1) + [False], strict=True):
            braces = component.count(_ALTERNATIVE)
            if goes_on and braces > (component[:1] == (_ALTERNATIVE,)) and _holds_a_slash_in_braces(text):
                raise PolicyImportError(f"syntax error in pattern {text!r}: a slash in braces behind other text")
    living: list[Sequence[_Pieces]] = []
    for one in alternatives:
        if any(_ALTERNATIVE in each and _is_star_then_nothing(each) for each in one):
            continue
        place = len(one) - 1
        longer = [each for each in alternatives if len(each) > len(one) and each[:place] == one[:place]]
        rivals = [each[place] for each in longer if _ALTERNATIVE in one[place] and _ALTERNATIVE in each[place]]
        if not any(_is_hidden(text, one[place], rival) for rival in rivals):
            living.append(one)
    return living


def _holds_a_slash_in_braces(text: str) -> bool:
    """Whether a slash stands in braces."""
    depth = 0
    for position, char in enumerate(text):
        if text[position - 1 : position] != "\\":
            depth += (char == "{") - (char == "}")
        if char == "/" and depth > 0:
            return True
    return False


def _is_star_then_nothing(component: _Pieces) -> bool:
    trimmed = list(component)
    while trimmed and trimmed[-1] is _ALTERNATIVE:
        trimmed.pop()
    return len(trimmed) < len(component) and trimmed[-1:] == [_STAR]


def _is_hidden(text: str, ending: _Pieces, going_on: _Pieces) -> bool:
    """Whether all that the one matches the other one matches too; refused where it is so for a part of it alone."""
    one, other = (_component(text, each, Dialect.V1, last=True) for each in (ending, going_on))
    if one is None or other is None:
        return False
    if one == other:
        return True
    plain, other_plain = (not any(char in "*?[" for char in each) for each in (one, other))
    if plain:
        return other != "" and Glob(other).matches(one or NEVER)
    beginnings = [re.split(r"[*?\[]", each)[0] for each in (one, other)]
    apart = not beginnings[0].startswith(beginnings[1]) and not beginnings[1].startswith(beginnings[0])
    if apart or (other_plain and not Glob(one).matches(other or NEVER)):
        return False
    raise PolicyImportError(f"{text!r}: some of its alternatives hide others there, which a glob of ours cannot tell")


def _class_text(members: str) -> str:
    """Return a class of ours with just these characters, runs of them as ranges."""
    if len(members) == 1:
        return members
    dash = "-" if "-" in members else ""
    runs: list[str] = []
    for char in members.replace("-", ""):
        if runs and ord(char) == ord(runs[-1][-1]) + 1 and char.isalnum() and runs[-1][0].isalnum():
            runs[-1] = runs[-1][0] + char
        else:
            runs.append(char)
    texts = [run if len(run) == 1 else f"{run[0]}-{run[1]}" for run in runs]
    return f"[{''.join(texts)}{dash}]"
