"""Document: a YAML document under reading. Every refusal names the file, line, column, path and the way out."""

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from jettison.errors import ConfigurationError
from jettison.policy.no_yaml import refusing_what_is_no_yaml
from jettison.policy.nodes import compose

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node


def load(text: str | bytes, source: str) -> Any:
    """Return the document of a YAML text, with positions. Raises ConfigurationError."""
    return built(compose(text, source), source)


def built(node: "Node | None", source: str) -> Any:
    """Return what a node of a YAML text says, with positions. Raises ConfigurationError."""
    from ruamel.yaml import YAML

    if node is None:
        return None
    with refusing_what_is_no_yaml(source):
        return YAML(typ="rt", pure=True).constructor.construct_document(node)


class Entry(NamedTuple):
    """A value, the list or mapping that holds it, under which index or key, and the path by which messages name it."""

    value: Any
    parent: Any
    key: Any
    path: str


class Document:
    """Takes values out of nodes; every method takes a node, and the path by which a message names it."""

    def __init__(self, source: str) -> None:
        self.source = source

    def mapping(self, node: Any, path: str, parent: tuple[Any, Any] | None, known: Sequence[str]) -> Mapping[str, Any]:
        """Take a mapping that has no other keys than `known`; `parent` is the mapping and key that it stands below."""
        if not isinstance(node, Mapping):
            where = self._position(*parent) if parent else self.source
            raise ConfigurationError(f"{where}: {path}: expected a mapping with {', '.join(known)}; found {kind(node)}")
        for key in node:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
                self.refuse(
                    node, key, f"{path}.{key}" if path != "policy" else str(key), f"unknown key {key!r}; {hint}"
                )
            if node[key] is None:
                where = f"{path}.{key}" if path != "policy" else str(key)
                self.refuse(node, key, where, f"`{key}` has no value; write one, or leave the key out")
        return node

    def sequence(self, node: Mapping[str, Any], key: str, path: str, *, required: bool = True) -> list[Entry]:
        """Take the entries of a list, each with its own place and path."""
        value = node.get(key)
        if value is None and not required:
            return []
        if value is None:
            self.refuse(node, key, path, f"`{key}` is missing")
        if not isinstance(value, Sequence) or isinstance(value, str):
            self.refuse(node, key, path, f"expected a list, found {kind(value)}")
        return [Entry(each, value, i, f"{path}[{i}]") for i, each in enumerate(value)]

    def one_or_more(self, node: Mapping[str, Any], key: str, path: str) -> list[Entry]:
        """Take the entries of a list that is not empty, or one entry without the brackets."""
        value = node.get(key)
        if not isinstance(value, Sequence | None) or isinstance(value, str):
            return [Entry(value, node, key, path)]
        return self.sequence(node, key, path) or self.refuse(node, key, path, f"`{key}` is an empty list")

    def text(self, value: Any, node: Any, key: Any, path: str, *, may_be_empty: bool = False) -> str:
        """Take a text; YAML reads an unquoted 1.10 as the number 1.1, so numbers are refused rather than guessed."""
        if not isinstance(value, str):
            self.refuse(node, key, path, f"expected text, found {kind(value)} {value!r}; put it in quotes")
        if not value and not may_be_empty:
            self.refuse(node, key, path, "it is empty, and matches or names nothing")
        return str(value)

    def word(self, node: Mapping[str, Any], key: str, path: str, known: Sequence[str]) -> str:
        """Take one of the words `known`."""
        value = str(node[key])
        if value not in known:
            near = difflib.get_close_matches(value, known, n=1)
            hint = f"did you mean {str(near[0])!r}?" if near else f"known: {', '.join(known)}"
            self.refuse(node, key, path, f"{value!r} is not known here; {hint}")
        return value

    def truth(self, node: Mapping[str, Any], key: str, path: str, *, default: bool) -> bool:
        """Take a truth value."""
        value = node.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.refuse(node, key, path, f"expected true or false, found {kind(value)} {value!r}")
        return value

    def just_true(self, node: Mapping[str, Any], key: str, path: str) -> None:
        """Take `key: true`, which has no other value."""
        if node[key] is not True:
            self.refuse(node, key, path, f"write `{key}: true`, or leave it out")

    def count(self, node: Mapping[str, Any], key: str, path: str) -> int:
        """Take a whole number from 1 on."""
        value = node[key]
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 1 or value % 1:
            self.refuse(node, key, path, f"{value!r} is no count: write a whole number from 1 on")
        return int(value)

    def refuse(self, node: Any, key: Any, path: str, why: str) -> NoReturn:
        """Raise ConfigurationError for the value of `key` in `node`."""
        raise ConfigurationError(f"{self._position(node, key)}: {path}: {why}")

    def _position(self, node: Any, key: Any) -> str:
        """Return `file:line:column` of a key in a mapping, or of an entry in a list; else of the whole."""
        marks = getattr(node, "lc", None)
        if marks is None:
            return self.source
        line, column = marks.line, marks.col
        if marks.data and key in marks.data:
            line, column = marks.data[key][0], marks.data[key][1]
        return f"{self.source}:{line + 1}:{column + 1}"


def kind(value: Any) -> str:
    """Return what a YAML value is, in words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case _:
            return f"a {type(value).__name__}"
