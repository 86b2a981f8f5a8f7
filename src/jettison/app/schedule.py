"""Use case: run jettison on a registry by the clock, through the user's crontab or a systemd timer."""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote

from jettison.errors import ScheduleError, UsageError
from jettison.history.registry_url import canonical
from jettison.schedule import crontab_text
from jettison.schedule.cron import Cron, machine_time_zone
from jettison.schedule.crontab import Crontab
from jettison.schedule.model import InstalledJob, Job, Kind
from jettison.schedule.systemd import Systemd

Choice: TypeAlias = Literal["auto", "crontab", "systemd"]

# What changes which configuration, history, engine and certificates a run uses. Cron and systemd start jobs with almost
# nothing of a login's environment; PATH is where credential helpers and control commands are found.
_CARRIED: Final = (
    "PATH",
    "JETTISON_CONFIG",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "SSL_CERT_FILE",
    "NO_PROXY",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
)
_SECRET: Final = re.compile(r"PASSW|TOKEN|SECRET|CREDENTIAL|API_?KEY", re.IGNORECASE)
_PASSWORD_IN_URL: Final = re.compile(r"://[^/@\s:]*:[^/@\s]+@|[?&][a-z_]*(?:password|token|secret)=", re.IGNORECASE)
_WAY_OUT: Final = (
    "let jettison find it without the environment: `docker login` as the user who runs the job, or "
    "`auth: {username: ..., password_file: ...}` in the configuration file"
)


@dataclass(frozen=True, slots=True)
class Installation:
    """What `install` did, or with `print_only` would do."""

    job: Job
    kind: Kind
    text: str
    """The crontab's lines, or the unit files each below a comment with its path."""
    place: str
    """`crontab of USER`, or the timer's file."""
    next_runs: tuple[datetime, ...]
    notes: tuple[str, ...]
    """Sentences that a person should read: what the job will lack, and what was replaced."""


@dataclass(frozen=True, slots=True)
class Schedulers:
    """The programs that run jobs by the clock on this machine."""

    crontab: Crontab
    systemd: Systemd

    @classmethod
    def of_this_machine(cls) -> "Schedulers":
        """Return the current user's crontab and manager."""
        return cls(Crontab(), Systemd())


def install(
    registry: str,
    arguments: Sequence[str],
    cron: str,
    *,
    kind: Choice = "auto",
    print_only: bool = False,
    secret_variables: Collection[str] = (),
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    schedulers: Schedulers | None = None,
    now: datetime | None = None,
) -> Installation:
    """Let `jettison ARGUMENTS...` run at the times of `cron`, in place of what was scheduled for `registry` before.

    `registry` is its name in the configuration or its URL. `arguments` are what follows `jettison`, such as `run prod
    --yes`. `folder` is where it runs, by default here. `secret_variables` are variables of `environment` from which
    the configuration takes secrets; they are never written, a note names them. Raises UsageError for a bad expression
    and for secrets among the arguments, ScheduleError where cron or systemd fails.
    """
    schedulers = schedulers or Schedulers.of_this_machine()
    for argument in arguments:
        _refuse_secret(argument)
    carried, notes = _environment(environment, secret_variables)
    job = Job(
        registry=canonical(registry),
        cron=Cron.parse(cron),
        command=(*_program(), *arguments),
        folder=folder or Path.cwd(),
        environment=carried,
    )
    chosen = _choose(kind, schedulers)
    after = (now or datetime.now().astimezone()).astimezone(machine_time_zone())
    systemd_texts = schedulers.systemd.texts(job) if chosen == "systemd" else {}
    if chosen == "systemd":
        text = "\n".join(f"# {path}\n{content}" for path, content in systemd_texts.items())
        place = str(next(path for path in systemd_texts if path.suffix == ".timer"))
        if not schedulers.systemd.lingers(_user(environment)):
            notes.append(
                "systemd runs a user's timers only while that user is logged in: `loginctl enable-linger` lets "
                "them run always"
            )
    else:
        text = crontab_text.block(job).decode(errors="surrogateescape")
        place = schedulers.crontab.place
    if not print_only:
        notes += _put(job, chosen, schedulers)
    return Installation(job, chosen, text, place, job.cron.next_runs(after), tuple(notes))


def show(
    registry: str | None = None, *, schedulers: Schedulers | None = None, now: datetime | None = None
) -> list[InstalledJob]:
    """Return what is scheduled, for `registry` or for all, whoever edited it since. Raises ScheduleError."""
    schedulers = schedulers or Schedulers.of_this_machine()
    after = (now or datetime.now().astimezone()).astimezone(machine_time_zone())
    jobs = []
    if schedulers.crontab.is_here():
        for block in crontab_text.blocks(schedulers.crontab.read()):
            runs = _next_runs(block.cron, after)
            jobs.append(
                InstalledJob(block.registry, "crontab", schedulers.crontab.place, block.cron, block.command, None, runs)
            )
    for path, facts in schedulers.systemd.jobs():
        active = schedulers.systemd.is_active(path)
        runs = _next_runs(facts.cron, after) if active is not False else ()
        jobs.append(InstalledJob(facts.registry, "systemd", str(path), facts.cron, facts.command, active, runs))
    return [job for job in jobs if registry is None or job.registry == canonical(registry)]


def remove(registry: str, *, schedulers: Schedulers | None = None) -> tuple[Kind, ...]:
    """Remove what is scheduled for `registry`; return where it was. Raises UsageError where there is nothing."""
    schedulers = schedulers or Schedulers.of_this_machine()
    name = canonical(registry)
    removed: list[Kind] = []
    if _remove_from_crontab(name, schedulers.crontab):
        removed.append("crontab")
    if schedulers.systemd.remove(name):
        removed.append("systemd")
    if not removed:
        raise UsageError(f"nothing is scheduled for {name}: `jettison schedule show` lists what is")
    return tuple(removed)


def _choose(kind: Choice, schedulers: Schedulers) -> Kind:
    if kind == "auto":
        return "systemd" if schedulers.systemd.is_running() else "crontab"
    return kind


def _put(job: Job, kind: Kind, schedulers: Schedulers) -> list[str]:
    """Install the job, and see to it that the other scheduler does not run it as well."""
    if kind == "systemd":
        schedulers.systemd.install(job)
        if _remove_from_crontab(job.registry, schedulers.crontab):
            return [f"its lines in the {schedulers.crontab.place} were removed, or it would run twice"]
        return []
    old = schedulers.crontab.read()
    new = crontab_text.with_job(old, job)
    if new != old:
        schedulers.crontab.replace(old, new)
    if schedulers.systemd.remove(job.registry):
        return ["its systemd timer was removed, or it would run twice"]
    return []


def _remove_from_crontab(registry: str, crontab: Crontab) -> bool:
    if not crontab.is_here():
        return False
    old = crontab.read()
    new = crontab_text.without_job(old, registry)
    if new != old:
        crontab.replace(old, new)
    return new != old


def _next_runs(cron: str, after: datetime) -> tuple[datetime, ...]:
    try:
        return Cron.parse(cron).next_runs(after)
    except UsageError:
        # Edited by hand into something that we do not read, such as @reboot: cron may, so it is shown without times.
        return ()


def _refuse_secret(argument: str) -> None:
    option = argument.partition("=")[0]
    names_secret = option.startswith("--") and _SECRET.search(option) and not option.endswith(("-file", "-env"))
    # A password may stand there with its special characters escaped.
    if names_secret or _PASSWORD_IN_URL.search(argument) or _PASSWORD_IN_URL.search(unquote(argument)):
        shown = option if names_secret else "a URL among the arguments"
        raise UsageError(
            f"{shown} holds a secret, and a schedule's command line can be read by every user of this machine: "
            f"leave it out and {_WAY_OUT}"
        )


def _environment(environment: Mapping[str, str], secret_variables: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Return what of the environment the job gets, and notes on what it does not get."""
    carried, lacking = {}, []
    for name in _CARRIED:
        value = environment.get(name, "")
        if name == "PATH":
            value = os.pathsep.join(dict.fromkeys(part for part in value.split(os.pathsep) if part.startswith("/")))
        if value and (_PASSWORD_IN_URL.search(value) or name in secret_variables):
            lacking.append(name)
        elif value:
            carried[name] = value
    lacking += [
        name
        for name in environment
        if name in secret_variables
        or (name.startswith("JETTISON_") and (_SECRET.search(name) or name == "JETTISON_USERNAME"))
    ]
    if not lacking:
        return carried, []
    names = ", ".join(dict.fromkeys(lacking))
    return carried, [f"{names} is set here and holds a secret, so the scheduled run will not have it: {_WAY_OUT}"]


def _program() -> tuple[str, ...]:
    """Return the full path of the jettison that runs now: cron knows no PATH that would find it."""
    beside = Path(sys.executable).with_name("jettison")
    called = Path(sys.argv[0]).absolute()
    for candidate in (beside, called if called.name == "jettison" else beside):
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return (str(candidate),)
    found = shutil.which("jettison")
    if found is None:
        raise ScheduleError(
            f"the jettison program was not found beside {shlex.quote(sys.executable)} or in PATH: install the package, "
            "or print the schedule with --print and write the right path into it"
        )
    return (str(Path(found).absolute()),)


def _user(environment: Mapping[str, str]) -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return environment.get("USER", "")
