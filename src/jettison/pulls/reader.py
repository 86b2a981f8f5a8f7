"""LogReader: finds out which format a log has, line by line, and reads it."""

import enum
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from jettison.pulls.combined import CombinedFormat
from jettison.pulls.documents import Piece, Stream, documents, lines
from jettison.pulls.json_lines import RegistryJson, TraefikJson
from jettison.pulls.logfmt import TextFormat
from jettison.pulls.notifications import Notifications
from jettison.pulls.request import Line
from jettison.pulls.wrappers import WRAPPERS, Unwrap

SNIFFED: Final = 64 * 1024
"""How much of a log's beginning tells whether it is made of lines or of documents."""


class Format(enum.Enum):
    """What a log may be said to be."""

    AUTO = "auto"
    REGISTRY = "registry"
    COMBINED = "combined"
    TRAEFIK = "traefik"
    NOTIFICATIONS = "notifications"


class _LineFormat(Protocol):
    def read(self, line: bytes) -> Line | None:
        """Return what `line` tells; None for one of another format."""
        ...


class LogReader:
    """Reads one log. `own_log`: the log is known to be the registry's own, from what was read of it before.

    The registry's own log tells of each request twice: in its own words, and in a combined line. Once it has told of
    one in its own words, which come first and say more, its combined lines count no more.
    """

    def __init__(self, wanted: Format = Format.AUTO, *, own_log: bool = False) -> None:
        self._text, self._json, self._combined = TextFormat(), RegistryJson(), CombinedFormat()
        self._notifications = Notifications()
        self._own_log = own_log
        formats: dict[Format, tuple[_LineFormat, ...]] = {
            Format.REGISTRY: (self._text, self._json, self._combined),
            Format.COMBINED: (self._combined,),
            Format.TRAEFIK: (self._combined, TraefikJson()),
            Format.NOTIFICATIONS: (),
        }
        self._formats = formats.get(wanted, (self._combined, self._text, self._json, TraefikJson()))
        self._takes_events = wanted in (Format.AUTO, Format.NOTIFICATIONS)
        self._last: tuple[Unwrap, _LineFormat] | None = None

    @property
    def own_log(self) -> bool:
        """Whether this is the registry's own log, so that each request stands in it twice."""
        return self._own_log or self._text.told or self._json.told

    def read(self, body: bytes) -> list[Line] | None:
        """Return what a line or document tells; None where it is of no format that is looked for."""
        line = self._as_line(body)
        if line is not None:
            return [line]
        return self._notifications.read(body) if self._takes_events and body.startswith(b"{") else None

    def _as_line(self, body: bytes) -> Line | None:
        if self._last is not None:
            found = self._try(*self._last, body)
            if found is not None:
                return found
        for unwrap in WRAPPERS:
            for each in self._formats:
                found = self._try(unwrap, each, body)
                if found is not None:
                    self._last = (unwrap, each)
                    return found
        return None

    def _try(self, unwrap: Unwrap, wanted: _LineFormat, body: bytes) -> Line | None:
        line = unwrap(body)
        found = wanted.read(line) if line is not None else None
        if found is not None and found.request is not None and wanted is self._combined and self.own_log:
            return Line(found.moment, None)
        return found


def pieces(stream: Stream, beginning: bytes, wanted: Format) -> Iterator[Piece]:
    """Yield the log's lines or documents. `beginning`: the first SNIFFED bytes of the whole log, from its start."""
    return documents(stream) if has_documents(beginning, wanted) else lines(stream)


def has_documents(beginning: bytes, wanted: Format) -> bool:
    """Whether a log is made of JSON documents that need not be one a line: notifications are not."""
    if wanted is not Format.AUTO:
        return wanted is Format.NOTIFICATIONS
    text = beginning.lstrip()
    if not text.startswith((b"{", b"[")):
        return False
    line, end, _ = text.partition(b"\n")
    try:
        first = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True
    return not end or not isinstance(first, dict) or "events" in first or "target" in first
