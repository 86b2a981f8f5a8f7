"""The combined log format of Apache, nginx and the registry itself, and Traefik's, which goes on behind it."""

import re
from typing import TYPE_CHECKING, Final

from jettison.pulls.moments import common_moment
from jettison.pulls.request import Client, Line, host_of, manifest_request

if TYPE_CHECKING:
    from datetime import datetime

# %h - %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i". An account may hold blanks. The common format lacks the last
# two. Behind them stands whatever a log_format adds; Traefik adds a number, the router, the service and the time taken.
_LINE: Final = re.compile(
    rb'(?P<address>[^\s"]+) - (?P<account>[^"\[]{0,512}?) \[(?P<moment>[^\]]{20,40})\] '
    rb'"(?P<request>(?:[^"\\]++|\\.)*+)" (?P<status>\d{3}|-) (?:\d+|-)'
    rb'(?: "(?:[^"\\]++|\\.)*+" "(?P<agent>(?:[^"\\]++|\\.)*+)")?'
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))")


class CombinedFormat:
    """Reads lines of the combined format. Neighbours nearly always have the same second, which is read once."""

    def __init__(self) -> None:
        self._text = b""
        self._moment: datetime | None = None

    def read(self, line: bytes) -> Line | None:
        """Return what `line` tells; None for one of another format."""
        found = _LINE.match(line)
        if found is None:
            return None
        if found["moment"] != self._text:
            self._text, self._moment = found["moment"], common_moment(found["moment"])
        if self._moment is None:
            return None
        if b"/manifests/" not in found["request"] or found["status"] == b"-":
            return Line(self._moment, None, b" /v2/" in found["request"])
        words = found["request"].decode(errors="replace").split(" ")
        if len(words) < 2:
            return Line(self._moment, None, shows_answers=False)
        client = Client(_text(found["agent"]), _text(found["account"]), host_of(_text(found["address"])))
        request = manifest_request(self._moment, words[0], words[1], int(found["status"]), client)
        return Line(self._moment, request, request is not None or words[1].startswith("/v2/"))


def _text(value: bytes | None) -> str:
    """Return a field's text, empty for `-`. nginx writes a quotation mark as \\x22, Apache as \\"."""
    if value is None or value == b"-":
        return ""
    text = value.decode(errors="replace")
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text) if "\\" in text else text
