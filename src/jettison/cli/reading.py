"""What the commands that look at a policy's work have in common: an inventory, the policy, and what is in use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from jettison.cli.interrupt import Interruption, run_interruptibly
from jettison.cli.options import Connection
from jettison.cli.output import progress_on_terminal
from jettison.cli.use_options import UseChoice
from jettison.errors import UsageError

if TYPE_CHECKING:
    from jettison.cli.ground import Ground
    from jettison.oci.inventory import Inventory
    from jettison.policy.in_use import InUse
    from jettison.policy.model import Policy

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


def inventory_option(function: FunctionT) -> FunctionT:
    """Add `--inventory`; the command gets it as `inventory`."""
    option = click.option(
        "--inventory",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Read what `policy record` wrote, instead of a registry.",
    )
    return option(function)


@dataclass(frozen=True, slots=True)
class Reading:
    """Where an inventory comes from: a registry, or a recorded one (then `ground` is None)."""

    connection: Connection
    ground: "Ground | None"
    recorded: "Inventory | None" = None

    @classmethod
    def find(cls, connection: Connection, recorded: Path | None, registry: str | None = None) -> "Reading":
        """Find what is meant; `registry` stands instead of the command line's. Raises UsageError."""
        from jettison.cli.ground import find_ground

        if recorded is not None:
            if connection.registry is not None or connection.storage is not None or registry is not None:
                raise UsageError("--inventory stands instead of a registry: give one of them")
            return cls(connection, None, load_inventory(recorded))
        return cls(connection, find_ground(connection, registry))

    @property
    def names_configured(self) -> Sequence[str]:
        """The repositories that the configuration names."""
        if self.ground is None or self.ground.access is None:
            return ()
        return self.ground.access.entry.repositories

    @property
    def policy_configured(self) -> tuple[str | None, int | None]:
        """The policy file and the number of versions to keep that the configuration names."""
        if self.ground is None or self.ground.access is None:
            return (None, None)
        return self.ground.access.entry.policy, self.ground.access.entry.keep

    def in_use(self, policy: "Policy", choice: UseChoice) -> "InUse | None":
        """Ask what is in use, as a plan would. Raises InUseError. For a recorded inventory nobody is asked."""
        if self.ground is None:
            return None
        use = choice.find(self.ground, policy.in_use)
        return use.ask().in_use if use is not None else None

    def read(self, now: datetime, only: str | None = None) -> "Inventory":
        """Return the inventory; of `only` this repository where it is given."""
        wanted = self.connection.wanted(self.names_configured) if only is None else only.__eq__
        if self.recorded is not None:
            from dataclasses import replace

            recorded = self.recorded
            return replace(recorded, repositories=tuple(each for each in recorded.repositories if wanted(each.name)))
        assert self.ground is not None  # noqa: S101  (one of the two is given, see `find`)
        from jettison.cli.opening import open_ground

        ground, history = self.ground, self.connection.open_history()
        names = self.connection.exact_repositories(self.names_configured) if only is None else (only,)

        async def work(interruption: Interruption) -> "Inventory":
            progress = progress_on_terminal("reading repositories:")
            async with open_ground(ground, history, repositories=names, progress=progress) as registry:
                return await registry.read(wanted, now)

        return run_interruptibly(work)


def load_inventory(file: Path) -> "Inventory":
    """Read a recorded inventory, packed or not. Raises UsageError, ConfigurationError."""
    import gzip
    import zlib

    from jettison.oci.record import decode_inventory

    try:
        body = file.read_bytes()
        if body.startswith(b"\x1f\x8b"):
            body = gzip.decompress(body)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{file}: the inventory cannot be read: {reason}") from error
    return decode_inventory(body, str(file))


def warn_of_problems(inventory: "Inventory", consequence: str) -> bool:
    """Warn of what could not be read, and what follows from that. Return whether all could be."""
    from jettison.cli.output import warn

    blocked = [(each.name, problem) for each in inventory.repositories for problem in each.problems if problem.blocks]
    for problem in inventory.problems:
        warn(problem.text)
    for name, problem in blocked:
        warn(f"{name}: {problem.text}")
    if blocked or inventory.problems:
        warn(consequence)
    return not blocked and not inventory.problems
