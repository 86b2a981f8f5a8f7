"""PullLog: a log file to import, plain or gzip, and how much of it was imported before.

A log is known by its text: rotating it, compressing it, or letting it grow does not make it another one. What was
imported is looked for by the hash of its first line or document, and then compared whole, by the hash of all of it.
"""

import gzip
import hashlib
import io
import shutil
import sys
import tempfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from jettison.errors import UsageError
from jettison.history.pulls import LogPosition
from jettison.pulls.reader import SNIFFED, Format, pieces

STDIN: Final = "-"
_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 1024 * 1024
LogStream: TypeAlias = "io.BufferedReader[Any]"


class Hash(Protocol):
    """A hash of what was read so far."""

    def update(self, data: bytes, /) -> None:
        """Add what was read next."""
        ...

    def hexdigest(self) -> str:
        """Return the hash in hex digits."""
        ...

    def copy(self) -> "Hash":
        """Return one of the same that goes on by itself."""
        ...


class Resumed(NamedTuple):
    """Where an import goes on: behind `position`, with the hash of all that stands before it."""

    position: LogPosition
    hash: Hash
    is_end: bool
    """Whether the log ends there."""


@dataclass(slots=True)
class PullLog:
    """One log. `name` is how people call it, `problem` what kept it from being read to its end."""

    name: str
    path: Path
    problem: str = ""

    def head(self, wanted: Format) -> tuple[bytes, str | None]:
        """Return the log's beginning, and the hash of its first line or document; None where it has none yet."""
        with self.open() as stream:
            beginning = stream.read(SNIFFED)
        with self.open() as stream:
            for piece in pieces(stream, beginning, wanted):
                if piece.body is not None:
                    return beginning, hash_of(piece.text).hexdigest()
        return beginning, None

    def resume(self, known: Collection[LogPosition]) -> Resumed | None:
        """Return the furthest of the `known` positions that this log has gone through; None where it is a new one."""
        found: Resumed | None = None
        digest, size = new_hash(), 0
        with self.open() as stream:
            for position in sorted(known, key=lambda each: each.size):
                while size < position.size and (chunk := stream.read(min(_CHUNK, position.size - size))):
                    digest.update(chunk)
                    size += len(chunk)
                if size < position.size:
                    return found
                if digest.hexdigest() == position.content:
                    found = Resumed(position, digest.copy(), is_end=False)
            if found is not None and size == found.position.size and not stream.read(1):
                return found._replace(is_end=True)
        return found

    @contextmanager
    def open(self, skip: int = 0) -> Iterator[LogStream]:
        """Open the log's text behind its first `skip` bytes. Raises UsageError where the file cannot be read."""
        try:
            with self.path.open("rb") as file:
                is_compressed = file.read(2) == _GZIP
                if not is_compressed:
                    file.seek(skip)
                    yield file
                    return
                file.seek(0)
                with gzip.GzipFile(fileobj=file) as compressed:
                    stream = io.BufferedReader(_Decompressed(compressed, self), _CHUNK)
                    while skip > 0 and (chunk := stream.read(min(skip, _CHUNK))):
                        skip -= len(chunk)
                    yield stream
        except OSError as error:
            raise UsageError(f"{self.name}: the log cannot be read: {error.strerror or error}") from error


class _Decompressed(io.RawIOBase):
    """The text in a gzip file, up to where it ends or is damaged; that is noted as the log's `problem`."""

    def __init__(self, compressed: gzip.GzipFile, log: PullLog) -> None:
        super().__init__()
        self._compressed = compressed
        self._log = log

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read into `buffer` what there is next."""
        try:
            text = self._compressed.read1(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self._log.problem = f"{self._log.name}: its compressed data ends early or is damaged: {error}"
            return 0
        buffer[: len(text)] = text
        return len(text)


@contextmanager
def opened_log(name: str) -> Iterator[PullLog]:
    """Give the log that `name` names. Standard input (`-`) and pipes are copied first: a log is read more than once."""
    path = Path(name)
    if name != STDIN and (path.is_file() or path.is_dir() or not path.exists()):
        yield PullLog(name, path)
        return
    with tempfile.NamedTemporaryFile(prefix="jettison-") as copy:
        if name == STDIN:
            shutil.copyfileobj(sys.stdin.buffer, copy, _CHUNK)
        else:
            with path.open("rb") as pipe:
                shutil.copyfileobj(pipe, copy, _CHUNK)
        copy.flush()
        yield PullLog("standard input" if name == STDIN else name, Path(copy.name))


def new_hash() -> Hash:
    """Return the hash by which texts are compared."""
    return hashlib.blake2b(digest_size=32)


def hash_of(text: bytes) -> Hash:
    """Return the hash of a text."""
    return hashlib.blake2b(text, digest_size=32)
