"""Small files and folders, read without following what cannot be followed and without waiting for what never comes."""

import os
from collections.abc import Iterable, Iterator
from typing import Final

from jettison.oci.problem import Problem

_CHUNK: Final = 65536
# Not to wait for a writer where somebody put a named pipe.
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY


class TooLargeError(Exception):
    """A file is larger than what it should hold can be."""


def read_file(path: str, limit: int, folder: int | None = None) -> bytes:
    """Return a file's content. Raises OSError, and TooLargeError for one of more than `limit` bytes."""
    descriptor = os.open(path, _READ, dir_fd=folder)
    try:
        # A regular file gives all that was asked for unless it ends, so a small one takes a single read.
        content = os.read(descriptor, _CHUNK)
        if len(content) == _CHUNK:
            parts = [content]
            total = _CHUNK
            while total <= limit and (part := os.read(descriptor, _CHUNK)):
                parts.append(part)
                total += len(part)
            content = b"".join(parts)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise TooLargeError(path)
    return content


def read_small(paths: Iterable[str], folder: int, size: int, stamps: list[int] | None = None) -> Iterator[bytes | None]:
    """Read many files of at most `size` bytes each, as fast as can be, and yield what each holds.

    None for one that is larger or cannot be read: `read_file` tells what is wrong with it. `stamps` takes up the time
    of change in nanoseconds and the inode of each that can, as they are before it is read.
    """
    for path in paths:
        try:
            descriptor = os.open(path, _READ, dir_fd=folder)
        except OSError:
            yield None
            continue
        try:
            if stamps is not None:
                known = os.fstat(descriptor)
                stamps += (known.st_ctime_ns, known.st_ino)
            content = os.read(descriptor, size + 1)
        except OSError:
            yield None
            continue
        finally:
            os.close(descriptor)
        yield content if len(content) <= size else None


# Path would make an object of every name, and takes no descriptor: with hundreds of thousands of files both count.
def names_in(folder: str | int) -> list[str]:
    """Return the names in a folder, given by its path or descriptor. Raises OSError."""
    return os.listdir(folder)  # see above


def status(path: str, folder: int | None = None) -> os.stat_result:
    """Return what the system knows of a file, following symbolic links. Raises OSError."""
    return os.stat(path, dir_fd=folder)


def sizes_of(paths: Iterable[str], folder: int) -> list[int]:
    """Return the size of each of many files, -1 for one that cannot be looked at."""
    sizes: list[int] = []
    for path in paths:
        try:
            sizes.append(os.stat(path, dir_fd=folder).st_size)
        except OSError:
            sizes.append(-1)
    return sizes


def open_folder(path: str, folder: int | None = None) -> int:
    """Open a folder and return its descriptor, following symbolic links. Raises OSError."""
    return os.open(path, _FOLDER, dir_fd=folder)


def open_own_folder(root: int, path: str) -> int:
    """Open the folder `path` below the descriptor `root` without following a symbolic link anywhere on the way.

    Raises OSError: ELOOP or ENOTDIR where a link stands in the way.
    """
    descriptor = os.dup(root)
    try:
        for part in path.split("/"):
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_absent(error: OSError) -> bool:
    """Whether an error says that there is no such file."""
    return isinstance(error, FileNotFoundError | NotADirectoryError)


def unreadable(what: str, error: Exception, *, code: str = "unreadable", blocks: bool = True) -> Problem:
    """Describe why `what` could not be read."""
    if isinstance(error, TooLargeError):
        return Problem(code, f"{what} is far larger than it can be", blocks)
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return Problem(code, f"{what} could not be read: {reason}", blocks)
