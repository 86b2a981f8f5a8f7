"""Which process made a run, and whether it still lives: a pid alone does not say, since pids are used again."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeAlias

Life: TypeAlias = Literal["alive", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process, told apart from every other that ever had or will have its pid.

    `token` is `<boot id>:<pid namespace>:<start time in clock ticks since boot>` (proc(5)), empty without /proc.
    """

    host: str
    pid: int
    token: str

    @classmethod
    def current(cls) -> Self:
        """Return the identity of this process."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _token(pid) or "")

    def life(self) -> Life:
        """Say whether the process lives; `unknown` where this process cannot look: another host or pid namespace.

        A machine that was booted since has none of its old processes. A container that was made anew has the same boot
        but another pid namespace, and the old one may live on beside it.
        """
        if self.host != socket.gethostname():
            return "unknown"
        now = _token(self.pid)
        if not self.token:
            return "alive" if _pid_exists(self.pid) else "gone"
        boot, namespace, _ = self.token.split(":", 2)
        if boot != _read("/proc/sys/kernel/random/boot_id"):
            return "gone"
        if namespace != _pid_namespace():
            return "unknown"
        return "alive" if now == self.token else "gone"


def _token(pid: int) -> str | None:
    """Return the start token of the process `pid`, None where there is none."""
    status = _read(f"/proc/{pid}/stat")
    if not status:
        return None
    # The second field, the program's name in brackets, may hold spaces and brackets: count from its end. Fields 3 and
    # 22 of proc(5) are the state and the start time. A zombie has ended, though nobody asked for its exit status yet.
    fields = status.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return f"{_read('/proc/sys/kernel/random/boot_id')}:{_pid_namespace()}:{fields[19]}"


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink()).removeprefix("pid:")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _pid_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
