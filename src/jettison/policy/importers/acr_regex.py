r"""Expressions of `acr purge` (dlclark/regexp2, .NET's syntax in RE2 mode) as ours: RE2's, or with look-around.

What both know means the same. Rewritten are .NET's class subtraction (`[a-z-[aeiou]]`), unknown escapes (literal
there), and `\Z`, `\z`, `\G`. What cannot be said is refused, never guessed. Source: the README of dlclark/regexp2 v1.11
("RE2 compatibility mode").
"""

import re
from typing import Final

from jettison.errors import PolicyImportError
from jettison.policy.importers.expressions import re2_error
from jettison.policy.pattern import PatternError, Regex

_LONGEST: Final = 1000
_KNOWN: Final = frozenset("dDwWsSbBAtnrfvaxukpPc")
_ENDS: Final = {"z": "$", "Z": "$", "G": r"\A"}
_CLASS_NAME: Final = re.compile(r"\[:\^?[a-z]+:\]")
_QUANTIFIER: Final = re.compile(r"[*+?]|\{\d+(?:,\d*)?\}")
_FLAGS: Final = re.compile(r"\(\?[a-zA-Z-]+\)")


def checked(text: str) -> str:
    """Return the expression as it is. Raises PolicyImportError where it cannot be compiled, or not be said here."""
    if len(text) > _LONGEST:
        raise PolicyImportError(
            f"error parsing regexp: an expression of {len(text)} characters; {_LONGEST} at most here"
        )
    expression = ours(text)
    reason = re2_error(expression)
    try:
        if reason is not None:
            text.encode()
            Regex(expression, anywhere=True)
    except (PatternError, UnicodeEncodeError) as error:
        raise PolicyImportError(f"error parsing regexp: {error}") from error
    except RecursionError as error:
        raise PolicyImportError("error parsing regexp: its groups are nested too deeply") from error
    if reason is not None and any(match.start() for match in _FLAGS.finditer(expression)):
        raise PolicyImportError(f"{text!r} switches flags in its midst beside look-around, which cannot be said here")
    return text


def searched_in_repository(text: str, repository: str) -> bool:
    """Whether a filter's repository expression matches a name: it is searched as `^` + expression + `$`."""
    return Regex(f"^{ours(text)}$", anywhere=True).matches(repository)


def ours(text: str) -> str:
    """Return the expression as our engines read it. Raises PolicyImportError for what is cut off."""
    return _Translator(text).run()


class _Translator:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def run(self) -> str:
        out: list[str] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "\\":
                out.append(self._escape(in_class=False))
            elif char == "[":
                out.append(self._class())
            elif char == "{" and not _QUANTIFIER.match(self._text, self._at):
                out.append(r"\{")
                self._at += 1
            elif char in "*+?{" and out and out[-1] != "(":
                out.append(self._quantifier())
            else:
                out.append(char)
                self._at += 1
        return "".join(out)

    def _refused(self, why: str) -> PolicyImportError:
        return PolicyImportError(f"error parsing regexp: {why} in {self._text!r}")

    def _quantifier(self) -> str:
        match = _QUANTIFIER.match(self._text, self._at)
        assert match is not None  # noqa: S101  (the caller looked)
        self._at = match.end()
        lazy = self._text[self._at : self._at + 1] == "?"
        self._at += lazy
        if _QUANTIFIER.match(self._text, self._at):
            raise self._refused("nested quantifier")
        return match[0] + "?" * lazy

    def _escape(self, *, in_class: bool) -> str:
        if self._at + 1 >= len(self._text):
            raise self._refused("illegal \\ at end of pattern")
        char = self._text[self._at + 1]
        self._at += 2
        if not char.isalnum() or char.isdecimal() or char in _KNOWN:
            return f"\\{char}"
        return char if in_class else _ENDS.get(char, char)

    def _class(self) -> str:
        """Read a class, with what is subtracted from it."""
        start = self._at
        self._at += 1
        body = "["
        if self._text[self._at : self._at + 1] == "^":
            body += "^"
            self._at += 1
        first = True
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "]" and not first:
                self._at += 1
                return body + "]"
            if char == "\\":
                body += self._escape(in_class=True)
            elif (name := _CLASS_NAME.match(self._text, self._at)) is not None:
                body += name[0]
                self._at = name.end()
            elif self._text.startswith("-[", self._at) and not first:
                return self._subtracted(body + "]")
            else:
                body += rf"\{char}" if char in "[]" else char
                self._at += 1
            first = False
        raise self._refused(f"unterminated [] set at {start}")

    def _subtracted(self, base: str) -> str:
        self._at += 1
        without = self._class()
        if self._text[self._at : self._at + 1] != "]":
            raise self._refused("a subtraction must be the last element of a class")
        self._at += 1
        return f"(?:(?!{without}){base})"
