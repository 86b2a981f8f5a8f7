"""The usual faults for a FaultyServer: each is made by a call and answers the exchange that it is given.

What a fault starts from is the normal answer, the upstream's; where there is no upstream, give it one with `of`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Event
from urllib.parse import urlsplit

from jettison.testing.faulty import Exchange, Fault, Response


def answer(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Fault:
    """Answer with this."""
    response = Response(status, tuple((headers or {}).items()), body)
    return lambda exchange: exchange.send(response)


def changed(change: Callable[[Response], Response], of: Response | None = None) -> Fault:
    """Answer with the normal answer after `change`."""
    return lambda exchange: exchange.send(change(of or exchange.normal()))


def drop() -> Fault:
    """Reset the connection before any answer."""
    return lambda exchange: exchange.drop()


def drop_after_forwarding() -> Fault:
    """Let the upstream do what is asked, then reset the connection: the client cannot know whether it was done."""

    def fault(exchange: Exchange) -> None:
        exchange.normal()
        exchange.drop()

    return fault


def drop_in_body(after: int, of: Response | None = None) -> Fault:
    """Announce the whole body, send `after` bytes of it and reset the connection."""

    def fault(exchange: Exchange) -> None:
        exchange.send(of or exchange.normal(), only=after)
        exchange.drop()

    return fault


def truncated(after: int, of: Response | None = None) -> Fault:
    """Send `after` bytes of the body as if they were all: HTTP is content, what is inside ends too soon."""

    def fault(exchange: Exchange) -> None:
        whole = of or exchange.normal()
        exchange.send(replace(whole, body=whole.body[:after]))

    return fault


def wrong_digest(digest: str | None, of: Response | None = None) -> Fault:
    """Put this into Docker-Content-Digest, or leave the header out when it is None."""
    return changed(lambda response: response.with_header("Docker-Content-Digest", digest), of)


def too_many_requests(retry_after: str | None = "0") -> Fault:
    """Answer 429; `retry_after` is seconds or an HTTP date (RFC 9110, section 10.2.3)."""
    headers = {"Content-Type": "application/json"} | ({} if retry_after is None else {"Retry-After": retry_after})
    return answer(429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}', headers)


def redirect(location: str, status: int = 307) -> Fault:
    """Send the client to another place; where `location` has no path, to the same path there."""

    def fault(exchange: Exchange) -> None:
        target = location if urlsplit(location).path else location + exchange.request.path
        exchange.send(Response(status, (("Location", target),)))

    return fault


def slow(seconds: float, of: Response | None = None) -> Fault:
    """Answer as normal after a while; the wait ends when the server stops."""

    def fault(exchange: Exchange) -> None:
        exchange.stopping.wait(seconds)
        exchange.send(of or exchange.normal())

    return fault


def slow_body(seconds: float, step: int = 1, of: Response | None = None) -> Fault:
    """Send the body `step` bytes at a time with `seconds` between them."""

    def fault(exchange: Exchange) -> None:
        whole = of or exchange.normal()
        exchange.begin(whole, length=len(whole.body))
        for start in range(0, len(whole.body), step):
            if exchange.stopping.wait(seconds):
                return
            exchange.write(whole.body[start : start + step])

    return fault


def endless_body(headers: Mapping[str, str] | None = None, chunk: bytes = b" " * 65536) -> Fault:
    """Send a body without a length and without an end, until the client is gone."""

    def fault(exchange: Exchange) -> None:
        exchange.begin(Response(200, tuple((headers or {}).items())), length=None)
        while not exchange.stopping.is_set():
            exchange.write(chunk)

    return fault


@dataclass(frozen=True, slots=True)
class Gate:
    """A fault that holds a request until the test lets it go: `reached` is set when one waits, set `open` to go on."""

    reached: Event = field(default_factory=Event)
    open: Event = field(default_factory=Event)

    def __call__(self, exchange: Exchange) -> None:
        """Hold the request, then answer as normal."""
        self.reached.set()
        while not self.open.wait(0.02):
            if exchange.stopping.is_set():
                return
        exchange.send(exchange.normal())
