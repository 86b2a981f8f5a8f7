"""YAML whose every value knows where it stands, for messages about what only shows once all of it was read.

Each scalar is taken as it is written, so that the tag `1.10` stays that and is no number; who reads it converts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import msgspec

from jettison.errors import ConfigurationError
from jettison.policy.no_yaml import refusing_what_is_no_yaml
from jettison.policy.nodes import compose

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

ShapeT = TypeVar("ShapeT")
Step = str | int
_NULLS: Final = ("", "~", "null", "Null", "NULL")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_STEP = re.compile(r"\[(\d+|\.\.\.)\]|([^.\[\]]+)|(\.)")


@dataclass(frozen=True, slots=True)
class Located:
    """A YAML document. `plain` is its content: mappings, lists and texts, None for nothing."""

    source: str
    plain: Any
    _root: "Node | None"

    @classmethod
    def load(cls, text: str, source: str) -> "Located":
        """Read YAML. `source` names it in messages. Raises ConfigurationError."""
        root = compose(text, source)
        with refusing_what_is_no_yaml(source):
            return cls(source, _plain(root, source, set(), {}), root)

    def where(self, path: Sequence[Step] = ()) -> str:
        """Return `file:line:column` of what stands under `path`: its key, or the item of a list.

        Where the path leads nowhere, that of the last part that is there.
        """
        mark = self._root.start_mark if self._root is not None else None
        node = self._root
        for step in path:
            for key, value in _children(node):
                if key == step:
                    mark = value.start_mark if isinstance(step, int) else _key_mark(node, step)
                    node = value
                    break
            else:
                break
        return self.source if mark is None else f"{self.source}:{mark.line + 1}:{mark.column + 1}"

    def node(self, path: Sequence[Step]) -> "Node | None":
        """Return the node that stands under `path`, None where there is none."""
        node = self._root
        for step in path:
            node = next((value for key, value in _children(node) if key == step), None)
        return node

    def shaped(self, kind: type[ShapeT]) -> ShapeT:
        """Return the content as a value of `kind`. Raises ConfigurationError, with the place, where it is none."""
        try:
            return msgspec.convert(self.plain, kind, strict=False)
        except msgspec.ValidationError as error:
            text, _, path = str(error).partition(" - at `")
            steps = list(_steps(path.rstrip("`").removeprefix("$")))
            unknown = _UNKNOWN.fullmatch(text)
            if unknown is not None:
                text = f"unknown key {unknown[1]!r}{_near(unknown[1], kind)}"
                steps.append(unknown[1])
            named = path_text(steps)
            raise ConfigurationError(f"{self.where(steps)}: {named + ': ' if named else ''}{text}") from error


def path_text(path: Sequence[Step]) -> str:
    """Return a path as messages have it: `policies[0].rules[1].tags`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _near(key: str, kind: Any) -> str:
    """Return the nearest of all keys that a structure, and those inside of it, know."""
    import difflib

    near = difflib.get_close_matches(key, _keys(kind, set()), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _keys(kind: Any, seen: set[Any]) -> set[str]:
    found: set[str] = set()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
        seen.add(kind)
        for field in msgspec.structs.fields(kind):
            found |= {field.encode_name} | _keys(field.type, seen)
    for inner in get_args(kind):
        found |= _keys(inner, seen)
    return found


def _steps(path: str) -> Iterator[Step]:
    for match in _STEP.finditer(path):
        if match[1] == "...":
            return  # msgspec names no key of a mapping
        if match[1]:
            yield int(match[1])
        elif match[2]:
            yield match[2]


def _children(node: "Node | None") -> list[tuple[Step, "Node"]]:
    if node is None or isinstance(node.value, str):
        return []
    if isinstance(node.value, list) and node.value and isinstance(node.value[0], tuple):
        return [(key.value, value) for key, value in node.value]
    return list(enumerate(node.value or ()))


def _key_mark(node: "Node | None", step: Step) -> Any:
    return next(key.start_mark for key, _ in node.value if key.value == step) if node is not None else None


def _plain(node: "Node | None", source: str, within: set[int], known: dict[int, Any]) -> Any:
    """Return the content of a node. A document that contains itself (by an alias) is refused.

    What stands `known` is shared, so that aliases of aliases of aliases do not grow without end.
    """
    from ruamel.yaml.nodes import MappingNode, ScalarNode

    if node is None:
        return None
    if isinstance(node, ScalarNode):
        return None if node.style is None and node.value in _NULLS else node.value
    if id(node) in within:
        raise ConfigurationError(f"{source}:{node.start_mark.line + 1}: this contains itself")
    if id(node) in known:
        return known[id(node)]
    inside = within | {id(node)}
    if not isinstance(node, MappingNode):
        known[id(node)] = [_plain(each, source, inside, known) for each in node.value]
        return known[id(node)]
    made: dict[str, Any] = {}
    for key, value in node.value:
        place = f"{source}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
        if not isinstance(key, ScalarNode):
            raise ConfigurationError(f"{place}: a key must be a text")
        if key.value in made:
            raise ConfigurationError(f"{place}: {key.value!r} stands here twice")
        made[key.value] = _plain(value, source, inside, known)
    known[id(node)] = made
    return made


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return `value` where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}
