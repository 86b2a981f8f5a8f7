"""InFlight: evidence that no request is under way in any server, which ends a barrier before its time.

A server counts the requests that each handler is working on, and shows the numbers to Prometheus. A handler that is
seen at zero once after a barrier began has ended all that it had begun before. What could make such a zero a lie, and
what is done about it:

- It is another server's, or one of several behind an address: a random number of requests is sent to the registry's
  URL, each on a connection of its own, and exactly so many must have been counted. Fewer end the belief for the whole
  run.
- It is an old one, out of a cache: a reading counts only where it counts the requests that were sent after the barrier
  began.
- The server is a new one, and its predecessor still ends what it had begun: a process that has not run for as long as
  the barrier's full time is not believed. So nothing is left behind that the full time would have waited for.
- A request of our own got no answer, or was sent by a run that was killed: it may still wait for the server to read it,
  and no handler counts it yet. After the first such request of a run nothing ends early any more, and its start
  barrier only where the last run came to its regular end, as long ago as the barrier would last.
- A handler is missing, or there is one that nobody knows: all that can write must be there, and all must come to zero
  but those that are known to read only.
- One replica has no endpoint: then there is no evidence at all. Nor is there any for a storage on the network's disk:
  what a server has written there we might see only later, and looking again is what comes next.

Whatever is in doubt, the barrier takes its full time. tests/app/test_in_flight.py plays each of these.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from jettison.errors import RegistryError, UsageError
from jettison.registry.client import RegistryClient
from jettison.registry.metrics import Metrics, Reading
from jettison.registry.settings import TlsSettings
from jettison.storage.file_systems import remote_file_system

if TYPE_CHECKING:
    from jettison.app.access import Access
    from jettison.registry.answers import RequestReport
    from jettison.registry.url import RegistryUrl

_WRITING: Final = frozenset({"manifest", "blob", "blob_upload", "blob_upload_chunk"})
# Read in the source of 2.8.3 and 3.1.1: they write nothing, and make the server remember nothing.
_READING: Final = frozenset({"base", "catalog", "tags"})
_KNOCKS: Final = range(16, 32)
_PROOFS: Final = 3
# The server's date is cut to seconds, and the start of its process depends on when its machine did, in seconds too.
_SLACK_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 0.5


class DoubtError(Exception):
    """Why nothing can be told of a server; its text is a sentence. `final`: it will be no better in this run."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


@dataclass(frozen=True, slots=True)
class Watched:
    """One server: its endpoint, and `knock`, which sends so many requests and returns how many were answered."""

    name: str
    metrics: Metrics
    knock: Callable[[int], Awaitable[int]]


class InFlight:
    """The servers of one run. `doubt` is why the last barrier could not end early, empty where it could."""

    def __init__(self, watched: Sequence[Watched], *, doubt: str = "") -> None:
        """Watch these; with a `doubt` from the beginning, none."""
        self._watched = watched
        self.doubt = doubt
        self._is_final = bool(doubt) or not watched

    def observe(self, report: "RequestReport") -> None:
        """See each request of the run that ended; one without an answer may still reach a handler."""
        if report.status is None:
            self.doubt, self._is_final = "a request got no answer, so it may still come to the server", True

    async def settled(self, seconds: float) -> bool:
        """Return True as soon as all requests that were under way when this was called have ended, in all servers.

        `seconds` is the barrier's full time. Returns False where that cannot be told.
        """
        if self._is_final:
            return False
        self.doubt = "there was no time to ask"
        try:
            # One after the other: two that are one behind their addresses must not count each other's requests.
            for server in self._watched:
                await self._server_settled(server, seconds)
        except DoubtError as doubt:
            self.doubt, self._is_final = str(doubt), self._is_final or doubt.final
            return False
        except RegistryError as error:
            self.doubt = str(error)
            return False
        self.doubt = ""
        return True

    async def _server_settled(self, server: Watched, seconds: float) -> None:
        proved = reading = await self._proved(server, seconds)
        handlers = proved.in_flight.keys()
        if missing := _WRITING - handlers:
            raise DoubtError(
                f"{server.metrics.url} does not count requests of {', '.join(sorted(missing))}", final=True
            )
        busy = handlers - _READING
        self.doubt = f"{server.name} worked on requests all the time"
        pause = _PAUSE_SECONDS
        while busy := {handler for handler in busy if reading.in_flight[handler]}:
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_SECONDS, pause * 1.5)
            reading = await server.metrics.read()
            _refuse_other(server, proved, reading)
            if reading.heads < proved.heads or reading.in_flight.keys() != handlers:
                raise DoubtError(f"{server.metrics.url} shows now one server and now another", final=True)

    async def _proved(self, server: Watched, seconds: float) -> Reading:
        """Return a reading that surely is of this server, and of a moment after this was called."""
        for _ in range(_PROOFS):
            before = await server.metrics.read()
            if before.age < seconds + _SLACK_SECONDS:
                raise DoubtError(f"{server.name} was started a short time ago, and may have a predecessor")
            number = random.SystemRandom().choice(_KNOCKS)
            answered = await server.knock(number)
            after = await server.metrics.read()
            _refuse_other(server, before, after)
            counted = after.heads - before.heads
            if counted < answered:
                raise DoubtError(
                    f"{server.metrics.url} counted {counted} of {answered} requests to {server.name}: it is another "
                    "server's, there are several behind one address, or a proxy answers in its place",
                    final=True,
                )
            if counted == answered >= number:
                return after
        raise DoubtError(f"others ask {server.name} too, so nobody can tell whether {server.metrics.url} is its own")


def _refuse_other(server: Watched, before: Reading, after: Reading) -> None:
    if after.started != before.started or after.heads < before.heads:
        raise DoubtError(f"{server.metrics.url} is not of the same process any more: {server.name} was restarted")


async def barrier(seconds: float, in_flight: InFlight | None, sleep: Callable[[float], Awaitable[None]]) -> bool:
    """Wait until every request that had begun before has made its last write. Whether evidence ended it early."""
    if in_flight is None or seconds <= 0:
        await sleep(seconds)
        return False

    async def full_time() -> None:
        await sleep(seconds)

    full, evidence = asyncio.create_task(full_time()), asyncio.create_task(in_flight.settled(seconds))
    try:
        await asyncio.wait({full, evidence}, return_when=asyncio.FIRST_COMPLETED)
        if evidence.done() and evidence.result():
            return True
        await full
        return False
    finally:
        for task in (full, evidence):
            task.cancel()
        await asyncio.gather(full, evidence, return_exceptions=True)


@asynccontextmanager
async def watching(
    access: "Access", servers: "Sequence[RegistryUrl]", endpoints: Sequence[str], storage: str
) -> AsyncIterator[InFlight | None]:
    """Open what watches `servers`, whose endpoints stand in the same order; None where no endpoint is known. `storage`
    is the root directory that they work on.

    Endpoints that cannot be used are no reason to fail in the middle of a run: then there is doubt from the beginning.
    """
    if not endpoints:
        yield None
        return
    try:
        # A client's certificate is for the registry's own address.
        described = [Metrics(endpoint, TlsSettings(ca_file=access.tls.ca_file)) for endpoint in endpoints]
    except UsageError as error:
        yield InFlight((), doubt=str(error))
        return
    if len(described) != len(servers):
        counts = f"there are {len(described)} metrics for {len(servers)} servers"
        yield InFlight((), doubt=f"{counts}: name those of the registry's URL and of each --replica, in that order")
        return
    if (kind := remote_file_system(storage)) is not None:
        yield InFlight((), doubt=f"{storage} is not on a disk of this machine ({kind})")
        return
    async with AsyncExitStack() as stack:
        watched = []
        for url, metrics in zip(servers, described, strict=True):
            knock = await stack.enter_async_context(_knocking(access, url))
            watched.append(Watched(str(url), await stack.enter_async_context(metrics), knock))
        yield InFlight(watched)


@asynccontextmanager
async def _knocking(access: "Access", url: "RegistryUrl") -> AsyncIterator[Callable[[int], Awaitable[int]]]:
    """Open a client of its own for the requests that are counted. All at once, so that each has its connection."""
    answered = 0

    def observe(report: "RequestReport") -> None:
        nonlocal answered
        answered += report.method == "HEAD" and report.status is not None

    limits = replace(access.limits, concurrency=_KNOCKS.stop, retries=0, connect_timeout=5, read_timeout=5)
    async with RegistryClient(
        url, credentials=access.credentials, tls=access.tls, limits=limits, observe=observe
    ) as client:

        async def knock(number: int) -> int:
            nonlocal answered
            # Signs in where it must, so that each of the requests is sent once. A proxy that wants credentials, and
            # refuses what has none, would keep half of them to itself.
            await client.ping()
            answered = 0
            # What got no answer is missing in the count, so nobody is misled by it.
            await asyncio.gather(*(client.knock() for _ in range(number)), return_exceptions=True)
            return answered

        yield knock
