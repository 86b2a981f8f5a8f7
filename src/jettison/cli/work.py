"""What the commands that plan have in common: from options to a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jettison.cli.interrupt import Interruption, run_interruptibly
from jettison.cli.options import Connection, PolicyChoice
from jettison.cli.output import progress_on_terminal
from jettison.cli.use_options import UseChoice

if TYPE_CHECKING:
    from jettison.app.registries import KnownServer
    from jettison.app.use import Use
    from jettison.cli.ground import Ground
    from jettison.history.store import History
    from jettison.plan.model import Plan
    from jettison.policy.model import Limits, Policy


@dataclass(frozen=True, slots=True)
class Work:
    """A ground, a policy, and everything that a command needs to plan with them."""

    connection: Connection
    ground: "Ground"
    policy: "Policy"
    policy_name: str
    known: "KnownServer | None"
    delete_by: str | None
    use: "Use | None" = None

    @property
    def names_configured(self) -> Sequence[str]:
        """The repositories that the configuration names."""
        return self.ground.access.entry.repositories if self.ground.access is not None else ()

    def plan(self, history: "History", now: datetime, *, with_kept: bool = False) -> "Plan":
        """Ask what is in use, read the registry and plan."""
        import asyncio

        from jettison.app.make_plan import make_plan
        from jettison.cli.opening import open_ground
        from jettison.plan.model import DeleteBy

        async def work(interruption: Interruption) -> "Plan":
            used = await asyncio.to_thread(self.use.ask) if self.use is not None else None
            async with open_ground(
                self.ground,
                history,
                repositories=self.connection.exact_repositories(self.names_configured),
                known=self.known,
                delete_by=DeleteBy(self.delete_by) if self.delete_by else None,
                progress=progress_on_terminal("reading repositories:"),
            ) as registry:
                return await make_plan(
                    registry,
                    self.policy,
                    policy_name=self.policy_name,
                    now=now,
                    wanted=self.connection.wanted(self.names_configured),
                    with_kept=with_kept,
                    partial=bool(self.connection.repository or self.names_configured),
                    used=used,
                )

        return run_interruptibly(work)


def prepare(connection: Connection, choice: PolicyChoice, delete_by: str | None, use: UseChoice | None = None) -> Work:
    """Read configuration and policy, find what is meant, and ask the running registry for its version if possible."""
    from jettison.cli.ground import find_ground

    ground = find_ground(connection)
    entry = ground.access.entry if ground.access is not None else None
    policy, name = choice.load(*((entry.policy, entry.keep) if entry is not None else (None, None)))
    # A pattern that is none is told before anything is asked.
    connection.wanted(entry.repositories if entry is not None else ())
    found = (use or UseChoice()).find(ground, policy.in_use)
    return Work(connection, ground, policy, name, ground.known_server(), delete_by, found)


def plan_once(
    connection: Connection,
    choice: PolicyChoice,
    delete_by: str | None,
    now: datetime,
    *,
    with_kept: bool,
    use: UseChoice | None = None,
) -> "tuple[Plan, Limits]":
    """Plan, and return the plan with the brakes in force."""
    work = prepare(connection, choice, delete_by, use)
    return work.plan(connection.open_history(), now, with_kept=with_kept), work.policy.limits
