"""Opening what a command works on, as one registry: over the API, through the storage, or both."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from jettison.app.registries import AnyRegistry, KnownServer
from jettison.app.sessions import open_registry, open_served_storage, stored_registry
from jettison.cli.ground import Ground
from jettison.cli.output import warn

if TYPE_CHECKING:
    from jettison.history.store import History
    from jettison.plan.model import DeleteBy


@asynccontextmanager
async def open_ground(
    ground: Ground,
    history: "History",
    *,
    repositories: Sequence[str] = (),
    known: KnownServer | None = None,
    delete_by: "DeleteBy | None" = None,
    progress: Callable[[int, int | None], None] | None = None,
    prove: bool = False,
) -> AsyncIterator[AnyRegistry]:
    """Open the registry. Offline the storage alone; with URL and storage the storage is read, and the API deletes.

    `prove`: something will be deleted, so that URL and storage belong together is proved, not only looked at.
    """
    if ground.offline:
        yield stored_registry(ground.known_storage, history, ground.name, warn=warn)
        return
    access = ground.known_access
    if ground.storage is not None:
        async with open_served_storage(
            access, ground.storage, history, known=known, delete_by=delete_by, warn=warn, prove=prove
        ) as served:
            yield served
        return
    async with open_registry(
        access, history, repositories=repositories, known=known, delete_by=delete_by, warn=warn, progress=progress
    ) as registry:
        yield registry
