"""A cache's file: a heading, the sha256 of the rest, and the rest. What is damaged counts as absent.

A cache that lied would lose data, so whatever does not have its checksum is not used, and made anew.
"""

import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path


def read(path: Path, heading: bytes) -> memoryview | None:
    """Return the file's body; None where there is no file, or none that is whole."""
    start = len(heading) + sha256().digest_size
    try:
        content = memoryview(path.read_bytes())
    except OSError:  # none yet, or one that may not be read: what it is about is there
        return None
    body = content[start:]
    return body if content[:start] == heading + sha256(body).digest() else None


def write(path: Path, heading: bytes, parts: Iterable[bytes | memoryview]) -> None:
    """Write the file anew. Raises OSError.

    Written beside and renamed, so that a run that reads it at the same time sees the old or the new one, whole; of two
    that write at the same time, one wins. Nothing is flushed: what a power failure tears has a wrong checksum.
    """
    parts = list(parts)
    checksum = sha256()
    for part in parts:
        checksum.update(part)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with beside.open("wb") as file:
            file.writelines([heading, checksum.digest(), *parts])
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
