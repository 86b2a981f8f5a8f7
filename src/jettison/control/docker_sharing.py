"""Other containers of the engine whose servers write into the same storage.

Holding one server is no use while another one takes pushes for the same storage: what is pushed there is swept as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Protocol

from jettison.control.config_file import DEFAULT_ROOT, RegistryConfiguration, parse_config
from jettison.control.running import ConfigFile, Mount
from jettison.errors import JettisonError


class Container(Protocol):
    """What is asked of a container that may run a registry's server."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def mounts(self) -> Sequence[Mount]:
        """What is mounted into it."""

    def runs_a_server(self) -> bool:
        """Whether one of its processes is a registry's server."""

    def read_config(self) -> ConfigFile:
        """Return the server's configuration."""

    def environment(self) -> Mapping[str, str]:
        """Return the variables that change it."""


def writers_beside(registry: Container, running: Iterable[Container]) -> list[str]:
    """Return the names of those `running` beside it whose registry servers take pushes for the same storage.

    Raises ControlError when the storage of `registry` cannot be told.
    """
    own = _storage(registry, _configuration(registry))
    found = []
    for other in running:
        try:
            if other.name == registry.name or not other.runs_a_server():
                continue
            configuration = _configuration(other)
        except JettisonError:  # it ended since it was listed, or its configuration names no storage
            continue
        if not configuration.readonly and _storage(other, configuration) == own:
            found.append(other.name)
    return found


def _configuration(registry: Container) -> RegistryConfiguration:
    file = registry.read_config()
    return parse_config(file.text, registry.environment(), name=file.path)


def _storage(registry: Container, configuration: RegistryConfiguration) -> tuple[str, ...]:
    """Return what tells one storage from another: a folder of the engine's machine, or a bucket and prefix."""
    root = configuration.root_directory or ""
    if configuration.driver != "filesystem":
        place = configuration.parameters.get("bucket") or configuration.parameters.get("container") or ""
        return configuration.driver, str(place), root.strip("/")
    path = PurePosixPath(root or DEFAULT_ROOT)
    over = [mount for mount in registry.mounts if mount.holds(str(path))]
    if not over:
        return "layer of", registry.name, str(path)
    mount = max(over, key=lambda each: len(each.destination))
    return "folder", str(PurePosixPath(mount.source) / path.relative_to(mount.destination))
