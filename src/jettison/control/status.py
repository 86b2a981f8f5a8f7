"""What `registry status` tells: the server's version, the configuration in force, and what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jettison.control.config_file import Origin, RegistryConfiguration, parse_config
from jettison.control.running import ConfigFile, RunningRegistry


@dataclass(frozen=True, slots=True)
class RegistryStatus:
    """One registry's state. `origins` says for each field of `configuration` where its value comes from."""

    described: str
    version: str | None
    started_at: datetime | None
    config_path: str
    configuration: RegistryConfiguration
    frozen: bool
    problems: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Where each value of the configuration comes from."""
        return self.configuration.origins


def read_status(running: RunningRegistry) -> RegistryStatus:
    """Ask the registry. Raises ControlError and ConfigurationError."""
    file = running.read_config()
    environment = running.environment()
    configuration = parse_config(file.text, environment, name=file.path)
    started = running.started_at()
    frozen = running.is_frozen()
    problems = list(configuration.problems)
    if frozen:
        problems.append(
            f"the server of {running.describe()} is stopped by a signal, perhaps by a run that was killed; "
            "bring it back with: jettison registry restart"
        )
    if _is_newer(file, started):
        problems.append(
            f"{file.path} was changed after the server was started, so the server may still run with older settings; "
            "bring them into force with: jettison registry restart"
        )
    return RegistryStatus(
        described=running.describe(),
        version=running.version(),
        started_at=started,
        config_path=file.path,
        configuration=configuration,
        frozen=frozen,
        problems=tuple(problems),
        environment=environment,
    )


def waits_for_restart(running: RunningRegistry) -> bool:
    """Whether the configuration was changed since the server was started, so that it may run with an older one."""
    return _is_newer(running.read_config(), running.started_at())


def _is_newer(file: ConfigFile, started: datetime | None) -> bool:
    return started is not None and file.modified is not None and file.modified > started
