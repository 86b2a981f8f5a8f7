"""Pieces of a log: its lines, or the JSON documents that it is made of. In constant memory, whatever the log holds."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

LONGEST_LINE: Final = 64 * 1024
"""Bytes. No server writes a longer line: the headers that it logs are limited to less."""
LARGEST_DOCUMENT: Final = 16 * 1024 * 1024
"""Bytes of one document. The registry sends events one by one or a few at a time."""
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}]', re.DOTALL)
_IN_STRING: Final = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_TOO_LONG: Final = b"..."


class Piece(NamedTuple):
    """A part of the log's text.

    `body` is the line or document that ends here, `...` where it was too long to be looked at. None: nothing ends here,
    so nobody could go on from here.
    """

    text: bytes
    body: bytes | None


class Stream(Protocol):
    """What is read."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Return up to the end of the line, or `size` bytes of it."""
        ...


def lines(stream: Stream) -> Iterator[Piece]:
    """Yield the lines. One that does not end, since the log goes on there later, has no body."""
    too_long = False
    while text := stream.readline(LONGEST_LINE):
        ends = text.endswith(b"\n")
        if ends:
            yield Piece(text, _TOO_LONG if too_long else text.rstrip(b"\r\n"))
        else:
            yield Piece(text, None)
        too_long = not ends


def documents(stream: Stream, chunk: int = 1024 * 1024) -> Iterator[Piece]:
    """Yield the JSON objects, whatever stands between them: nothing, line ends, an array's commas."""
    splitter = _Splitter()
    while text := stream.read(chunk):
        yield from splitter.feed(text)
    yield from splitter.finish()


class _Splitter:
    def __init__(self) -> None:
        self._buffer = b""
        self._depth = 0
        self._start = 0
        self._at = 0
        self._in_string = False
        self._too_large = False

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Take more of the stream, and yield what it completes."""
        self._buffer += chunk
        taken = 0
        while (end := self._end(taken)) is not None:
            body = _TOO_LONG if self._too_large else self._buffer[self._start : end]
            yield Piece(self._buffer[taken:end], body)
            taken, self._at, self._too_large = end, end, False
        self._forget(taken)
        if self._depth == 0 and self._buffer:
            yield self._give_up(len(self._buffer))
        elif len(self._buffer) > LARGEST_DOCUMENT:
            self._too_large = True
            yield self._give_up(self._at)

    def finish(self) -> Iterator[Piece]:
        """Yield what was not completed."""
        if self._buffer:
            yield Piece(self._buffer, None)

    def _end(self, taken: int) -> int | None:
        """Return where the document at hand, or the next one, ends; None where more of the stream is needed."""
        if self._depth == 0:
            opening = self._buffer.find(b"{", max(taken, self._at))
            if opening < 0:
                return None
            self._start, self._at, self._depth = opening, opening + 1, 1
        while not self._in_string or self._leave_string():
            for token in _TOKEN.finditer(self._buffer, self._at):
                self._at = token.end()
                text = token[0]
                if text == b'"':  # a string that goes on in the next chunk
                    self._in_string = True
                    break
                self._depth += {b"{": 1, b"}": -1}.get(text, 0)
                if self._depth == 0:
                    return self._at
            else:
                self._at = len(self._buffer)
                return None
        return None

    def _leave_string(self) -> bool:
        """Go on to the end of the string at hand; False where more of the stream is needed."""
        found = _IN_STRING.match(self._buffer, self._at)
        self._at = found.end() if found is not None else self._at
        self._in_string = self._buffer[self._at : self._at + 1] != b'"'
        self._at += not self._in_string
        return not self._in_string

    def _give_up(self, count: int) -> Piece:
        piece = Piece(self._buffer[:count], None)
        self._forget(count)
        return piece

    def _forget(self, count: int) -> None:
        self._buffer = self._buffer[count:]
        self._start, self._at = max(self._start - count, 0), max(self._at - count, 0)
