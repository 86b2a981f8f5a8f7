"""Undo: take back what a run did. Look first, tell what can come back and what cannot, then do it, journalled.

The order is that of a push: blobs with their links, manifests (children before indexes, subjects before what refers to
them), tags. Killed anywhere, what is back is whole, and the same undo goes on from there: what is there already is left
as it is. A tag that somebody made meanwhile is never moved.

The race that remains over the API: a tag that is pushed between the last look and our putting it is moved back, for the
server knows no conditional put. Into the storage a tag is written so that it cannot replace one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from jettison.app.apply_plan import ApplyReport, apply_plan
from jettison.app.registries import AnyRegistry
from jettison.app.undo_look import Lost, Selection, Step, UndoPlan
from jettison.app.undo_plan import Restoration, Taken, delete_order, effects_of
from jettison.app.undo_target import Shelf, Target
from jettison.errors import RegistryError, StorageError, UnauthorizedError, UnsupportedError, UsageError
from jettison.history.model import PlannedAction, Result, RunRecord
from jettison.oci.digest import Digest
from jettison.oci.manifest import Manifest
from jettison.plan import model
from jettison.plan.model import Action, ActionKind, Plan, Precondition

if TYPE_CHECKING:
    from jettison.history.store import History

_AT_ONCE: Final = 100
"""Blobs that are journalled together."""
_LOOK_BACK: Final = 500
"""Runs; how far the last one that deleted is looked for."""


@dataclass(slots=True)
class UndoReport:
    """What an undo did. `lost` has what could not come back, known beforehand or found out; `deletions` is what became
    of the removals of an undo that was itself undone.
    """

    plan: UndoPlan
    restored: dict[Restoration, int] = field(default_factory=dict)
    restored_bytes: int = 0
    there: int = 0
    lost: list[Lost] = field(default_factory=list)
    deletions: ApplyReport | None = None
    stopped: bool = False

    @property
    def status(self) -> int:
        """The exit status: 0 all is back, 4 a part of it, 1 nothing of it, 130 interrupted."""
        deletions = self.deletions
        if self.stopped or (deletions is not None and deletions.stopped):
            return 130
        if not self.lost and (deletions is None or deletions.is_whole):
            return 0
        came = self.there or any(self.restored.values())
        went = deletions is not None and deletions.count("done") + deletions.count("gone")
        failed = self.lost or (deletions is not None and deletions.count("failed"))
        return 1 if failed and not came and not went else 4


class UndoJournal(Protocol):
    """Where the undo's own actions are written, before and after."""

    def plan(self, planned: list[PlannedAction]) -> range:
        """Add actions; return their numbers."""
        ...

    def begin(self, *sequences: int) -> None:
        """Write that these are about to happen."""
        ...

    def record(self, sequence: int, result: Result, detail: str = "") -> None:
        """Write what came of one."""
        ...

    def record_many(self, results: Iterable[tuple[int, Result, str]]) -> None:
        """Write what came of several."""
        ...


async def restore(
    plan: UndoPlan,
    target: Target,
    shelf: Shelf | None,
    journal: UndoJournal,
    *,
    barrier: Callable[[], Awaitable[None]] | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    step: Callable[[str], None] = lambda name: None,
) -> UndoReport:
    """Bring back what the plan says; each step is looked at once more before it is done.

    `barrier` is waited for before links are written beside a serving registry: a collector that was killed may have
    deletions of these links under way. Raises HistoryError where a step cannot be journalled; it is then not done.
    """
    report = UndoReport(plan, there=plan.there, lost=list(plan.lost))
    numbers = journal.plan([_planned(each, plan.run) for each in plan.steps])
    if barrier is not None and any(each.piece is not None and each.piece.links for each in plan.steps):
        await barrier()
    restorer = _Restorer(target, shelf, report)
    done = 0
    progress(done, len(plan.steps))
    for batch in _batches(list(zip(numbers, plan.steps, strict=True))):
        if stop():
            report.stopped = True
            return report
        journal.begin(*(number for number, _ in batch))
        step("begun")
        results: list[tuple[int, Result, str]] = []
        for number, each in batch:
            # Once journalled it is done to its end, whatever interrupts the run meanwhile.
            results.append((number, *await asyncio.shield(restorer.do(each))))
            step(f"{each.kind}-done")
        journal.record_many(results)
        done += len(batch)
        progress(done, len(plan.steps))
    return report


def _batches(steps: "list[tuple[int, Step]]") -> "Iterator[list[tuple[int, Step]]]":
    """Yield blobs many at once, since a rename is faster than a journal's flush, and everything else one by one."""
    batch: list[tuple[int, Step]] = []
    for numbered in steps:
        if numbered[1].piece is None:
            if batch:
                yield batch
                batch = []
            yield [numbered]
            continue
        batch.append(numbered)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _planned(step: Step, run: str) -> PlannedAction:
    return PlannedAction(
        kind=step.kind.value,
        repository=step.repository,
        digest=step.digest,
        tags=(step.tag,) if step.tag else (),
        reason_code="undo",
        reason_text=taken_back_reason(run),
    )


class _Restorer:
    """Does the steps, one after the other."""

    def __init__(self, target: Target, shelf: Shelf | None, report: UndoReport) -> None:
        self._target = target
        self._shelf = shelf
        self._report = report
        self._failed: set[tuple[str, Digest]] = set()
        self._refused: dict[str, str] = {}

    async def do(self, step: Step) -> tuple[Result, str]:
        """Do one step; return how it ended, for the journal."""
        try:
            result, detail = await self._do(step)
        except (UnauthorizedError, UnsupportedError) as error:
            # It would refuse every further one in this repository as well.
            result, detail = "failed", str(error)
            self._refused[step.repository] = detail
        except (RegistryError, StorageError) as error:
            result, detail = "failed", str(error)
        report = self._report
        if result == "done":
            report.restored[step.kind] = report.restored.get(step.kind, 0) + 1
            report.restored_bytes += step.piece.size if step.piece is not None else 0
        elif result == "gone":
            # The journal's word for what needs no doing; here it is there already.
            report.there += 1
        else:
            if step.kind is Restoration.MANIFEST:
                self._failed.add((step.repository, step.digest))
            code = "refused" if result == "failed" else "changed"
            report.lost.append(Lost(step.kind, step.repository, step.digest, step.tag, code, detail))
        return result, detail

    async def _do(self, step: Step) -> tuple[Result, str]:
        if step.piece is not None:
            if self._shelf is None:
                raise StorageError("a blob comes back from the storage only")
            detail = self._shelf.bring(step.piece)
            return ("failed", detail) if detail else ("done", "")
        if step.manifest is None:
            raise StorageError("its body is not known")
        if step.repository in self._refused:
            return "failed", self._refused[step.repository]
        missing = [digest for digest in step.needs if (step.repository, digest) in self._failed]
        if missing:
            return "skipped", f"it needs {missing[0]}, which did not come back"
        if step.kind is Restoration.MANIFEST:
            if await self._target.exists(step.repository, step.digest):
                return "gone", "it is there already"
            await self._target.put_manifest(step.repository, step.digest, step.manifest)
            return "done", ""
        now = await self._target.points_to(step.repository, step.tag)
        if now is not None:
            if now == step.digest:
                return "gone", "it is there already"
            return "skipped", f"it points to {now.short} now, and is left alone"
        await self._target.put_tag(step.repository, step.tag, step.digest, step.manifest)
        return "done", ""


async def remove_again(
    registry: AnyRegistry,
    plan: UndoPlan,
    journal: "RemovalJournal",
    *,
    now: datetime,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ApplyReport:
    """Delete again what an undo brought back, with the checks of every deletion: what is needed by now stays.

    The actions are the first of their run. Raises what `apply_plan` raises.
    """
    actions = [action for taken in plan.removals.values() for action in _removals(taken, plan)]
    journal.plan([_as_planned(action) for action in actions])
    applied = Plan(
        registry=registry.name,
        created=now,
        source="undo",
        policy=f"undo of run {plan.run}",
        server=model.Server(),
        limits=model.PlanLimits(),
        totals=model.Totals(len(plan.removals), 0, 0, 0, 0, 0, 0),
        repositories=(),
        actions=tuple(actions),
    )
    # The last tag may go: that is what it was before.
    return await apply_plan(registry, applied, journal, allow_last_image=True, stop=stop, progress=progress)


def _removals(taken: Taken, plan: UndoPlan) -> list[Action]:
    """Return the deletions in one repository: manifests with their tags, then tags of manifests that were there."""
    reason = model.Reason("undo", f"run {plan.run}, which brought it back, is undone")
    actions = []
    for digest in delete_order(taken, plan.manifests):
        tags = {tag: each for tag, each in taken.tags.items() if each == digest}
        manifest = plan.manifests.get(digest)
        actions.append(_removal(ActionKind.DELETE_MANIFEST, taken.repository, digest, tags, reason, manifest))
    for tag, digest in taken.tags.items():
        if digest not in taken.manifests:
            manifest = plan.manifests.get(digest)
            actions.append(_removal(ActionKind.DELETE_TAG, taken.repository, digest, {tag: digest}, reason, manifest))
    return actions


def _removal(
    kind: ActionKind,
    repository: str,
    digest: Digest,
    tags: dict[str, Digest],
    reason: model.Reason,
    manifest: Manifest | None,
) -> Action:
    what = manifest.kind.value if manifest is not None else "unknown"
    unneeded = kind is ActionKind.DELETE_MANIFEST
    return Action(kind, repository, digest, tuple(tags), reason, what, 0, 0, Precondition(tags, unneeded))


def _as_planned(action: Action) -> PlannedAction:
    reason = action.reason
    return PlannedAction(
        action.action.value, action.repository, action.digest, action.tags, reason.code, reason.text, action.frees
    )


class RemovalJournal(UndoJournal, Protocol):
    """The undo's journal, as `apply_plan` writes it too."""


def run_to_undo(
    history: "History", names: Sequence[str], wanted: str | None, selection: Selection, shelf: Shelf | None
) -> RunRecord:
    """Return the run that is meant: the one `wanted`, or the last one on a registry of these `names` that deleted
    something of the selection, or has something in quarantine here.

    Raises UsageError where there is none, or it is still at work.
    """
    if wanted is not None:
        record = history.run(wanted)
        if record.summary.outcome == "running":
            raise UsageError(f"run {record.summary.id} is still at work; wait for it to end, or stop it")
        return record
    collections = {collected.run for collected in shelf.collections} if shelf is not None else set()
    summaries = [summary for name in dict.fromkeys(names) for summary in history.runs(name, _LOOK_BACK)]
    # What it collected is here, whatever its registry was called: by its URL, say, where only the storage is named.
    for run in collections - {summary.id for summary in summaries}:
        with suppress(UsageError):  # in another history
            summaries.append(history.run(run).summary)
    for summary in sorted(summaries, key=lambda each: each.started, reverse=True):
        if summary.outcome == "running":
            continue
        record = history.run(summary.id)
        if (summary.id in collections and selection.tag is None) or _took(record, selection):
            return record
    raise UsageError(
        f"no run on {' or '.join(dict.fromkeys(names))} is known to have deleted any of this; `jettison history` lists "
        "the runs, and --history names another history"
    )


def _took(record: RunRecord, selection: Selection) -> bool:
    for name, taken in effects_of(record).deleted.items():
        if selection.repository(name) and (selection.tag is None or any(map(selection.tag, taken.tags))):
            return True
    return False


def taken_back_reason(run: str) -> str:
    """Return the reason that the journal gives for what comes back of a run."""
    return f"taken back from run {run}"


def taken_back_by(history: "History", record: RunRecord) -> str | None:
    """Return the undo that brought back what a run collected, None where none did."""
    text = taken_back_reason(record.summary.id)
    for summary in history.runs(record.summary.registry, _LOOK_BACK):
        if summary.command in {"undo", "quarantine restore"} and summary.started > record.summary.started:
            actions = history.run(summary.id).actions
            if any(each.action.reason_text == text and each.result == "done" for each in actions):
                return summary.id
    return None


def unlinked(history: "History", names: Sequence[str]) -> dict[tuple[str, Digest], Digest | None]:
    """Return the layer links, by repository, that runs on a registry of these names removed, with what they named as
    far as that is known.
    """
    found: dict[tuple[str, Digest], Digest | None] = {}
    for name in dict.fromkeys(names):
        for summary in history.runs(name, _LOOK_BACK):
            if summary.command in {"gc", "run"}:
                for taken in effects_of(history.run(summary.id)).deleted.values():
                    found |= {(taken.repository, digest): named for digest, named in taken.links.items()}
    return found


def nothing_found(history: "History", record: RunRecord, *, with_storage: bool) -> Lost | None:
    """Tell why nothing of a run that collected garbage can be found; None where it is back, or never was away."""
    by_registry = any(each.action.kind == "collect" and not _is_ours(each.detail) for each in record.actions)
    if not record.summary.totals.get("collected_blobs") or taken_back_by(history, record) is not None:
        return None
    if by_registry:
        text = "the registry's own collector removed it for good"
    elif with_storage:
        text = "it is in quarantine no more, or never was (--now)"
    else:
        text = "it may be in quarantine: name the storage with --storage"
    code = "no-storage" if not by_registry and not with_storage else "purged"
    return Lost(Restoration.BLOB, "", None, "", code, f"what the run collected: {text}")


def _is_ours(detail: str) -> bool:
    """Whether a collection's journal is that of our own collector, which tells of its quarantine."""
    return "quarantine" in detail


def forget_emptied(shelf: Shelf, run: str) -> None:
    """Forget the run's own collections that hold nothing any more. Raises StorageError."""
    for collected in shelf.collections:
        if collected.run == run:
            shelf.finish(collected)
