"""What the commands that delete have in common: from a plan to a report, and from there to collected space."""

from typing import TYPE_CHECKING

from jettison.cli.interrupt import Interruption, run_interruptibly
from jettison.cli.options import Connection
from jettison.cli.output import progress_on_terminal, warn

if TYPE_CHECKING:
    from jettison.app.access import Access
    from jettison.app.apply_plan import ApplyReport
    from jettison.app.clean import Recorder
    from jettison.app.collect import Collection
    from jettison.history.store import History
    from jettison.plan.model import Plan
    from jettison.policy.model import Limits


def apply_now(
    connection: Connection,
    access: "Access",
    history: "History",
    plan: "Plan",
    recorder: "Recorder",
    limits: "Limits",
    *,
    whole_registry: bool,
) -> "ApplyReport":
    """Apply a plan over the API; Ctrl-C stops after the action under way."""
    from jettison.app.clean import apply_recorded
    from jettison.app.sessions import open_registry

    progress = progress_on_terminal("deleting:")

    async def work(interruption: Interruption) -> "ApplyReport":
        async with open_registry(access, history, warn=warn) as registry:
            interruption.deleting = True
            return await apply_recorded(
                registry,
                plan,
                recorder,
                limits,
                whole_registry=whole_registry,
                stop=lambda: interruption.wanted,
                progress=progress,
            )

    return run_interruptibly(work)


def collect_now(
    connection: Connection, access: "Access", recorder: "Recorder", *, delete_untagged: bool = False
) -> "Collection":
    """Collect with the registry's own collector. Raises UsageError where nothing says how the registry is reached."""
    from jettison.app.collect import collect
    from jettison.cli.work import running_registry
    from jettison.errors import UsageError

    running = running_registry(connection, access)
    if running is None:
        raise UsageError(
            "--collector registry runs the registry's own garbage-collect where it runs; say how that is reached: "
            "--control docker, docker:NAME or systemd:UNIT"
        )
    return collect(running, recorder, delete_untagged=delete_untagged)
