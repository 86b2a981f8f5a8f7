"""The configuration file: named registries with their access, policy and control. Everything works without one.

Looked for at `--config`, `$JETTISON_CONFIG`, `./jettison.yaml`, `/etc/jettison/jettison.yaml`, the first that exists.
"""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from jettison.errors import ConfigurationError

PLACES: Final = (Path("jettison.yaml"), Path("/etc/jettison/jettison.yaml"))
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`(?: - at `(?P<path>[^`]*)`)?")
_AT = re.compile(r" - at `(?P<path>[^`]*)`$")


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping in which an unknown key is an error."""


class Auth(_Strict, frozen=True):
    """Credentials: a user with a password from the environment or a file, or a token from a file."""

    username: str | None = None
    password_env: str | None = None
    password_file: str | None = None
    token_file: str | None = None


class Tls(_Strict, frozen=True):
    """PEM files: an authority to trust beside the system's, and a certificate to show to the registry."""

    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


class Rates(_Strict, frozen=True):
    """How hard the registry may be worked: requests at once, and a second."""

    concurrency: int = 32
    requests_per_second: float | None = None


class Commands(_Strict, frozen=True, omit_defaults=True):
    """`control: {command: …}`: command lines, each a list of words, where neither docker nor systemd runs it."""

    exec: list[str] = []
    restart: list[str] = []
    stop: list[str] = []
    start: list[str] = []
    config: str | None = None
    program: str | None = None


class Control(_Strict, frozen=True):
    """`control:` as a mapping."""

    command: Commands


class PullClient(_Strict, frozen=True):
    """Clients whose pulls do not count: those that fit one pattern of each kind that is given. See docs/pulls.md."""

    name: str | None = None
    user_agent: str | list[str] = []
    account: str | list[str] = []
    address: str | list[str] = []


class Pulls(_Strict, frozen=True):
    """`pulls:`, how access logs are understood. `gap`: how long they may be silent before it counts as a hole."""

    ignore: list[PullClient] = []
    gap: str | None = None


class Cluster(_Strict, frozen=True):
    """A Kubernetes cluster, or several by their contexts; all namespaces where none is named."""

    contexts: list[str] = []
    kubeconfig: str | None = None
    namespaces: list[str] = []


class InUseSource(_Strict, frozen=True):
    """A source of images in use: one of the first five keys says which. See docs/in-use.md.

    `optional`: a run goes on without it. `may_be_empty` and `timeout` (seconds) are for a file and a command.
    """

    docker: str | list[str] | None = None
    compose: str | list[str] | None = None
    kubernetes: Cluster | None = None
    file: str | None = None
    command: list[str] | None = None
    tls: Tls | None = None
    optional: bool = False
    may_be_empty: bool = False
    timeout: float = 60.0


class Registry(_Strict, frozen=True):
    """One registry by name. `control` is `docker`, `docker:NAME`, `systemd:UNIT`, or given command lines."""

    url: str
    policy: str | None = None
    keep: int | None = None
    repositories: list[str] = []
    auth: Auth | None = None
    tls: Tls | None = None
    limits: Rates = Rates()
    control: str | Control | None = None
    registry_config: str | None = None
    storage: str | None = None
    metrics: list[str] = []
    collector: str | None = None
    aliases: list[str] = []
    in_use: list[str] = []


class Configuration(_Strict, frozen=True):
    """The whole file. `history` is a path or database URL; `default` names the registry meant where none is named."""

    registries: dict[str, Registry] = {}
    default: str | None = None
    history: str | None = None
    pulls: Pulls = Pulls()
    in_use: dict[str, InUseSource] = {}

    @property
    def only_name(self) -> str | None:
        """The name of the registry that is meant where none is named: the default, or the only one."""
        return self.default or (next(iter(self.registries)) if len(self.registries) == 1 else None)

    def policy_of(self, name: str | None) -> tuple[str | None, int | None]:
        """Return `policy` and `keep` of a registry by name, None for what it does not say."""
        entry = self.registries.get(name or "")
        return (entry.policy, entry.keep) if entry is not None else (None, None)


def load_configuration(path: Path | None, environment: Mapping[str, str] = os.environ) -> Configuration:
    """Read the configuration from `path`, or from the first place that has one; an empty one where none has.

    Raises ConfigurationError, with file, line and column, where it cannot be used.
    """
    named = path or (Path(environment["JETTISON_CONFIG"]) if environment.get("JETTISON_CONFIG") else None)
    if named is None:
        named = next((place for place in PLACES if place.is_file()), None)
    if named is None:
        return Configuration()
    try:
        text = named.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{named}: the configuration cannot be read: {error}") from error
    return _parse(text, str(named))


def _parse(text: str, source: str) -> Configuration:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="rt").load(text)
    except YAMLError as error:
        raise ConfigurationError(f"{source}: this is no YAML: {' '.join(str(error).split())}") from error
    if document is None:
        return Configuration()
    try:
        configuration = msgspec.convert(_plain(document), Configuration)
    except msgspec.ValidationError as error:
        raise ConfigurationError(_explain(str(error), document, source)) from error
    if configuration.default is not None and configuration.default not in configuration.registries:
        known = ", ".join(configuration.registries) or "none"
        raise ConfigurationError(f"{source}: default: {configuration.default!r} names no registry; there are: {known}")
    return configuration


def _plain(node: Any) -> Any:
    """Return the document without ruamel's types, which msgspec would refuse."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if isinstance(node, str):
        return str(node)
    return float(node) if isinstance(node, float) else node


def _explain(message: str, document: Any, source: str) -> str:
    """Turn msgspec's message into ours: file, line, column, path, and the nearest right key for an unknown one."""
    unknown = _UNKNOWN_FIELD.fullmatch(message)
    if unknown is not None:
        key = unknown["key"]
        path, line, column = _find(document, key)
        known = _keys_at(len(path.split(".")))
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "docs/configuration.md lists the keys"
        return f"{source}:{line}:{column}: {path}: unknown key {key!r}; {hint}"
    at = _AT.search(message)
    return f"{source}: {at['path'].removeprefix('$.') if at else 'the file'}: {_AT.sub('', message)}"


def _keys_at(depth: int) -> list[str]:
    """Return the keys that are known anywhere; `depth` 1 is the file's own level."""
    kinds = (Configuration,) if depth == 1 else (Registry, Auth, Tls, Rates, Control, Commands)
    if depth > 1:
        kinds = (*kinds, Pulls, PullClient, InUseSource, Cluster)
    return [name for kind in kinds for name in kind.__struct_fields__]


def _find(node: Any, key: str, path: str = "", known: Any = Configuration) -> tuple[str, int, int]:
    """Return path, line and column of the first key `key` in a place that does not know it."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            here = f"{path}.{name}" if path else str(name)
            kind = _kind_below(known, str(name))
            if name == key and kind is None:
                marks = getattr(node, "lc", None)
                line, column = marks.data[name][:2] if marks else (0, 0)
                return here, line + 1, column + 1
            found = _find(value, key, here, kind)
            if found[0]:
                return found
    elif isinstance(node, list):
        for number, value in enumerate(node):
            found = _find(value, key, f"{path}[{number}]", known)
            if found[0]:
                return found
    return "", 1, 1


def _kind_below(kind: Any, name: str) -> Any:
    """Return what may stand below a key: a struct, `object` for a plain value, None where the key is unknown."""
    if kind is dict:
        return Registry
    if kind is Mapping:
        return InUseSource
    if kind is Configuration and name == "in_use":
        return Mapping
    if not isinstance(kind, type) or not issubclass(kind, _Strict) or name not in kind.__struct_fields__:
        return None
    below = {"registries": dict, "auth": Auth, "tls": Tls, "limits": Rates, "control": Control, "command": Commands}
    return (below | {"pulls": Pulls, "ignore": PullClient, "kubernetes": Cluster}).get(name, object)
