"""PostgreSQL's regular expressions (its manual, 9.7.3 "POSIX Regular Expressions") in the language that ours are in.

Advanced ones, as the `~` operator takes them. What they have besides ours: `\\y \\m \\M \\Y` for word boundaries, `\\b`
for a backspace, classes and collating elements in brackets, and prefixes such as `***=`. Newlines are not considered,
since no tag has one. Only whether a text matches is kept, not where.
"""

import re
from typing import Final, NoReturn

_CLASSES: Final = {
    "alnum": "A-Za-z0-9",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t-\\r",
    "upper": "A-Z",
    "word": "A-Za-z0-9_",
    "xdigit": "0-9A-Fa-f",
}
"""Each class in ASCII, as a tag is."""
_SETS: Final = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \\t-\\r"}
_CONSTRAINTS: Final = {
    "A": "^",
    "Z": "$",
    "y": r"\b",
    "Y": r"\B",
    "m": r"\b(?=\w)",
    "M": r"\b(?<=\w)",
}
_CONTROLS: Final = {"a": 7, "b": 8, "B": 0x5C, "e": 0x1B, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_HEX: Final = {"u": 4, "U": 8}
_MOST_TIMES: Final = 255
"""The largest number in a bound (DUPMAX)."""
_QUANTIFIER: Final = re.compile(r"[*+?]|\{(\d+)(?:(,)(\d*))?\}")


class RegexError(ValueError):
    """PostgreSQL refuses the expression; the text says why, in its words where they are known."""


class UntranslatableError(ValueError):
    """PostgreSQL takes the expression, but ours cannot say it."""


def translate(text: str) -> str:
    """Return an expression to search for with ours. Raises RegexError or UntranslatableError."""
    if text.startswith("***="):
        return _escaped(text[4:])
    text = text.removeprefix("***:")
    if text.startswith("***"):
        _refuse("quantifier operand invalid")
    options = re.match(r"\(\?([a-z]+)\)", text)
    prefix = ""
    if options is not None:
        text = text[options.end() :]
        unknown = set(options[1]) - set("bceimnpqstwx")
        if unknown:
            _refuse(f"invalid embedded option {min(unknown)!r}")
        case = [letter for letter in options[1] if letter in "ci"]
        prefix = "(?i)" if case and case[-1] == "i" else ""
        syntax = [letter for letter in options[1] if letter in "beq"]
        if syntax and syntax[-1] == "q":
            return prefix + _escaped(text)
        if syntax:
            raise UntranslatableError("it asks for another kind of expression (b or e)")
        spacing = [letter for letter in options[1] if letter in "tx"]
        if spacing and spacing[-1] == "x":
            raise UntranslatableError("it is written with free spacing (x)")
    return prefix + _Translator(text).all()


def _refuse(why: str) -> NoReturn:
    raise RegexError(f"invalid regular expression: {why}")


class _Translator:
    """Reads an expression from the left. `_atom`: what stands before can be repeated."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out: list[str] = []
        self._open: list[bool] = []
        self._atom = False
        self._groups = 0
        self._closed: set[int] = set()
        self._numbers: list[int | None] = []

    def all(self) -> str:
        while self._at < len(self._text):
            self._one()
        if self._open:
            _refuse("parentheses () not balanced")
        return "".join(self._out)

    def _put(self, text: str, *, atom: bool) -> None:
        self._out.append(text)
        self._atom = atom

    def _one(self) -> None:
        char = self._text[self._at]
        if char in "*+?" or (char == "{" and self._text[self._at + 1 : self._at + 2].isdecimal()):
            self._quantifier()
            return
        self._at += 1
        match char:
            case "(":
                self._group()
            case ")":
                self._close()
            case "[":
                self._bracket()
            case "\\":
                self._escape()
            case "|" | "^" | "$":
                self._put(char, atom=False)
            case ".":
                self._put(char, atom=True)
            case _:
                self._put(_literal(ord(char)), atom=True)

    def _quantifier(self) -> None:
        match = _QUANTIFIER.match(self._text, self._at)
        if match is None:
            _refuse("invalid repetition count(s)")
        if not self._atom:
            _refuse("quantifier operand invalid")
        if match[1] is not None:
            least = int(match[1])
            most = int(match[3]) if match[3] else least
            if least > _MOST_TIMES or most > _MOST_TIMES or most < least:
                _refuse("invalid repetition count(s)")
        self._at = match.end()
        lazy = self._text.startswith("?", self._at)
        self._at += lazy
        self._put(match[0] + ("?" if lazy else ""), atom=False)

    def _group(self) -> None:
        rest = self._text[self._at :]
        if rest.startswith("?#"):
            end = rest.find(")")
            if end < 0:
                _refuse("parentheses () not balanced")
            self._at += end + 1
            return
        for head in ("?:", "?=", "?!", "?<=", "?<!"):
            if rest.startswith(head):
                self._at += len(head)
                self._open.append(head == "?:")
                self._numbers.append(None)
                self._put(f"({head}", atom=False)
                return
        if rest.startswith("?"):
            _refuse("quantifier operand invalid")
        if not all(self._open):  # what stands in a look-around is never captured
            self._open.append(True)
            self._numbers.append(None)
            self._put("(?:", atom=False)
            return
        self._groups += 1
        self._open.append(True)
        self._numbers.append(self._groups)
        self._put("(", atom=False)

    def _close(self) -> None:
        if not self._open:
            _refuse("parentheses () not balanced")
        number = self._numbers.pop()
        if number is not None:
            self._closed.add(number)
        self._put(")", atom=self._open.pop())

    def _escape(self) -> None:
        """Read what follows a backslash outside brackets."""
        char = self._next("invalid escape \\ sequence")
        if char in _CONSTRAINTS:
            self._put(_CONSTRAINTS[char], atom=False)
        elif char in _SETS:
            self._put(f"[{_SETS[char]}]", atom=True)
        elif char.lower() in _SETS:
            self._put(f"[^{_SETS[char.lower()]}]", atom=True)
        elif char in "123456789":
            self._reference(char)
        else:
            self._put(_literal(self._character(char)), atom=True)

    def _reference(self, char: str) -> None:
        """One digit is a back reference, several are one where there are so many groups, else an octal number."""
        match = re.compile(r"\d*").match(self._text, self._at)
        digits = char + (match[0] if match else "")
        if len(digits) > 1 and int(digits) > self._groups:
            self._put(_literal(self._character(char)), atom=True)
            return
        if int(digits) not in self._closed:
            _refuse("invalid backreference number")
        self._at += len(digits) - 1
        self._put(f"(?:\\{digits})", atom=True)

    def _character(self, char: str) -> int:
        """Return the code of the character that an escape names. Raises RegexError where it names none."""
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "c":
            return ord(self._next("invalid escape \\ sequence")) & 0x1F
        if char in _HEX:
            return self._digits(_HEX[char], _HEX[char], 16)
        if char == "x":
            return self._digits(1, 255, 16)
        if char == "0":
            return self._digits(0, 2, 8)
        if char in "1234567":
            self._at -= 1
            return self._digits(1, 3, 8)
        if char.isalnum() and char.isascii():
            _refuse("invalid escape \\ sequence")
        return ord(char)

    def _digits(self, least: int, most: int, base: int) -> int:
        wanted = "0123456789abcdefABCDEF" if base == 16 else "01234567"
        end = self._at
        while end < len(self._text) and end - self._at < most and self._text[end] in wanted:
            end += 1
        if end - self._at < least:
            _refuse("invalid escape \\ sequence")
        value = int(self._text[self._at : end] or "0", base)
        self._at = end
        if value > 0x10FFFF:
            _refuse("invalid escape \\ sequence")
        return value

    def _next(self, refusal: str) -> str:
        if self._at >= len(self._text):
            _refuse(refusal)
        self._at += 1
        return self._text[self._at - 1]

    def _bracket(self) -> None:
        """Read a bracket expression; `]` is an ordinary character right behind its beginning."""
        for marker, meaning in (("[:<:]]", r"\b(?=\w)"), ("[:>:]]", r"\b(?<=\w)")):
            if self._text.startswith(marker, self._at):
                self._at += len(marker)
                self._put(meaning, atom=False)
                return
        negated = self._text.startswith("^", self._at)
        self._at += negated
        parts: list[str] = []
        first = True
        while True:
            if self._text.startswith("]", self._at) and not first:
                self._at += 1
                break
            parts.append(self._range())
            first = False
        self._put(f"[{'^' if negated else ''}{''.join(parts)}]", atom=True)

    def _range(self) -> str:
        """Return one member: a character, a range of them, or a class."""
        low = self._member()
        if isinstance(low, str):
            return low
        rest = self._text[self._at : self._at + 2]
        if not rest.startswith("-") or rest in ("-", "-]"):
            return _in_bracket(low)
        self._at += 1
        high = self._member()
        if isinstance(high, str) or high < low:
            _refuse("invalid character range")
        return f"{_in_bracket(low)}-{_in_bracket(high)}"

    def _member(self) -> int | str:
        """Return a character's code, or the ready text of a class."""
        char = self._next("brackets [] not balanced")
        if char == "\\":
            char = self._next("invalid escape \\ sequence")
            if char in _SETS:
                return _SETS[char]
            if char.lower() in _SETS:
                return f"\\{char}"
            digits = re.compile(r"\d*").match(self._text, self._at)
            number = char + (digits[0] if digits else "")
            if char in _CONSTRAINTS or (char in "123456789" and (len(number) == 1 or int(number) <= self._groups)):
                _refuse("invalid escape \\ sequence")
            return self._character(char)
        if char == "[" and self._text[self._at : self._at + 1] in (":", ".", "="):
            return self._named_member()
        return ord(char)

    def _named_member(self) -> int | str:
        kind = self._next("brackets [] not balanced")
        end = self._text.find(f"{kind}]", self._at)
        if end < 0:
            _refuse("brackets [] not balanced")
        name = self._text[self._at : end]
        self._at = end + 2
        if kind == ":":
            if name not in _CLASSES:
                _refuse("invalid character class")
            return _CLASSES[name]
        if len(name) != 1:
            raise UntranslatableError(f"it names a character: [{kind}{name}{kind}]")
        return ord(name)


def _escaped(text: str) -> str:
    """Return an expression for the text itself; no more is escaped than must be."""
    return "".join(_literal(ord(char)) for char in text)


def _literal(code: int) -> str:
    char = chr(code)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\{char}" if char in ".^$*+?{}[]()|\\" else char


def _in_bracket(code: int) -> str:
    char = chr(code)
    return char if code >= 0x80 or char.isalnum() else f"\\x{code:02x}"
