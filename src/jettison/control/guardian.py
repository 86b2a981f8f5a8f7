"""The guardian: a small process of its own that brings the registry back when the run that holds it dies.

Run as `python -m jettison.control.guardian`, in a session of its own, with a pipe from its parent as standard input.
The parent writes JSON lines:

    {"rescue": {"container": ID, "base_url": URL | null} | {"command": [...]}}     first: what to do if the parent dies
    {"run": {"command": [...], "environment": {...}, "user": ..., "group": ..., "groups": [...]}}      one at a time
    {"done": true}                                                                 the registry is back; go

and the guardian answers with `{"ready": true}`, `{"output": TEXT}`..., `{"exit": STATUS}`. The end of the input without
`done` means that the parent was killed, at whatever instruction: then the program that was being run is killed first
(a collector must not outlive the hold), and the rescue is done. The kernel closes the pipe of a process that dies, so
there is no moment at which a kill leaves a registry that nobody brings back.
"""

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import syslog
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

_ATTEMPTS: Final = 20
_PAUSE_SECONDS: Final = 3.0
_PR_SET_PDEATHSIG: Final = 1
_CHUNK: Final = 65_536


class _Restartable(Protocol):
    def restart(self, *, timeout: int) -> None: ...


def main() -> int:
    """Serve one parent; return 0 when it said `done`, 1 when the registry had to be brought back."""
    # Ctrl-C and a lost terminal are meant for the parent; what they do to it, the pipe tells.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    return _Guardian().serve()


class _Guardian:
    def __init__(self) -> None:
        self._input = bytearray()
        self._child: subprocess.Popen[bytes] | None = None
        self._rescue: Callable[[], None] | None = None
        self._name = ""
        self._selector = selectors.DefaultSelector()

    def serve(self) -> int:
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.fd != sys.stdin.fileno():
                        self._pass_on(key.fd)
                    elif self._listen():
                        return 0
        except (EOFError, BrokenPipeError):
            return self._bring_back()

    def _listen(self) -> bool:
        """Read what the parent sent and do it; True when it said `done`. Raises EOFError when the parent is gone."""
        chunk = os.read(sys.stdin.fileno(), _CHUNK)
        if not chunk:
            raise EOFError
        self._input += chunk
        while b"\n" in self._input:
            line, _, rest = bytes(self._input).partition(b"\n")
            self._input[:] = rest
            if self._obey(json.loads(line)):
                return True
        return False

    def _obey(self, order: dict[str, Any]) -> bool:
        if "rescue" in order:
            self._rescue, self._name = _prepared(order["rescue"])
            _say({"ready": True})
        elif "run" in order:
            self._start(order["run"])
        return "done" in order

    def _start(self, run: Mapping[str, Any]) -> None:
        try:
            self._child = subprocess.Popen(  # noqa: S603  # the parent's command, an argument list
                run["command"],
                env=run["environment"],
                user=run["user"],
                group=run["group"],
                extra_groups=run["groups"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  # this process has one thread
            )
        except (OSError, subprocess.SubprocessError) as error:
            _say({"output": f"{run['command'][0]}: {error}\n"})
            _say({"exit": 127})
            return
        if self._child.stdout is not None:
            self._selector.register(self._child.stdout.fileno(), selectors.EVENT_READ)

    def _pass_on(self, descriptor: int) -> None:
        chunk = os.read(descriptor, _CHUNK)
        if chunk:
            _say({"output": chunk.decode(errors="replace")})
            return
        self._selector.unregister(descriptor)
        if self._child is not None:
            status = self._child.wait()
            self._child = None
            _say({"exit": status})

    def _bring_back(self) -> int:
        if self._child is not None:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
        if self._rescue is None:
            return 1  # the parent died before it held anything
        for _ in range(_ATTEMPTS):
            try:
                self._rescue()
            except Exception as error:  # whatever it is, the registry must come back: say it and try again
                syslog.syslog(
                    syslog.LOG_ERR, f"jettison: {self._name} is held and did not start: {type(error).__name__}"
                )
                time.sleep(_PAUSE_SECONDS)
            else:
                syslog.syslog(
                    syslog.LOG_WARNING, f"jettison: a run was killed while it held {self._name}; started it again"
                )
                break
        return 1


def _prepared(rescue: Mapping[str, Any]) -> tuple[Callable[[], None], str]:
    """Return the rescue and its name, everything that it needs loaded: there may be no second chance."""
    if "container" in rescue:
        import docker

        base_url = rescue["base_url"]
        client = docker.DockerClient(base_url=base_url) if base_url else docker.from_env()
        container: _Restartable = client.containers.get(rescue["container"])
        # Restarted without grace: a stopped process must not run on, it could accept a push whose blobs are collected.
        return (lambda: container.restart(timeout=0)), f"container {rescue['container'][:12]}"
    command = rescue["command"]

    def run() -> None:
        subprocess.run(  # noqa: S603  # the configured command, an argument list
            command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=300
        )

    return run, str(command[0])


def _die_with_parent() -> None:
    """Have the kernel kill the program when this guardian is killed: it must not run on beside the server."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _say(message: dict[str, object]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


if __name__ == "__main__":
    sys.exit(main())
