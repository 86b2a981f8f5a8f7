"""Metrics: what a server's Prometheus endpoint tells of its requests (distribution: `http: debug: prometheus:`).

The gauge of a handler is raised before the handler reads anything, and lowered after its last write; it is there from
the start of the server (go-metrics, `NewDefaultHttpMetrics` and `InstrumentHandler`; the same in 2.8 and 3.x).
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

from jettison import __version__
from jettison.errors import ContentError, UnreachableError, UsageError
from jettison.registry.settings import MIB, Limits, TlsSettings
from jettison.registry.url import RegistryUrl
from jettison.registry.wire import BrokenError, Wire

_LIMITS: Final = Limits(concurrency=1, connect_timeout=2, read_timeout=3, total_timeout=5)
_MOST_BYTES: Final = 4 * MIB
_STARTED: Final = "process_start_time_seconds"
_IN_FLIGHT: Final = "registry_http_in_flight_requests"
_ANSWERED: Final = "registry_http_requests_total"
_NAMES: Final = frozenset({_STARTED, _IN_FLIGHT, _ANSWERED})
# The text format, version 0.0.4. The server gives no timestamps: who adds them tells of another time than now.
_SAMPLE: Final = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})?[ \t]+([^ \t]+)[ \t]*")
_LABELS: Final = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Reading(NamedTuple):
    """What one reading says.

    `started`: when the server's process was started, in its clock's seconds; `age`: for how many seconds it runs, by
    the same clock. `heads`: how many HEAD requests of `/v2/` it has answered. `in_flight`: how many requests are under
    way, by handler.
    """

    started: float
    age: float
    heads: int
    in_flight: Mapping[str, int]


class Metrics:
    """The endpoint at one URL. An asynchronous context manager: its connection lives from entering to leaving."""

    def __init__(self, url: str, tls: TlsSettings | None = None) -> None:
        """Describe the endpoint; nothing is sent yet. Raises UsageError for a `url` that is none."""
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
        except ValueError as error:
            raise UsageError(f"metrics {url!r}: no URL ({error})") from error
        path = parts.path if parts.path.strip("/") else "/metrics"
        if parts.query or parts.fragment or not (path.isascii() and path.isprintable()) or " " in path:
            raise UsageError(f"metrics {url!r}: expected http://HOST:PORT/metrics")
        self._origin = RegistryUrl.parse(f"{parts.scheme}://{parts.netloc}")
        self.url = self._origin.origin + path
        self._tls = tls or TlsSettings()
        self._opened: Wire | None = None

    def __repr__(self) -> str:
        return f"Metrics({self.url})"

    async def __aenter__(self) -> Self:
        """Open it. Raises ConfigurationError where a TLS file cannot be used."""
        self._opened = Wire(self._origin, self._tls, _LIMITS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def read(self) -> Reading:
        """Read it once.

        Raises ContentError where it is no endpoint of a registry's server, or not of one alone; UnreachableError,
        UntrustedError.
        """
        if self._opened is None:
            raise RuntimeError("Metrics is used inside `async with` only")
        headers = {
            "Accept": "text/plain",
            "Accept-Encoding": "identity",
            "Cache-Control": "no-cache",
            "User-Agent": f"jettison/{__version__}",
        }
        what = f"metrics {self.url}"
        try:
            answer = await self._opened.send("GET", self.url, headers, limit=_MOST_BYTES, what=what)
        except BrokenError as error:
            raise UnreachableError(f"{what}: {error}") from error
        if answer.status != 200:
            raise ContentError(f"{what}: it answers with HTTP {answer.status}", status=answer.status)
        if "Age" in answer.headers:
            raise ContentError(f"{what}: a cache answers (it sends an Age header)")
        try:
            date = parsedate_to_datetime(answer.headers.get("Date", ""))
            return read_text(answer.body.decode(), (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
        except ValueError as error:
            raise ContentError(f"{what}: {error}") from error


def read_text(text: str, now: float) -> Reading:
    """Read the text format; `now` is the server's clock. Raises ValueError, whose text is a sentence's end."""
    started: float | None = None
    heads = 0
    in_flight: dict[str, int] = {}
    for name, labels, value in _samples(text):
        if name == _STARTED and not labels and started is None:
            started = _moment(value)
        elif name == _IN_FLIGHT and labels.keys() == {"handler"} and labels["handler"] not in in_flight:
            in_flight[labels["handler"]] = _count(value)
        elif name == _ANSWERED and labels.keys() == {"code", "handler", "method"}:
            if labels["handler"] == "base" and labels["method"] == "head":
                heads += _count(value)
        else:
            # Another endpoint puts several servers together, and adds labels that tell them apart.
            raise ValueError(f"{name} has labels that a registry's server does not give, or has them twice")
    if started is None or not in_flight:
        raise ValueError(f"it lacks {_STARTED if started is None else _IN_FLIGHT}; is it the registry's own endpoint?")
    return Reading(started, now - started, heads, in_flight)


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield the samples that matter here. Raises ValueError."""
    for line in text.split("\n"):
        if not line.startswith(("registry_http_", _STARTED)):
            continue
        match = _SAMPLE.fullmatch(line.rstrip("\r"))
        if match is None:
            raise ValueError(f"{line[:100]!r} is no sample of a registry's server")
        name, labels, value = match.groups()
        if name not in _NAMES:
            continue
        found = _LABELS.findall(labels or "")
        if "".join(f'{key}="{text}",' for key, text in found) != (labels or "").rstrip(",") + "," * bool(labels):
            raise ValueError(f"{line[:100]!r} has no labels that can be read")
        yield name, dict(found), value


def _moment(value: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is no moment")
    return number


def _count(value: str) -> int:
    number = float(value)
    if not 0 <= number < 2**53 or number != int(number):
        raise ValueError(f"{value} is no number of requests")
    return int(number)
