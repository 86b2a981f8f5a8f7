"""Turns deletion on in the registry's configuration file, where that decides, and says when it would not last."""

from dataclasses import dataclass, field
from typing import Final

from jettison.control.config_edit import difference, with_delete_enabled
from jettison.control.config_file import parse_config
from jettison.control.running import Mount, RunningRegistry
from jettison.errors import ControlError

VARIABLE: Final = "REGISTRY_STORAGE_DELETE_ENABLED"


@dataclass(frozen=True, slots=True)
class ConfigEdit:
    """A planned change of the registry's configuration file.

    `changes` is False where nothing is to be done: deletion is on already (`already_enabled`), or the environment
    decides and the file does not. `survives` says whether the setting is still there in a container made anew.
    `advice` is for a person, empty where there is nothing to say. `difference` has its secrets masked; `old` and `new`
    have not.
    """

    path: str
    old: str = field(repr=False)
    new: str = field(repr=False)
    difference: str
    already_enabled: bool
    survives: bool
    advice: str

    @property
    def changes(self) -> bool:
        """Whether there is something to apply."""
        return self.old != self.new


def plan_enable_delete(running: RunningRegistry) -> ConfigEdit:
    """Decide what to change; nothing is written. Raises ControlError and ConfigurationError."""
    file = running.read_config()
    environment = running.environment()
    configuration = parse_config(file.text, environment, name=file.path)
    origin = configuration.origins["delete_enabled"]
    nothing = {"path": file.path, "old": file.text, "new": file.text, "difference": ""}
    stays = _outlives_container(running.mounts, file.path, running)
    if configuration.delete_enabled:
        return ConfigEdit(
            **nothing,
            already_enabled=True,
            survives=stays or origin.kind == "environment",
            advice="" if stays or origin.kind == "environment" else _would_not_last(running, file.path),
        )
    new = with_delete_enabled(file.text, name=file.path)
    if not parse_config(new, environment, name=file.path).delete_enabled:
        advice = (
            f"{origin.name} in the server's environment turns deletion off and wins over {file.path}, so the file was "
            "left "
            "as it is; change the environment"
        )
        return ConfigEdit(
            **nothing, already_enabled=False, survives=False, advice="\n".join((f"{advice}:", *_lasting_lines(running)))
        )
    return ConfigEdit(
        path=file.path,
        old=file.text,
        new=new,
        difference=difference(file.text, new, name=file.path),
        already_enabled=False,
        survives=stays,
        advice="" if stays else _would_not_last(running, file.path),
    )


def apply(running: RunningRegistry, edit: ConfigEdit) -> str | None:
    """Write the planned change; return the path of the old file's copy, None where there was nothing to change.

    The server reads it when it is restarted. Raises ControlError, with nothing written, when the file is not the one
    that was planned for.
    """
    if not edit.changes:
        return None
    if running.read_config().text != edit.old:
        raise ControlError(f"{edit.path} was changed since the difference was shown; nothing was written, look again")
    return running.write_config(edit.new)


def _outlives_container(mounts: tuple[Mount, ...], path: str, running: RunningRegistry) -> bool:
    over = [mount for mount in mounts if mount.holds(path)]
    if over:
        return max(over, key=lambda mount: len(mount.destination)).outlives_container
    return running.permanence(VARIABLE, "true").file_stays is True


def _would_not_last(running: RunningRegistry, path: str) -> str:
    lost = "a container made anew loses the change. This keeps it:"
    if running.permanence(VARIABLE, "true").file_stays is None:
        said = f"if {path} is inside a container and in no volume, {lost}"
    else:
        said = f"{path} is in no volume of {running.describe()}: {lost}"
    return "\n".join((said, *_lasting_lines(running)))


def _lasting_lines(running: RunningRegistry) -> tuple[str, ...]:
    lasting = running.permanence(VARIABLE, "true")
    lines = [lasting.run_line] if lasting.run_line else []
    if lasting.compose_lines:
        lines += ["or in the compose file:", *lasting.compose_lines]
    return tuple(f"  {line}" for line in lines)
