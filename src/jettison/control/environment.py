"""How the server's REGISTRY_* environment overrides its configuration file.

The rules are those of distribution's `configuration/parser.go` (2.8 and 3.x), tried on 2.8.2 and 3.1.1:

- Variables apply in the order of their names, so REGISTRY_STORAGE comes before REGISTRY_STORAGE_DELETE_ENABLED. A value
  is YAML. Names count in capitals only; a key of the file matches whatever its case.
- REGISTRY_STORAGE=filesystem replaces the *whole* storage section: `delete` and `cache` of the file are gone.
- A mapping that stands below `storage.<name>.<parameter>` in the file cannot be overridden by parts: with
  `maintenance: {readonly: {enabled: false}}` in the file REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED is ignored, and
  without it the server ends at once ("readonly config key must contain additional keys"). The whole mapping as the
  variable's value works: REGISTRY_STORAGE_MAINTENANCE_READONLY='{enabled: true}'.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from jettison.control import yaml_text
from jettison.errors import ConfigurationError

PREFIX: Final = "REGISTRY_"
# `parameters`: a map of names to maps (storage, auth). `leaf`: any value. A dict: a structure with these fields.
_Schema = Literal["parameters", "leaf"] | dict[str, "_Schema"]
_SCHEMA: Final[dict[str, _Schema]] = {
    "storage": "parameters",
    "auth": "parameters",
    "http": {
        "addr": "leaf",
        "net": "leaf",
        "host": "leaf",
        "prefix": "leaf",
        "secret": "leaf",
        "debug": {"addr": "leaf", "prometheus": {"enabled": "leaf", "path": "leaf"}},
        "tls": {
            "certificate": "leaf",
            "key": "leaf",
            "letsencrypt": {"cachefile": "leaf", "email": "leaf", "hosts": "leaf"},
        },
    },
    "redis": {"addr": "leaf", "addrs": "leaf", "db": "leaf", "username": "leaf", "password": "leaf"},
    "catalog": {"maxentries": "leaf"},
    "proxy": {"remoteurl": "leaf", "username": "leaf", "password": "leaf"},
}
Path = tuple[str, ...]


class ImplicitMap(dict[str, object]):
    """A mapping that only environment variables made; the server treats it differently from one in the file."""


@dataclass(frozen=True, slots=True)
class Overridden:
    """The configuration after the environment: the merged document, who set what, and which variables had no effect."""

    document: dict[str, object] = field(repr=False)
    assigned: tuple[tuple[Path, str], ...]
    ignored: tuple[str, ...]

    def variable_for(self, path: Path) -> str | None:
        """Return the variable that decided the value at `path`, whether it set it or removed it."""
        found = [name for assigned, name in self.assigned if path[: len(assigned)] == assigned]
        return found[-1] if found else None


def registry_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the REGISTRY_* part of an environment, sorted as the server applies it."""
    return {name: environment[name] for name in sorted(environment) if name.startswith(PREFIX)}


def shown(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables as they may be printed: the values of secret-looking ones, and users in URLs, are masked."""
    return {
        name: yaml_text.MASK if yaml_text.looks_secret(name) else yaml_text.masked(value, name)
        for name, value in registry_variables(environment).items()
    }


def override(document: dict[str, object], environment: Mapping[str, str]) -> Overridden:
    """Apply the environment to the file's document, which stays as it is.

    Raises ConfigurationError where the server itself would not start with this variable.
    """
    result = _copied(document)
    assigned: list[tuple[Path, str]] = []
    ignored: list[str] = []
    for name, payload in registry_variables(environment).items():
        parts = name.removeprefix(PREFIX).split("_")
        if parts[0].lower() not in _SCHEMA:
            continue  # a section that nothing here depends on, or a variable that is not the configuration's
        applied = _Override(name, yaml_text.load(payload, name)).to_structure(result, _SCHEMA, parts)
        if applied is None:
            ignored.append(name)
        else:
            assigned.append((applied, name))
    return Overridden(result, tuple(assigned), tuple(ignored))


@dataclass(frozen=True, slots=True)
class _Override:
    name: str
    value: object = field(repr=False)

    def to_structure(self, target: dict[str, object], schema: dict[str, _Schema], parts: list[str]) -> Path | None:
        """Set the value in a structure with known fields; None where the server ignores the variable."""
        key = parts[0].lower()
        kind = schema.get(key)
        if kind is None or parts[0] != parts[0].upper():
            return None
        if kind == "parameters":
            below = self._to_sections(target, key, parts[1:])
        elif len(parts) == 1:
            target[key] = _copied(self.value) if isinstance(self.value, dict) else self.value
            return (key,)
        elif kind == "leaf":
            below = self._to_list(target, key, parts[1:])
        else:
            inner = target.get(key)
            target[key] = inner = inner if isinstance(inner, dict) else {}
            below = self.to_structure(inner, kind, parts[1:])
        return None if below is None else (key, *below)

    def _to_list(self, target: dict[str, object], key: str, parts: list[str]) -> Path | None:
        held = target.get(key)
        items = list(held) if isinstance(held, list) else []
        if len(parts) != 1 or not parts[0].isdecimal() or int(parts[0]) > len(items):
            return None
        items[int(parts[0]) : int(parts[0]) + 1] = [self.value]
        target[key] = items
        return ()

    def _to_sections(self, target: dict[str, object], key: str, parts: list[str]) -> Path | None:
        if not parts:
            target[key] = self._sections()
            return ()
        held = target.get(key)
        sections: dict[str, object] = held if isinstance(held, dict) else {}
        target[key] = sections
        if len(parts) == 1:
            sections[parts[0].lower()] = self._parameters(self.value)
            return (parts[0].lower(),)
        name = next((known for known in sections if known.upper() == parts[0]), parts[0].lower())
        parameters = sections.get(name)
        if not isinstance(parameters, dict):
            if parts[0] != parts[0].upper():
                return None
            sections[name] = parameters = {}
        below = self._to_parameters(parameters, parts[1:])
        return None if below is None else (name, *below)

    def _to_parameters(self, parameters: dict[str, object], parts: list[str]) -> Path | None:
        if len(parts) == 1:
            parameters[parts[0].lower()] = self.value
            return (parts[0].lower(),)
        name = next((known for known in parameters if known.upper() == parts[0]), parts[0].lower())
        held = parameters.get(name)
        if held is None:
            parameters[name] = held = ImplicitMap()
        if not isinstance(held, ImplicitMap):
            return None
        below = self._to_parameters(held, parts[1:])
        return None if below is None else (name, *below)

    def _sections(self) -> dict[str, object]:
        """Read a whole section: a mapping of mappings, or one name without parameters."""
        if self.value is None:
            return {}
        if isinstance(self.value, dict):
            return {name: self._parameters(value) for name, value in self.value.items()}
        if isinstance(self.value, list):
            raise self._refused("a name or a mapping")
        return {str(self.value): {}}

    def _parameters(self, value: object) -> dict[str, object]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._refused("a mapping, as in {enabled: true}")
        return _copied(value)

    def _refused(self, wanted: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.name}: the registry's server wants {wanted} there and would not start; correct it"
        )


def _copied(value: Mapping[str, object]) -> dict[str, object]:
    return {name: _copied(item) if isinstance(item, dict) else item for name, item in value.items()}
