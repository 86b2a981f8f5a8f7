"""Reading an inventory over the API: every tag's digest, every manifest once, and what they lead to.

What cannot be read becomes a problem of its repository, and a repository with a problem that blocks loses nothing
(promise 2). "Not there" (404) and "could not be read" (everything else) are told apart everywhere.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Generic, Protocol, TypeVar

from jettison.errors import ContentError, NotFoundError, RegistryError
from jettison.oci.config import ConfigFacts, parse_config
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Problem, Repository, Tag
from jettison.oci.manifest import Kind, Manifest, ManifestError, parse_manifest
from jettison.oci.reference import is_repository, subject_of_tag
from jettison.registry.client import RegistryClient
from jettison.registry.settings import Limits

_IMAGE_CONFIGS: Final = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
# A registry says so of a repository that lost its last tag. A 404 without it is a proxy's, and says nothing about tags.
_KNOWS_NO_REPOSITORY: Final = frozenset({"NAME_UNKNOWN", "NOT_FOUND"})
ValueT = TypeVar("ValueT")
ItemT = TypeVar("ItemT")
_FLUSH_AT: Final = 2000
"""How many manifests are gathered before they are kept: a transaction each would cost more than reading them."""
_GROUP: Final = 8
"""How many repositories are looked up together among what is known."""
_GROUPS_AT_ONCE: Final = 4
_ITEMS_OF_A_WORKER: Final = 8


class Stored(Protocol):
    """A manifest as it is kept: the media type that the registry named, and the body."""

    @property
    def media_type(self) -> str:
        """The media type."""
        ...

    @property
    def body(self) -> bytes:
        """The bytes."""
        ...


class KnownManifests(Protocol):
    """Manifests read before; they never change, so they need not be read again."""

    def known(self, digests: Iterable[Digest], /) -> Mapping[Digest, Stored]:
        """Return those that are known."""
        ...

    def remember(self, entries: Iterable[tuple[Digest, str, bytes]], /) -> None:
        """Keep digest, media type and body of each."""
        ...


class KnownConfigs(Protocol):
    """What configs read before said."""

    def known(self, digests: Iterable[Digest], /) -> Mapping[Digest, ConfigFacts]:
        """Return those that are known."""
        ...

    def remember(self, entries: Iterable[tuple[Digest, ConfigFacts]], /) -> None:
        """Keep the facts of each."""
        ...


class _Memory(Generic[ValueT]):
    """What one reader has seen, in front of what is kept between runs."""

    def __init__(self) -> None:
        self.values: dict[Digest, ValueT] = {}
        self.unsaved: list[Digest] = []


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
        self._kept_manifests = manifests
        self._kept_configs = configs
        self._leftovers = leftovers or {}
        self._first_time = first_time
        self._progress = progress or (lambda done, total: None)
        self._manifests: _Memory[tuple[Manifest, bytes]] = _Memory()
        self._configs: _Memory[ConfigFacts] = _Memory()
        self._has_referrers: bool | None = None
        self._beside = 1
        self._fetching: dict[Digest, asyncio.Lock] = {}

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
            known = self._recall({tag.digest for reading in readings for tag in reading.tags})
            self._recall_configs(known)
            await _each(readings, complete, len(readings))
            self._save(at_least=_FLUSH_AT)

        self._progress(0, len(selected))
        # Several groups at a time, so that the registry has something to do while one of them is looked up.
        size = max(1, min(_GROUP, len(selected) // _GROUPS_AT_ONCE))
        at_once = max(_GROUPS_AT_ONCE, self._limits.concurrency // size)
        self._beside = min(len(selected), at_once * size)
        await _each([selected[start : start + size] for start in range(0, len(selected), size)], together, at_once)
        self._beside = 1
        self._save()
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
                    self._learn(digest, fetched.body, fetched.media_type)
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
        self._recall(digests)
        values = self._manifests.values
        proven = {digest for digest in digests if digest in must_exist and digest in values}
        found = [values[digest][0] for digest in proven]

        async def fetch(digest: Digest) -> Manifest:
            fetched = await self._client.manifest(reading.name, digest)
            return self._learn(digest, fetched.body, fetched.media_type)

        async def one(digest: Digest) -> None:
            try:
                if digest not in values:
                    async with self._alone(digest):
                        if digest not in values:
                            found.append(await fetch(digest))
                            return
                await self._client.resolve(reading.name, digest)
                found.append(values[digest][0])
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
        configs = _configs_of(reading.manifests.values())
        self._recall_configs(reading.manifests.values())

        async def one(digest: Digest) -> None:
            try:
                async with self._alone(digest):
                    if digest in self._configs.values:
                        return
                    body = await self._client.blob(reading.name, digest, limit=self._limits.config_bytes)
                    self._configs.values[digest] = parse_config(body)
                    self._configs.unsaved.append(digest)
            except (NotFoundError, ContentError) as error:
                text = f"config {digest.short}: {error}; its image's date is unknown"
                reading.problems.append(Problem("unreadable-config", text, blocks=False))
            except RegistryError as error:
                reading.problems.append(Problem("unreadable-config", f"config {digest.short}: {error}"))

        missing = [digest for digest in configs if digest not in self._configs.values]
        await _each(missing, one, self._workers(missing))
        reading.facts = {digest: facts for digest in configs if (facts := self._configs.values.get(digest))}

    @asynccontextmanager
    async def _alone(self, digest: Digest) -> AsyncIterator[None]:
        """Hold off those who would fetch the same for another repository; they then look whether it is known."""
        try:
            async with self._fetching.setdefault(digest, asyncio.Lock()):
                yield
        finally:
            self._fetching.pop(digest, None)

    def _learn(self, digest: Digest, body: bytes, media_type: str) -> Manifest:
        manifest = parse_manifest(digest, body, media_type)
        self._manifests.values[digest] = (manifest, body)
        self._manifests.unsaved.append(digest)
        return manifest

    def _recall(self, digests: Collection[Digest]) -> list[Manifest]:
        """Parse what is kept of `digests` from earlier runs, and return all that is known of them.

        What no longer parses is read again, and then reported.
        """
        values = self._manifests.values
        unknown = [digest for digest in digests if digest not in values]
        if self._kept_manifests is not None and unknown:
            for digest, stored in self._kept_manifests.known(unknown).items():
                try:
                    manifest = parse_manifest(digest, stored.body, stored.media_type)
                except ManifestError:
                    continue
                values[digest] = (manifest, b"")
        return [values[digest][0] for digest in digests if digest in values]

    def _recall_configs(self, manifests: Iterable[Manifest]) -> None:
        """Take what is kept from earlier runs of the manifests' configs."""
        unknown = [digest for digest in _configs_of(manifests) if digest not in self._configs.values]
        if self._kept_configs is not None and unknown:
            self._configs.values |= self._kept_configs.known(unknown)

    def _save(self, at_least: int = 1) -> None:
        """Keep what is new for the next run, once there is enough of it."""
        fresh, facts = self._manifests.unsaved, self._configs.unsaved
        if len(fresh) + len(facts) < at_least:
            return
        if self._kept_manifests is not None and fresh:
            entries = ((digest, *self._manifests.values[digest]) for digest in fresh)
            self._kept_manifests.remember([(digest, each.media_type, body) for digest, each, body in entries])
            for digest in fresh:
                self._manifests.values[digest] = (self._manifests.values[digest][0], b"")
        if self._kept_configs is not None and facts:
            self._kept_configs.remember([(digest, self._configs.values[digest]) for digest in facts])
        fresh.clear()
        facts.clear()


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


def _configs_of(manifests: Iterable[Manifest]) -> dict[Digest, None]:
    """Return the configs of images, which tell date and platform; those of other artifacts tell neither."""
    return {
        manifest.config.digest: None
        for manifest in manifests
        if manifest.kind is Kind.IMAGE and manifest.config and manifest.config.media_type in _IMAGE_CONFIGS
    }


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
