"""How Python is set up where the command line is all that runs in a process; elsewhere it is left alone."""

import gc
import io
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

ResultT = TypeVar("ResultT")
_ALLOCATIONS: Final = 100_000
_NICENESS: Final = 15
_is_own_process = False


def set_up_interpreter() -> None:
    """Write through a buffer, and look for cycles seldom.

    An inventory is millions of values without any cycle, and walking them costs a tenth of a plan. What cycles there
    are (exceptions, closed connections) are few and small.
    """
    global _is_own_process  # noqa: PLW0603  (a fact about the process, which has one)
    _is_own_process = True
    gc.set_threshold(_ALLOCATIONS, 50, 100)
    sys.stdout = _buffered(sys.stdout)
    sys.stderr = _buffered(sys.stderr)


def _buffered(stream: TextIO) -> TextIO:
    """Return a stream that writes all that it is given, each line at once.

    Where Python was told to write without a buffer (PYTHONUNBUFFERED, as images of containers set it), it loses what a
    write left over that was interrupted, by Ctrl-Z or a frozen container: a plan would be cut short, with status 0.
    """
    if not isinstance(getattr(stream, "buffer", None), io.RawIOBase):
        return stream
    file = os.fdopen(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(file, encoding=stream.encoding, errors=stream.errors, line_buffering=True)


def end_interpreter() -> None:
    """Take all that there is out of Python's last look for cycles: the system takes it back with the process."""
    gc.freeze()


def yield_to_others() -> None:
    """Let those who serve people have the processor first, from here to the end of a process of our own."""
    if not _is_own_process:
        return
    with suppress(OSError):  # where the system forbids it, work goes on as it is
        os.nice(max(0, _NICENESS - os.nice(0)))


def run_loop(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run `work` as asyncio.run does, on uvloop's event loop where that is installed: a request costs a sixth less."""
    # Loaded when first needed: it takes as long as the whole of a repeated dry run's marking.
    import asyncio

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> "Callable[[], AbstractEventLoop] | None":
    try:
        from uvloop import new_event_loop
    except ImportError:  # it is not made for every platform
        return None
    return new_event_loop
