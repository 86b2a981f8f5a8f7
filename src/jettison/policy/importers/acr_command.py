"""The command line of `acr purge`: finds it in a text, and reads its flags as cobra and pflag do.

Sources, in Azure/acr-cli: cmd/acr/purge.go and root.go (flags, their defaults, what is refused).
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from jettison.errors import PolicyImportError

_TEXTS: Final = {
    "registry": "r",
    "username": "u",
    "password": "p",
    "config": "c",
    "filter": "f",
    "ago": "",
    "keep": "",
    "filter-timeout-seconds": "",
    "concurrency": "",
    "repository-page-size": "",
}
"""Flags that take a value, each with its short form."""
_BOOLEANS: Final = {
    "untagged": "",
    "untagged-only": "",
    "dry-run": "",
    "include-locked": "",
    "verbose": "",
    "help": "h",
}
_NUMBERS: Final = {"keep": 64, "filter-timeout-seconds": 64, "concurrency": 64, "repository-page-size": 32}
_SHORT: Final = {short: name for name, short in (*_TEXTS.items(), *_BOOLEANS.items()) if short}
_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")
_FALSE: Final = ("0", "f", "F", "false", "FALSE", "False")
_COMMENT: Final = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_CONTINUED: Final = re.compile(r"(?:\\|(?<=[ \t])[`^])[ \t]*\r?\n")
"""The end of a line that goes on: in a shell of Unix, in PowerShell, in Windows' command prompt."""
_FLAGS_FOLLOW: Final = re.compile(r"(?:\r?\n[ \t]*)+(?=--?[A-Za-z])")
"""A line that begins with a flag is no command of its own: `--cmd` may hold one over several lines."""
_ENDS: Final = frozenset(";&|\n")
"""What ends a command in a shell."""


@dataclass(slots=True)
class Command:
    """The flags of one command: those with a value, and those that are switched."""

    texts: dict[str, str] = field(default_factory=dict)
    filters: list[str] = field(default_factory=list)
    switches: dict[str, bool] = field(default_factory=dict)

    def on(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.switches.get(name, False)

    @property
    def keep(self) -> int:
        """How many stay among those that would go; a negative number is none."""
        return max(_number("keep", self.texts.get("keep", "0")), 0)


def read_commands(text: str) -> list[Command]:
    """Return the `acr purge` commands in `text`, whatever runs them. Raises PolicyImportError, also where none is."""
    steps = _steps(text)
    texts = [text] if steps is None else steps
    found = [_flags(each) for one in texts for each in _commands(one)]
    if not found:
        raise PolicyImportError("there is no `acr purge` command in it")
    return found


def _steps(text: str) -> list[str] | None:
    """Return the commands of a task's YAML, each on one line; None where it is no such file."""
    if "steps:" not in text:
        return None
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError):
        return None
    steps = document.get("steps") if isinstance(document, dict) else None
    if not isinstance(steps, list):
        return None
    commands = [each.get("cmd") for each in steps if isinstance(each, dict)]
    return [" ".join(each.split("\n")) for each in commands if isinstance(each, str)]


def _commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each command, also of those that stand quoted in another one (`--cmd "acr purge ..."`)."""
    words = _split(text)
    position = 0
    while position < len(words):
        word = words[position]
        if word == "purge" and position and _runs_acr(words[position - 1]):
            end = next((i for i in range(position, len(words)) if _ends(words[i])), len(words))
            arguments = words[position + 1 : end]
            comment = next((i for i, each in enumerate(arguments) if each.startswith("#")), len(arguments))
            yield [each for each in arguments[:comment] if each != "/dev/null"]
            position = end
            continue
        if "purge" in word and any(char.isspace() for char in word):
            inner = word.partition("=")[2] if not word.startswith(("acr", "mcr")) and "=" in word.split()[0] else word
            yield from _commands(inner)
        position += 1


def _split(text: str) -> list[str]:
    text = _FLAGS_FOLLOW.sub(" ", _CONTINUED.sub(" ", _COMMENT.sub("", text)))
    lexer = shlex.shlex(text, posix=True, punctuation_chars="".join(_ENDS))
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError as error:
        raise PolicyImportError(f"it is no command line: {error}") from error


def _ends(word: str) -> bool:
    return word != "" and _ENDS.issuperset(word)


def _runs_acr(word: str) -> bool:
    """Whether `word` is the program: `acr`, a path to it, or the image that holds it."""
    program = word.rpartition("/")[2]
    return program.partition(":")[0] in ("acr", "acr-cli")


def _flags(arguments: Sequence[str]) -> Command:
    command = Command()
    waiting = list(reversed(arguments))
    while waiting:
        argument = waiting.pop()
        if argument == "--":
            break
        if argument.startswith("--"):
            _long(command, argument[2:], waiting)
        elif argument.startswith("-") and len(argument) > 1:
            _shorts(command, argument[1:], waiting)
    for name in _NUMBERS:
        if name in command.texts:
            _number(name, command.texts[name])
    return command


def _long(command: Command, argument: str, waiting: list[str]) -> None:
    name, equals, value = argument.partition("=")
    if name in _BOOLEANS:
        command.switches[name] = _truth(name, value) if equals else True
    elif name in _TEXTS:
        _set(command, name, value if equals else _next(f"--{name}", waiting))
    else:
        raise PolicyImportError(f"unknown flag: --{name}")


def _shorts(command: Command, letters: str, waiting: list[str]) -> None:
    """Read `-f VALUE`, `-fVALUE`, `-f=VALUE`; switches may stand before it."""
    for position, letter in enumerate(letters):
        name = _SHORT.get(letter)
        if name is None:
            raise PolicyImportError(f"unknown shorthand flag: {letter!r} in -{letters}")
        if name in _BOOLEANS:
            command.switches[name] = True
            continue
        rest = letters[position + 1 :]
        _set(command, name, rest.removeprefix("=") if rest else _next(f"-{letter}", waiting))
        return


def _next(flag: str, waiting: list[str]) -> str:
    if not waiting:
        raise PolicyImportError(f"flag needs an argument: {flag}")
    return waiting.pop()


def _set(command: Command, name: str, value: str) -> None:
    if name == "filter":
        command.filters.append(value)
    elif name not in ("username", "password", "config"):  # a secret is of no use here
        command.texts[name] = value


def _truth(name: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise PolicyImportError(f'invalid argument "{value}" for "--{name}" flag: it is neither true nor false')


def _number(name: str, text: str) -> int:
    """Read a number as Go's ParseInt with base 0 does."""
    digits = text.lstrip("+-")
    octal = digits.isdecimal() and digits != "0" and digits.startswith("0")
    try:
        number = int(text, 8 if octal else 0)
    except ValueError:
        number = None
    if number is None or not -(2 ** (_NUMBERS[name] - 1)) <= number < 2 ** (_NUMBERS[name] - 1):
        raise PolicyImportError(f'invalid argument "{text}" for "--{name}" flag: it is no number')
    return number
