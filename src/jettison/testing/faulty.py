"""A server that misbehaves as told: by itself, or as a proxy in front of a real registry.

    with FaultyServer(upstream=registry.url) as server:
        server.when("GET", "/v2/.*/tags/list", faults.drop_in_body(after=10), times=1)

A request goes to the newest rule that matches it and has uses left; without one, to the upstream, or to 404 where there
is none. A fault takes the exchange and answers it; `jettison.testing.faults` has the usual ones.
"""

import http.client
import re
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from threading import Event, Lock
from typing import Final
from urllib.parse import urlsplit

from jettison.testing.http_thread import HttpThread
from jettison.testing.network import LOOPBACK
from jettison.testing.tls import TlsFiles

_HOP_BY_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}
_METHODS: Final = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
_UPSTREAM_SECONDS: Final = 60.0

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived. `path` is the target with its query."""

    method: str
    path: str
    headers: Headers
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """Return the first header of this name in any case, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Response:
    """One whole answer. Content-Length is added when it is sent."""

    status: int
    headers: Headers = ()
    body: bytes = field(default=b"", repr=False)

    def with_header(self, name: str, value: str | None) -> "Response":
        """Return the answer with this header in place of any of its name; None only removes it."""
        others = tuple((key, content) for key, content in self.headers if key.lower() != name.lower())
        return replace(self, headers=others if value is None else (*others, (name, value)))


class Exchange:
    """A request that waits for its answer."""

    def __init__(self, request: Received, handler: "_Handler", server: "FaultyServer") -> None:
        self.request = request
        self._handler = handler
        self._server = server

    @property
    def stopping(self) -> Event:
        """Set when the server stops: what waits must give up then."""
        return self._server.stopping

    def normal(self) -> Response:
        """Return the upstream's answer, after forwarding the request, or 404 where there is no upstream."""
        upstream = self._server.upstream
        if upstream is None:
            return Response(404, (("Content-Type", "application/json"),), b'{"errors":[{"code":"UNKNOWN"}]}')
        return self._handler.forward(self.request, upstream)

    def send(self, response: Response, *, only: int | None = None) -> None:
        """Send an answer; with `only`, that many bytes of its body, though Content-Length announces all of them."""
        self.begin(response, length=len(response.body))
        if self.request.method != "HEAD":
            self.write(response.body[:only])

    def begin(self, response: Response, *, length: int | None) -> None:
        """Send the status and headers; without a `length` the body that follows has none either."""
        handler = self._handler
        handler.send_response_only(response.status)
        for name, value in response.headers:
            # An upstream's answer to HEAD announces the length of a body that is not sent.
            if name.lower() != "content-length" or self.request.method == "HEAD":
                handler.send_header(name, value)
        announced = any(name.lower() == "content-length" for name, _ in response.headers)
        if length is None:
            handler.send_header("Connection", "close")
            handler.close_connection = True
        elif not (announced and self.request.method == "HEAD"):
            handler.send_header("Content-Length", str(length))
        handler.end_headers()

    def write(self, data: bytes) -> None:
        """Send bytes of the body. Raises OSError when the client is gone."""
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def drop(self) -> None:
        """Reset the connection."""
        self._handler.close_connection = True
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.connection.close()


Fault = Callable[[Exchange], None]


@dataclass(eq=False, slots=True)
class Rule:
    """Which requests a fault is for; `used` counts those that it got."""

    method: str
    path: re.Pattern[str]
    fault: Fault
    times: int | None
    used: int = 0

    def wants(self, request: Received) -> bool:
        """Whether it applies to this request and has uses left."""
        left = self.times is None or self.used < self.times
        return left and self.method in {request.method, "*"} and self.path.fullmatch(request.path) is not None


class FaultyServer(HttpThread):
    """See the head of this module. `upstream` is a URL; credentials and all other headers pass through."""

    def __init__(self, *, upstream: str | None = None, host: str = LOOPBACK, tls: TlsFiles | None = None) -> None:
        super().__init__(_handler_of(self), host=host, tls=tls)
        self.upstream = upstream
        self._rules: list[Rule] = []
        self._requests: list[Received] = []
        self._running = 0
        self._most_at_once = 0
        self._lock = Lock()

    def when(self, method: str, path: str, fault: Fault, *, times: int | None = None) -> Rule:
        """Answer requests by `fault`, `times` often at most.

        `path` is a regular expression for the whole target, query and all; `method` may be `*`.
        """
        rule = Rule(method, re.compile(path), fault, times)
        with self._lock:
            self._rules.insert(0, rule)
        return rule

    @property
    def requests(self) -> tuple[Received, ...]:
        """Every request so far, in the order of arrival."""
        with self._lock:
            return tuple(self._requests)

    @property
    def most_at_once(self) -> int:
        """The largest number of requests that were being answered at the same time."""
        with self._lock:
            return self._most_at_once

    def count(self, method: str, path: str = ".*") -> int:
        """Return how many requests of a method (`*`: any) had a target that matches `path` as a whole."""
        pattern = re.compile(path)
        return sum(method in {one.method, "*"} and bool(pattern.fullmatch(one.path)) for one in self.requests)

    def forget(self) -> None:
        """Forget the requests and the largest number at once; the rules stay."""
        with self._lock:
            self._requests.clear()
            self._most_at_once = 0

    def handle(self, exchange: Exchange) -> None:
        """Answer one request."""
        with self._lock:
            self._requests.append(exchange.request)
            self._running += 1
            self._most_at_once = max(self._most_at_once, self._running)
            rule = next((rule for rule in self._rules if rule.wants(exchange.request)), None)
            if rule is not None:
                rule.used += 1
        try:
            if rule is not None:
                rule.fault(exchange)
            else:
                exchange.send(exchange.normal())
        finally:
            with self._lock:
                self._running -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    faulty: FaultyServer

    def answer(self) -> None:
        request = Received(self.command, self.path, tuple(self.headers.items()), self._body())
        self.faulty.handle(Exchange(request, self, self.faulty))

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ValueError):
            # The client is gone, or a fault closed the connection beneath the base class.
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the base class gives
        """Say nothing: requests are recorded."""

    def forward(self, request: Received, url: str) -> Response:
        parts = urlsplit(url)
        # A new connection each time: one that was kept may have been closed by a registry that restarted.
        upstream = http.client.HTTPConnection(parts.hostname or LOOPBACK, parts.port, timeout=_UPSTREAM_SECONDS)
        try:
            # The Host header stays, so that the registry's Location and Link lead through the proxy again. Headers may
            # come more than once: Accept does from Go's clients.
            upstream.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                    upstream.putheader(name, value)
            if request.body or request.method in {"POST", "PUT", "PATCH"}:
                upstream.putheader("Content-Length", str(len(request.body)))
            upstream.endheaders(request.body or None)
            response = upstream.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            return Response(502, (("Content-Type", "text/plain"),), f"no answer from upstream: {error!r}\n".encode())
        finally:
            upstream.close()
        kept = tuple((name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP)
        return Response(response.status, kept, body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return body


def _handler_of(server: FaultyServer) -> type[_Handler]:
    # The base class finds what answers a method by the name of its function.
    functions = {f"do_{method}": _Handler.answer for method in _METHODS}
    return type("Handler", (_Handler,), {"faulty": server, **functions})
