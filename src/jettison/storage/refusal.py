"""What a person can do where the system refuses to write into a storage."""

import errno
from typing import Final

_SPACE: Final = {errno.ENOSPC, errno.EDQUOT}
_MOUNTS: Final = {errno.EXDEV, errno.EBUSY}
_RIGHTS: Final = "run as the user that owns the registry's storage"


def way_out(error: OSError) -> str:
    """Return the way out of an error of writing, renaming or removing, as the end of a sentence."""
    if error.errno in _SPACE:
        return "make some space (or room for more files) and run it again"
    if error.errno in _MOUNTS:
        return "another file system is mounted inside of the storage: unmount it, or leave that part as it is"
    if error.errno == errno.EROFS:
        return "mount it writable"
    return _RIGHTS
