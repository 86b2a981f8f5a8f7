"""YAML text: writes a policy document as people write it, with comments, without a YAML library.

Mappings and lists stand on one line where they are short; the keys of `_IN_LINES`, and whatever holds a comment, take
a line for each entry.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final, Union

WIDTH: Final = 120
_IN_LINES: Final = frozenset({"policies", "rules", "rule_sets", "defaults"})
"""Keys whose value, and whose value's entries, never stand on one line."""

_PLAIN: Final = re.compile(r"[A-Za-z_][\w./-]*(?: [A-Za-z0-9_][\w./-]*)*|(?:\d+(?:s|m|h|d|w|mo|y))+|\d+%", re.ASCII)
_RESERVED: Final = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "null"})
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Noted:
    """A node with comment lines above it. `warnings` say what in it is not exactly what the source means."""

    value: "Node"
    comments: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield the comment's sentences."""
        yield from self.comments
        yield from (f"NOT EXACT: {warning}" for warning in self.warnings)


Node = Union[str, int, bool, Mapping[str, "Node"], Sequence["Node"], Noted]  # noqa: UP007  (a recursive alias)


def dump(document: Mapping[str, Node], about: Sequence[str] = ()) -> str:
    """Return the document as YAML text, the lines of `about` as comments above it."""
    lines = [*_comments(about, 0), *_mapping(document, 0)]
    return "\n".join(lines) + "\n"


def _mapping(node: Mapping[str, Node], indent: int) -> Iterator[str]:
    """Yield the lines of a mapping, an entry a line at least."""
    pad = " " * indent
    for key, each in node.items():
        value = each
        if isinstance(value, Noted):
            yield from _comments(list(value.lines()), indent)
            value = value.value
        head = f"{pad}{_scalar(key)}:"
        short = None if key in _IN_LINES and _has_entries(value) else _one_line(value, WIDTH - len(head) - 1)
        if short is not None:
            yield f"{head} {short}"
        else:
            yield head
            yield from _block(value, indent + 2)


def _block(node: Node, indent: int) -> Iterator[str]:
    if isinstance(node, Mapping):
        yield from _mapping(node, indent)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        yield from _sequence(node, indent)
    else:
        raise TypeError(f"a {type(node).__name__} always stands on one line")


def _sequence(node: Sequence[Node], indent: int) -> Iterator[str]:
    """Yield the lines of a list. An entry that is a mapping begins on the line of its dash."""
    pad = " " * indent
    for each in node:
        value = each
        if isinstance(value, Noted):
            yield from _comments(list(value.lines()), indent)
            value = value.value
        wants_lines = isinstance(value, Mapping) and not _IN_LINES.isdisjoint(value)
        short = None if wants_lines or _is_rule(value) else _one_line(value, WIDTH - indent - 2)
        if short is not None:
            yield f"{pad}- {short}"
            continue
        lines = list(_block(value, indent + 2))
        if lines[0].lstrip().startswith("#"):
            yield f"{pad}-"
            yield from lines
        else:
            yield f"{pad}- {lines[0][indent + 2 :]}"
            yield from lines[1:]


def _is_rule(value: Node) -> bool:
    return isinstance(value, Mapping) and "name" in value and len(value) > 1


def _has_entries(value: Node) -> bool:
    return isinstance(value, Mapping | list | tuple) and len(value) > 0


def _one_line(node: Node, width: int) -> str | None:
    """Return the node on one line; None where it is longer than `width` or holds a comment. Scalars are never split."""
    if isinstance(node, Noted):
        return None
    if isinstance(node, Mapping):
        parts = [(f"{_scalar(key)}: ", _one_line(each, width)) for key, each in node.items()]
        opening, closing = "{", "}"
    elif isinstance(node, Sequence) and not isinstance(node, str):
        parts = [("", _one_line(each, width)) for each in node]
        opening, closing = "[", "]"
    else:
        return _scalar(node)
    whole = ", ".join(f"{key}{text}" for key, text in parts)
    fits = len(whole) + 2 <= width and all(text is not None for _, text in parts)
    return f"{opening}{whole}{closing}" if fits or not parts else None


def _scalar(node: str | int | bool) -> str:
    """Return a scalar that every YAML reader takes for the same value, wherever it stands."""
    if isinstance(node, bool):
        return "true" if node else "false"
    if isinstance(node, int):
        return str(node)
    if _UNPRINTABLE.search(node):
        return '"' + "".join(_escaped(char) for char in node) + '"'
    if _PLAIN.fullmatch(node) and node.lower() not in _RESERVED:
        return node
    return "'" + node.replace("'", "''") + "'"


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    code = ord(char)
    if _UNPRINTABLE.match(char) or code > 0x7E:
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return char


def _comments(sentences: Sequence[str], indent: int) -> Iterator[str]:
    """Yield comment lines; text from outside cannot leave its comment, whatever line ends it holds."""
    pad = " " * indent + "# "
    for sentence in sentences:
        clean = _UNPRINTABLE.sub(" ", sentence)
        for line in wrap(clean, WIDTH - len(pad), break_on_hyphens=False) or [""]:
            yield (pad + line).rstrip()
