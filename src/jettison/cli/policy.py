"""`jettison policy`: work on policy files. One module per command, loaded when it is called."""

from typing import Final

import click

from jettison.cli.lazy import LazyGroup

_COMMANDS: Final = {
    "check": ("jettison.cli.policy_check", "Read a policy file, and say what is wrong with it."),
    "import": ("jettison.cli.policy_import", "Turn the retention policy of another system into ours."),
    "test": ("jettison.cli.policy_test", "Run cases that say what a policy must keep."),
    "schema": ("jettison.cli.policy_schema", "Print the JSON Schema of policy files, for editors."),
    "diff": ("jettison.cli.policy_diff", "Show what another policy would change in a registry."),
    "new": ("jettison.cli.policy_new", "Propose a policy from what is in a registry."),
    "record": ("jettison.cli.policy_record", "Write down what a registry holds, to try policies on."),
}


@click.command(cls=LazyGroup, table=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Check, test, compare and write policies."""
