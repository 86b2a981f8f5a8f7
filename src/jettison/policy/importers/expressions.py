"""Regular expressions of other systems: what RE2 refuses, and when two ways of writing one mean the same."""

import re
from typing import Final

from jettison.policy.importers.yaml_text import Node

_LITERAL: Final = re.compile(r"[A-Za-z0-9_-]+")


def re2_error(text: str) -> str | None:
    """Return why RE2 refuses an expression, None where it takes it. Go's regexp has the same syntax."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except UnicodeEncodeError:
        return "invalid UTF-8"
    except re2.error as error:
        return error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
    return None


def is_literal(text: str) -> bool:
    """Whether the expression matches just itself, and can stand as a glob."""
    return _LITERAL.fullmatch(text) is not None


def searched(text: str) -> Node:
    """Return our selector of the tags in which `text` is found anywhere."""
    if text in ("", ".*", "^.*$", "^.*", ".*$", ".+", "^.+$", "."):  # a tag is never empty
        return "*"
    if text[0] == "^" and text[-1] == "$" and is_literal(text[1:-1]):
        return text[1:-1]
    if is_literal(text):
        return f"*{text}*"
    return {"search": text}


def alternates(text: str) -> bool:
    """Whether an expression may have alternatives outside of any group; where that is not plain, it has."""
    if "\\Q" in text:
        return True
    depth, position, in_class = 0, 0, False
    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
            position += text[position + 1 : position + 2] == "^"
            position += text[position + 1 : position + 2] == "]"
            if "[:" in text:  # a class in a class: too seldom to be read here
                return "|" in text
        else:
            depth += (char == "(") - (char == ")")
            if char == "|" and depth == 0:
                return True
        position += 1
    return False
