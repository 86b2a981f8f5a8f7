"""What the tests of undo share: a journal in memory, bodies in memory, and what clients see of a storage."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jettison.app.apply_plan import apply_plan
from jettison.app.clean import planned_actions
from jettison.app.make_plan import make_plan
from jettison.app.undo import UndoReport, forget_emptied, remove_again, restore
from jettison.app.undo_look import Selection, plan_undo
from jettison.app.undo_target import Shelf, StorageTarget
from jettison.history.model import ActionRecord, PlannedAction, Result, RunRecord, RunSummary, StoredManifest
from jettison.oci.digest import Digest
from jettison.policy.model import keep_newest_versions
from jettison.storage.changes import LocalChanges
from jettison.storage.lease import take_lease
from jettison.storage.links import has_link
from jettison.storage.local import LocalStorage
from jettison.storage.registry import StorageRegistry

if TYPE_CHECKING:
    from jettison.app.apply_plan import ApplyReport

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class MemoryRun:
    """A run's journal in memory, which gives the record that a history would give."""

    def __init__(self, identifier: str = "20261124-120000-0001", command: str = "apply") -> None:
        self.id = identifier
        self._command = command
        self.actions: list[ActionRecord] = []

    def plan(self, planned: Iterable[PlannedAction], plan_json: bytes | None = None) -> range:
        first = len(self.actions) + 1
        for number, action in enumerate(planned, first):
            self.actions.append(ActionRecord(self.id, number, action, None, None, None, ""))
        return range(first, len(self.actions) + 1)

    def begin(self, *sequences: int) -> None:
        for sequence in sequences:
            self._change(sequence, begun_at=NOW)

    def record(self, sequence: int, result: Result, detail: str = "") -> None:
        self._change(sequence, ended_at=NOW, result=result, detail=detail)

    def record_many(self, results: Iterable[tuple[int, Result, str]]) -> None:
        for sequence, result, detail in results:
            self.record(sequence, result, detail)

    def _change(self, sequence: int, **values: object) -> None:
        from dataclasses import replace

        self.actions[sequence - 1] = replace(self.actions[sequence - 1], **values)  # type: ignore[arg-type]  # by name

    def ended(self) -> RunRecord:
        summary = RunSummary(self.id, "/storage", self._command, NOW, NOW, "done", 0, "here", 1, "", {}, {}, 0)
        return RunRecord(summary, tuple(self.actions), None)


class Bodies:
    """Manifests in memory, as the history keeps them."""

    def __init__(self, stored: Mapping[Digest, StoredManifest] | None = None) -> None:
        self._stored = dict(stored or {})

    def known(self, digests: Iterable[Digest]) -> Mapping[Digest, StoredManifest]:
        return {digest: self._stored[digest] for digest in digests if digest in self._stored}


NOTHING_KEPT = Bodies()


def seen(root: Path) -> dict[str, tuple[dict[str, str], set[str], set[str]]]:
    """Return what clients can see by repository: tags with their digests, manifests, and blobs that can be pulled."""
    storage = LocalStorage(root)
    stored = storage.stored(storage.blobs().digests)
    found = {}
    for name in storage.repositories().names:
        tags = {tag.name: str(tag.digest) for tag in storage.tags(name).tags}
        revisions = {str(each) for each in storage.revisions(name, read=True).digests if each in stored}
        layers = storage.layers(name, canonical=True)
        blobs = {
            str(each)
            for each in layers.digests
            if has_link(storage.name, name, each) and layers.stored_as.get(each, each) in stored
        }
        if tags or revisions or blobs:
            found[name] = (tags, revisions, blobs)
    return found


async def cleaned(root: Path, keep: int = 1, identifier: str = "20261124-120000-0001") -> MemoryRun:
    """Plan and apply on a storage alone."""
    storage = LocalStorage(root)
    registry = StorageRegistry(storage, LocalChanges(storage))
    plan = await make_plan(registry, keep_newest_versions(keep), policy_name="tests", now=NOW)
    run = MemoryRun(identifier)
    run.plan(planned_actions(plan))
    await apply_plan(registry, plan, run, allow_last_image=True)
    return run


async def undone(
    root: Path,
    run: MemoryRun,
    selection: Selection | None = None,
    *,
    bodies: Bodies = NOTHING_KEPT,
    identifier: str = "20261124-130000-0002",
) -> tuple[MemoryRun, UndoReport]:
    """Undo a run on a storage alone; return the undo's own journal and its report."""
    storage = LocalStorage(root)
    undo = MemoryRun(identifier, "undo")
    with take_lease(storage.name, "tests") as lease:
        shelf = Shelf(lease, storage)
        target = StorageTarget(storage, shelf)
        plan = await plan_undo(run.ended(), selection or Selection(), target, shelf, bodies)
        deletions: ApplyReport | None = None
        if plan.removals:
            registry = StorageRegistry(storage, LocalChanges(storage))
            deletions = await remove_again(registry, plan, undo, now=NOW)
        report = await restore(plan, target, shelf, undo)
        report.deletions = deletions
        forget_emptied(shelf, run.id)
    return undo, report
