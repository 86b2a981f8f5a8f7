"""Ctrl-C: stops at a safe point, and says how to go on."""

import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from jettison.cli.interpreter import run_loop

ResultT = TypeVar("ResultT")


class Interruption:
    """Whether somebody wants the run to stop. The first signal asks, a second one breaks off."""

    def __init__(self) -> None:
        self.wanted = False
        self.deleting = False
        """Set while actions are done: then the first signal only asks, and the action under way is finished."""


def run_interruptibly(work: Callable[[Interruption], Coroutine[Any, Any, ResultT]]) -> ResultT:
    """Run `work` to its end. Raises KeyboardInterrupt where a signal broke it off."""
    import asyncio

    async def main() -> ResultT:
        interruption = Interruption()
        task = asyncio.ensure_future(work(interruption))

        def interrupt() -> None:
            if interruption.deleting and not interruption.wanted:
                click.echo("stopping after the action under way; once more breaks off", err=True)
            else:
                task.cancel()
            interruption.wanted = True

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        try:
            return await task
        except asyncio.CancelledError as error:
            raise KeyboardInterrupt from error

    return run_loop(main())
