"""Folders and files made in a storage: without following a symbolic link, and usable by the registry afterwards."""

import contextlib
import os
import stat
from typing import Final

from jettison.storage.files import open_folder

_OWN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def make_own_folder(root: str, path: str) -> int:
    """Enter `path` below `root`, making what is missing of it, and return its descriptor.

    What was made is the registry's, as the folder around it is (`take_after`), and is flushed, so that a file which is
    then flushed into it is found again after a power failure. Raises OSError: ELOOP or ENOTDIR where a symbolic link
    stands in the way.
    """
    descriptor = open_folder(root)
    try:
        for part in path.split("/"):
            try:
                inner = os.open(part, _OWN, dir_fd=descriptor)
            except FileNotFoundError:
                is_ours = False
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
                    is_ours = True
                os.fsync(descriptor)
                inner = os.open(part, _OWN, dir_fd=descriptor)
                if is_ours:
                    take_after(descriptor, inner)
            os.close(descriptor)
            descriptor = inner
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def take_after(folder: int, made: int) -> None:
    """Give a file or folder that was just made in `folder` the folder's owner, group and rights.

    The registry may run as another user than we do, and must be able to write into it and to replace it. What the
    system does not let us change stays as it is.
    """
    around, own = os.fstat(folder), os.fstat(made)
    with contextlib.suppress(OSError):
        if own.st_gid != around.st_gid:
            os.fchown(made, -1, around.st_gid)
        if own.st_uid != around.st_uid:
            os.fchown(made, around.st_uid, -1)
    rights = stat.S_IMODE(around.st_mode) & (0o2777 if stat.S_ISDIR(own.st_mode) else 0o666)
    with contextlib.suppress(OSError):
        os.fchmod(made, rights)
