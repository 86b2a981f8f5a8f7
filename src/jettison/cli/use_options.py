"""Options that say where images in use are asked for, and what they amount to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from jettison.cli.grouped_options import CommandT, grouped

if TYPE_CHECKING:
    from jettison.app.use import Use
    from jettison.cli.ground import Ground
    from jettison.plan.model import Plan


class UseChoice(NamedTuple):
    """Sources besides those of the policy and configuration, and further names of the registry."""

    in_use: tuple[str, ...] = ()
    alias: tuple[str, ...] = ()

    def find(self, ground: "Ground", by_policy: Sequence[str]) -> "Use | None":
        """Return what to ask, None where nothing names a source. Raises ConfigurationError or UsageError."""
        return self._find(ground, by_policy, self._names(ground))

    def find_again(self, ground: "Ground", plan: "Plan") -> "Use | None":
        """Return what to ask before a plan is applied: what it was made with, and what is named now."""
        if plan.in_use is None:
            return self.find(ground, ())
        names = self._names(ground)
        if plan.in_use.names is not None:
            names = (*plan.in_use.names, *(names or ()))
        return self._find(ground, plan.in_use.sources, names)

    def _find(self, ground: "Ground", first: Sequence[str], names: Sequence[str] | None) -> "Use | None":
        configured = ground.access.entry.in_use if ground.access is not None else ()
        wanted = (*first, *configured, *self.in_use)
        if not wanted:
            return None
        from jettison.app.use import find_use

        return find_use(ground.connection.configuration(), wanted, names)

    def _names(self, ground: "Ground") -> Sequence[str] | None:
        """Return the names under which runtimes know the registry; None where only a storage is known."""
        if ground.access is not None:
            reached = [ground.access]
        else:
            reached = ground.configured() if ground.storage is not None else []
        names = [
            name
            for each in reached
            for name in (each.url.origin, each.url.origin + each.url.prefix, *each.entry.aliases)
        ]
        return (*names, *self.alias) if names or self.alias else None


def use_options(function: CommandT) -> CommandT:
    """Add the options of `UseChoice`; the command gets it as `use`."""
    options = [
        click.option(
            "--in-use", multiple=True, metavar="SOURCE", help="Keep what runs: docker, kubernetes, or another source."
        ),
        click.option("--alias", multiple=True, metavar="HOST", help="Another name of the registry in images that run."),
    ]
    return grouped(function, "use", UseChoice, options)
