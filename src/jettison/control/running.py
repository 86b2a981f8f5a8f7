"""A running registry, as everything here sees it, whatever way it is reached.

A `RunningRegistry` is asked for its configuration, changed, restarted and held. `hold` is the heart of it: while it
lasts the server accepts nothing, and when it ends, however it ends, a server with empty caches answers again.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final, Literal, Protocol

from jettison.control.collector_output import CollectorOutput

# Where the images and packages have their configuration: 2.x images and Debian, then 3.x images.
CONFIG_PLACES: Final = ("/etc/docker/registry/config.yml", "/etc/distribution/config.yml")
_ANYWHERE: Final = frozenset({"", "0.0.0.0", "::", "[::]"})  # noqa: S104  (compared with, not bound to)
SERVER_NAMES: Final = ("registry", "docker-registry")


def here(host: str, port: int) -> str:
    """Return `host:port` of a listener in this machine's network, which may listen on all its addresses."""
    bare = host.strip("[]")
    return f"{'127.0.0.1' if host in _ANYWHERE else f'[{bare}]' if ':' in bare else bare}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a listener there is reached from its own machine or container only."""
    return host.strip("[]") in {"localhost", "::1"} or host.startswith("127.")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The server's configuration file: its place where the server runs, its text, and when it was last changed."""

    path: str
    text: str = field(repr=False)
    modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class Mount:
    """Something mounted into the registry's container. `source` is a path on the engine's machine, or a volume's."""

    kind: Literal["bind", "volume", "tmpfs", "other"]
    source: str
    destination: str
    writable: bool
    anonymous: bool = False

    @property
    def outlives_container(self) -> bool:
        """Whether what is written there is found again by a container made anew. Anonymous volumes are not reused."""
        return self.kind in {"bind", "volume"} and not self.anonymous

    def holds(self, path: str) -> bool:
        """Whether `path` of the container lies on this mount."""
        return PurePosixPath(path).is_relative_to(self.destination)


@dataclass(frozen=True, slots=True)
class Permanence:
    """Whether a changed file outlives the server when no mount holds it, and the lines that make a setting last.

    `file_stays` is None where nobody knows.
    """

    file_stays: bool | None
    run_line: str = ""
    compose_lines: tuple[str, ...] = ()


class RunningRegistry(Protocol):
    """The server process and its configuration file. Every method raises ControlError when it cannot do its work."""

    url: str | None

    def describe(self) -> str:
        """Name it for a person: `container registry (image registry:2)`."""

    def version(self) -> str | None:
        """Return the server's version as `2.8.2`, None where its program cannot be asked."""

    def started_at(self) -> datetime | None:
        """Return when the server was started, None where nobody knows."""

    def is_frozen(self) -> bool:
        """Whether the server's process exists but is stopped by a signal, as a killed run could have left it."""

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What is mounted into its container; empty where there is none."""

    def reached(self, host: str, port: int) -> str | None:
        """Return `host:port` by which this machine reaches a listener of the server's; None where it does not."""

    def read_config(self) -> ConfigFile:
        """Return the configuration file that the server was started with."""

    def environment(self) -> Mapping[str, str]:
        """Return the server's REGISTRY_* variables. Print them only through `environment.shown`."""

    def permanence(self, variable: str, value: str) -> Permanence:
        """Return the lines that would set this variable for good."""

    def write_config(self, text: str) -> str:
        """Replace the configuration file, a dated copy of the old one beside it; return the copy's path."""

    def restart(self) -> float:
        """Restart the server, wait until it answers, and return the seconds that it was away."""

    @property
    def can_hold(self) -> bool:
        """Whether `hold` works here at all."""

    def hold(self) -> AbstractContextManager[float]:
        """Keep the server from doing anything while the context lasts; a fresh server answers when it has ended.

        The context's value is the `time.monotonic()` at which the server was told to stop.
        Raises ControlError, with the server running, where it cannot be shown that the server does nothing.
        """

    def garbage_collect(self, *, delete_untagged: bool) -> CollectorOutput:
        """Run the server's own garbage-collect, inside or outside of a hold."""
