"""Ground: what a command works on. A registry over its API, its storage on this machine, or both together."""

from typing import TYPE_CHECKING, Literal, NamedTuple

from jettison.cli.options import Connection
from jettison.errors import ConfigurationError, ControlError, StorageError, UsageError

if TYPE_CHECKING:
    from jettison.app.access import Access
    from jettison.app.registries import KnownServer
    from jettison.app.serving import ServerFacts
    from jettison.control.running import RunningRegistry
    from jettison.storage.local import LocalStorage

Collector = Literal["own", "registry", "none"]


class Ground(NamedTuple):
    """What was found. `access` is None where only a storage was named; `running` where control names no server.

    `no_storage` is the reason, where control led to a storage that cannot be used from here. `is_named`: a person named
    the storage, rather than that control led to it.
    """

    connection: Connection
    access: "Access | None"
    storage: "LocalStorage | None"
    running: "RunningRegistry | None"
    kind: str
    no_storage: str = ""
    is_named: bool = False

    @property
    def name(self) -> str:
        """The name by which plans, history and locks know it: the URL, else the storage's path."""
        if self.access is not None:
            return self.access.name
        return self.known_storage.name

    @property
    def offline(self) -> bool:
        """Whether the storage alone is worked on: asked for, or there is no URL."""
        return self.connection.offline or self.access is None

    @property
    def known_access(self) -> "Access":
        """The registry's address. Raises UsageError where none was named."""
        if self.access is None:
            raise UsageError("this needs the registry's URL, or its name in the configuration")
        return self.access

    @property
    def known_storage(self) -> "LocalStorage":
        """The storage. Raises UsageError where none was found, and says why."""
        if self.storage is None:
            why = f" ({self.no_storage})" if self.no_storage else ""
            raise UsageError(
                f"where is the registry's storage? Name it with --storage DIR, --registry-config FILE or --control{why}"
            )
        return self.storage

    def _can_own(self, *, instead: bool) -> bool:
        """Whether our collector suits. Where control led to a storage that this user may read only, and there is
        something else `instead`, that is taken: whoever may restart a container need not own its folders.
        """
        if self.storage is None:
            return False
        if self.is_named or not instead:
            return True
        from jettison.cli.output import warn
        from jettison.storage.changes import LocalChanges

        try:
            LocalChanges(self.storage).check()
        except StorageError as error:
            warn(f"{error}. Using the registry's own collector instead")
            return False
        return True

    def refuse_without_storage(self) -> None:
        """Raise UsageError where no storage was found."""
        _ = self.known_storage

    def known_server(self) -> "KnownServer | None":
        """Return version and storage driver as the running registry tells; None where nothing can."""
        if self.running is None:
            return None
        from jettison.app.registries import KnownServer
        from jettison.control.status import read_status

        status = read_status(self.running)
        return KnownServer(status.version, status.configuration.driver)

    def server_facts(self) -> "ServerFacts | None":
        """Return what control tells of the server process. Raises UsageError where our collector may not work."""
        if self.running is None:
            return None
        from jettison.app.find_storage import engine_is_here
        from jettison.app.serving import server_facts

        return server_facts(self.running, is_here=self.kind != "docker" or engine_is_here())

    def metrics(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Return the servers' Prometheus endpoints as the command line says, else the registry's configuration."""
        return given or (tuple(self.access.entry.metrics) if self.access is not None else ())

    def configured(self) -> "list[Access]":
        """Return the registries of the configuration that say that they work on this storage."""
        from pathlib import Path

        entries = self.connection.configuration().registries
        mine = [
            name
            for name, entry in entries.items()
            if entry.storage is not None and Path(entry.storage).expanduser().resolve() == self.known_storage.root
        ]
        return [self.connection.access(name) for name in mine]

    def collector(self, asked: str | None, *, optional: bool) -> Collector:
        """Return which collector is meant: the one asked for; else our own where the storage is known, else the
        registry's where control reaches it; else none where it is `optional`.

        Raises UsageError where what was asked for cannot be.
        """
        configured = self.access.entry.collector if self.access is not None else None
        wanted = asked or configured
        can_registry = self.running is not None and self.kind != "file"
        if wanted == "own" or (wanted is None and self._can_own(instead=can_registry)):
            self.refuse_without_storage()
            return "own"
        if wanted == "registry":
            if not can_registry:
                raise UsageError(
                    "--collector registry needs --control docker, docker:NAME or systemd:UNIT: it runs the registry's "
                    "own garbage-collect where the registry runs"
                )
            return "registry"
        if wanted == "none":
            return "none"
        if wanted is not None:
            raise ConfigurationError(f"collector: {wanted!r} is none of own, registry and none")
        if can_registry:
            return "registry"
        if not optional:
            self.refuse_without_storage()
        return "none"


def find_ground(connection: Connection, registry: str | None = None) -> Ground:
    """Find what is meant. `registry` stands instead of the command line's where given.

    A storage that was named must be there; one that control alone leads to is used where it can be reached.
    """
    from jettison.app.find_storage import open_storage

    access = None if registry is None and _is_storage_alone(connection) else connection.access(registry)
    kind, running = _running(connection, access)
    named = connection.storage
    if named is None and connection.registry_config is None and access is not None:
        named = access.entry.storage
    if named is not None:
        return Ground(connection, access, open_storage(named), running, kind, is_named=True)
    if running is None:
        return Ground(connection, access, None, None, kind)
    storage, reason = _led_to(running, kind, needed=connection.offline or access is None)
    return Ground(connection, access, storage, running, kind, reason)


def _led_to(running: "RunningRegistry", kind: str, *, needed: bool) -> "tuple[LocalStorage | None, str]":
    """Return the storage that control leads to, or why there is none to be used."""
    from jettison.app.find_storage import engine_is_here, storage_of

    if kind == "command":
        return None, "given commands do not tell whether the registry's folder is on this machine"
    if kind == "docker" and not engine_is_here():
        return None, "the docker engine is on another machine"
    try:
        storage = storage_of(running, in_container=kind == "docker")
        # One that is only seen, and not read, would make every repository look broken.
        _refuse_unreadable(storage)
    except (StorageError, ControlError, ConfigurationError) as error:
        if needed:
            raise
        return None, str(error)
    return storage, ""


def _refuse_unreadable(storage: "LocalStorage") -> None:
    """Raise StorageError where this user may not list the storage."""
    import os

    from jettison.storage import layout

    for path in (layout.REPOSITORIES, layout.BLOBS):
        folder = storage.root / path
        if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
            raise StorageError(f"{folder} cannot be read: run as the user that owns the registry's storage")


def _is_storage_alone(connection: Connection) -> bool:
    """Whether a storage was named and no registry: the configuration's default one is another thing then."""
    if connection.registry is not None:
        return False
    if connection.storage is None and connection.registry_config is None and not connection.names_server:
        return False
    return connection.offline or connection.configuration().only_name is None


def _running(connection: Connection, access: "Access | None") -> "tuple[str, RunningRegistry | None]":
    """Return how the running registry is reached (docker, systemd, command or file), and it."""
    if access is None and connection.control is None and connection.registry_config is None:
        return "", None
    from jettison.cli.running import control_text, running_registry

    given = control_text(connection, access)
    if given is None:
        return "", None
    kind = given.partition(":")[0] if isinstance(given, str) else "command"
    return kind, running_registry(connection, access)
