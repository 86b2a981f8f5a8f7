"""What the commands that plan have in common: from options to a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jettison.cli.interrupt import Interruption, run_interruptibly
from jettison.cli.options import Connection, PolicyChoice
from jettison.cli.output import progress_on_terminal, warn

if TYPE_CHECKING:
    from jettison.app.access import Access
    from jettison.app.registries import KnownServer
    from jettison.control.running import RunningRegistry
    from jettison.history.store import History
    from jettison.plan.model import Plan
    from jettison.policy.model import Limits, Policy


@dataclass(frozen=True, slots=True)
class Work:
    """A registry, a policy, and everything that a command needs to plan with them."""

    connection: Connection
    access: "Access"
    policy: "Policy"
    policy_name: str
    known: "KnownServer | None"
    delete_by: str | None

    @property
    def names_configured(self) -> Sequence[str]:
        """The repositories that the configuration names."""
        return self.access.entry.repositories

    @property
    def is_whole_registry(self) -> bool:
        """Whether no repository is left out on request."""
        return not self.connection.repository and not self.names_configured

    def plan(self, history: "History", now: datetime, *, with_kept: bool = False) -> "Plan":
        """Read the registry and plan."""
        from jettison.app.make_plan import make_plan
        from jettison.app.sessions import open_registry
        from jettison.plan.model import DeleteBy

        async def work(interruption: Interruption) -> "Plan":
            async with open_registry(
                self.access,
                history,
                repositories=self.connection.exact_repositories(self.names_configured),
                known=self.known,
                delete_by=DeleteBy(self.delete_by) if self.delete_by else None,
                warn=warn,
                progress=progress_on_terminal("reading repositories:"),
            ) as registry:
                return await make_plan(
                    registry,
                    self.policy,
                    policy_name=self.policy_name,
                    now=now,
                    wanted=self.connection.wanted(self.names_configured),
                    with_kept=with_kept,
                )

        return run_interruptibly(work)


def prepare(connection: Connection, choice: PolicyChoice, delete_by: str | None) -> Work:
    """Read configuration and policy, and ask the running registry for its version if it can be reached."""
    access = connection.access()
    policy, name = choice.load(access.entry.policy, access.entry.keep)
    connection.wanted(access.entry.repositories)  # a pattern that is none is told before anything is asked
    return Work(connection, access, policy, name, known_server(connection, access), delete_by)


def plan_once(
    connection: Connection, choice: PolicyChoice, delete_by: str | None, now: datetime, *, with_kept: bool
) -> "tuple[Plan, Limits]":
    """Plan, and return the plan with the brakes in force."""
    work = prepare(connection, choice, delete_by)
    return work.plan(connection.open_history(), now, with_kept=with_kept), work.policy.limits


def running_registry(connection: Connection, access: "Access | None") -> "RunningRegistry | None":
    """Reach the running registry as `--control`, `--registry-config` or the configuration say; None without them."""
    import msgspec

    from jettison.control.target import connect, parse_target

    given: object = connection.control
    if given is None and connection.registry_config is not None:
        given = f"file:{connection.registry_config}"
    if given is None and access is not None:
        entry = access.entry
        given = entry.control if entry.control is not None else None
        if given is None and entry.registry_config is not None:
            given = f"file:{entry.registry_config}"
    if given is None:
        return None
    target = parse_target(given if isinstance(given, str) else msgspec.to_builtins(given))
    return connect(target, url=access.name if access is not None else None)


def known_server(connection: Connection, access: "Access") -> "KnownServer | None":
    """Return version and storage driver as the running registry or its configuration tell; None where neither can."""
    from jettison.app.registries import KnownServer
    from jettison.control.status import read_status

    running = running_registry(connection, access)
    if running is None:
        return None
    status = read_status(running)
    return KnownServer(status.version, status.configuration.driver)
