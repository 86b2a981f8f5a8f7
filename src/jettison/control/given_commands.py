"""A registry reached by command lines of the configuration, for what neither docker nor systemd runs here.

    control:
      command:
        exec: [ssh, registry-host, docker, exec, -i, registry]         runs what follows where the server's files are
        restart: [ssh, registry-host, docker, restart, registry]
        stop: [ssh, registry-host, docker, kill, --signal, STOP, registry]      optional: holds the server
        start: [ssh, registry-host, docker, restart, -t, "0", registry]         with stop: brings a fresh one back
        config: /etc/docker/registry/config.yml                        optional, else the usual places are tried
        program: registry                                              optional: the server's program

`exec` must work while the server is stopped by `stop`. Commands are argument lists; no shell reads them.
"""

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from os import environ
from typing import Final

from jettison.control import host_file, server_process
from jettison.control.collector_output import CollectorOutput, OutputReader
from jettison.control.environment import registry_variables
from jettison.control.guarded import Guard
from jettison.control.probe import Probe
from jettison.control.running import CONFIG_PLACES, ConfigFile, Mount, Permanence, here
from jettison.control.yaml_text import looks_secret
from jettison.errors import ControlError

_COMMAND_SECONDS: Final = 300.0
_STOPPED_PROBE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Commands:
    """The command lines; an empty one is not given."""

    exec: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    config: str = ""
    program: str = "registry"


class CommandRegistry:
    """The registry behind these command lines."""

    mounts: tuple[Mount, ...] = ()

    def __init__(self, commands: Commands, *, url: str | None) -> None:
        self._commands = commands
        self.url = url
        self._probe = Probe(url) if url else None
        self._guard: Guard | None = None

    @property
    def can_hold(self) -> bool:
        """Whether there are commands to stop and start the server."""
        return bool(self._commands.stop and self._commands.start)

    def describe(self) -> str:
        """Name the program of the first command; arguments may hold what nobody should read."""
        first = next(iter((*self._commands.exec, *self._commands.restart, *self._commands.start)), "nothing")
        return f"registry reached by given commands ({first})"

    def version(self) -> str | None:
        """Ask the server's program."""
        done = self._inside([self._commands.program, "--version"])
        return server_process.version_in(done.stdout.decode(errors="replace")) if done.returncode == 0 else None

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
        """Read the file with `cat`."""
        places = [self._commands.config] if self._commands.config else CONFIG_PLACES
        for place in places:
            done = self._inside(["cat", place])
            if done.returncode == 0:
                return ConfigFile(place, host_file.decoded(done.stdout, place))
        raise ControlError(
            f"control.command.exec could read no registry configuration at {' or '.join(places)}; set "
            "control.command.config"
        )

    def environment(self) -> Mapping[str, str]:
        """Return the REGISTRY_* variables that a program started by `exec` has."""
        done = self._inside(["env"])
        if done.returncode != 0:
            raise ControlError("control.command.exec could not run `env`, so the registry's environment is unknown")
        lines = done.stdout.decode(errors="replace").splitlines()
        return registry_variables(dict(line.partition("=")[::2] for line in lines if "=" in line))

    def permanence(self, variable: str, value: str) -> Permanence:
        """Return the line that would set the variable where the server is in a container."""
        return Permanence(None, f"docker run -e {variable}={value} ...")

    def write_config(self, text: str) -> str:
        """Write the file in place with `tee`, after a dated copy with `cp -p`; read it back and compare."""
        path = self.read_config().path
        copy = host_file.backup_name(path)
        if (done := self._inside(["cp", "-p", path, copy])).returncode != 0:
            raise ControlError(f"no copy of {path} could be made beside it: {_said(done)}; nothing was changed")
        written = self._inside(["tee", path], given=text.encode())
        if written.returncode != 0 or written.stdout != text.encode() or self.read_config().text != text:
            self._inside(["cp", "-p", copy, path])
            raise ControlError(
                f"{path} could not be written ({_said(written)}), it is as before; control.command.exec must pass "
                "standard "
                "input on (docker exec -i)"
            )
        return copy

    def restart(self) -> float:
        """Run the restart command, or stop and start, and wait until the registry answers."""
        began = time.monotonic()
        if self._commands.restart:
            self._must(self._commands.restart, "restart")
        elif self.can_hold:
            self._must(self._commands.stop, "stop")
            self._must(self._commands.start, "start")
        else:
            raise ControlError("control.command has no restart; give it one, or stop and start")
        self._wait()
        return time.monotonic() - began

    @contextmanager
    def hold(self) -> Iterator[float]:
        """Run `stop`, and `start` at the end."""
        if not self.can_hold:
            raise ControlError("control.command has no stop and start; without them the registry cannot be held")
        with Guard({"command": list(self._commands.start)}) as guard:
            began = time.monotonic()
            try:
                self._must(self._commands.stop, "stop")
                if self._probe is not None and self._probe.serves(timeout_seconds=_STOPPED_PROBE_SECONDS):
                    raise ControlError(
                        f"{self._probe.url} still answers after control.command.stop, so nothing was collected; "
                        "correct it"
                    )
                self._guard = guard
                yield began
            finally:
                self._guard = None
                self._must(self._commands.start, "start")
                guard.dismiss()
            self._wait()

    def garbage_collect(self, *, delete_untagged: bool) -> CollectorOutput:
        """Run `garbage-collect` through `exec`."""
        flags = ["--delete-untagged"] if delete_untagged else []
        secrets = [value for name, value in self.environment().items() if value and looks_secret(name)]
        command = [self._commands.program, "garbage-collect", *flags, self.read_config().path]
        if self._guard is not None:
            return self._collect(self._guard, command, secrets)
        with Guard({"command": ["true"]}) as guard:
            output = self._collect(guard, command, secrets)
            guard.dismiss()
        return output

    def _collect(self, guard: Guard, command: Sequence[str], secrets: Sequence[str]) -> CollectorOutput:
        reader = OutputReader(secrets)
        status = -1
        for piece in guard.run([*self._exec(), *command], environment=environ):
            if isinstance(piece, int):
                status = piece
            else:
                reader.feed(piece)
        return reader.finish(status)

    def _exec(self) -> tuple[str, ...]:
        if not self._commands.exec:
            raise ControlError("control.command has no exec; without it the registry's files cannot be reached")
        return self._commands.exec

    def _inside(self, command: Sequence[str], given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        return _run([*self._exec(), *command], given)

    def _must(self, command: Sequence[str], name: str) -> None:
        done = _run(command)
        if done.returncode != 0:
            raise ControlError(f"control.command.{name} ({command[0]}) failed: {_said(done)}")

    def _wait(self) -> None:
        if self._probe is not None:
            self._probe.wait_until_serving(hint="look at its log")


def _run(command: Sequence[str], given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603  # the configured command, an argument list
            list(command), input=given or b"", capture_output=True, timeout=_COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ControlError(f"control.command: {command[0]} did not end in {_COMMAND_SECONDS:.0f} s") from error
    except OSError as error:
        raise ControlError(f"control.command: {command[0]} cannot be run: {error.strerror}") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"status {done.returncode}"
