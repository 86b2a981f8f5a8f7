"""A registry that systemd runs, as Debian's docker-registry package does.

How it is held: the unit is stopped, the collector runs as the server's user with the server's environment, the unit is
started. The collector is the guardian's child, so it dies before the unit is started again should this run be killed.
"""

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from jettison.control import host_file, open_files, server_process
from jettison.control.collector_output import CollectorOutput, OutputReader
from jettison.control.environment import registry_variables
from jettison.control.guarded import Guard
from jettison.control.probe import Probe
from jettison.control.running import CONFIG_PLACES, ConfigFile, Mount, Permanence, here
from jettison.control.yaml_text import looks_secret
from jettison.errors import ControlError

_PROPERTIES: Final = ",".join(
    (
        "LoadState",
        "ActiveState",
        "MainPID",
        "ExecStart",
        "Environment",
        "WorkingDirectory",
        "ExecMainStartTimestampMonotonic",
    )
)
_ARGUMENTS: Final = re.compile(r"argv\[\]=(.*?) ; ")
_COMMAND_SECONDS: Final = 300.0
_QUIET_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.01
_FROZEN_PROBE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Server:
    """What must be known of the server before it is stopped, to run the collector in its place."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    folder: str
    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] | None = None


class UnitRegistry:
    """The registry in one systemd unit of this machine."""

    can_hold = True
    mounts: tuple[Mount, ...] = ()

    def __init__(self, unit: str, *, url: str | None) -> None:
        self.unit = unit if "." in unit else f"{unit}.service"
        self.url = url
        self._probe = Probe(url) if url else None
        self._held: tuple[Guard, _Server] | None = None

    def describe(self) -> str:
        """Name the unit."""
        return f"systemd unit {self.unit}"

    def version(self) -> str | None:
        """Ask the unit's program."""
        program = self._server().command[0]
        try:
            done = _run([program, "--version"])
        except ControlError:
            return None
        return server_process.version_in(done.stdout) if done.returncode == 0 else None

    def started_at(self) -> datetime | None:
        """Return the start of the unit's main process."""
        properties = self._show()
        microseconds = properties.get("ExecMainStartTimestampMonotonic", "0")
        if properties.get("MainPID", "0") == "0" or not microseconds.isdecimal():
            return None
        ago = time.clock_gettime(time.CLOCK_MONOTONIC) - int(microseconds) / 1e6
        return datetime.now(UTC) - timedelta(seconds=ago)

    def is_frozen(self) -> bool:
        """Whether the unit's main process is stopped by a signal."""
        return "T" in _process_status(self._show().get("MainPID", "0")).get("State", "")[:1]

    def reached(self, host: str, port: int) -> str | None:
        """Its server is on this machine, as far as anybody knows."""
        return here(host, port)

    def read_config(self) -> ConfigFile:
        """Read the file that the server's command names, else the usual one."""
        server = self._server()
        return host_file.read(self._config_path(server))

    def environment(self) -> Mapping[str, str]:
        """Return the running server's REGISTRY_* variables, else those of the unit."""
        return registry_variables(self._server().environment)

    def permanence(self, variable: str, value: str) -> Permanence:
        """Return a drop-in for the unit."""
        return Permanence(True, f"systemctl edit {self.unit}   # [Service] Environment={variable}={value}")

    def write_config(self, text: str) -> str:
        """Replace the file in one step, a dated copy beside it."""
        return host_file.replace(self.read_config().path, text)

    def restart(self) -> float:
        """Restart the unit and wait until the registry answers."""
        began = time.monotonic()
        self._systemctl("restart")
        self._wait()
        return time.monotonic() - began

    @contextmanager
    def hold(self) -> Iterator[float]:
        """Stop the unit while the context lasts."""
        if self._show().get("ActiveState") != "active":
            raise ControlError(f"{self.describe()} is not active; start it with: systemctl start {self.unit}")
        server = self._server()
        with Guard({"command": ["systemctl", "start", self.unit]}) as guard:
            began = time.monotonic()
            try:
                self._kill_at_rest()
                self._systemctl("stop")
                self._prove_stopped()
                self._held = (guard, server)
                yield began
            finally:
                self._held = None
                self._systemctl("start")
                guard.dismiss()
            self._wait()

    def garbage_collect(self, *, delete_untagged: bool) -> CollectorOutput:
        """Run the unit's program with `garbage-collect`, as the server's user and with its environment."""
        if self._held is None:
            with Guard({"command": ["true"]}) as guard:
                output = self._collect(guard, self._server(), delete_untagged=delete_untagged)
                guard.dismiss()
                return output
        return self._collect(*self._held, delete_untagged=delete_untagged)

    def _collect(self, guard: Guard, server: _Server, *, delete_untagged: bool) -> CollectorOutput:
        flags = ["--delete-untagged"] if delete_untagged else []
        command = [server.command[0], "garbage-collect", *flags, self._config_path(server)]
        reader = OutputReader(value for name, value in server.environment.items() if value and looks_secret(name))
        run = guard.run(
            command, environment=server.environment, user=server.user, group=server.group, groups=server.groups
        )
        status = -1
        for piece in run:
            if isinstance(piece, int):
                status = piece
            else:
                reader.feed(piece)
        return reader.finish(status)

    def _server(self) -> _Server:
        properties = self._show()
        pid = properties.get("MainPID", "0")
        folder = properties.get("WorkingDirectory") or "/"
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            block = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
            folder = str(Path(f"/proc/{pid}/cwd").readlink())
        except OSError:
            words, block = [], []
        if not server_process.is_server(words):
            return self._server_of_unit(properties, folder)
        environment = dict(each.partition("=")[::2] for each in block if "=" in each)
        status = _process_status(pid)
        if os.geteuid() != 0:
            return _Server(tuple(words), environment, folder)
        user, group = (int(status[name].split()[1]) for name in ("Uid", "Gid"))
        return _Server(tuple(words), environment, folder, user, group, tuple(map(int, status["Groups"].split())))

    def _server_of_unit(self, properties: Mapping[str, str], folder: str) -> _Server:
        """Read the unit's own text, for a server that does not run or may not be looked at."""
        found = _ARGUMENTS.search(properties.get("ExecStart", ""))
        command = tuple(shlex.split(found[1])) if found else ("registry",)
        environment = dict(each.partition("=")[::2] for each in shlex.split(properties.get("Environment", "")))
        return _Server(command, {"PATH": os.environ.get("PATH", os.defpath)} | environment, folder.lstrip("!-") or "/")

    def _config_path(self, server: _Server) -> str:
        named = server_process.config_path(server.command, server.environment, server.folder)
        if named is not None:
            return named
        for place in CONFIG_PLACES:
            if Path(place).is_file():
                return place
        raise ControlError(f"{self.describe()} names no configuration file; name it with --registry-config")

    def _show(self) -> dict[str, str]:
        done = _run(["systemctl", "show", self.unit, f"--property={_PROPERTIES}"])
        properties = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
        if done.returncode != 0 or properties.get("LoadState") == "not-found":
            said = done.stderr.strip()
            raise ControlError(
                f"systemd has no unit {self.unit}{f' ({said})' if said else ''}; see: systemctl list-units"
            )
        return properties

    def _systemctl(self, verb: str) -> None:
        done = _run(["systemctl", verb, self.unit])
        if done.returncode != 0:
            raise ControlError(
                f"systemctl {verb} {self.unit} failed: {done.stderr.strip() or f'status {done.returncode}'}; "
                f"look at: journalctl -u {self.unit}"
            )

    def _kill_at_rest(self) -> None:
        """Kill the server at a moment at which no file of the storage is half written (see open_files.py).

        `systemctl stop` alone would end it anywhere. Where we may not signal it, or it never rests, that must do: it is
        what every stop of the unit does.
        """
        pid = int(self._show().get("MainPID", "0"))
        deadline = time.monotonic() + _QUIET_SECONDS
        try:
            while pid and time.monotonic() < deadline:
                os.kill(pid, signal.SIGSTOP)
                while not _all_stopped(pid):
                    time.sleep(_PAUSE_SECONDS)
                if not open_files.being_written_here(pid):
                    os.kill(pid, signal.SIGKILL)
                    return
                os.kill(pid, signal.SIGCONT)
                time.sleep(_PAUSE_SECONDS)
        except (ProcessLookupError, PermissionError, FileNotFoundError):
            return

    def _prove_stopped(self) -> None:
        properties = self._show()
        if properties.get("MainPID", "0") != "0" or properties.get("ActiveState") not in {"inactive", "failed"}:
            raise ControlError(f"{self.describe()} did not stop, so nothing was collected")
        if self._probe is not None and self._probe.serves(timeout_seconds=_FROZEN_PROBE_SECONDS):
            raise ControlError(
                f"{self._probe.url} still answers while {self.describe()} is stopped: another server answers there, "
                "and pushes to it would be damaged; name the right unit, or run one server only"
            )

    def _wait(self) -> None:
        if self._probe is not None:
            self._probe.wait_until_serving(hint=f"look at: journalctl -u {self.unit}")


def _all_stopped(pid: int) -> bool:
    """Whether all threads of a process that was sent SIGSTOP have stopped, or it has ended."""
    states = [
        _process_status(f"{pid}/task/{task.name}").get("State", "X") for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return all(state[:1] in {"T", "t", "Z", "X"} for state in states)


def _process_status(pid: str) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603  # an argument list of our own, without a shell
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise ControlError(f"{command[0]} is not installed on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise ControlError(f"{' '.join(command[:3])} did not end in {_COMMAND_SECONDS:.0f} s") from error
    except OSError as error:
        raise ControlError(f"{command[0]} cannot be run: {error.strerror}") from error
