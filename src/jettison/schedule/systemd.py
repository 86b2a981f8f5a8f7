"""systemd's timers: unit files written and removed, and the manager told of it."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from jettison.errors import ScheduleError
from jettison.schedule.model import Job
from jettison.schedule.units import Facts, facts_of, service, timer, unit_name


class Systemd:
    """The system's manager for root, the user's own for everybody else."""

    def __init__(
        self,
        *,
        for_user: bool | None = None,
        folder: Path | None = None,
        program: str = "systemctl",
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Name the manager; `folder` is where its units are, by default where systemd looks for added ones."""
        self.for_user = os.geteuid() != 0 if for_user is None else for_user
        self._environment = environment
        self._folder = folder or self._default_folder()
        self._program = program

    def is_running(self) -> bool:
        """Whether this manager runs (sd_booted(3); the user's manager keeps a folder of its own)."""
        if not Path("/run/systemd/system").is_dir() or shutil.which(self._program) is None:
            return False
        runtime = self._environment.get("XDG_RUNTIME_DIR")
        return not self.for_user or (runtime is not None and (Path(runtime) / "systemd").is_dir())

    def lingers(self, user: str) -> bool:
        """Whether the manager runs while nobody is logged in: the system's does, a user's where that is switched on."""
        return not self.for_user or (Path("/var/lib/systemd/linger") / user).exists()

    def texts(self, job: Job) -> dict[Path, str]:
        """Return the files that `install` writes."""
        base = self._folder / unit_name(job.registry)
        return {
            base.with_name(base.name + ".service"): service(job, for_user=self.for_user),
            base.with_name(base.name + ".timer"): timer(job),
        }

    def install(self, job: Job) -> None:
        """Write the units and start the timer, in place of the registry's old ones.

        Raises ScheduleError where systemd does not take them; the files are then as before.
        """
        unit = unit_name(job.registry) + ".timer"
        there = self._facts(self._folder / unit)
        if (self._folder / unit).exists() and (there is None or there.registry != job.registry):
            whose = "by hand" if there is None else f"for {there.registry}"
            raise ScheduleError(
                f"{self._folder / unit} was made {whose}: remove it, or give the registry "
                "a name of its own in the configuration"
            )
        texts = self.texts(job)
        before = {path: path.read_bytes() if path.exists() else None for path in texts}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for path, text in texts.items():
                _write(path, text.encode())
            self._call("daemon-reload")
            # A timer that runs keeps its old times, and a persistent one remembers when it ran: installed again after a
            # month it would run at once, which nobody asked for. Systemd before 243 cannot forget; there it may.
            self._call("stop", unit)
            self._run("clean", "--what=state", unit)
            self._call("enable", "--now", unit)
        except OSError as error:
            _restore(before)
            raise ScheduleError(f"the units in {self._folder} cannot be written: {error.strerror}") from error
        except ScheduleError:
            _restore(before)
            raise

    def remove(self, registry: str) -> bool:
        """Stop the registry's timer and remove its units; return whether there was one. Raises ScheduleError."""
        unit = unit_name(registry)
        facts = self._facts(self._folder / f"{unit}.timer")
        if facts is None or facts.registry != registry:
            return False
        self._call("disable", "--now", f"{unit}.timer")
        try:
            for ending in (".timer", ".service"):
                (self._folder / (unit + ending)).unlink(missing_ok=True)
        except OSError as error:
            raise ScheduleError(f"the units in {self._folder} cannot be removed: {error.strerror}") from error
        self._call("daemon-reload")
        return True

    def jobs(self) -> Iterator[tuple[Path, Facts]]:
        """Yield our timers, by name."""
        for path in sorted(self._folder.glob("jettison-*.timer")) if self._folder.is_dir() else ():
            facts = self._facts(path)
            if facts is not None:
                yield path, facts

    def is_active(self, timer_file: Path) -> bool | None:
        """Whether systemd waits for the timer; None where it cannot be asked."""
        if not self.is_running():
            return None
        result = self._run("is-active", "--quiet", timer_file.name)
        return result.returncode == 0

    def _default_folder(self) -> Path:
        if not self.for_user:
            return Path("/etc/systemd/system")
        configuration = self._environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return Path(configuration) / "systemd" / "user"

    def _facts(self, path: Path) -> Facts | None:
        try:
            return facts_of(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ScheduleError(f"the unit {path} cannot be read: {error}") from error

    def _call(self, *arguments: str) -> None:
        result = self._run(*arguments)
        if result.returncode != 0:
            said = " ".join(result.stderr.split()) or f"it ended with {result.returncode}"
            raise ScheduleError(
                f"`{self._program} {'--user ' if self.for_user else ''}{' '.join(arguments)}` failed: {said}; "
                "--print shows the units, and --kind crontab uses cron instead"
            )

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        manager = ["--user"] if self.for_user else []
        try:
            return subprocess.run(  # noqa: S603 - no shell, and the arguments are fixed or a unit's name
                [self._program, *manager, "--no-ask-password", *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
                env={**self._environment, "LC_ALL": "C"},
            )
        except FileNotFoundError as error:
            raise ScheduleError(
                f"there is no `{self._program}` here: use --kind crontab, or print the units with --print"
            ) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ScheduleError(f"`{self._program} {' '.join(arguments)}` could not be run: {error}") from error


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.chmod(0o644)
    part.replace(path)


def _restore(before: Mapping[Path, bytes | None]) -> None:
    for path, content in before.items():
        try:
            if content is None:
                path.unlink(missing_ok=True)
            else:
                _write(path, content)
        except OSError:
            # The error that brought us here is on its way to the user, and names the folder.
            continue
