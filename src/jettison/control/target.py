"""What `--control` names: `docker`, `docker:NAME`, `systemd:UNIT`, or the command lines of the configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from jettison.control.given_commands import CommandRegistry, Commands
from jettison.control.local_file import LocalFileRegistry
from jettison.control.running import RunningRegistry
from jettison.control.systemd_unit import UnitRegistry
from jettison.errors import ConfigurationError, UsageError

_LISTS: Final = ("exec", "restart", "stop", "start")
_WORDS: Final = ("config", "program")


@dataclass(frozen=True, slots=True)
class DockerTarget:
    """A container by its name or id; without a name, the one that serves the registry's URL."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class SystemdTarget:
    """A unit of this machine's systemd."""

    unit: str


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """Command lines of the configuration."""

    commands: Commands


@dataclass(frozen=True, slots=True)
class FileTarget:
    """The registry's configuration file alone."""

    path: str


ControlTarget = DockerTarget | SystemdTarget | CommandTarget | FileTarget


def parse_target(given: str | Mapping[str, object]) -> ControlTarget:
    """Read the command line's `--control`, or the configuration's `control:` (a text or `{command: {...}}`).

    Raises UsageError for a text, ConfigurationError for a mapping, that names no way to reach a registry.
    """
    if not isinstance(given, str):
        return CommandTarget(_commands(given))
    kind, colon, name = given.strip().partition(":")
    if kind == "docker" and (name or not colon):
        return DockerTarget(name or None)
    if kind == "systemd" and name:
        return SystemdTarget(name)
    if kind == "file" and name:
        return FileTarget(name)
    if kind == "command":
        raise UsageError("command lines for control stand in the configuration file: control: {command: {exec: [...]}}")
    raise UsageError(f"--control {given!r} is none of docker, docker:NAME and systemd:UNIT")


def connect(target: ControlTarget, *, url: str | None, base_url: str | None = None) -> RunningRegistry:
    """Reach the registry. `url` is where clients reach it, `base_url` the docker engine's when not $DOCKER_HOST's.

    Raises ControlError, naming candidates, where there is no such container or unit.
    """
    match target:
        case DockerTarget(name):
            from jettison.control import docker_discovery

            if name is not None:
                return docker_discovery.named_container(name, url=url, base_url=base_url)
            if url is None:
                raise UsageError("--control docker finds the container by the registry's URL; give one, or docker:NAME")
            return docker_discovery.serving_container(url, base_url=base_url)
        case SystemdTarget(unit):
            return UnitRegistry(unit, url=url)
        case CommandTarget(commands):
            return CommandRegistry(commands, url=url)
        case FileTarget(path):
            return LocalFileRegistry(path, url=url)


def _commands(given: Mapping[str, object]) -> Commands:
    inner = given.get("command")
    if set(given) != {"command"} or not isinstance(inner, Mapping):
        raise ConfigurationError("control: expected docker, docker:NAME, systemd:UNIT or {command: {exec: [...], ...}}")
    for key in inner:
        if key not in (*_LISTS, *_WORDS):
            close = get_close_matches(str(key), [*_LISTS, *_WORDS], n=1)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join((*_LISTS, *_WORDS))}"
            raise ConfigurationError(f"control.command.{key}: there is no such key; {hint}")
    lists = {key: _words(f"control.command.{key}", inner[key]) for key in _LISTS if key in inner}
    words = {key: _word(f"control.command.{key}", inner[key]) for key in _WORDS if key in inner}
    if ("stop" in lists) != ("start" in lists):
        raise ConfigurationError("control.command: stop and start go together; give both or neither")
    return Commands(**lists, **words)  # type: ignore[arg-type]  # lists have the list keys, words the others


def _words(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise ConfigurationError(
            f"{name}: expected a list of words, as in [docker, restart, registry]; no shell reads it"
        )
    return tuple(_word(f"{name}[{number}]", word) for number, word in enumerate(value))


def _word(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name}: expected a text; put it in quotes")
    return value
