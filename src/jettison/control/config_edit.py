"""Edits of the registry's config.yml: the smallest change of its text, comments, order and line ends kept.

An edit is made at the positions that the YAML parser gives, then proved: the new text must read as the old one with
that one value changed, and nothing else. Where it does not (an alias that other sections share, say) the edit is
refused.
"""

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jettison.control import yaml_text
from jettison.errors import ConfigurationError

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

_STEP: Final = 2


def with_delete_enabled(text: str, *, name: str = "config.yml") -> str:
    """Return the configuration with `storage.delete.enabled: true`; the same text where it says so already.

    Raises ConfigurationError when the text is no YAML or is written so that a machine cannot change it safely.
    """
    return _edited(text, _Setting(("storage", "delete", "enabled"), written="true", value=True), name)


def with_readonly(text: str, *, enabled: bool = True, name: str = "config.yml") -> str:
    """Return the configuration with read-only mode (`storage.maintenance.readonly.enabled`) on or off."""
    path = ("storage", "maintenance", "readonly", "enabled")
    return _edited(text, _Setting(path, written="true" if enabled else "false", value=enabled), name)


def with_descriptor_cache_off(text: str, *, name: str = "config.yml") -> str:
    """Return the configuration without a blob descriptor cache.

    An empty kind turns it off silently in 2.x and 3.x; where no cache is configured the text stays as it is.
    """
    document = yaml_text.load(text, name)
    storage = document.get("storage") if isinstance(document, dict) else None
    cache = storage.get("cache") if isinstance(storage, dict) else None
    if not isinstance(cache, dict) or not (cache.get("blobdescriptor") or cache.get("layerinfo")):
        return text
    return _edited(text, _Setting(("storage", "cache", "blobdescriptor"), written='""', value=""), name)


def difference(old: str, new: str, *, name: str = "config.yml") -> str:
    """Return the unified difference, secrets masked, empty when there is none."""
    before, after = (yaml_text.masked(text, name).splitlines() for text in (old, new))
    return "\n".join(difflib.unified_diff(before, after, name, f"{name} (new)", lineterm=""))


@dataclass(frozen=True, slots=True)
class _Setting:
    path: tuple[str, ...]
    written: str
    value: object

    def in_document(self, document: object) -> object:
        """Return the document with this value set."""
        return _set(document, self.path, self.value)

    def by_hand(self) -> str:
        return ": ".join((*self.path, self.written))


def _set(document: object, path: tuple[str, ...], value: object) -> object:
    if not path:
        return value
    # `storage: inmemory` means a driver without parameters.
    held = document if isinstance(document, dict) else {document: {}} if isinstance(document, str) else {}
    return held | {path[0]: _set(held.get(path[0]), path[1:], value)}


def _edited(text: str, setting: _Setting, name: str) -> str:
    document = yaml_text.load(text, name)
    wanted = setting.in_document(document)
    if _same(document, wanted):
        return text
    node = yaml_text.compose(text, name)
    refused = ConfigurationError(
        f"{name} is written in a way that cannot be changed safely by a program; set it by hand: {setting.by_hand()}"
    )
    new = _Editor(text, setting).run(node)
    if new is None:
        raise refused
    try:
        proved = _same(yaml_text.load(new, name), wanted)
    except ConfigurationError:
        raise refused from None
    if not proved:
        raise refused
    return new


def _same(one: object, other: object) -> bool:
    """Whether two documents are equal, `true` and 1 being different."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and (one == other or one != one)  # .nan is not equal to itself


@dataclass(frozen=True, slots=True)
class _Editor:
    text: str
    setting: _Setting

    def run(self, root: "Node | None") -> str | None:
        """Go down the path as far as it exists and write the rest there; None where that is not possible."""
        from ruamel.yaml.nodes import MappingNode, ScalarNode

        if root is None:
            return self._appended()
        node, key = root, None
        for depth, part in enumerate(self.setting.path):
            if not isinstance(node, MappingNode):
                break
            found = yaml_text.entry(node, part)
            if found is None:
                return self._inserted(node, key, depth)
            key, node = found
        if key is None or not isinstance(node, ScalarNode):
            return None
        depth = 1 + self.setting.path.index(str(key.value))
        return self._replaced(node, key, depth)

    def _replaced(self, node: "Node", key: "Node", depth: int) -> str | None:
        """Give the key, whose value is a scalar or empty, the rest of the path as its value."""
        rest = self.setting.path[depth:]
        if node.start_mark.index == node.end_mark.index:
            if not rest:
                at = self.text.index(":", key.end_mark.index) + 1
                return f"{self.text[:at]} {self.setting.written}{self.text[at:]}"
            return self._below(key, key.start_mark.column + _STEP, depth)
        driver = f"{node.value}: {{}}, " if depth == 1 and yaml_text.plain(node) is not None else ""
        inner = self._flow(depth)
        value = f"{{{driver}{inner}}}" if rest else self.setting.written
        return self.text[: node.start_mark.index] + value + self.text[node.end_mark.index :]

    def _inserted(self, mapping: "Node", key: "Node | None", depth: int) -> str | None:
        """Add the rest of the path as the first entry of a mapping, so that no later comment changes its owner."""
        from ruamel.yaml.nodes import MappingNode

        if isinstance(mapping, MappingNode) and mapping.flow_style:
            at = self.text.index("{", mapping.start_mark.index) + 1
            separator = ", " if mapping.value else ""
            return f"{self.text[:at]}{self._flow(depth)}{separator}{self.text[at:]}"
        if key is None:
            return self._appended()
        return self._below(key, mapping.start_mark.column, depth)

    def _below(self, key: "Node", column: int, depth: int) -> str | None:
        """Write the rest of the path on lines of its own below the key's line."""
        end = self.text.find("\n", key.end_mark.index)
        head, tail = (self.text + self._newline, "") if end < 0 else (self.text[: end + 1], self.text[end + 1 :])
        return head + self._block(column, depth) + tail

    def _appended(self) -> str:
        gap = "" if not self.text or self.text.endswith("\n") else self._newline
        return self.text + gap + self._block(0, 0)

    def _flow(self, depth: int) -> str:
        rest = self.setting.path[depth:]
        return ": {".join(rest) + f": {self.setting.written}" + "}" * (len(rest) - 1)

    def _block(self, column: int, depth: int) -> str:
        rest = self.setting.path[depth:]
        lines = [" " * (column + _STEP * level) + f"{part}:" for level, part in enumerate(rest)]
        lines[-1] += f" {self.setting.written}"
        return "".join(line + self._newline for line in lines)

    @property
    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"
