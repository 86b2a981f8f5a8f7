"""Finding a registry's storage: named, in the registry's own configuration, or on its container's mounts."""

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from jettison.errors import StorageError, UsageError
from jettison.storage.local import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jettison.control.config_file import RegistryConfiguration
    from jettison.control.running import Mount, RunningRegistry
    from jettison.storage.folder_memory import FolderMemory
    from jettison.storage.reference_cache import ReferenceCache

_SCHEME_END: Final = "://"


def open_storage(location: str) -> LocalStorage:
    """Open the storage that a person named. Raises UsageError for a URL, StorageError where it is no storage."""
    if _SCHEME_END in location:
        raise UsageError(
            f"--storage {location.partition('?')[0]}: storage is reached as a folder only, not yet as an object store; "
            "plan and delete over the registry's URL instead"
        )
    return LocalStorage(Path(location).expanduser())


def storage_of(running: "RunningRegistry", *, in_container: bool) -> LocalStorage:
    """Open the storage that a registry's configuration in force names, as this machine sees it.

    Raises StorageError, with the way out, where it is an object store, lies in the container's own layer, or cannot be
    read from here; ControlError and ConfigurationError where the configuration cannot be read.
    """
    from jettison.control.config_file import parse_config

    file = running.read_config()
    configuration = parse_config(file.text, running.environment(), name=file.path)
    root = root_directory(configuration, running.describe())
    path = path_here(root, running.mounts, running.describe()) if in_container else Path(root)
    try:
        return LocalStorage(path)
    except StorageError as error:
        raise StorageError(
            f"{error}. It is where {running.describe()} keeps its images ({root} in {file.path}); if it is not on this "
            "machine, run jettison where it is, or name it with --storage"
        ) from error


def root_directory(configuration: "RegistryConfiguration", described: str) -> str:
    """Return the absolute root directory of a file system driver. Raises StorageError."""
    if configuration.driver != "filesystem":
        raise StorageError(
            f"{described} keeps its images with the {configuration.driver} driver; storage is reached as a folder "
            "only, not yet as an object store: plan and delete over the registry's URL instead"
        )
    root = configuration.root_directory or ""
    if not root.startswith("/"):
        raise StorageError(
            f"{described}: rootdirectory {root!r} is relative to wherever its server was started; name the folder with "
            "--storage"
        )
    return root


def path_here(root: str, mounts: "Sequence[Mount]", described: str) -> Path:
    """Return the path on this machine of a container's folder `root`. Raises StorageError where it has none.

    A further mount below `root` would be an empty folder seen from here, and what is on it would count as missing.
    """
    below = [mount for mount in mounts if mount.destination != root and _is_below(mount.destination, root)]
    if below:
        raise StorageError(
            f"{described}: {below[0].destination} is mounted by itself inside of {root}, so no folder of this machine "
            "shows the whole storage; run jettison in the container, or mount the same folders elsewhere and name that "
            "with --storage"
        )
    over = [mount for mount in mounts if mount.holds(root)]
    if not over:
        raise StorageError(
            f"{described}: its images lie in the container's own layer, {root} is on no volume, and they are gone when "
            "the container is removed; give it a volume, or work over the registry's URL"
        )
    mount = max(over, key=lambda each: len(each.destination))
    if mount.kind not in {"bind", "volume"} or not mount.source:
        raise StorageError(
            f"{described}: {root} is on a {mount.kind} mount, which cannot be reached from outside of the container; "
            "work over the registry's URL"
        )
    return Path(mount.source) / PurePosixPath(root).relative_to(mount.destination)


def engine_is_here() -> bool:
    """Whether the docker engine, as far as its address tells, runs on this machine, so that its paths are ours."""
    address = os.environ.get("DOCKER_HOST", "")
    return not address or address.startswith("unix://")


def reference_cache(storage: LocalStorage) -> "ReferenceCache":
    """Return what is known from earlier runs of the storage's manifests, in the user's cache folder."""
    from jettison.storage.reference_cache import ReferenceCache, cache_folder

    return ReferenceCache(cache_folder(), storage.name)


def folder_memory(storage: LocalStorage) -> "FolderMemory":
    """Return what earlier dry runs listed in the storage, in the user's cache folder."""
    from jettison.storage.folder_memory import FolderMemory
    from jettison.storage.reference_cache import cache_folder

    return FolderMemory(cache_folder(), storage.name)


def _is_below(path: str, folder: str) -> bool:
    return PurePosixPath(path).is_relative_to(folder)
