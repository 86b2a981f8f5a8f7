"""The parent's side of the guardian: start it before anything is held, dismiss it when the registry is back."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Self

from jettison.errors import ControlError

_READY_SECONDS: Final = 30.0
_CHUNK: Final = 65_536


class Guard:
    """A guardian process that does `rescue` if this process dies before `dismiss`.

    As a context: entering starts it and returns when it stands ready; leaving it without `dismiss` makes it do the
    rescue, which is right, since then the registry is not back.
    """

    def __init__(self, rescue: Mapping[str, object]) -> None:
        self._rescue = dict(rescue)
        self._process: subprocess.Popen[bytes] | None = None
        self._received = bytearray()

    def __enter__(self) -> Self:
        # Its own session: neither Ctrl-C nor the end of a terminal reaches it.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "jettison.control.guardian"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        try:
            self._send({"rescue": self._rescue})
            ready = self._receive(_READY_SECONDS).get("ready")
        except BaseException:
            self._close()
            raise
        if not ready:
            self._close()
            raise ControlError(
                "the guardian process, which brings the registry back should this run be killed, did not get ready; "
                "nothing was stopped"
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        user: int | None = None,
        group: int | None = None,
        groups: Sequence[int] | None = None,
    ) -> Iterator[str | int]:
        """Run a program that is killed with this process; yield its output as it comes, at last its exit status.

        Raises ControlError when the guardian was killed.
        """
        identity = {"user": user, "group": group, "groups": None if groups is None else list(groups)}
        self._send({"run": {"command": list(command), "environment": dict(environment), **identity}})
        while "exit" not in (message := self._receive(None)):
            yield str(message.get("output", ""))
        yield int(message["exit"])

    def dismiss(self) -> None:
        """Tell the guardian that the registry is back; one that was killed need not be told."""
        with contextlib.suppress(ControlError):
            self._send({"done": True})

    def _send(self, order: Mapping[str, object]) -> None:
        process = self._running()
        try:
            os.write(process.stdin.fileno() if process.stdin else -1, json.dumps(order).encode() + b"\n")
        except BrokenPipeError as error:
            raise self._gone() from error

    def _receive(self, limit_seconds: float | None) -> dict[str, Any]:
        process = self._running()
        descriptor = process.stdout.fileno() if process.stdout else -1
        deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
        while b"\n" not in self._received:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([descriptor], [], [], left)[0]:
                return {}
            chunk = os.read(descriptor, _CHUNK)
            if not chunk:
                raise self._gone()
            self._received += chunk
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received[:] = rest
        message: dict[str, Any] = json.loads(line)
        return message

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the guardian was not started")
        return self._process

    def _gone(self) -> ControlError:
        return ControlError(
            "the guardian process ended by itself or was killed, so the registry's garbage-collect was given up; "
            "try again"
        )

    def _close(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()
