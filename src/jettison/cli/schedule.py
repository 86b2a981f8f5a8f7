"""`jettison schedule`: let a run start by itself."""

from typing import TYPE_CHECKING

import click

from jettison.cli.options import json_option

if TYPE_CHECKING:
    from jettison.app.schedule import Installation
    from jettison.schedule.model import InstalledJob

_PASS_ON = {"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Let `jettison run` start by itself, by cron or by a systemd timer."""


@command.command(context_settings=_PASS_ON)
@click.argument("run_arguments", nargs=-1, type=click.UNPROCESSED, metavar="[REGISTRY] [RUN OPTIONS]...")
@click.option("--cron", required=True, metavar="EXPRESSION", help='When, as in a crontab: "0 0 * * *" is midnight.')
@click.option(
    "--kind",
    type=click.Choice(["auto", "crontab", "systemd"]),
    default="auto",
    show_default=True,
    help="A crontab line or a systemd timer; auto takes systemd where it runs.",
)
@click.option("--print", "print_only", is_flag=True, help="Only show what would be written.")
@json_option
def install(run_arguments: tuple[str, ...], cron: str, kind: str, *, print_only: bool, as_json: bool) -> int:
    """Schedule `jettison run REGISTRY RUN-OPTIONS --yes`. Installing again replaces what was there.

    Without REGISTRY it is the configuration's default one.

    \b
    jettison schedule install http://127.0.0.1:5000 --cron "0 0 * * *" --keep 10 --control docker
    """
    from jettison.app.access import Overrides, resolve_access
    from jettison.app.configuration import load_configuration
    from jettison.app.schedule import install as install_job
    from jettison.cli.options import PolicyChoice
    from jettison.cli.output import print_json
    from jettison.cli.run import command as run_command

    arguments = list(run_arguments)
    if not {"--yes", "-y"} & set(arguments):
        arguments.append("--yes")
    # What `jettison run` would refuse every night is refused now.
    parsed = run_command.make_context("jettison run", list(arguments)).params
    configuration = load_configuration(parsed["config"])
    registry = parsed["registry"]
    if registry is None and parsed["offline"] and parsed["storage"] is not None:
        from jettison.app.find_storage import open_storage

        registry = open_storage(parsed["storage"]).name
    else:
        access = resolve_access(configuration, registry, Overrides())
        registry = registry or configuration.only_name or access.name
    PolicyChoice(**{name: parsed[name] for name in PolicyChoice._fields}).load(*configuration.policy_of(registry))
    secrets = [entry.auth.password_env for entry in configuration.registries.values() if entry.auth]
    installation = install_job(
        registry,
        ["run", *arguments],
        cron,
        kind=kind,  # type: ignore[arg-type]  # click.Choice gives one of the three
        print_only=print_only,
        secret_variables=[name for name in secrets if name],
    )
    if as_json:
        print_json(_document(installation, print_only=print_only))
    else:
        _print_installation(installation, print_only=print_only)
    return 0


@command.command()
@click.argument("registry", required=False, metavar="[REGISTRY]")
@json_option
def show(registry: str | None, *, as_json: bool) -> int:
    """List what is scheduled, and when it runs next."""
    from jettison.app.schedule import show as list_jobs
    from jettison.cli.output import console, print_json, table

    jobs = list_jobs(registry)
    if as_json:
        # Not `asdict`: it copies the machine's time zone, which cannot be copied.
        print_json({"version": 1, "jobs": jobs})
        return 0
    if not jobs:
        console().print("Nothing is scheduled.")
        return 0
    made = table("registry", "kind", "cron", "next", "active", "command")
    for job in jobs:
        made.add_row(job.registry, job.kind, job.cron, _next(job), _active(job), job.command)
    console().print(made)
    return 0


@command.command()
@click.argument("registry", metavar="REGISTRY")
@json_option
def remove(registry: str, *, as_json: bool) -> int:
    """Remove the schedule of REGISTRY, named as it was when installed."""
    from jettison.app.schedule import remove as remove_job
    from jettison.cli.output import console, print_json

    removed = remove_job(registry)
    if as_json:
        print_json({"version": 1, "registry": registry, "removed": list(removed)})
    elif removed:
        console().print(f"Removed the {' and '.join(removed)} schedule of {registry}.", markup=False)
    else:
        console().print(f"Nothing was scheduled for {registry}; `jettison schedule show` lists what is.", markup=False)
    return 0


def _print_installation(installation: "Installation", *, print_only: bool) -> None:
    from jettison.cli.output import console, note

    out = console()
    out.print(installation.text.rstrip("\n"), markup=False)
    for line in installation.notes:
        note(line)
    if print_only:
        return
    times = ", ".join(f"{moment:%Y-%m-%d %H:%M}" for moment in installation.next_runs)
    out.print(f"Installed in {installation.place}. It runs next: {times}.", markup=False)


def _document(installation: "Installation", *, print_only: bool) -> dict[str, object]:
    return {
        "version": 1,
        "registry": installation.job.registry,
        "kind": installation.kind,
        "place": str(installation.place),
        "installed": not print_only,
        "text": installation.text,
        "next_runs": list(installation.next_runs),
        "notes": list(installation.notes),
    }


def _next(job: "InstalledJob") -> str:
    return f"{job.next_runs[0]:%Y-%m-%d %H:%M}" if job.next_runs else "?"


def _active(job: "InstalledJob") -> str:
    return "?" if job.active is None else "yes" if job.active else "no"
