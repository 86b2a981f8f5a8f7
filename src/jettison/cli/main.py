"""The entry point: finds the command, and turns errors into one message and the documented exit status."""

import os
import sys
from collections.abc import Sequence
from typing import Final

import click

from jettison import __version__
from jettison.cli.interpreter import end_interpreter, set_up_interpreter
from jettison.cli.lazy import LazyGroup
from jettison.errors import JettisonError

INTERRUPTED: Final = 130

# The module of each command, and its line in the list.
_COMMANDS: Final = {
    "plan": ("jettison.cli.plan", "Show what would be deleted, why, and what that frees. Writes nothing."),
    "apply": ("jettison.cli.apply", "Delete what a plan file lists, after checking each action again."),
    "run": ("jettison.cli.run", "Plan, apply and collect in one go: what a schedule calls."),
    "gc": ("jettison.cli.gc", "Give the disk space of deleted images back."),
    "undo": ("jettison.cli.undo", "Take back what a run deleted or collected."),
    "quarantine": ("jettison.cli.quarantine", "Look at what was collected; bring it back, or purge it."),
    "explain": ("jettison.cli.explain", "Tell why one image stays or goes, and when it will expire."),
    "forecast": ("jettison.cli.forecast", "Show what will expire when, and what that frees."),
    "in-use": ("jettison.cli.in_use", "Show what runs, and which images that keeps."),
    "usage": ("jettison.cli.usage", "Show how much space each repository takes."),
    "pulls": ("jettison.cli.pulls", "Learn from logs which images are pulled."),
    "history": ("jettison.cli.history", "Show what earlier runs did."),
    "registry": ("jettison.cli.registry", "Look at and configure the running registry."),
    "schedule": ("jettison.cli.schedule", "Let a run start by itself, by cron or systemd."),
    "policy": ("jettison.cli.policy", "Check, test, compare and write policies."),
    "demo": ("jettison.cli.demo", "Run the main job on a sample registry in a temporary folder."),
}


@click.command(
    cls=LazyGroup,
    table=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, message="jettison %(version)s")
def cli() -> None:
    """Keep a self-hosted container registry from filling its disk.

    Start with a look: jettison plan http://127.0.0.1:5000 --keep 10
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the documented status."""
    set_up_interpreter()
    status = run(arguments)
    end_interpreter()
    sys.exit(status)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 1 failed, 2 wrong usage, 3 brake, 4 in part."""
    try:
        result = cli.main(arguments, prog_name="jettison", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("jettison: interrupted; nothing is under way any more", err=True)
        return INTERRUPTED
    except JettisonError as error:
        click.echo(f"jettison: {error}", err=True)
        return error.exit_status
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nobody is left to tell. Python must not try to flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        click.echo(f"jettison: {error.filename or 'the system'}: {error.strerror or error}", err=True)
        return 1
    return result if isinstance(result, int) else 0
