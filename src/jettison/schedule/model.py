"""Values of schedules: what is to run when, and what is installed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from jettison.errors import UsageError
from jettison.schedule.cron import Cron

Kind: TypeAlias = Literal["crontab", "systemd"]


@dataclass(frozen=True, slots=True)
class Job:
    """A command that is to run by the clock. Raises UsageError for text that neither cron nor systemd can hold."""

    registry: str
    """The registry's name or URL; there is one job for each."""
    cron: Cron
    command: tuple[str, ...]
    """The program, with its full path, and its arguments. Holds no secrets: all users can read them."""
    folder: Path
    """Where it runs, so that `./jettison.yaml` and relative paths mean what they meant when it was installed."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        texts = [self.registry, *self.command, str(self.folder), *self.environment, *self.environment.values()]
        for text in texts:
            # Both formats are lines of UTF-8, and different readers break lines at different characters.
            if not text.isprintable():
                raise UsageError(
                    f"{text!r} cannot be scheduled: it holds a line break or another unprintable character"
                )


@dataclass(frozen=True, slots=True)
class InstalledJob:
    """A job as it was found in a crontab or among systemd's units."""

    registry: str
    kind: Kind
    place: str
    """The unit's file, or `crontab of USER`."""
    cron: str
    """The cron expression as it stands there; somebody may have edited it into one that means nothing."""
    command: str
    """What runs, as a shell would take it."""
    active: bool | None
    """Whether systemd waits for the timer; None where nobody can be asked (cron has no such switch)."""
    next_runs: tuple[datetime, ...] = ()
    """The next times, in the machine's time zone; empty where the expression means nothing."""
