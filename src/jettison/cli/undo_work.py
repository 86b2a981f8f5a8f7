"""What `undo` does on the ground that was found: look under the lease, ask, then delete again and bring back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jettison.app.apply_plan import ApplyReport
from jettison.app.clean import Recorder
from jettison.app.same_storage import show_same_storage
from jettison.app.undo import UndoReport, forget_emptied, remove_again, restore, run_to_undo, unlinked
from jettison.app.undo_look import Selection, UndoPlan, plan_undo
from jettison.app.undo_target import ApiTarget, Shelf, StorageTarget, Target
from jettison.cli.ground import Ground
from jettison.cli.interrupt import Interruption, run_interruptibly
from jettison.cli.opening import open_ground
from jettison.cli.output import progress_on_terminal
from jettison.history.model import RunRecord
from jettison.oci.digest import Digest
from jettison.plan.model import DeleteBy
from jettison.registry.client import RegistryClient
from jettison.storage.lease import take_lease

if TYPE_CHECKING:
    from jettison.history.store import History


def look(
    ground: Ground, history: "History", names: Sequence[str], run: str | None, selection: Selection
) -> tuple[RunRecord, UndoPlan]:
    """Find the run, and what of it can come back. `names` are those of the ground in the history."""

    async def work(interruption: Interruption) -> tuple[RunRecord, UndoPlan]:
        async with _opened(ground, lambda: unlinked(history, names)) as (target, shelf):
            record = run_to_undo(history, names, run, selection, shelf)
            return record, await plan_undo(record, selection, target, shelf, history.manifests)

    return run_interruptibly(work)


def act(ground: Ground, history: "History", recorder: Recorder, plan: UndoPlan, settle: float) -> UndoReport:
    """Delete again, then bring back. Ctrl-C stops after the step under way. `settle` is the barrier, in seconds."""

    async def settled() -> None:
        await asyncio.sleep(settle)

    async def work(interruption: Interruption) -> UndoReport:
        deletions = None
        if plan.removals:
            deletions = await _remove(ground, history, recorder, plan, interruption)
        if not plan.steps or (deletions is not None and deletions.stopped):
            return UndoReport(plan, there=plan.there, lost=list(plan.lost), deletions=deletions)
        async with _opened(ground, prove=True) as (target, shelf):
            interruption.deleting = True
            report = await restore(
                plan,
                target,
                shelf,
                recorder.run,
                barrier=None if ground.offline else settled,
                stop=lambda: interruption.wanted,
                progress=progress_on_terminal("bringing back:"),
            )
            report.deletions = deletions
            if shelf is not None and not report.stopped:
                forget_emptied(shelf, plan.run)
            return report

    return run_interruptibly(work)


async def _remove(
    ground: Ground, history: "History", recorder: Recorder, plan: UndoPlan, interruption: Interruption
) -> ApplyReport:
    """Delete what an undo had brought back. The deletions take the lease themselves where they need it."""
    async with open_ground(ground, history, delete_by=DeleteBy.DIGEST, prove=True) as registry:
        interruption.deleting = True
        return await remove_again(
            registry,
            plan,
            recorder.run,
            now=datetime.now(UTC),
            stop=lambda: interruption.wanted,
            progress=progress_on_terminal("deleting:"),
        )


@asynccontextmanager
async def _opened(
    ground: Ground, links: Callable[[], Mapping[tuple[str, Digest], Digest | None]] = dict, *, prove: bool = False
) -> AsyncIterator[tuple[Target, Shelf | None]]:
    """Open what is written to, with the quarantine where the storage is known; its lease is held meanwhile.

    `prove`: that URL and storage belong together is proved, which begins an upload and cancels it.
    """
    async with AsyncExitStack() as stack:
        shelf = None
        storage = ground.known_storage if ground.offline else ground.storage
        if storage is not None:
            shelf = Shelf(stack.enter_context(take_lease(storage.name, "undo")), storage, links)
            if ground.offline:
                yield StorageTarget(storage, shelf), shelf
                return
        access = ground.known_access
        client = await stack.enter_async_context(
            RegistryClient(access.url, credentials=access.credentials, tls=access.tls, limits=access.limits)
        )
        await client.ping()
        if prove and ground.storage is not None:
            await show_same_storage(ground.storage, [client])
        yield ApiTarget(client), shelf
