"""The user's crontab, read and replaced through the crontab program."""

import getpass
import os
import shutil
import subprocess

from jettison.errors import ScheduleError

_NO_CRONTAB = (
    "there is no `crontab` program here: install cron (Debian: apt install cron), use --kind systemd, or print the "
    "line with --print and put it, with a user name after the five fields, into a file in /etc/cron.d"
)


class Crontab:
    """The crontab of the user who runs jettison."""

    def __init__(self, program: str = "crontab") -> None:
        self._program = program

    @property
    def place(self) -> str:
        """The crontab as messages name it."""
        try:
            return f"crontab of {getpass.getuser()}"
        except (KeyError, OSError, ImportError):
            return f"crontab of user {os.getuid()}"

    def is_here(self) -> bool:
        """Whether there is a crontab program."""
        return shutil.which(self._program) is not None

    def read(self) -> bytes:
        """Return the crontab's text, empty where the user has none. Raises ScheduleError."""
        result = self._run("-l", b"")
        said = result.stderr.decode(errors="replace").strip()
        if result.returncode == 0:
            return result.stdout
        if "no crontab for" in said:
            return b""
        raise ScheduleError(f"the {self.place} cannot be read: {said or f'crontab -l ended with {result.returncode}'}")

    def replace(self, old: bytes, new: bytes) -> None:
        """Make `new` the crontab where it still is `old`. Raises ScheduleError.

        Nothing locks a crontab: somebody may have saved another one since we read it. So it is compared right before,
        which leaves some milliseconds, and read back after.
        """
        if self.read() != old:
            raise ScheduleError(f"the {self.place} was changed by somebody else just now: try again")
        result = self._run("-", new)
        if result.returncode != 0:
            said = result.stderr.decode(errors="replace").strip()
            raise ScheduleError(f"the {self.place} was not changed, cron refused it: {said or result.returncode}")
        if self.read() != new:
            raise ScheduleError(f"the {self.place} is not what was written to it: look at it with `crontab -l`")

    def _run(self, argument: str, text: bytes) -> "subprocess.CompletedProcess[bytes]":
        program = shutil.which(self._program)
        if program is None:
            raise ScheduleError(_NO_CRONTAB)
        # C for messages in English. NOHEADER: older Debians print three lines that are not part of the crontab.
        environment = {**os.environ, "LC_ALL": "C", "CRONTAB_NOHEADER": "Y"}
        try:
            return subprocess.run(  # noqa: S603 - the program's arguments are fixed
                [program, argument], input=text, capture_output=True, env=environment, check=False, timeout=60
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ScheduleError(f"`crontab {argument}` could not be run: {error}") from error
