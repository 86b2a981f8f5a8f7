"""Reading an inventory over the API: every tag's digest, every manifest once, and what they lead to.

What cannot be read becomes a problem of its repository, and a repository with a problem that blocks loses nothing
(promise 2). "Not there" (404) and "could not be read" (everything else) are told apart everywhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeVar

from jettison.errors import ContentError, NotFoundError, RegistryError
from jettison.oci.config import ConfigFacts
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Problem, Repository, Tag
from jettison.oci.manifest import Manifest, ManifestError
from jettison.oci.reference import is_repository, subject_of_tag
from jettison.registry.client import RegistryClient
from jettison.registry.memory import FLUSH_AT, KnownConfigs, KnownManifests, Memory, Stored, configs_of
from jettison.registry.settings import Limits

__all__ = ["KnownConfigs", "KnownManifests", "RegistryReader", "Stored"]

# A registry says so of a repository that lost its last tag. A 404 without it is a proxy's, and says nothing about tags.
_KNOWS_NO_REPOSITORY: Final = frozenset({"NAME_UNKNOWN", "NOT_FOUND"})
ItemT = TypeVar("ItemT")
_GROUP: Final = 8
"""How many repositories are looked up together among what is known."""
_GROUPS_AT_ONCE: Final = 4
_ITEMS_OF_A_WORKER: Final = 8


class RegistryReader:
    """Reads repositories through a client, each manifest and config once.

    `first_time`: nothing of this registry is known yet, so tags are fetched whole instead of asked for their digest
    first. `leftovers` are digests by repository that an interrupted run meant to delete and that no tag leads to.
    """

    def __init__(
        self,
        client: RegistryClient,
        *,
        limits: Limits | None = None,
        manifests: KnownManifests | None = None,
        configs: KnownConfigs | None = None,
        leftovers: Mapping[str, Collection[Digest]] | None = None,
        first_time: bool = False,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> None:
        self._client = client
        self._limits = limits or Limits()
        self._memory = Memory(manifests, configs, begins=first_time)
        self._leftovers = leftovers or {}
        self._first_time = first_time
        self._progress = progress or (lambda done, total: None)
        self._has_referrers: bool | None = None
        self._beside = 1

    async def read(self, wanted: Callable[[str], bool], now: datetime, names: Sequence[str] = ()) -> Inventory:
        """Read the repositories of the catalogue that are `wanted`; `names` instead of the catalogue where given."""
        problems: list[Problem] = []
        catalogue = list(names)
        if not names:
            catalogue, problem = await self._catalogue()
            problems += [problem] if problem else []
        selected = sorted(name for name in set(catalogue) if wanted(name))
        repositories: dict[str, Repository] = {}

        async def complete(reading: _Reading) -> None:
            repository = await self._completed(reading)
            if names and not repository.tags and not repository.problems:
                text = "the registry lists no tag in it; is that its name?"
                repository = replace(repository, problems=(Problem("no-tags", text, blocks=False),))
            repositories[reading.name] = repository
            self._progress(len(repositories), len(selected))

        async def together(group: Sequence[str]) -> None:
            readings = [_Reading(name) for name in group]
            await _each(readings, self._begin, len(readings))
            # What is known of their manifests is looked up for all of them: a look-up each would cost more.
            known = self._memory.recall({tag.digest for reading in readings for tag in reading.tags})
            self._memory.recall_configs(known)
            await _each(readings, complete, len(readings))
            self._memory.save(at_least=FLUSH_AT)

        self._progress(0, len(selected))
        # Several groups at a time, so that the registry has something to do while one of them is looked up.
        size = max(1, min(_GROUP, len(selected) // _GROUPS_AT_ONCE))
        at_once = max(_GROUPS_AT_ONCE, self._limits.concurrency // size)
        self._beside = min(len(selected), at_once * size)
        try:
            await _each([selected[start : start + size] for start in range(0, len(selected), size)], together, at_once)
        finally:
            self._beside = 1
        self._memory.save()
        return Inventory(
            str(self._client.url), "api", now, tuple(repositories[name] for name in selected), tuple(problems)
        )

    async def repository(self, name: str, also: Collection[Digest] = ()) -> Repository:
        """Read one repository as it stands now, and those of the manifests `also` that it holds without a tag.

        Manifests that this reader knows are not read again.
        """
        reading = _Reading(name)
        await self._begin(reading)
        return await self._completed(reading, also)

    async def _begin(self, reading: "_Reading") -> None:
        """Read a repository's tags."""
        if not is_repository(reading.name):
            reading.fail(Problem("bad-name", f"{reading.name!r} is no legal repository name"))
            return
        try:
            await self._tags(reading)
        except RegistryError as error:
            reading.fail(Problem("unreadable", str(error)))

    def _workers(self, items: Collection[object]) -> int:
        """Return how many requests for `items` of one repository to have under way.

        The share of one that is read beside others is small, since a task costs more than the rest of a request; but
        one with many items must not be what is left to wait for at the end.
        """
        most = self._limits.concurrency
        return min(most, max(-(-2 * most // self._beside), len(items) // _ITEMS_OF_A_WORKER))

    async def _completed(self, reading: "_Reading", also: Collection[Digest] = ()) -> Repository:
        """Read all that a repository's tags lead to. One whose tags could not be read stays incomplete."""
        if not reading.failed:
            try:
                await self._follow(reading, also)
                await self._facts(reading)
            except RegistryError as error:
                reading.fail(Problem("unreadable", str(error)))
        return reading.result(frozenset(self._leftovers.get(reading.name, ())))

    async def _catalogue(self) -> tuple[list[str], Problem | None]:
        """Return the catalogue, and what kept it from being whole. Raises where not even its start can be read."""
        names: list[str] = []
        try:
            async for name in self._client.repositories():
                names.append(name)  # noqa: PERF401  (what was listed before an error counts)
        except RegistryError as error:
            if not names:
                raise
            return names, Problem("catalogue-incomplete", f"the catalogue could not be listed to its end: {error}")
        return names, None

    async def _tags(self, reading: "_Reading") -> None:
        """Read what every tag points to; one that vanished since it was listed is left out, and that hides nothing."""
        try:
            names = await self._client.tags(reading.name)
        except NotFoundError as error:
            if not _KNOWS_NO_REPOSITORY.intersection(error.codes):
                raise
            return

        async def one(tag: str) -> None:
            try:
                if self._first_time:
                    fetched = await self._client.manifest(reading.name, tag)
                    digest = fetched.digest
                    self._memory.learn_manifest(digest, fetched.body, fetched.media_type)
                else:
                    digest = (await self._client.resolve(reading.name, tag)).digest
            except NotFoundError:
                text = f"tag {tag} is listed, but its manifest is gone"
                reading.problems.append(Problem("vanished-tag", text, blocks=False))
            except ManifestError as error:
                reading.problems.append(Problem("bad-manifest", f"tag {tag}: {error}"))
            except RegistryError as error:
                reading.problems.append(Problem("unreadable-tag", f"tag {tag} could not be read: {error}"))
            else:
                reading.tags.append(Tag(tag, digest))

        await _each(names, one, self._workers(names))
        reading.tags.sort(key=lambda tag: tag.name)

    async def _follow(self, reading: "_Reading", also: Collection[Digest]) -> None:
        """Read the manifests of all tags, then their children, subjects and referrers, until nothing new turns up."""
        waiting = {tag.digest for tag in reading.tags}
        waiting |= {subject for tag in reading.tags if (subject := subject_of_tag(tag.name))}
        waiting |= {*self._leftovers.get(reading.name, ()), *also}
        seen: set[Digest] = set()
        must_exist = {tag.digest for tag in reading.tags}
        while waiting:
            seen |= waiting
            found = await self._manifests_of(reading, waiting, must_exist)
            waiting = set()
            for manifest in found:
                reading.manifests[manifest.digest] = manifest
                waiting |= {child.digest for child in manifest.children}
                waiting |= {manifest.subject.digest} if manifest.subject else set()
            waiting |= await self._referrers(reading, [manifest.digest for manifest in found])
            waiting -= seen

    async def _manifests_of(
        self, reading: "_Reading", digests: Collection[Digest], must_exist: Collection[Digest]
    ) -> list[Manifest]:
        """Return those of `digests` that exist. A manifest known from elsewhere is asked for unless a tag proves it."""
        self._memory.recall(digests)
        known = self._memory.manifests
        proven = {digest for digest in digests if digest in must_exist and digest in known}
        found = [known[digest] for digest in proven]

        async def fetch(digest: Digest) -> Manifest:
            fetched = await self._client.manifest(reading.name, digest)
            return self._memory.learn_manifest(digest, fetched.body, fetched.media_type)

        async def one(digest: Digest) -> None:
            try:
                if digest not in known:
                    async with self._memory.alone(digest):
                        if digest not in known:
                            found.append(await fetch(digest))
                            return
                await self._client.resolve(reading.name, digest)
                found.append(known[digest])
            except NotFoundError:
                if digest in must_exist:
                    text = f"manifest {digest} vanished while it was read"
                    reading.problems.append(Problem("vanished-manifest", text))
            except ManifestError as error:
                reading.problems.append(Problem("bad-manifest", str(error)))
            except RegistryError as error:
                reading.problems.append(Problem("unreadable-manifest", f"manifest {digest}: {error}"))

        unproven = [digest for digest in digests if digest not in proven]
        await _each(unproven, one, self._workers(unproven))
        return found

    async def _referrers(self, reading: "_Reading", digests: Sequence[Digest]) -> set[Digest]:
        """Ask for referrers where the registry knows how to (distribution does not); one refusal is enough to know."""
        if self._has_referrers is False or not digests:
            return set()
        found: set[Digest] = set()

        async def one(digest: Digest) -> None:
            listed = await self._client.referrers(reading.name, digest)
            self._has_referrers = listed is not None
            found.update(each.digest for each in listed or ())

        if self._has_referrers is None:
            await one(digests[0])
            digests = digests[1:]
        if self._has_referrers:
            await _each(digests, one, self._workers(digests))
        return found

    async def _facts(self, reading: "_Reading") -> None:
        """Read the configs of images for their date and platform. A missing one leaves the date unknown."""
        configs = configs_of(reading.manifests.values())
        self._memory.recall_configs(reading.manifests.values())
        known = self._memory.facts

        async def one(digest: Digest) -> None:
            try:
                async with self._memory.alone(digest):
                    if digest not in known:
                        body = await self._client.blob(reading.name, digest, limit=self._limits.config_bytes)
                        self._memory.learn_config(digest, body)
            except (NotFoundError, ContentError) as error:
                text = f"config {digest.short}: {error}; its image's date is unknown"
                reading.problems.append(Problem("unreadable-config", text, blocks=False))
            except RegistryError as error:
                reading.problems.append(Problem("unreadable-config", f"config {digest.short}: {error}"))

        missing = [digest for digest in configs if digest not in known]
        await _each(missing, one, self._workers(missing))
        reading.facts = {digest: facts for digest in configs if (facts := known.get(digest))}


@dataclass(slots=True)
class _Reading:
    """A repository while it is read."""

    name: str
    tags: list[Tag] = field(default_factory=list)
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    facts: dict[Digest, ConfigFacts] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    failed: bool = False

    def fail(self, problem: Problem) -> None:
        """Note why nothing more can be read."""
        self.problems.append(problem)
        self.failed = True

    def result(self, leftovers: frozenset[Digest]) -> Repository:
        """Return what was read, in an order that does not depend on which answer came first."""
        manifests = dict(sorted(self.manifests.items()))
        problems = sorted(self.problems, key=lambda problem: (problem.code, problem.text))
        present = frozenset(leftovers & manifests.keys())
        return Repository(self.name, tuple(self.tags), manifests, self.facts, tuple(problems), present)


async def _each(items: Collection[ItemT], work: Callable[[ItemT], Awaitable[None]], workers: int) -> None:
    """Do `work` for every item, at most `workers` at once. The first error ends the rest and is raised."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(workers, len(items))):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
