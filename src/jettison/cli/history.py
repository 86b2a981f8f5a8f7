"""`jettison history`: what earlier runs did. `jettison history RUN` is `jettison history show RUN`."""

from typing import Final

import click

from jettison.cli.lazy import LazyGroup

_COMMANDS: Final = {
    "show": ("jettison.cli.history_show", "List the newest runs, or show each step of one. The default."),
    "prune": ("jettison.cli.history_prune", "Forget what is old, and give its space back."),
}


class _ShowByDefault(LazyGroup):
    """A run's id stands where a command's name would."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `show` in front of what names no command."""
        named = args[:1] and (args[0] in _COMMANDS or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["show", *args])


@click.command(cls=_ShowByDefault, table=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show what earlier runs did, and forget what is old.

    `jettison history` and `jettison history RUN` show.
    """
