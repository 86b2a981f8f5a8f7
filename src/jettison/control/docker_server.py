"""The registry's server process inside a container: found, stopped at a harmless moment, and let run on."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from jettison.control import docker_files, open_files, server_process
from jettison.control.docker_errors import translated
from jettison.errors import ControlError

if TYPE_CHECKING:
    from docker.models.containers import Container

# One row a thread where the engine's `ps` can: a process is frozen when all its threads are.
_PS: Final = ("-eLo pid,stat,args", "-eo pid,stat,args", "-o pid,stat,args")
_STOP_SECONDS: Final = 5.0
_QUIET_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.02


@dataclass(frozen=True, slots=True)
class Thread:
    """A row of the engine's process list: a process, or one of its threads. `pid` is the engine's machine's."""

    pid: int
    state: str
    command: tuple[str, ...]

    @property
    def frozen(self) -> bool:
        """Whether a signal stopped it."""
        return self.state.startswith("T")


class ServerInContainer:
    """The server process, or processes, of one running container. Every method raises ControlError."""

    def __init__(self, container: "Container") -> None:
        self._container = container

    def threads(self) -> list[Thread]:
        """Return the servers' threads; empty where none runs."""
        return [thread for thread in self._all() if server_process.is_server(thread.command)]

    def command(self) -> tuple[str, ...]:
        """Return the server's command line, empty where none runs."""
        return next((thread.command for thread in self.threads()), ())

    def program(self) -> str:
        """Return the server's program as it was started, `registry` where none runs."""
        return next(iter(self.command()), "registry")

    def is_frozen(self) -> bool:
        """Whether a signal stopped any of it."""
        return any(thread.frozen for thread in self.threads())

    def freeze(self) -> None:
        """Stop all threads, at a moment at which no file of the storage is half written (see open_files.py).

        A moment that is not good is left again: the server runs on for a blink and is stopped anew.
        """
        if not self.threads():
            names = sorted({PurePosixPath(thread.command[0]).name for thread in self._all() if thread.command})
            raise ControlError(
                f"container {self._container.name} runs no registry server that can be recognized "
                f"(it runs {', '.join(names)}); name the registry's own container"
            )
        deadline = monotonic() + _QUIET_SECONDS
        self._stop()
        while self._being_written():
            if monotonic() > deadline:
                raise ControlError(
                    f"the server in container {self._container.name} writes without a pause, so it was not "
                    "stopped; try again when less is pushed"
                )
            self.thaw()
            sleep(_PAUSE_SECONDS)
            self._stop()

    def thaw(self) -> None:
        """Let it run on."""
        with translated(f"bringing back the server in container {self._container.name}"):
            self._container.kill(signal="CONT")
        if self.is_frozen():
            self._signal_inside("CONT")

    def _stop(self) -> None:
        with translated(f"stopping the server in container {self._container.name}"):
            self._container.kill(signal="STOP")
        if self._comes_to_rest():
            return
        # The first process is an init (`docker run --init`) or a shell; the server is one of its children.
        self._signal_inside("STOP")
        if not self._comes_to_rest():
            raise ControlError(
                f"the server in container {self._container.name} could not be stopped, so nothing was collected"
            )

    def _comes_to_rest(self) -> bool:
        """Whether all threads stop; one inside a system call stops when the call ends."""
        deadline = monotonic() + _STOP_SECONDS
        while True:
            threads = self.threads()
            if threads and all(thread.frozen for thread in threads):
                return True
            if not any(thread.frozen for thread in threads) or monotonic() > deadline:
                return False

    def _being_written(self) -> list[str]:
        found = []
        for pid in self._pids_inside():
            status, output = docker_files.run(self._container, ["ls", "-l", f"/proc/{pid}/fd"])
            if status != 0:
                return self._being_written_here()
            found += open_files.being_written(output)
        return found

    def _being_written_here(self) -> list[str]:
        """Ask this machine, for images without `ls`; refuse where the engine is on another one."""
        pids = {thread.pid for thread in self.threads()}
        try:
            return [path for pid in pids for path in open_files.being_written_here(pid)]
        except OSError as error:
            raise ControlError(
                f"what the server in container {self._container.name} is writing cannot be seen: its image has no "
                "`ls`, and its processes are not this user's or not on this machine; run jettison as root on the "
                "engine's machine"
            ) from error

    def _pids_inside(self) -> list[str]:
        status, output = docker_files.run(self._container, ["pidof", PurePosixPath(self.program()).name])
        pids = output.split() if status == 0 else []
        with translated(f"inspecting container {self._container.name}"):
            self._container.reload()
        first = int(self._container.attrs["State"].get("Pid") or 0)
        # Without `pidof` the first process is known all the same.
        return pids or ["1"] if {thread.pid for thread in self.threads()} == {first} else pids

    def _signal_inside(self, name: str) -> None:
        pids = self._pids_inside()
        if pids:
            docker_files.run(self._container, ["kill", f"-{name}", *pids])

    def _all(self) -> list[Thread]:
        for form in _PS:
            try:
                with translated(f"listing the processes of container {self._container.name}"):
                    table = self._container.top(ps_args=form)
            except ControlError:
                if form == _PS[-1]:
                    raise
                continue
            return [Thread(int(row[0]), row[1], tuple(row[2].split())) for row in table.get("Processes") or []]
        return []
