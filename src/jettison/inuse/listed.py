"""Images listed by a person in a file, or by a command on its standard output. One a line:

    registry.example.com/team/app:1.2     # what stands behind the image tells where it runs
    registry.example.com/team/app@sha256:...

Lines that are empty, or begin with #, say nothing. A line that is no image is an error, and so is a list without any:
a command that fails without saying so must not make everything look unused.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jettison.errors import InUseError
from jettison.policy.in_use import ImageName, UsedImage

LARGEST_LIST: Final = 64 << 20
"""Bytes. A list of all images of a large site has some hundred kilobytes."""
COMMAND_SECONDS: Final = 60.0
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class ListedInFile:
    """A file that lists images; with `may_be_empty` it may list none."""

    path: Path
    may_be_empty: bool = False

    def ask(self) -> list[UsedImage]:
        """Read the file. Raises InUseError where it cannot be read, or is no list of images."""
        try:
            with self.path.open("rb") as file:
                body = file.read(LARGEST_LIST + 1)
        except OSError as error:
            raise InUseError(f"{self.path} cannot be read: {error.strerror}") from error
        return _images(body, str(self.path), may_be_empty=self.may_be_empty)


@dataclass(frozen=True, slots=True)
class ListedByCommand:
    """A command that lists images: a program and its arguments; no shell reads them."""

    command: Sequence[str]
    may_be_empty: bool = False
    seconds: float = COMMAND_SECONDS

    def ask(self) -> list[UsedImage]:
        """Run the command. Raises InUseError where it fails, takes too long, or prints no list of images."""
        # Arguments may hold what nobody should read.
        program = self.command[0]
        try:
            done = subprocess.run(  # noqa: S603  the configuration's owner wrote the command
                list(self.command), stdin=subprocess.DEVNULL, capture_output=True, timeout=self.seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise InUseError(f"the command {program} took more than {self.seconds:g} s") from error
        except (OSError, ValueError) as error:
            raise InUseError(f"the command {program} cannot be run: {error}") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            why = f": {said[-1][:_SHOWN]}" if said else ""
            raise InUseError(f"the command {program} ended with status {done.returncode}{why}")
        return _images(done.stdout, f"output of {program}", may_be_empty=self.may_be_empty)


def _images(body: bytes, source: str, *, may_be_empty: bool) -> list[UsedImage]:
    if len(body) > LARGEST_LIST:
        raise InUseError(f"{source} is too large to be a list of images")
    try:
        lines = body.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InUseError(f"{source} is no list of images: it is not UTF-8") from error
    images: list[UsedImage] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, *note = text.split(maxsplit=1)
        where = "".join(note).lstrip("#").strip()
        try:
            images.append(UsedImage(ImageName.parse(name), where or f"listed in {source}"))
        except ValueError as error:
            raise InUseError(f"{source}, line {number}: {error}") from error
    if not images and not may_be_empty:
        raise InUseError(f"{source} lists no image; if nothing runs, say so with `may_be_empty: true`")
    return images
