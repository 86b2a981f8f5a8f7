"""Sessions: a registry opened over its API or through its storage, with what earlier runs learnt about it."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from jettison.app.learnt import with_history
from jettison.app.registries import ApiRegistry, KnownServer
from jettison.app.stored_registry import StoredRegistry
from jettison.errors import HistoryError
from jettison.oci.config import ConfigFacts
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory
from jettison.plan.model import DeleteBy
from jettison.storage.local import LocalStorage

if TYPE_CHECKING:
    from jettison.app.access import Access
    from jettison.app.served_storage import ServedStorage
    from jettison.history.model import ActionRecord
    from jettison.history.store import History
    from jettison.registry.inventory import Stored

ResultT = TypeVar("ResultT")


@asynccontextmanager
async def open_registry(
    access: "Access",
    history: "History",
    *,
    repositories: Sequence[str] = (),
    known: KnownServer | None = None,
    delete_by: DeleteBy | None = None,
    warn: Callable[[str], None],
    progress: Callable[[int, int | None], None] | None = None,
) -> AsyncIterator[ApiRegistry]:
    """Connect to a registry, make sure that it is one, and yield it.

    A history that cannot be used costs speed only, here: the run goes on and `warn` is told once. Nothing is deleted
    without it, though. Raises the errors of `RegistryClient.ping`.
    """
    # Here, since the HTTP client takes a sixth of a second to load, and a storage that is worked on alone needs none.
    from jettison.registry.client import RegistryClient
    from jettison.registry.inventory import RegistryReader

    memory = _Memory(history, warn)
    async with RegistryClient(
        access.url, credentials=access.credentials, tls=access.tls, limits=access.limits
    ) as client:
        await client.ping()
        reader = RegistryReader(
            client,
            limits=access.limits,
            manifests=_Manifests(memory),
            configs=_Configs(memory),
            leftovers=memory.leftovers(access.name),
            first_time=memory.is_empty(),
            progress=progress,
        )
        yield ApiRegistry(
            client,
            reader,
            repositories=repositories,
            known=known,
            delete_by=delete_by,
            bodies=history.manifests,
            learnt=_Learnt(memory, access.name),
        )


@asynccontextmanager
async def open_served_storage(
    access: "Access",
    storage: LocalStorage,
    history: "History",
    *,
    known: KnownServer | None = None,
    delete_by: DeleteBy | None = None,
    warn: Callable[[str], None],
    prove: bool = False,
) -> "AsyncIterator[ServedStorage]":
    """Connect to a registry whose storage is read here, and yield both as one.

    `prove`: before the first deletion it is proved that the registry works on this storage, by beginning an upload.
    """
    from jettison.app.served_storage import ServedStorage
    from jettison.registry.client import RegistryClient
    from jettison.registry.inventory import RegistryReader

    memory = _Memory(history, warn)
    async with RegistryClient(
        access.url, credentials=access.credentials, tls=access.tls, limits=access.limits
    ) as client:
        await client.ping()
        reader = RegistryReader(client, limits=access.limits)
        served = ApiRegistry(client, reader, known=known, delete_by=delete_by, bodies=history.manifests)
        stored = _stored(storage, history, memory, access.name)
        version = known.version if known is not None else None
        yield ServedStorage(client, served, storage, stored, version=version, delete_by=delete_by, prove=prove)


def stored_registry(
    storage: LocalStorage, history: "History", name: str, *, warn: Callable[[str], None]
) -> StoredRegistry:
    """Return the registry on a storage that is worked on without a server. `name`: how the history knows it.

    Reading it begins no history: without a network in between, reading all of it again takes hardly longer.
    """
    return _stored(storage, history, _Memory(history, warn, begins=False), name)


def _stored(storage: LocalStorage, history: "History", memory: "_Memory", name: str) -> StoredRegistry:
    return StoredRegistry(
        storage,
        bodies=_Bodies(history),
        known=_Manifests(memory),
        known_configs=_Configs(memory),
        leftovers=memory.leftovers(name),
        learnt=_Learnt(memory, name),
    )


class _Memory:
    """The history as a help that may fail: the first failure is told, and from then on it is not asked any more.

    `begins`: something that is worth keeping begins a history where there is none yet.
    """

    def __init__(self, history: "History", warn: Callable[[str], None], *, begins: bool = True) -> None:
        self._history: History | None = history
        self._warn = warn
        self._begins = begins

    def use(self, work: "Callable[[History], ResultT]", otherwise: ResultT) -> ResultT:
        """Return what `work` gets from the history, `otherwise` where there is no using it."""
        if self._history is None or not (self._begins or self._history.may_know):
            return otherwise
        try:
            return work(self._history)
        except HistoryError as error:
            self._history = None
            self._warn(f"{error}; going on without what earlier runs learnt")
            return otherwise

    def is_empty(self) -> bool:
        """Whether no manifest of any registry is known yet."""
        return self.use(lambda history: history.manifests.is_empty(), otherwise=True)

    def leftovers(self, registry: str) -> dict[str, set[Digest]]:
        """Return the digests by repository that an unfinished run meant to delete."""
        found: dict[str, set[Digest]] = {}
        nothing: list[ActionRecord] = []
        for record in self.use(lambda history: history.unfinished(registry), otherwise=nothing):
            if record.action.digest is not None:
                found.setdefault(record.action.repository, set()).add(record.action.digest)
        return found


class _Learnt:
    """Adds what the history knows of a registry's images. Without it nothing is known, which keeps."""

    def __init__(self, memory: _Memory, registry: str) -> None:
        self._memory = memory
        self._registry = registry

    def __call__(self, inventory: Inventory) -> Inventory:
        return self._memory.use(lambda history: with_history(history, self._registry, inventory), otherwise=inventory)


class _Bodies:
    """The history's manifests as the place where what is deleted is kept: looked for when something is deleted."""

    def __init__(self, history: "History") -> None:
        self._history = history

    def known(self, digests: Iterable[Digest], /) -> "Mapping[Digest, Stored]":
        return self._history.manifests.known(digests)

    def remember(self, entries: Iterable[tuple[Digest, str, bytes]], /) -> None:
        self._history.manifests.remember(entries)


class _Manifests:
    def __init__(self, memory: _Memory) -> None:
        self._memory = memory

    def known(self, digests: Iterable[Digest], /) -> "Mapping[Digest, Stored]":
        return self._memory.use(lambda history: dict(history.manifests.known(digests)), otherwise={})

    def remember(self, entries: Iterable[tuple[Digest, str, bytes]], /) -> None:
        self._memory.use(lambda history: history.manifests.remember(entries), otherwise=None)


class _Configs:
    def __init__(self, memory: _Memory) -> None:
        self._memory = memory

    def known(self, digests: Iterable[Digest], /) -> Mapping[Digest, ConfigFacts]:
        return self._memory.use(lambda history: history.configs.known(digests), otherwise={})

    def remember(self, entries: Iterable[tuple[Digest, ConfigFacts]], /) -> None:
        self._memory.use(lambda history: history.configs.remember(entries), otherwise=None)
