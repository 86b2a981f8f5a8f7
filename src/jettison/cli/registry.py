"""`jettison registry`: the running registry and its configuration."""

from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from jettison.cli.options import (
    Connection,
    confirm,
    connection_options,
    json_option,
    registry_argument,
    yes_option,
)

if TYPE_CHECKING:
    from jettison.control.enable_delete import ConfigEdit
    from jettison.control.running import RunningRegistry
    from jettison.control.status import RegistryStatus
    from jettison.registry.answers import Abilities


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Look at and configure the running registry.

    It is reached with --control docker (the container that serves REGISTRY), docker:NAME or systemd:UNIT, or with
    command lines in the configuration file.
    """


@command.command()
@registry_argument
@connection_options
@json_option
def status(connection: Connection, *, as_json: bool) -> int:
    """Show version, deletion, cache, storage driver and read-only mode, and where each setting comes from.

    What the API alone can tell is asked by deleting what cannot exist. With --control, or --registry-config FILE, the
    configuration in force is shown: the server's file, overridden by its REGISTRY_* environment.
    """
    from jettison.cli.output import print_json
    from jettison.cli.running import running_registry
    from jettison.control.status import read_status
    from jettison.errors import RegistryError

    access = connection.access() if _names_a_registry(connection) else None
    running = running_registry(connection, access)
    told = read_status(running) if running is not None else None
    abilities = None
    if access is not None and not (told is not None and told.frozen):
        try:
            abilities = _ask_api(connection)
        except RegistryError as error:
            if told is None:
                raise
            # A server that does not answer has a configuration all the same.
            told = replace(told, problems=(*told.problems, f"it cannot be asked over the API: {error}"))
    if as_json:
        print_json(_document(connection, told, abilities))
    else:
        _print_status(told, abilities)
    return 0 if access is None or abilities is not None else 1


@command.command("enable-delete")
@registry_argument
@connection_options
@click.option("--restart/--no-restart", default=True, help="Restart the registry, so that the change is in force.")
@yes_option
@json_option
def enable_delete(connection: Connection, *, restart: bool, yes: bool, as_json: bool) -> int:
    """Turn deletion on in the registry's config.yml: shows the difference, keeps a copy of the old file beside it."""
    from jettison.control.enable_delete import plan_enable_delete

    running = _required(connection)
    words = ("Deletion is enabled already", "and deletes now")
    return _edit(running, plan_enable_delete(running), words, restart=restart, yes=yes, as_json=as_json)


@command.command("prepare")
@registry_argument
@connection_options
@click.option("--restart/--no-restart", default=True, help="Restart the registry, so that the change is in force.")
@yes_option
@json_option
def prepare(connection: Connection, *, restart: bool, yes: bool, as_json: bool) -> int:
    """Turn deletion on and the descriptor cache off, in one edit and one restart.

    Then `gc` need not ask the server what it remembers, and takes unreferenced manifests without a further restart.
    """
    from jettison.control.prepare import plan_preparation

    running = _required(connection)
    words = (
        "Deletion is enabled already, and there is no descriptor cache",
        "deletes now, and has no descriptor cache",
    )
    return _edit(running, plan_preparation(running), words, restart=restart, yes=yes, as_json=as_json)


def _edit(
    running: "RunningRegistry", edit: "ConfigEdit", words: tuple[str, str], *, restart: bool, yes: bool, as_json: bool
) -> int:
    """Show and write a change of the configuration, restart, and tell; `words` say what was so already, and is now."""
    from jettison.cli.output import console, note, print_json
    from jettison.control.enable_delete import apply
    from jettison.control.status import waits_for_restart

    already, now = words
    copy, away = None, None
    if edit.changes:
        (note if as_json else console().print)(edit.difference)
        confirm(f"Write this to {edit.path}?", yes=yes)
        copy = apply(running, edit)
        if restart and running.url is not None:
            away = running.restart()
    enabled = edit.already_enabled or edit.changes
    waits = away is None and waits_for_restart(running)
    if as_json:
        print_json(
            {
                "version": 1,
                "registry": running.describe(),
                "path": edit.path,
                "changed": edit.changes,
                "enabled": enabled,
                "survives": edit.survives,
                "advice": edit.advice,
                "backup": copy,
                "outage_seconds": away,
                "waits_for_restart": waits,
            }
        )
        return 0 if enabled else 1
    out = console()
    if edit.already_enabled:
        out.print(f"{already}: {edit.path}.", markup=False)
    if edit.changes:
        out.print(f"Written; the old file is kept as {copy}.", markup=False)
    if away is not None:
        out.print(f"Restarted: the registry was away for {away:.1f} s, {now}.")
    elif waits or edit.changes:
        out.print("In force after a restart: jettison registry restart")
    if edit.advice:
        out.print(edit.advice, markup=False)
    return 0 if enabled else 1


@command.command()
@registry_argument
@connection_options
@yes_option
@json_option
def restart(connection: Connection, *, yes: bool, as_json: bool) -> int:
    """Restart the registry, and wait until it answers again."""
    from jettison.cli.output import console, print_json

    running = _required(connection)
    confirm(f"Restart {running.describe()}?", yes=yes)
    away = running.restart()
    if as_json:
        print_json({"version": 1, "registry": running.describe(), "outage_seconds": round(away, 3)})
    else:
        console().print(f"Restarted {running.describe()}: it was away for {away:.1f} s.", markup=False)
    return 0


def _names_a_registry(connection: Connection) -> bool:
    """Whether the command line or the configuration says which registry is meant; a file alone may be asked too."""
    return (connection.registry or connection.configuration().only_name) is not None


def _required(connection: Connection) -> "RunningRegistry":
    from jettison.cli.running import running_registry
    from jettison.errors import UsageError

    running = running_registry(connection, connection.access() if _names_a_registry(connection) else None)
    if running is None:
        raise UsageError(
            "say how the running registry is reached: --control docker, docker:NAME or systemd:UNIT, or "
            "--registry-config FILE"
        )
    return running


def _ask_api(connection: Connection) -> "Abilities":
    """Ask the registry itself what it lets us delete, of a repository that nobody has where it shows none."""
    from jettison.cli.interrupt import Interruption, run_interruptibly
    from jettison.errors import UnauthorizedError, UnsupportedError
    from jettison.registry.client import RegistryClient

    access = connection.access()
    named = connection.exact_repositories(access.entry.repositories)

    async def work(interruption: Interruption) -> "Abilities":
        async with RegistryClient(
            access.url, credentials=access.credentials, tls=access.tls, limits=access.limits
        ) as client:
            await client.ping()
            repository = next(iter(named), None)
            if repository is None:
                with suppress(StopAsyncIteration, UnauthorizedError, UnsupportedError):
                    repository = await anext(client.repositories())
            return await client.preflight(repository or "jettison/preflight")

    return run_interruptibly(work)


def _print_status(told: "RegistryStatus | None", abilities: "Abilities | None") -> None:
    from jettison.cli.output import console, table, warn

    made = table("setting", "value", "from")
    if told is not None:
        configuration, origins = told.configuration, told.origins
        made.add_row("registry", told.described, "")
        made.add_row("version", told.version or "?", "")
        made.add_row("configuration", told.config_path, "")
        for label, name, value in (
            ("deletion", "delete_enabled", "enabled" if configuration.delete_enabled else "disabled"),
            ("read-only", "readonly", "yes" if configuration.readonly else "no"),
            ("descriptor cache", "cache", configuration.cache or "none"),
            ("storage driver", "driver", configuration.driver),
            ("root directory", "root_directory", configuration.root_directory or "-"),
        ):
            origin = origins.get(name)
            made.add_row(label, value, str(origin) if origin else "")
        if told.started_at is not None:
            made.add_row("started", f"{told.started_at.astimezone():%Y-%m-%d %H:%M:%S}", "")
    if abilities is not None:
        made.add_row("deletes manifests", "yes" if abilities.deletes_manifests else "no", "asked over the API")
        made.add_row("deletes single tags", "yes" if abilities.deletes_tags else "no", "asked over the API")
        if abilities.read_only:
            made.add_row("read-only", "yes", "asked over the API")
    out = console()
    out.print(made)
    if abilities is not None and abilities.manifests_reason:
        out.print(abilities.manifests_reason, markup=False)
    for problem in told.problems if told is not None else ():
        warn(problem)


def _document(connection: Connection, told: "RegistryStatus | None", abilities: "Abilities | None") -> dict[str, Any]:
    configuration = None
    if told is not None:
        values = told.configuration
        configuration = {
            "delete_enabled": values.delete_enabled,
            "readonly": values.readonly,
            "cache": values.cache,
            "driver": values.driver,
            "root_directory": values.root_directory,
            "origins": {name: str(origin) for name, origin in told.origins.items()},
        }
    return {
        "version": 1,
        "registry": told.described if told else connection.registry,
        "server_version": told.version if told else None,
        "config_path": told.config_path if told else None,
        "started_at": told.started_at if told else None,
        "configuration": configuration,
        "abilities": asdict(abilities) if abilities else None,
        "problems": list(told.problems) if told else [],
    }
