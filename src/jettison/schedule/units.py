"""The text of a service and its timer (systemd.service(5), systemd.timer(5)). Pure."""

import re
import shlex
from dataclasses import dataclass
from typing import Final

from jettison.errors import UsageError
from jettison.schedule.model import Job
from jettison.schedule.oncalendar import on_calendar

_HEADER: Final = "# jettison: "
_MADE: Final = "# Made by `jettison schedule install`, which replaces it; `jettison schedule remove` removes it.\n"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a timer's file says of the job in it."""

    registry: str
    cron: str
    command: str


def unit_name(registry: str) -> str:
    """Return `jettison-NAME` for a registry's name or URL, of characters that need no escape in file and unit names."""
    return "jettison-" + (
        re.sub(r"[^A-Za-z0-9_.-]+", "-", registry.partition("://")[2] or registry).strip("-.") or "registry"
    )


def service(job: Job, *, for_user: bool) -> str:
    """Return the service's text; `for_user` for the manager of a user, which knows no network target."""
    network = "" if for_user else "Wants=network-online.target\nAfter=network-online.target\n"
    environment = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in job.environment.items())
    return (
        f"{_MADE}"
        "[Unit]\n"
        f"Description={_specifiers(f'jettison cleans up {job.registry}')}\n"
        f"{network}\n"
        "[Service]\n"
        "Type=oneshot\n"
        f"WorkingDirectory={_folder(str(job.folder))}\n"
        f"{environment}"
        # `$` begins a variable in command lines only.
        f"ExecStart={' '.join(_quoted(word).replace('$', '$$') for word in job.command)}\n"
        # As Ctrl-C does: the run stops at a safe point.
        "KillSignal=SIGINT\n"
    )


def timer(job: Job) -> str:
    """Return the timer's text. It says the job's facts in comments, for `facts_of`."""
    events = "".join(f"OnCalendar={event}\n" for event in on_calendar(job.cron))
    return (
        f"{_MADE}"
        f"{_HEADER}registry {job.registry}\n"
        f"{_HEADER}cron {job.cron.text}\n"
        f"{_HEADER}command {shlex.join(job.command)}\n"
        "[Unit]\n"
        f"Description={_specifiers(f'jettison cleans up {job.registry}')} at {job.cron.text}\n\n"
        "[Timer]\n"
        f"{events}"
        # A night that the machine slept through is made up for.
        "Persistent=true\n\n"
        "[Install]\n"
        "WantedBy=timers.target\n"
    )


def facts_of(timer_text: str) -> Facts | None:
    """Read what `timer` wrote; None for a timer that is not ours."""
    said = {}
    for line in timer_text.splitlines():
        if line.startswith(_HEADER):
            key, _, value = line.removeprefix(_HEADER).partition(" ")
            said[key] = value
    if not {"registry", "cron", "command"} <= said.keys():
        return None
    return Facts(said["registry"], said["cron"], said["command"])


def _quoted(word: str) -> str:
    """Quote a word for a unit file (systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers")."""
    word = _specifiers(word)
    if re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _folder(folder: str) -> str:
    if folder.endswith("\\") or folder.strip() != folder:
        raise UsageError(f"systemd cannot run in the folder {folder!r}: call jettison in another one")
    return _specifiers(folder)
