"""Files inside a container, through the engine's archive interface: it works on containers that do not run, too."""

import io
import posixpath
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from jettison.control.docker_errors import translated
from jettison.errors import ControlError

if TYPE_CHECKING:
    from docker.models.containers import Container

_MOMENT: Final = re.compile(r"(?P<seconds>[^.Z+]+)(?:\.(?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)")
_LARGEST: Final = 1 << 20
_MOST_LINKS: Final = 10


@dataclass(frozen=True, slots=True)
class ContainerFile:
    """A regular file in a container: its real place, its content, and what a new version of it must keep."""

    path: str
    content: bytes = field(repr=False)
    modified: datetime
    mode: int
    uid: int
    gid: int


def read_file(container: "Container", path: str) -> ContainerFile | None:
    """Return the file at `path`, symbolic links followed, None where there is none. Raises ControlError."""
    from docker.errors import NotFound

    for _ in range(_MOST_LINKS):
        with translated(f"reading {path} in container {container.name}"):
            try:
                chunks, status = container.get_archive(path)
            except NotFound:
                return None
            packed = b""
            for chunk in chunks:
                packed += chunk
                if len(packed) > _LARGEST:
                    raise ControlError(
                        f"{path} in container {container.name} is no configuration file: it is too large"
                    )
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            member = archive.next()
            # The engine tells fractions of a second beside the archive, not in it.
            changed = moment(str((status or {})["mtime"]))
            if member is not None and member.issym():
                path = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
                continue
            stream = archive.extractfile(member) if member is not None and member.isfile() else None
            if member is None or stream is None:
                raise ControlError(
                    f"{path} in container {container.name} is no file; name the registry's configuration"
                )
            return ContainerFile(path, stream.read(), changed, member.mode, member.uid, member.gid)
    raise ControlError(f"{path} in container {container.name} is a circle of symbolic links")


def moment(text: str) -> datetime:
    """Return a time as the engine writes it: with nanoseconds, their last zeros left out, which Python cannot read."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ControlError(f"docker: {text!r} is no time")
    zone = "+00:00" if match["zone"] == "Z" else match["zone"]
    return datetime.fromisoformat(f"{match['seconds']}.{(match['fraction'] or '')[:6].ljust(6, '0')}{zone}").astimezone(
        UTC
    )


def put_file(container: "Container", file: ContainerFile) -> None:
    """Write a file with its mode and owner. The engine removes an old one first, so this is not atomic.

    Raises ControlError, for a read-only mount or container among others.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(posixpath.basename(file.path))
        member.size, member.mode, member.uid, member.gid = len(file.content), file.mode, file.uid, file.gid
        member.mtime = file.modified.timestamp()
        archive.addfile(member, io.BytesIO(file.content))
    with translated(f"writing {file.path} in container {container.name}"):
        container.put_archive(posixpath.dirname(file.path), packed.getvalue())


def run(container: "Container", command: Sequence[str]) -> tuple[int, str]:
    """Run a program in the container as root; return its exit status (126 or 127 where it is not there) and output."""
    with translated(f"running {command[0]} in container {container.name}"):
        result = container.exec_run(list(command), user="0")
    output = result.output if isinstance(result.output, bytes) else b""
    return int(result.exit_code or 0), output.decode(errors="replace")
