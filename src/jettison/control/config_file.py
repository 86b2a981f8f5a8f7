"""The registry's config.yml, and the configuration in force: the file overridden by the REGISTRY_* environment.

The fields are those of distribution's `configuration.Configuration`; what they mean to a running server was read in
`registry/handlers/app.go` of 2.8 and 3.1.1.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from jettison.control import environment as env
from jettison.control import yaml_text
from jettison.errors import ConfigurationError

DEFAULT_ROOT: Final = "/var/lib/registry"
DEFAULT_CATALOGUE_ENTRIES: Final = 1000
# Keys of `storage` that are not the name of a driver (configuration.go, Storage.Type; `tag` is 3.x only).
_NO_DRIVER: Final = frozenset({"maintenance", "cache", "delete", "redirect", "tag"})
OriginKind = Literal["file", "environment", "default"]
CacheKind = Literal["inmemory", "redis"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: the file, a variable (`name`), or the server's default."""

    kind: OriginKind
    name: str = ""

    def __str__(self) -> str:
        """`file`, `default`, or the variable's name."""
        return self.name or self.kind


@dataclass(frozen=True, slots=True)
class MetricsPlace:
    """Where a server shows its metrics to Prometheus; `host` as the server listens, empty for all addresses."""

    host: str
    port: int
    path: str


@dataclass(frozen=True, slots=True)
class RegistryConfiguration:
    """The configuration that a server started now would have.

    `root_directory` is the storage's root: a clean path for `filesystem`, a prefix for object stores. `port` is None
    for a unix socket or where no port can be read. `parameters` are the driver's own and may hold secrets: they are not
    in the repr. `origins` has an entry for every field that has one value in the document. `problems` are sentences
    about settings that do not do what they seem to. `secrets` are the values to mask in whatever a program prints.
    """

    driver: str
    root_directory: str | None
    delete_enabled: bool
    readonly: bool
    cache: CacheKind | None
    redis_addresses: tuple[str, ...]
    address: str
    port: int | None
    tls: bool
    auth: str | None
    prefix: str
    metrics: MetricsPlace | None
    catalogue_max_entries: int
    pull_through_proxy: bool
    parameters: Mapping[str, object] = field(repr=False)
    origins: Mapping[str, Origin] = field(repr=False)
    problems: tuple[str, ...]
    secrets: frozenset[str] = field(repr=False)


def parse_config(
    text: str, environment: Mapping[str, str] | None = None, *, name: str = "config.yml"
) -> RegistryConfiguration:
    """Return the configuration in force of the file `text` under `environment`, of which only REGISTRY_* counts.

    Raises ConfigurationError when the text is no YAML, or the server would not start with it.
    """
    environment = environment or {}
    document = yaml_text.load(text, name)
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise ConfigurationError(
            f"{name}: this is no registry configuration, it should be a mapping; is it the right file?"
        )
    document = document | {"storage": _storage_of_file(document.get("storage"), name)}
    overridden = env.override(document, environment)
    return _Reader(document, overridden, name).configuration(environment)


def _storage_of_file(value: object, name: str) -> dict[str, object]:
    if value is None:
        return {}
    if isinstance(value, str):  # `storage: inmemory` is legal (Storage.UnmarshalYAML)
        return {value: {}}
    if not isinstance(value, dict):
        raise ConfigurationError(f"{name}: storage should be a mapping; correct the file")
    for key, parameters in value.items():
        if parameters is not None and not isinstance(parameters, dict):
            raise ConfigurationError(f"{name}: storage.{key} should be a mapping; the server would not start with it")
    return value


@dataclass(frozen=True, slots=True)
class _Reader:
    document: dict[str, object]
    overridden: env.Overridden
    name: str
    problems: list[str] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)

    def configuration(self, environment: Mapping[str, str]) -> RegistryConfiguration:
        driver, parameters = self._driver()
        delete = self._value("delete_enabled", "storage", "delete", "enabled")
        if delete is not None and not isinstance(delete, bool):
            self.problems.append(
                f"storage.delete.enabled ({self.origins['delete_enabled']}) is not true or false: "
                "the server takes it for off; write true without quotes"
            )
        root = self._value("root_directory", "storage", driver, "rootdirectory")
        address = str(self._value("address", "http", "addr") or "")
        redis = (
            self._value("redis_addresses", "redis", "addrs") or self._value("redis_addresses", "redis", "addr") or ()
        )
        entries = self._value("catalogue_max_entries", "catalog", "maxentries")
        auth = self._mapping(self.overridden.document.get("auth"))
        self.origins["auth"] = self._origin(("auth",))
        self.problems.extend(
            f"{variable} is set, but the server ignores it where it stands" for variable in self.overridden.ignored
        )
        return RegistryConfiguration(
            driver=driver,
            root_directory=_root_directory(driver, root),
            delete_enabled=delete is True,
            readonly=self._readonly(),
            cache=self._cache(),
            redis_addresses=tuple(map(str, redis)) if isinstance(redis, list | tuple) else (str(redis),),
            address=address,
            port=self._port(address),
            tls=bool(self._value("tls", "http", "tls", "certificate"))
            or bool(self._value("tls", "http", "tls", "letsencrypt", "cachefile")),
            auth=next((kind for kind in auth if kind.lower() != "none"), None),
            prefix=str(self._value("prefix", "http", "prefix") or "/"),
            metrics=self._metrics(),
            catalogue_max_entries=entries if isinstance(entries, int) and entries > 0 else DEFAULT_CATALOGUE_ENTRIES,
            pull_through_proxy=bool(self._value("pull_through_proxy", "proxy", "remoteurl")),
            parameters=parameters,
            origins=dict(self.origins),
            problems=tuple(self.problems),
            secrets=frozenset(self._secrets(environment)),
        )

    def _driver(self) -> tuple[str, Mapping[str, object]]:
        storage = self._mapping(self.overridden.document.get("storage"))
        drivers = sorted(key for key in storage if key not in _NO_DRIVER)
        if not drivers:
            raise ConfigurationError(
                f"{self.name}: no storage driver is configured, so the server would not start; "
                "is this the registry's configuration, and is its environment the one that its server has?"
            )
        if len(drivers) > 1:
            variables = sorted({variable for path, variable in self.overridden.assigned if path[0] == "storage"})
            hint = f" ({', '.join(variables)} add to it; REGISTRY_STORAGE replaces the section)" if variables else ""
            raise ConfigurationError(
                f"{self.name}: several storage drivers are configured, {' and '.join(drivers)}{hint}; "
                "the server would not start, keep one"
            )
        self.origins["driver"] = self._origin(("storage", drivers[0]))
        return drivers[0], self._mapping(storage[drivers[0]])

    def _readonly(self) -> bool:
        section = self._mapping(self._mapping(self.overridden.document.get("storage")).get("maintenance"))
        mapping = section.get("readonly")
        value = self._value("readonly", "storage", "maintenance", "readonly", "enabled")
        # app.go panics on both: neither can be the configuration of a server that runs.
        if isinstance(mapping, env.ImplicitMap):
            raise ConfigurationError(
                f"{self.origins['readonly']}: the registry's server ends at once with this variable; "
                "set REGISTRY_STORAGE_MAINTENANCE_READONLY='{enabled: true}' instead"
            )
        if value is not None and not isinstance(value, bool):
            raise ConfigurationError(
                f"{self.name}: storage.maintenance.readonly.enabled should be true or false; the server would not start"
            )
        return value is True

    def _cache(self) -> CacheKind | None:
        section = self._mapping(self._mapping(self.overridden.document.get("storage")).get("cache"))
        key = "blobdescriptor" if "blobdescriptor" in section else "layerinfo"
        kind = self._value("cache", "storage", "cache", key)
        if kind == "inmemory" or kind == "redis":  # narrows to the literals, `in` does not
            return kind
        if kind:
            self.problems.append(f"storage.cache.{key}: the server knows no such cache ({kind}) and runs without one")
        return None

    def _metrics(self) -> MetricsPlace | None:
        address = str(self._value("metrics", "http", "debug", "addr") or "")
        enabled = self._value("metrics", "http", "debug", "prometheus", "enabled")
        path = str(_at(self.overridden.document, ("http", "debug", "prometheus", "path")) or "/metrics")
        host, _, port = address.rpartition(":")
        if enabled is not True or not (port.isdecimal() and 0 < int(port) < 65_536) or not path.startswith("/"):
            return None
        return MetricsPlace(host, int(port), path)

    def _port(self, address: str) -> int | None:
        if self._value("network", "http", "net") == "unix":
            return None
        port = address.rpartition(":")[2]
        return int(port) if port.isdecimal() and 0 < int(port) < 65_536 else None

    def _value(self, key: str, *path: str) -> object:
        """Return the value at `path`, None where there is none, and note where it comes from."""
        origin = self._origin(path)
        if key not in self.origins or origin.kind != "default":
            self.origins[key] = origin
        return _at(self.overridden.document, path)

    def _origin(self, path: env.Path) -> Origin:
        variable = self.overridden.variable_for(path)
        if variable is not None:
            return Origin("environment", variable)
        return Origin("default" if _at(self.document, path) is None else "file")

    def _secrets(self, environment: Mapping[str, str]) -> set[str]:
        found = set(yaml_text.secret_values(self.overridden.document))
        found |= {
            value for variable, value in env.registry_variables(environment).items() if yaml_text.looks_secret(variable)
        }
        return {secret for secret in found if secret}

    @staticmethod
    def _mapping(value: object) -> Mapping[str, object]:
        return value if isinstance(value, dict) else {}


def _at(document: object, path: tuple[str, ...]) -> object:
    for key in path:
        if not isinstance(document, dict):
            return None
        document = document.get(key)
    return document


def _root_directory(driver: str, value: object) -> str | None:
    """Return the root as the server takes it, which cleans a path: two ways of writing it name the same folder."""
    if driver != "filesystem":
        return str(value) if value else None
    root = posixpath.normpath(str(value or DEFAULT_ROOT))
    return f"/{root.lstrip('/')}" if root.startswith("/") else root
