"""Collect while the registry serves: the steps of docs/protocol.md, in that order.

The worst interleaving, and why each step is there: a client asks whether the registry has a blob, hears yes, and pushes
a manifest that needs it, while we take the blob away. The server remembers what blobs it has and tells nobody when it
is wrong. So links are removed through the server, on every replica, which makes it forget (2); we ask again until it
has forgotten (2, 5), for a request that began earlier may have made it remember; data is moved aside, not removed (3);
and it is gone for good only after everything that could have begun before has ended, and nothing needs it (6, 7).

`step` is told the name of each point that was reached; tests kill the process there. docs/crash-table.md has a row for
each.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from jettison.app.collection_report import CollectionReport
from jettison.app.in_flight import InFlight, barrier
from jettison.app.reexamine import Reexamination
from jettison.collect.blob import StoredBlob
from jettison.collect.quarantine import Collected, Link, Suspect
from jettison.collect.references import DigestText
from jettison.collect.safety import Barriers, Margins
from jettison.errors import RegistryError, ServerFaultError, StorageError, UnreachableError
from jettison.oci.inventory import Problem
from jettison.oci.reference import is_repository
from jettison.registry.client import RegistryClient
from jettison.storage import layout
from jettison.storage.bodies import WaitingBodies, manifest_bodies, traces
from jettison.storage.layout import readable
from jettison.storage.lease import Lease
from jettison.storage.links import LinkSurvey, find_links, has_link
from jettison.storage.local import LocalStorage
from jettison.storage.quarantine import Quarantine
from jettison.storage.roots import KnownReferences
from jettison.storage.survey import survey
from jettison.storage.symbolic import reachable_directly

_PROBLEMS_AT_MOST: Final = 50
JobT = TypeVar("JobT")


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard the servers are asked: `at_once` requests, each followed by a rest of so many times as long as it took.

    People push and pull meanwhile. On two cores two at once without rest made one pull in a hundred wait four times as
    long; one with a rest is hardly noticed (benchmarks/latency).
    """

    at_once: int = 1
    rest: float = 1.0


GENTLE: Final = Pace()


@dataclass(frozen=True, slots=True)
class Servers:
    """The server processes that work on the storage: a client for each replica, and what is known of them.

    `started` is when the oldest of the processes that run now was started, None where that is unknown of any of them.
    `cacheless`: none has a descriptor cache. `in_flight` tells when no request is under way, None where nothing can.
    """

    replicas: Sequence[RegistryClient]
    started: datetime | None = None
    cacheless: bool = False
    pace: Pace = GENTLE
    in_flight: InFlight | None = None


class OnlineCollector:
    """One collector on one storage. The lease proves that it is the only one."""

    def __init__(
        self,
        lease: Lease,
        storage: LocalStorage,
        servers: Servers,
        *,
        margins: Margins,
        barriers: Barriers,
        run: str,
        now: Callable[[], datetime],
        known: KnownReferences | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        step: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._lease = lease
        self._storage = storage
        self._servers = servers
        self._margins = margins
        self._barriers = barriers
        self._run = run
        self._now = now
        self._known = known
        self._sleep = sleep
        self._step = step
        self._quarantine = Quarantine(lease)
        self._away: set[int] = set()
        self.report = CollectionReport()
        self._reexamination = Reexamination(lease, storage, self.report, known, step)

    async def collect(self, *, purge_now: bool) -> CollectionReport:
        """Do all steps once. `purge_now` waits for the long barrier instead of leaving the purge to a later run.

        Raises StorageError where the storage as a whole cannot be read or written. What a server refuses or does not
        answer makes blobs stay for this run.
        """
        self._quarantine.reserve()
        # 0. Requests of a predecessor that was killed may still be running in the servers.
        await self._start_barrier()
        self._step("started")
        await self._recover()
        suspects = await self._scan()
        if suspects:
            collected = self._write_down(suspects, purge_now=purge_now)
            unlinked = await self._unlink(collected)
            self._move(collected, unlinked)
            await self._barrier(self._barriers.short)
            self._reexamination.rescan(collected, may_purge=frozenset())
            self._step("rescanned-early")
            if purge_now:
                await self._finish(collected)
        self._reexamination.count_waiting()
        return self.report

    async def purge_due(self) -> CollectionReport:
        """Only re-examine what is in quarantine, and purge what is due (steps 0 and 5 to 7)."""
        await self._start_barrier()
        await self._recover()
        self._reexamination.count_waiting()
        return self.report

    async def purge(self, collections: AbstractSet[str]) -> CollectionReport:
        """Purge these collections before their time, as far as nothing needs them (steps 0 and 5 to 7)."""
        await self._start_barrier()
        for collected in self._quarantine.collections():
            if collected.id in collections:
                await self._finish(collected)
        self._reexamination.repair(self._reexamination.roots(), ())
        self._reexamination.count_waiting()
        return self.report

    async def _recover(self) -> None:
        """Re-examine the quarantine: from step 5 on where it is due, else as the early re-scan does."""
        for collected in self._quarantine.collections():
            self._reexamination.note_clock(collected, self._now())
            if self._now() >= collected.until or not self._quarantine.held(collected):
                await self._finish(collected)
            else:
                self._reexamination.rescan(collected, may_purge=frozenset())
        self._reexamination.repair(self._reexamination.roots(), ())
        self._step("repaired")

    async def _scan(self) -> tuple[Suspect, ...]:
        """1. Find what is unreachable and old enough, and everybody who may know it."""
        found = survey(self._storage, self._now(), self._margins, self._known)
        self.report.note(found)
        if found.condemned is None:
            return ()
        going, traced = self._without_bodies(found.condemned.blobs)
        links = find_links(self._storage, {blob.digest for blob in going})
        if links.problems:
            # Whoever cannot be listed may know any of them.
            self.report.problems += links.problems
            self.report.given_up += len(going)
            return ()
        suspects = [
            Suspect(blob.digest, blob.size, blob.modified, links.links[blob.digest], traced.get(blob.digest))
            for blob in going
        ]
        self.report.condemned = len(suspects)
        self.report.condemned_bytes = sum(suspect.size for suspect in suspects)
        going_directly, problems = reachable_directly(self._storage.name, suspects)
        self.report.given_up += len(suspects) - len(going_directly)
        self.report.problems += problems
        askable = self._askable(going_directly)
        self._step("scanned")
        if askable and not (await self._all_answer() and await self._forgets_unknown(links)):
            self.report.given_up += len(askable)
            return ()
        return tuple(await self._recognised(askable))

    def _without_bodies(
        self, condemned: Sequence[StoredBlob]
    ) -> tuple[list[StoredBlob], Mapping[DigestText, str | None]]:
        """Return what may go: all but the bodies of manifests that a server may still remember. Of bodies that may go,
        the traces are returned too.
        """
        if self._servers.cacheless:
            return list(condemned), {}
        bodies = manifest_bodies(self._storage.name, condemned)
        traced = traces(self._storage, bodies)
        free = WaitingBodies(self._lease).update(traced, self._now(), self._servers.started)
        self.report.bodies = len(bodies - free)
        going = [blob for blob in condemned if blob.digest not in bodies or blob.digest in free]
        return going, {digest: traced[digest] for digest in free}

    def _askable(self, suspects: Iterable[Suspect]) -> list[Suspect]:
        """Leave out what a repository links whose name no server takes: nobody can be asked to unlink it there."""
        askable: list[Suspect] = []
        for suspect in suspects:
            illegal = {link.repository for link in suspect.links if not is_repository(link.repository)}
            if not illegal:
                askable.append(suspect)
                continue
            self.report.given_up += 1
            for name in sorted(illegal):
                text = f"{readable(name)!r} is no repository name that a registry takes, so blobs that it links stay"
                self._add_problem(Problem("bad-name", text, blocks=False))
        return askable

    async def _all_answer(self) -> bool:
        """Whether every replica answers. Where one does not, nothing can be collected, and nothing need be unlinked."""
        for client in self._servers.replicas:
            try:
                await client.ping()
            except RegistryError as error:
                self._refused(error)
                return False
        return True

    async def _recognised(self, suspects: Sequence[Suspect]) -> list[Suspect]:
        """Leave out what is linked in repositories of which some replica does not know a blob that is there.

        A later "no" would prove nothing: it may come from a proxy that leads elsewhere, and not from the server.
        """
        samples: dict[str, Link] = {}
        for suspect in suspects:
            for link in suspect.links:
                if link.live:
                    samples.setdefault(link.repository, link)
        strange: set[str] = set()

        async def one(job: tuple[RegistryClient, Link]) -> None:
            client, link = job
            try:
                if await client.blob_size(link.repository, link.digest) is not None:
                    return
                text = f"{client.url} does not know blob {link.digest} of {link.repository}, which the storage has"
                self._add_problem(Problem("server", f"{text}; does a proxy lead elsewhere?"))
            except RegistryError as error:
                self._refused(error, client)
            strange.add(link.repository)

        await self._each([(client, link) for client in self._servers.replicas for link in samples.values()], one)
        known = [suspect for suspect in suspects if not any(link.repository in strange for link in suspect.links)]
        self.report.given_up += len(suspects) - len(known)
        return known

    def _write_down(self, suspects: tuple[Suspect, ...], *, purge_now: bool) -> Collected:
        """Write every repository that has or had a link of each, before anything is touched."""
        begun = self._now()
        until = begun if purge_now else begun + self._margins.retention
        collected = self._quarantine.begin(suspects, run=self._run, begun=begun, until=until, online=True)
        self.report.collection = collected.id
        self._step("written-down")
        return collected

    async def _unlink(self, collected: Collected) -> list[Suspect]:
        """2. Unlink through every replica, wait, and ask until all have forgotten. Return those that are unlinked."""
        given_up = await self._delete({link: suspect for suspect in collected.suspects for link in suspect.links})
        self._step("unlinked")
        await self._barrier(self._barriers.short)
        remaining = [suspect for suspect in collected.suspects if suspect.digest not in given_up]
        confirmed, _ = await self._confirm(remaining, self._barriers.short)
        self._step("confirmed")
        self.report.given_up += len(collected.suspects) - len(confirmed)
        return [suspect for suspect in remaining if suspect.digest in confirmed]

    def _move(self, collected: Collected, unlinked: Iterable[Suspect]) -> None:
        """3. Move the data aside, and leave the folders."""
        for moved in self._quarantine.move_in(collected, unlinked):
            if moved.problem is None:
                self.report.quarantined += 1
                self.report.quarantined_bytes += moved.size
                self._step("moved-one")
            else:
                self.report.given_up += 1
                if moved.problem.blocks:
                    self.report.problems.append(moved.problem)
        self._step("moved")

    async def _finish(self, collected: Collected) -> None:
        """5 to 7. Wait for long, ask again, wait, re-scan, purge what nothing needs."""
        held = self._quarantine.held(collected)
        if held:
            await self._barrier(self._barriers.long)
            self._step("waited-long")
            suspects = [suspect for suspect in collected.suspects if suspect.digest in held]
            confirmed, _ = await self._confirm(suspects, self._barriers.long)
            self._step("confirmed-again")
            await self._barrier(self._barriers.short)
            self._reexamination.rescan(collected, may_purge=confirmed)
        else:
            # What was unlinked and not moved, as a kill between the two leaves it, may have lost links that it needs.
            self._reexamination.repair(self._reexamination.roots(), collected.suspects)
        self._reexamination.finish(collected)
        self._step("finished")

    async def _delete(self, links: "dict[Link, Suspect]") -> set[DigestText]:
        """Delete every link on every replica; return the blobs for which a server did not do it.

        Links of sha512 digests go first: where only the sha256 link beside one is gone, servers answer 500 for it until
        somebody writes that link back, and a run that is killed in between must not leave it so.
        """
        given_up: set[DigestText] = set()

        async def one(job: tuple[RegistryClient, Link, Suspect]) -> None:
            client, link, suspect = job
            if id(client) in self._away:
                given_up.add(suspect.digest)
                return
            try:
                await client.delete_blob(link.repository, link.digest)
            except RegistryError as error:
                given_up.add(suspect.digest)
                self._refused(error, client)
            self._step("unlinked-one")

        def is_canonical(link: Link) -> bool:
            return link.digest.startswith(f"{layout.CANONICAL}:")

        for canonical in (False, True):
            # What a server refused to unlink keeps its other link, too.
            going = [
                (link, suspect)
                for link, suspect in links.items()
                if is_canonical(link) is canonical and suspect.digest not in given_up
            ]
            await self._each([(client, *job) for client in self._servers.replicas for job in going], one)
        return given_up

    async def _confirm(
        self, suspects: Sequence[Suspect], barrier: float
    ) -> tuple[frozenset[DigestText], frozenset[DigestText]]:
        """Ask every replica about every link until all answer no. Return the blobs for which they do, and those that
        are in use again.

        A yes although there is no link is stale: the server is made to forget it, and after a barrier asked again.
        """
        waiting = {suspect.digest: suspect for suspect in suspects}
        confirmed: set[DigestText] = set()
        in_use: set[DigestText] = set()
        for _ in range(self._barriers.rounds):
            stale, used, failed = await self._ask(list(waiting.values()))
            in_use |= used
            confirmed |= waiting.keys() - stale - used - failed
            waiting = {digest: waiting[digest] for digest in stale - used - failed}
            if not waiting:
                break
            await self._barrier(barrier)
        return frozenset(confirmed), frozenset(in_use)

    async def _ask(self, suspects: Sequence[Suspect]) -> tuple[set[DigestText], set[DigestText], set[DigestText]]:
        """Ask once; return the blobs with a stale yes (which was cleared), with a true yes, and without an answer."""
        stale: set[DigestText] = set()
        used: set[DigestText] = set()
        failed: set[DigestText] = set()

        async def one(job: tuple[RegistryClient, Link, DigestText]) -> None:
            client, link, digest = job
            if id(client) in self._away:
                failed.add(digest)
                return
            try:
                if await self._is_unknown(client, link):
                    return
                if has_link(self._storage.name, link.repository, link.digest):
                    used.add(digest)
                    return
                stale.add(digest)
                await client.delete_blob(link.repository, link.digest)
            except (RegistryError, StorageError) as error:
                failed.add(digest)
                self._refused(error, client)

        jobs = [
            (client, link, suspect.digest)
            for suspect in suspects
            for link in suspect.links
            for client in self._servers.replicas
        ]
        await self._each(jobs, one)
        return stale, used, failed

    async def _is_unknown(self, client: RegistryClient, link: Link) -> bool:
        """Whether a server says that a repository has no such blob.

        3.x answers 500 for a sha512 digest that it remembers while the sha256 link beside is gone. That is no "no";
        where there is no link either, it is as stale as a yes, and the server is made to forget it in the same way.
        """
        try:
            return await client.blob_size(link.repository, link.digest) is None
        except ServerFaultError:
            if has_link(self._storage.name, link.repository, link.digest):
                raise
            return False

    async def _forgets_unknown(self, links: LinkSurvey) -> bool:
        """Whether the servers have forgotten what left-over folders of sha512 links stood for: nobody knows which blob.

        They are asked, and made to forget where they remember; a link that comes back meanwhile is not deleted.
        """
        unknown = [
            Suspect(link.digest, 0, self._now(), (link,)) for link in links.unknown if is_repository(link.repository)
        ]
        confirmed, _ = await self._confirm(unknown, self._barriers.short)
        return len(confirmed) == len({suspect.digest for suspect in unknown})

    async def _start_barrier(self) -> None:
        """Wait until every request that a predecessor sent has made its last write, even if no server has read it yet.

        Metrics do not show what was not read; so they end it early only where the predecessor ended long ago.
        """
        seconds, ended = self._barriers.short, self._lease.idle_since
        if ended is not None and (self._now() - ended).total_seconds() >= seconds:
            await self._barrier(seconds)
            return
        self.report.barriers += 1
        if self._servers.in_flight is not None:
            self.report.barriers_doubt = "the last run was killed, ended a moment ago, or is not known"
        await self._sleep(seconds)

    async def _barrier(self, seconds: float) -> None:
        """Wait until every request that had begun before has made its last write."""
        in_flight = self._servers.in_flight
        self.report.barriers += 1
        self.report.barriers_early += await barrier(seconds, in_flight, self._sleep)
        if in_flight is not None and in_flight.doubt:
            self.report.barriers_doubt = in_flight.doubt

    def _refused(self, error: Exception, client: RegistryClient | None = None) -> None:
        """Keep the first few refusals. A server that is away is not asked again: it would be waited for each time."""
        if client is not None and isinstance(error, UnreachableError):
            self._away.add(id(client))
        self._add_problem(Problem("server", str(error)))

    def _add_problem(self, problem: Problem) -> None:
        if problem not in self.report.problems and len(self.report.problems) < _PROBLEMS_AT_MOST:
            self.report.problems.append(problem)

    async def _each(self, jobs: Sequence[JobT], work: Callable[[JobT], Awaitable[None]]) -> None:
        """Do all jobs at the servers' pace."""
        waiting = iter(jobs)
        pace = self._servers.pace

        async def worker() -> None:
            for job in waiting:
                began = time.monotonic()
                await work(job)
                await asyncio.sleep(pace.rest * (time.monotonic() - began))

        await asyncio.gather(*(worker() for _ in range(min(pace.at_once, len(jobs)))))
