"""Collect beside a serving registry: everything that must be true before `OnlineCollector` may begin, then its run."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from jettison.app.access import Access
from jettison.app.clean import Recorder
from jettison.app.collect_online import GENTLE, OnlineCollector, Pace, Servers
from jettison.app.in_flight import InFlight, watching
from jettison.app.same_storage import show_same_storage
from jettison.app.serving import ServerFacts
from jettison.collect.safety import Barriers, Margins
from jettison.errors import PreflightError
from jettison.oci.reference import is_repository
from jettison.registry.client import RegistryClient
from jettison.registry.url import RegistryUrl
from jettison.storage.lease import Lease
from jettison.storage.local import LocalStorage
from jettison.storage.roots import KnownReferences


@dataclass(frozen=True, slots=True)
class Replicas:
    """The addresses at which servers work on one storage; they take the same credentials.

    `facts` are of the first; `pace` is how hard they are asked. `metrics` are their Prometheus endpoints, in the same
    order; without any, the one that the first's configuration names.
    """

    access: Access
    others: tuple[str, ...] = ()
    facts: ServerFacts | None = None
    pace: Pace = GENTLE
    metrics: tuple[str, ...] = ()

    def servers(self, clients: Sequence[RegistryClient], in_flight: InFlight | None = None) -> Servers:
        """Return what is known of all of them together: of replicas beside the first nobody knows start and cache."""
        if self.facts is None or self.others:
            return Servers(clients, pace=self.pace, in_flight=in_flight)
        return Servers(clients, self.facts.started, self.facts.cacheless, self.pace, in_flight)

    @asynccontextmanager
    async def opened(self, storage: LocalStorage) -> AsyncIterator[Servers]:
        """Connect to all, which work on `storage`. Raises the errors of `RegistryClient.ping`."""
        access = self.access
        known = self.facts.metrics if self.facts is not None else None
        urls = [access.url, *map(RegistryUrl.parse, self.others)]
        async with AsyncExitStack() as stack:
            endpoints = self.metrics or (() if known is None else (known,))
            in_flight = await stack.enter_async_context(watching(access, urls, endpoints, storage.name))
            clients = []
            for url in urls:
                client = RegistryClient(
                    url,
                    credentials=access.credentials,
                    tls=access.tls,
                    limits=access.limits,
                    observe=in_flight.observe if in_flight is not None else None,
                )
                clients.append(await stack.enter_async_context(client))
                await client.ping()
            yield self.servers(clients, in_flight)


async def check_served(storage: LocalStorage, clients: Sequence[RegistryClient]) -> None:
    """Refuse where a server would not let us collect, or works on another storage.

    Raises PreflightError where it deletes nothing, UsageError where it is read-only or another registry's.
    """
    name = next(filter(is_repository, storage.repositories().names), "jettison/preflight")
    for client in clients:
        abilities = await client.preflight(name)
        if abilities.read_only:
            raise PreflightError(f"{client.url} is read-only, so nobody pushes meanwhile: collect with --offline")
        if not abilities.deletes_manifests:
            raise PreflightError(abilities.manifests_reason)
    await show_same_storage(storage, clients)


@asynccontextmanager
async def opened_collector(
    lease: Lease,
    storage: LocalStorage,
    replicas: Replicas,
    recorder: Recorder,
    *,
    margins: Margins,
    barriers: Barriers,
    now: Callable[[], datetime],
    known: KnownReferences | None = None,
    step: Callable[[str], None] = lambda name: None,
) -> AsyncIterator[OnlineCollector]:
    """Connect and check, and give the collector. Raises what `Replicas.opened` and `check_served` raise."""
    async with replicas.opened(storage) as servers:
        await check_served(storage, servers.replicas)
        yield OnlineCollector(
            lease,
            storage,
            servers,
            margins=margins,
            barriers=barriers,
            run=recorder.run.id,
            now=now,
            known=known,
            step=step,
        )
