"""A configuration file on this machine: read it, replace it with a dated copy beside it."""

import contextlib
import errno
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from jettison.control.running import ConfigFile
from jettison.errors import ControlError


def backup_name(path: str) -> str:
    """Return the name for a copy made now; it sorts by time and is never given twice."""
    return f"{path}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.bak"


def decoded(content: bytes, path: str) -> str:
    """Return the text, line ends as they are. Raises ControlError."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ControlError(f"{path} is no UTF-8 text (byte {error.start}); correct it by hand") from error


def read(path: str) -> ConfigFile:
    """Return the file, symbolic links followed. Raises ControlError."""
    try:
        real = Path(path).resolve(strict=True)
        content = real.read_bytes()
        changed = datetime.fromtimestamp(real.stat().st_mtime, UTC)
    except OSError as error:
        raise ControlError(f"the registry's configuration {path} cannot be read: {error.strerror}") from error
    return ConfigFile(str(real), decoded(content, path), changed)


def replace(path: str, text: str) -> str:
    """Replace the file in one step, its mode and owner kept; return the path of the copy.

    A file that cannot be renamed over (a mount point, a folder that may not be written) is written in place.
    Raises ControlError; then the file is as it was, or the message names the copy.
    """
    target = Path(path)
    copy = backup_name(path)
    try:
        shutil.copy2(target, copy)
        _keep_owner(target, Path(copy))
        _replace(target, text.encode())
    except OSError as error:
        raise ControlError(f"{path} cannot be changed: {error.strerror}; run as a user who may write it") from error
    return copy


def write_in_place(path: str, text: str) -> str:
    """Write into the same inode, as a file that is mounted somewhere by itself needs; return the path of the copy."""
    copy = backup_name(path)
    try:
        shutil.copy2(path, copy)
        _keep_owner(Path(path), Path(copy))
    except OSError as error:
        raise ControlError(f"no copy of {path} can be made beside it: {error.strerror}; nothing was changed") from error
    try:
        _overwrite(Path(path), text.encode())
    except OSError as error:
        raise ControlError(f"{path} could not be written: {error.strerror}; its old content is in {copy}") from error
    return copy


def _replace(target: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(target, temporary)
        _keep_owner(target, temporary)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno not in {errno.EBUSY, errno.EXDEV}:
            raise
        _overwrite(target, content)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _overwrite(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _keep_owner(source: Path, target: Path) -> None:
    status = source.stat()
    # Only root may give a file away; for others the file is theirs already, or its group cannot be kept.
    with contextlib.suppress(PermissionError):
        os.chown(target, status.st_uid, status.st_gid)
