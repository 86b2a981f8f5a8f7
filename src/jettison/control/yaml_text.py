"""YAML as the registry's server reads it, with the place of every value in the text.

The server uses go-yaml v2: YAML 1.1 scalars (`yes` and `on` are true), and of a key that stands twice the last one
counts. ruamel.yaml gives the node tree with positions, so an edit touches only the characters that it must.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from jettison.errors import ConfigurationError

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

_TRUE: Final = frozenset({"y", "yes", "true", "on"})
_MERGE: Final = "tag:yaml.org,2002:merge"
_SECRET_KEY: Final = re.compile(
    r"secret|passw|passphrase|accesskey|accountkey|authorization|credential|connectionstring|token$|sastoken",
    re.IGNORECASE,
)
_USER_IN_URL: Final = re.compile(r"(?<=://)[^/@\s]+@")
_SECRET_IN_COMMENT: Final = re.compile(r"(#.*?(?:secret|passw|key|token|authorization)\w*\s*[:=]\s*)\S+", re.IGNORECASE)
# Tabs that do not indent: behind something in their line, or in a line of white space.
_INNER_TAB: Final = re.compile(r"(?<=[^ \t\n])[ \t]*\t[ \t]*|^[ \t]*\t[ \t]*$", re.MULTILINE)
MASK: Final = "***"


def compose(text: str, name: str) -> "Node | None":
    """Return the node tree of `text`, None where it holds nothing.

    Raises ConfigurationError that names `name`, the line and what the parser found there.
    """
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        try:
            return _composed(text)
        except MarkedYAMLError as error:
            if "\t" not in str(error.problem) and r"\t" not in str(error.problem):
                raise
            # go-yaml takes tabs between words and before comments, ruamel.yaml does not. A space is as wide.
            return _composed(_INNER_TAB.sub(lambda tabs: " " * len(tabs[0]), text))
    except MarkedYAMLError as error:
        # The parser's own sentence quotes the line, which may hold a secret; its `problem` does not.
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise ConfigurationError(f"{name}{line}: this is no YAML ({error.problem}); correct the file") from None
    except (YAMLError, ValueError) as error:
        raise ConfigurationError(f"{name}: this is no YAML ({type(error).__name__}); correct the file") from None


def _composed(text: str) -> "Node | None":
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.version = (1, 1)
    node: Node | None = yaml.compose(text)
    return node


def load(text: str, name: str) -> object:
    """Return the plain value of `text`: dicts with string keys, lists and scalars. Raises ConfigurationError."""
    node = compose(text, name)
    return None if node is None else plain(node)


def plain(node: "Node") -> object:
    """Return the plain value of a node, aliases and merge keys resolved."""
    from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

    if isinstance(node, ScalarNode):
        return _scalar(node)
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.value]
    if not isinstance(node, MappingNode):  # ruamel has no further kind of node
        raise TypeError(type(node).__name__)
    merged: dict[str, object] = {}
    own: dict[str, object] = {}
    for key, value in node.value:
        if key.tag == _MERGE:
            for source in [value] if isinstance(value, MappingNode) else reversed(value.value):
                found = plain(source)
                merged.update(found if isinstance(found, dict) else {})
        else:
            own[str(key.value)] = plain(value)
    return merged | own


def entry(node: "Node | None", key: str) -> "tuple[Node, Node] | None":
    """Return the key and value nodes of `key` in a mapping node, the last ones where it stands twice."""
    from ruamel.yaml.nodes import MappingNode

    if not isinstance(node, MappingNode):
        return None
    found = [(name, value) for name, value in node.value if name.value == key and name.tag != _MERGE]
    return found[-1] if found else None


def looks_secret(key: str) -> bool:
    """Whether a configuration key or an environment variable of this name holds something that must not be shown."""
    return _SECRET_KEY.search(key.replace("_", "")) is not None


def masked(text: str, name: str) -> str:
    """Return `text` with every secret value, and every user in a URL, replaced by `***`; lines stay in their places."""
    node = compose(text, name)
    spans = sorted(set(_secret_spans(node))) if node is not None else []
    for start, end in reversed(spans):
        text = text[:start] + MASK + "\n" * text.count("\n", start, end) + text[end:]
    text = _USER_IN_URL.sub(f"{MASK}@", text)
    return _SECRET_IN_COMMENT.sub(rf"\g<1>{MASK}", text)


def secret_values(value: object, key: str = "") -> Iterator[str]:
    """Yield every scalar that stands under a secret-looking key, as text, to be masked in what is shown."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from secret_values(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from secret_values(item, key)
    elif value is not None and not isinstance(value, bool) and looks_secret(key):
        yield str(value)


def _scalar(node: "Node") -> object:
    text = str(node.value)
    kind = str(node.tag).rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in _TRUE
    # ruamel takes 12:30 for a number (base 60), go-yaml does not: what Python cannot read stays text.
    if kind == "int":
        with contextlib.suppress(ValueError):
            return int(text.replace("_", ""), 0)
        with contextlib.suppress(ValueError):
            return int(text, 10 if text.strip("0") else 8)
    elif kind == "float":
        with contextlib.suppress(ValueError):
            return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _secret_spans(node: "Node", key: str = "") -> Iterator[tuple[int, int]]:
    from ruamel.yaml.nodes import MappingNode, SequenceNode

    if isinstance(node, MappingNode):
        for name, value in node.value:
            yield from _secret_spans(value, str(name.value))
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from _secret_spans(item, key)
    elif looks_secret(key) and node.value and node.start_mark.index < node.end_mark.index:
        yield node.start_mark.index, node.end_mark.index
