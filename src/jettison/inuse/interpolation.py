"""Variables in Compose files, and files of variables (compose-spec, "Interpolation"; Compose, "Syntax for environment
files"). Pure.

`$NAME`, `${NAME}`, and with `:` also for a variable that is set to nothing: `${NAME:-default}`, `${NAME-default}`,
`${NAME:?message}`, `${NAME?message}`, `${NAME:+instead}`, `${NAME+instead}`. Defaults may hold variables again. `$$` is
a dollar.
"""

import re
from collections.abc import Mapping
from typing import Final

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS: Final = (":-", ":?", ":+", "-", "?", "+")
_DEEPEST: Final = 20
_ASSIGNMENT = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)\s*(?:[=:]\s*(?P<value>.*))?")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$$"}


class UnsetVariableError(ValueError):
    """A variable is set nowhere and has no default, or asks to be set; the text says which."""


def interpolate(text: str, variables: Mapping[str, str], depth: int = 0) -> str:
    """Return `text` with its variables filled in. Raises UnsetVariableError, and ValueError for what is unfinished."""
    if depth > _DEEPEST:
        raise ValueError("its variables are nested too deeply")
    out: list[str] = []
    position = 0
    while position < len(text):
        dollar = text.find("$", position)
        if dollar < 0:
            break
        out.append(text[position:dollar])
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            out.append("$")
            position = dollar + 2
        elif following == "{":
            end = _closing(text, dollar + 2)
            out.append(_expanded(text[dollar + 2 : end], variables, depth))
            position = end + 1
        else:
            name = _NAME.match(text, dollar + 1)
            if name is None:
                raise ValueError(f"a $ stands before no variable in {text!r}; a dollar itself is written $$")
            out.append(_value(name[0], variables))
            position = name.end()
    return "".join(out) + text[position:]


def _closing(text: str, start: int) -> int:
    """Return where the brace that was opened before `start` is closed."""
    open_braces = 1
    for position in range(start, len(text)):
        if text[position] == "{" and text[position - 1] == "$":
            open_braces += 1
        elif text[position] == "}":
            open_braces -= 1
            if not open_braces:
                return position
    raise ValueError(f"a brace is never closed in {text!r}")


def _expanded(inside: str, variables: Mapping[str, str], depth: int) -> str:
    name = _NAME.match(inside)
    if name is None:
        raise ValueError(f"${{{inside}}} names no variable")
    rest = inside[name.end() :]
    if not rest:
        return _value(name[0], variables)
    operator = next((each for each in _OPERATORS if rest.startswith(each)), None)
    if operator is None:
        raise ValueError(f"${{{inside}}} is no form of a variable that Compose knows")
    value, argument = variables.get(name[0]), rest[len(operator) :]
    is_set = bool(value) if operator.startswith(":") else value is not None
    match operator[-1]:
        case "-":
            return value if is_set and value is not None else interpolate(argument, variables, depth + 1)
        case "+":
            return interpolate(argument, variables, depth + 1) if is_set else ""
        case _:
            if not is_set or value is None:
                raise UnsetVariableError(
                    f"the variable {name[0]} must be set: {argument}" if argument else _unset(name[0])
                )
            return value


def _value(name: str, variables: Mapping[str, str]) -> str:
    try:
        return variables[name]
    except KeyError as error:
        raise UnsetVariableError(_unset(name)) from error


def _unset(name: str) -> str:
    return f"the variable {name} is set neither in the environment nor in .env, and has no default"


def read_variables(text: str, known: Mapping[str, str], source: str) -> dict[str, str]:
    """Read a file of variables. `known` are those that its own values may use.

    Raises ValueError for a line that assigns nothing. A value in single quotes is taken as it is, one in double quotes
    with its escapes, one without quotes up to a comment; the last two may use variables, and one that is not set is
    empty there, as Compose has it.
    """
    found: dict[str, str] = {}
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        assignment = _ASSIGNMENT.fullmatch(stripped)
        if assignment is None:
            raise ValueError(f"{source}, line {number}: this assigns no variable")
        value = assignment["value"]
        if value is None:  # a name alone passes the environment's on
            continue
        if value[:1] in {"'", '"'}:
            quote = value[0]
            while _end_of_quoted(value, quote) is None:
                following = next(lines, None)
                if following is None:
                    raise ValueError(f"{source}, line {number}: a quote is never closed")
                value += "\n" + following[1]
            end = _end_of_quoted(value, quote) or 0
            value = value[1:end]
            if quote == '"':
                value = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), value)
        else:
            quote = ""
            value = re.sub(r"(?:^|\s)#.*", "", value).strip()
        if quote != "'":
            value = interpolate(value, _Lenient({**found, **known}))
        found[assignment["name"]] = value
    return found


def _end_of_quoted(value: str, quote: str) -> int | None:
    """Return where the quote that `value` begins with ends, None where it does not."""
    position = 1
    while position < len(value):
        if value[position] == "\\":
            position += 1
        elif value[position] == quote:
            return position
        position += 1
    return None


class _Lenient(dict[str, str]):
    """Variables of which one that is not set is empty."""

    def __missing__(self, key: str) -> str:
        return ""
