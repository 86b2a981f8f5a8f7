"""Folders of our own root, made and entered without following a symbolic link anywhere on the way."""

import contextlib
import os
from typing import Final

from jettison.storage.files import open_folder

_OWN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_own_folder(root: str, path: str) -> int:
    """Enter `path` below `root`, making what is missing of it, and return its descriptor.

    What was made is flushed, so that a file which is then flushed into it is found again after a power failure. Raises
    OSError: ELOOP or ENOTDIR where a symbolic link stands in the way.
    """
    descriptor = open_folder(root)
    try:
        for part in path.split("/"):
            try:
                inner = os.open(part, _OWN, dir_fd=descriptor)
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
                os.fsync(descriptor)
                inner = os.open(part, _OWN, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
