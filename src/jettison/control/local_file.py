"""A registry of which only the configuration file is known (`--registry-config FILE`): read, changed, not restarted."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime

from jettison.control import host_file
from jettison.control.collector_output import CollectorOutput
from jettison.control.running import ConfigFile, Mount, Permanence, here
from jettison.errors import ControlError


class LocalFileRegistry:
    """A configuration file on this machine. The environment of its server is unknown, so overrides are not seen."""

    can_hold = False
    mounts: tuple[Mount, ...] = ()

    def __init__(self, path: str, *, url: str | None = None) -> None:
        self.path = path
        self.url = url

    def describe(self) -> str:
        """Name the file."""
        return f"configuration file {self.path}"

    def version(self) -> str | None:
        """Nobody knows."""
        return None

    def started_at(self) -> datetime | None:
        """Nobody knows."""
        return None

    def is_frozen(self) -> bool:
        """Nobody knows."""
        return False

    def reached(self, host: str, port: int) -> str | None:
        """Its server is on this machine, as far as anybody knows."""
        return here(host, port)

    def read_config(self) -> ConfigFile:
        """Read the file."""
        return host_file.read(self.path)

    def environment(self) -> Mapping[str, str]:
        """Nothing is known of it."""
        return {}

    def permanence(self, variable: str, value: str) -> Permanence:
        """Nothing to say: a file on this machine stays."""
        return Permanence(file_stays=True)

    def write_config(self, text: str) -> str:
        """Replace the file in one step, a dated copy beside it."""
        return host_file.replace(self.read_config().path, text)

    def restart(self) -> float:
        """Refuse: a file cannot be restarted."""
        raise self._only_a_file("restarted")

    def hold(self) -> AbstractContextManager[float]:
        """Refuse: a file cannot be held."""
        raise self._only_a_file("held")

    def garbage_collect(self, *, delete_untagged: bool) -> CollectorOutput:
        """Refuse: a file runs no collector."""
        raise self._only_a_file("made to collect")

    def _only_a_file(self, what: str) -> ControlError:
        return ControlError(
            f"only the registry's configuration file {self.path} is known, so the server cannot be {what}; "
            "name it with --control docker:NAME, systemd:UNIT or a command in the configuration"
        )
