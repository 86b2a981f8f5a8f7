"""What the registry's garbage-collect printed: counted while it comes, its end kept, secrets masked.

The output names every blob twice over, so a large registry's would fill the memory if it were kept.
"""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from jettison.control.yaml_text import MASK

_TAIL_LINES: Final = 40
# The lines of garbagecollect.go, 2.8 and 3.x. "Eligible" blobs are removed one after the other behind that line.
_BLOB: Final = re.compile(r"blob eligible for deletion: ")
_MANIFEST: Final = re.compile(r"manifest eligible for deletion: ")
# An empty registry has no such folder, and the collector takes that for a failure.
_EMPTY: Final = re.compile(r"Path not found: \S*/docker/registry/v2/(?:repositories|blobs)/?\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CollectorOutput:
    """Exit status, numbers of blobs and manifests that it set out to delete, and the last lines of its output."""

    exit_status: int
    blobs: int
    manifests: int
    tail: str

    @property
    def found_nothing(self) -> bool:
        """Whether it failed for nothing but that the registry is empty."""
        return self.exit_status != 0 and self.blobs == 0 and _EMPTY.search(self.tail) is not None


class OutputReader:
    """Takes the output in pieces of any size; `finish` gives what is known of it."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted(secrets, key=len, reverse=True)
        self._lines: deque[str] = deque(maxlen=_TAIL_LINES)
        self._rest = ""
        self._blobs = 0
        self._manifests = 0

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        *lines, self._rest = (self._rest + piece).split("\n")
        for line in lines:
            self._take(line)

    def finish(self, exit_status: int) -> CollectorOutput:
        """Return the summary; nothing comes after."""
        if self._rest:
            self._take(self._rest)
        tail = "\n".join(self._lines)
        for secret in self._secrets:
            tail = tail.replace(secret, MASK)
        return CollectorOutput(exit_status, self._blobs, self._manifests, tail)

    def _take(self, line: str) -> None:
        self._blobs += _BLOB.match(line) is not None
        self._manifests += _MANIFEST.match(line) is not None
        self._lines.append(line.rstrip("\r"))
