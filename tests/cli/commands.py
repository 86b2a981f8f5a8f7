"""How a command ended, and the same in a process of its own where a test needs one."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Ended:
    """A command's exit status and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON object that standard output holds, with nothing before or behind it."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def message(self) -> str:
        """The one message on standard error: a line, and no trace of Python."""
        lines = [line for line in self.err.splitlines() if line and not line.startswith("warning: ")]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("jettison: "), self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("jettison: ")


class Command(Protocol):
    """Runs `jettison` with arguments."""

    def __call__(self, *arguments: object) -> Ended: ...


def start(*arguments: object, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `jettison` in a process of its own, without a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "jettison", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | dict(environment or {}),
    )


def end(process: subprocess.Popen[str]) -> Ended:
    """Wait for a process to end."""
    out, err = process.communicate(timeout=60)
    return Ended(process.returncode, out, err)
