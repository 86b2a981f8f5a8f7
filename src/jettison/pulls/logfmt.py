"""The registry's own log in its `text` format: logrus' key=value pairs."""

import json
import re
from typing import Final

from jettison.pulls.accounts import Accounts
from jettison.pulls.moments import iso_moment
from jettison.pulls.request import Client, Line, host_of, manifest_request

_START: Final = re.compile(rb'time="([^"]{10,64})" level=[a-z]+ msg=')
_PAIR: Final = re.compile(r'([A-Za-z][\w.-]*)=("(?:[^"\\]++|\\.)*+"|[^\s"]*)')
_KEYS: Final = frozenset(
    {f"http.request.{name}" for name in ("id", "method", "uri", "useragent", "remoteaddr")}
    | {"http.response.status", "auth.user.name"}
)
_STATUS: Final = b" http.response.status="
_ACCOUNT: Final = b" auth.user.name="


class TextFormat:
    """Reads lines of logrus' text format. `told` says whether one told of an answered request."""

    def __init__(self) -> None:
        self._accounts = Accounts()
        self.told = False

    def read(self, line: bytes) -> Line | None:
        """Return what `line` tells; None for one of another format."""
        start = _START.match(line)
        if start is None:
            return None
        moment = iso_moment(start[1].decode(errors="replace"))
        if moment is None:
            return None
        has_status = _STATUS in line
        is_answer = has_status and b" level=info " in line
        self.told |= is_answer
        if not (b"/manifests/" in line and (has_status or _ACCOUNT in line)):
            return Line(moment, None, is_answer)
        pairs = {key: _value(text) for key, text in _PAIR.findall(line.decode(errors="replace")) if key in _KEYS}
        identifier, account = pairs.get("http.request.id", ""), pairs.get("auth.user.name", "")
        self._accounts.note(identifier, account)
        status = pairs.get("http.response.status", "")
        if not status.isdecimal():
            return Line(moment, None, is_answer)
        client = Client(
            pairs.get("http.request.useragent", ""),
            account or self._accounts.of(identifier),
            host_of(pairs.get("http.request.remoteaddr", "")),
        )
        method, uri = pairs.get("http.request.method", ""), pairs.get("http.request.uri", "")
        return Line(moment, manifest_request(moment, method, uri, int(status), client), is_answer)


def _value(text: str) -> str:
    if not text.startswith('"'):
        return text
    try:
        value = json.loads(text)
    except ValueError:  # Go escapes some characters in ways of its own (strconv.Quote)
        return text[1:-1]
    return value if isinstance(value, str) else text[1:-1]
