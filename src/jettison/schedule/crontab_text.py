"""A crontab's text, and our blocks in it. Pure: bytes in, bytes out, and what is not ours stays byte for byte."""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from jettison.errors import ScheduleError, UsageError
from jettison.schedule.model import Job

_BEGIN: Final = b"# jettison: begin "
_END: Final = b"# jettison: end "
# Debian's cron takes commands shorter than 1,000 bytes (MAX_COMMAND in its cron.h), else refuses the whole crontab.
_LONGEST_COMMAND: Final = 998
_LINE: Final = re.compile(rb"\s*(?P<cron>@\S+|(?:\S+\s+){4}\S+)\s+(?P<command>.+)")


@dataclass(frozen=True, slots=True)
class Block:
    """The lines of a crontab that are ours for one registry."""

    registry: str
    cron: str
    command: str


def block(job: Job) -> bytes:
    """Return the lines for `job`. Raises UsageError for a command that is too long for cron."""
    command = _command(job)
    if len(command) > _LONGEST_COMMAND:
        raise UsageError(
            f"the command is too long for cron ({len(command)} bytes, at most {_LONGEST_COMMAND}): put it into a "
            "script and schedule that, shorten PATH for this one command, or use --kind systemd"
        )
    name = os.fsencode(job.registry)
    return b"%s%s\n%s %s\n%s%s\n" % (_BEGIN, name, job.cron.text.encode(), command, _END, name)


def with_job(crontab: bytes, job: Job) -> bytes:
    """Return `crontab` with the block of `job`: in place of the registry's old block, else at the end."""
    new, placed = block(job), False
    result = b""
    for registry, text in _parts(crontab):
        if registry != job.registry:
            result += text
        elif not placed:
            result += new
            placed = True
    if placed:
        return result
    if result and not result.endswith(b"\n"):
        result += b"\n"
    return result + new


def without_job(crontab: bytes, registry: str) -> bytes:
    """Return `crontab` without the registry's block; the same where it has none."""
    return b"".join(text for name, text in _parts(crontab) if name != registry)


def blocks(crontab: bytes) -> list[Block]:
    """Return our blocks, in order, as they stand there, edits by hand included."""
    found = []
    for registry, text in _parts(crontab):
        if registry is not None:
            for line in text.splitlines()[1:-1]:
                match = _LINE.fullmatch(line)
                if match is not None and not line.lstrip().startswith(b"#"):
                    command = match["command"].replace(b"\\%", b"%")
                    found.append(Block(registry, " ".join(os.fsdecode(match["cron"]).split()), os.fsdecode(command)))
    return found


def _parts(crontab: bytes) -> Iterator[tuple[str | None, bytes]]:
    """Take a crontab apart: lines of others, with None, and whole blocks of ours, with their registry.

    Raises ScheduleError for a block that was torn: what is ours in it nobody can tell.
    """
    open_name, text, begun = None, b"", 0
    for number, line in enumerate(crontab.splitlines(keepends=True), 1):
        content = line.rstrip(b"\r\n")
        begins, ends = content.startswith(_BEGIN), content.startswith(_END)
        if (begins and open_name is not None) or (ends and content[len(_END) :] != open_name):
            raise _torn(begun or number)
        if begins:
            open_name, text, begun = content[len(_BEGIN) :], line, number
        elif open_name is None:
            yield None, line
        elif ends:
            yield os.fsdecode(open_name), text + line
            open_name, begun = None, 0
        else:
            text += line
    if open_name is not None:
        raise _torn(begun)


def _torn(line: int) -> ScheduleError:
    return ScheduleError(
        f'line {line} of the crontab: jettison\'s lines "{_BEGIN.decode()}..." and "{_END.decode()}..." no longer '
        "stand in pairs; mend or remove them with `crontab -e`"
    )


def _command(job: Job) -> bytes:
    words = [f"{name}={_quoted(value)}" for name, value in job.environment.items()]
    words += [_quoted(word) for word in job.command]
    command = f"cd {_quoted(str(job.folder))} && {' '.join(words)}"
    # crontab(5): an unescaped % is a line break.
    return os.fsencode(command.replace("%", "\\%"))


def _quoted(word: str) -> str:
    r"""Quote for sh so that cron leaves it alone: some crons take \\ for \, and \ before % is taken by all.

    What shlex.quote leaves outside of single quotes holds no backslash, so closing and opening them after one is safe.
    """
    return re.sub(r"\\(?=[\\%])", lambda _: "\\''", shlex.quote(word))
