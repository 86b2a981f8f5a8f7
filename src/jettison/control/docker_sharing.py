"""Other containers of the engine whose servers write into the same storage.

Holding one server is no use while another one takes pushes for the same storage: what is pushed there is swept as well.
"""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from jettison.control.config_file import DEFAULT_ROOT, RegistryConfiguration, parse_config
from jettison.control.docker_errors import translated
from jettison.errors import JettisonError

if TYPE_CHECKING:
    from docker import DockerClient

    from jettison.control.docker_engine import ContainerRegistry


def writers_beside(registry: "ContainerRegistry", engine: "DockerClient") -> list[str]:
    """Return the names of the other running containers whose registry servers take pushes for the same storage.

    Raises ControlError when the engine cannot be asked.
    """
    from jettison.control.docker_engine import ContainerRegistry

    own = _storage(registry, _configuration(registry))
    with translated("listing the containers"):
        others = [ContainerRegistry(each, url=None) for each in engine.containers.list()]
    found = []
    for other in others:
        try:
            if other.name == registry.name or not other.runs_a_server():
                continue
            configuration = _configuration(other)
        except JettisonError:  # it ended since it was listed, or its configuration names no storage
            continue
        if not configuration.readonly and _storage(other, configuration) == own:
            found.append(other.name)
    return found


def _configuration(registry: "ContainerRegistry") -> RegistryConfiguration:
    file = registry.read_config()
    return parse_config(file.text, registry.environment(), name=file.path)


def _storage(registry: "ContainerRegistry", configuration: RegistryConfiguration) -> tuple[str, ...]:
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
