"""The names that a regular expression matches as a whole, for the warnings about a policy.

Read is what selectors are written with; look-around, back-references, word boundaries and anchors in the middle are
not, and raise UnknownNamesError.
"""

import re
from typing import Final

from jettison.policy.names import ALL, Book, Names, UnknownNamesError, mask

_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_UPPER: Final = _LOWER.upper()
_DIGITS: Final = "0123456789"
_ESCAPED: Final = {"d": mask(_DIGITS), "w": mask(_LOWER + _UPPER + _DIGITS + "_"), "s": 0}
_POSIX: Final = {
    "alnum": mask(_LOWER + _UPPER + _DIGITS),
    "alpha": mask(_LOWER + _UPPER),
    "digit": mask(_DIGITS),
    "lower": mask(_LOWER),
    "upper": mask(_UPPER),
    "punct": mask("_.-/"),
    "graph": ALL,
    "print": ALL,
    "space": 0,
    "blank": 0,
    "cntrl": 0,
    "word": _ESCAPED["w"],
    "xdigit": mask(_DIGITS + "abcdefABCDEF"),
}
_COUNTED: Final = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_NAMED: Final = re.compile(r"\?P?<[A-Za-z_]\w*>")


def names_of_regex(book: Book, text: str, *, anywhere: bool = False) -> Names:
    """Return the names that `text` matches; `anywhere`: it need match a part of the name only."""
    try:
        return _Reader(book, text, anywhere=anywhere).read()
    except RecursionError as error:
        raise UnknownNamesError("nested too deeply") from error


class _Reader:
    """Reads one expression, from left to right."""

    def __init__(self, book: Book, text: str, *, anywhere: bool) -> None:
        self._book = book
        self._anywhere = anywhere
        flags = re.match(r"\(\?([is]+)\)", text)
        self._fold = flags is not None and "i" in flags[1]
        self._text = text[flags.end() :] if flags else text
        self._at = 0

    def read(self) -> Names:
        made = self._alternatives(outermost=True)
        if self._at < len(self._text):
            raise UnknownNamesError(f"{self._text!r}: not understood from {self._at} on")
        return made

    def _next(self, expected: str) -> bool:
        if self._text.startswith(expected, self._at):
            self._at += len(expected)
            return True
        return False

    def _alternatives(self, *, outermost: bool) -> Names:
        parts = [self._sequence(outermost=outermost)]
        while self._next("|"):
            parts.append(self._sequence(outermost=outermost))
        return self._book.either(parts)

    def _sequence(self, *, outermost: bool) -> Names:
        begins = outermost and (self._next("^") or self._next(r"\A"))
        ends = False
        parts: list[Names] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            if outermost and (self._next("$") or self._next(r"\z")):
                ends = True
                if self._at < len(self._text) and self._text[self._at] != "|":
                    raise UnknownNamesError("an anchor in the middle")
                break
            parts.append(self._quantified(self._atom()))
        if outermost and self._anywhere:
            around = self._book.anything
            parts = [*([] if begins else [around]), *parts, *([] if ends else [around])]
        return self._book.sequence(parts)

    def _quantified(self, atom: Names) -> Names:
        counted = _COUNTED.match(self._text, self._at)
        if counted:
            self._at = counted.end()
            low = int(counted[1])
            high = low if not counted[2] else int(counted[3]) if counted[3] else None
            atom = self._book.repeated(atom, low, high)
        else:
            for sign, low, high in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
                if self._next(sign):
                    atom = self._book.repeated(atom, low, high)
                    break
            else:
                return atom
        # Lazy finds the same names, possessive does not; and `a{2}{3}` is left to others.
        self._next("?")
        if self._at < len(self._text) and self._text[self._at] in "+*{":
            raise UnknownNamesError("a repeated repetition")
        return atom

    def _atom(self) -> Names:
        character = self._text[self._at]
        self._at += 1
        match character:
            case "(":
                return self._group()
            case "[":
                return self._characters(self._set())
            case ".":
                return self._characters(ALL)
            case "\\":
                return self._characters(self._escape())
            case "^" | "$" | "*" | "+" | "?":
                raise UnknownNamesError(f"{character!r} in the middle")
        return self._characters(mask(character))

    def _characters(self, characters: int) -> Names:
        return self._book.one_of(self._folded(characters))

    def _folded(self, characters: int) -> int:
        if not self._fold:
            return characters
        for lower, upper in zip(_LOWER, _UPPER, strict=True):
            pair = mask(lower + upper)
            if characters & pair:
                characters |= pair
        return characters

    def _group(self) -> Names:
        named = _NAMED.match(self._text, self._at)
        if named:
            self._at = named.end()
        elif not self._next("?:") and self._text.startswith(("?", "*"), self._at):
            raise UnknownNamesError("a group of another kind")
        inner = self._alternatives(outermost=False)
        if not self._next(")"):
            raise UnknownNamesError("an unfinished group")
        return inner

    def _escape(self) -> int:
        if self._at >= len(self._text):
            raise UnknownNamesError("an unfinished escape")
        character = self._text[self._at]
        self._at += 1
        if character.lower() in _ESCAPED:
            found = _ESCAPED[character.lower()]
            return found if character.islower() else ALL & ~found
        if character.isalnum():
            raise UnknownNamesError(f"the escape \\{character}")
        return mask(character)

    def _set(self) -> int:
        """Read a set of characters behind its `[`."""
        negated = self._next("^")
        found = 0
        first = True
        while first or not self._next("]"):
            first = False
            if self._at >= len(self._text):
                raise UnknownNamesError("an unfinished set")
            posix = re.compile(r"\[:(\^?)(\w+):\]").match(self._text, self._at)
            if posix:
                if posix[2] not in _POSIX:
                    raise UnknownNamesError(f"the class {posix[2]}")
                self._at = posix.end()
                found |= ALL & ~_POSIX[posix[2]] if posix[1] else _POSIX[posix[2]]
                continue
            character = self._text[self._at]
            self._at += 1
            if character == "\\":
                escaped = self._text[self._at : self._at + 1]
                found_here = self._escape()
                if escaped.isalnum():
                    found |= found_here
                    continue
                character = escaped
            last = character
            if self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                last = self._text[self._at : self._at + 1]
                self._at += 1
                if last == "\\":
                    last = self._text[self._at : self._at + 1]
                    self._at += 1
                if not last or (last.isalnum() and self._text[self._at - 2] == "\\") or ord(last) < ord(character):
                    raise UnknownNamesError("a range that is none")
            found |= mask(map(chr, range(ord(character), min(ord(last), 127) + 1)))
        # Sets fold before they are negated.
        found = self._folded(found)
        return ALL & ~found if negated else found
