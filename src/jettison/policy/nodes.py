"""Nodes: a YAML text as it was composed, with merge keys (`<<`) resolved, so that who reads it never meets one."""

from typing import TYPE_CHECKING

from jettison.errors import ConfigurationError
from jettison.policy.no_yaml import refusing_what_is_no_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ruamel.yaml.nodes import Node


def compose(text: str | bytes, source: str) -> "Node | None":
    """Return the root of a YAML text, None where it is empty. Raises ConfigurationError."""
    from ruamel.yaml import YAML

    with refusing_what_is_no_yaml(source):
        root: Node | None = YAML(typ="rt", pure=True).compose(text)
        if root is not None:
            _Merging(source).resolve(root)
        return root


class _Merging:
    """Puts what is merged in the place of its merge key. A mapping's own keys win, then those of the first source."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._within: set[int] = set()
        self._resolved: set[int] = set()

    def resolve(self, node: "Node") -> None:
        """Resolve the merge keys of a node and of all inside of it; one that contains itself is left for its reader."""
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        if id(node) in self._resolved or id(node) in self._within:
            return
        self._within.add(id(node))
        if isinstance(node, MappingNode):
            merges = [value for key, value in node.value if _is_merge(key)]
            for key, value in node.value:
                self.resolve(key)
                self.resolve(value)
            if merges:
                own = [(key, value) for key, value in node.value if not _is_merge(key)]
                node.value = own + list(self._inherited({key.value for key, _ in own}, merges))
        elif isinstance(node, SequenceNode):
            for each in node.value:
                self.resolve(each)
        self._within.remove(id(node))
        self._resolved.add(id(node))

    def _inherited(self, known: set[str], merges: "list[Node]") -> "Iterator[tuple[Node, Node]]":
        from ruamel.yaml.nodes import MappingNode, SequenceNode

        for merge in merges:
            for each in merge.value if isinstance(merge, SequenceNode) else [merge]:
                if not isinstance(each, MappingNode) or id(each) in self._within:
                    mark = each.start_mark
                    place = f"{self._source}:{mark.line + 1}:{mark.column + 1}"
                    raise ConfigurationError(f"{place}: `<<` takes a mapping, or a list of mappings")
                for key, value in each.value:
                    if key.value not in known:
                        known.add(key.value)
                        yield key, value


def _is_merge(key: "Node") -> bool:
    from ruamel.yaml.nodes import ScalarNode

    return isinstance(key, ScalarNode) and key.value == "<<" and key.style is None
