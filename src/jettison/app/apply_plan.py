"""Apply a plan: check every precondition again at the last moment, journal, delete, journal.

The race that matters: between planning and deleting, somebody moves a kept tag onto a digest that is to go, or pushes
an index that needs it. So a repository is read again right before its first deletion, and again once that reading is
older than twice the time that it took (milliseconds for most repositories), at most `RECHECK_AFTER`; everything that
stays is followed to what it needs, and an action on anything needed is skipped. Each action's own tags are asked for
once more just before it. What is pushed after a reading and before the deletion is lost nevertheless: the API has no
conditional DELETE, so that window can be narrowed and not closed. Played by tests/app/test_apply_races.py.

Owners go before what belongs to them, and an action that was skipped or failed keeps what belongs to its digest: an
index never loses a child because deleting the index did not work. Where its tag moved away meanwhile, no tag leads to
that index any more, so a reading asks for every digest of the plan by itself too.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Literal, Protocol

from jettison.app.registries import Ability, AnyRegistry
from jettison.errors import (
    InUseError,
    JettisonError,
    RegistryError,
    StorageError,
    UnauthorizedError,
    UnsupportedError,
)
from jettison.oci.digest import Digest
from jettison.oci.graph import Graph
from jettison.oci.inventory import Repository
from jettison.plan.model import Action, ActionKind, Plan

RECHECK_AFTER: Final = 5.0
"""Seconds after which what was read of a repository is too old to delete by, however long reading it takes."""
_READING_SHARE: Final = 2
"""A reading is too old, too, when this many times its own duration has passed since it began: then half of the time
goes into reading, and the window for what somebody pushes meanwhile is no longer than one reading."""

Result = Literal["done", "gone", "skipped", "failed"]


class Journal(Protocol):
    """Where actions are written before and after they happen; their numbers are 1, 2, ... in the plan's order."""

    def begin(self, *sequences: int) -> None:
        """Write that these are about to happen; raises where it cannot, and then they must not."""
        ...

    def record(self, sequence: int, result: Result, detail: str = "") -> None:
        """Write what came of one."""
        ...


class InUseNow(Protocol):
    """What is in use at this moment."""

    async def in_repository(self, name: str) -> Mapping[str, str]:
        """Return the tags and digests of a repository that are in use, each with where. Raises InUseError."""
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one action; `detail` is a sentence where it was not simply done."""

    action: Action
    result: Result
    detail: str = ""


@dataclass(slots=True)
class ApplyReport:
    """What became of all actions, in order. `stopped` is set where a person stopped the run at a safe point, even
    where that came after the last action: nothing else must begin then.
    """

    done: list[Done] = field(default_factory=list)
    stopped: bool = False

    def count(self, result: Result) -> int:
        """How many actions ended so."""
        return sum(each.result == result for each in self.done)

    @property
    def is_whole(self) -> bool:
        """Whether every action was done, or was gone already."""
        return not self.stopped and all(each.result in ("done", "gone") for each in self.done)


async def apply_plan(
    registry: AnyRegistry,
    plan: Plan,
    journal: Journal,
    *,
    allow_last_image: bool | Callable[[str], bool] = False,
    in_use: InUseNow | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    clock: Callable[[], float] = time.monotonic,
) -> ApplyReport:
    """Do what the plan says, as far as it still may be done. `stop` is asked before each action.

    `allow_last_image`: a repository may lose its last tag (or tells which may, by name); otherwise that is checked
    again too, since tags that were to stay may have gone since the plan was made. `in_use` is asked again, and what
    came into use since then is skipped.

    Raises before the first deletion PreflightError where the registry would refuse, and InUseError where nobody can
    tell what is in use; and HistoryError where an action cannot be journalled (it is then not done).
    """
    report = ApplyReport()
    if not plan.actions:
        return report
    if in_use is not None:
        await in_use.in_repository(plan.actions[0].repository)
    ability = await registry.preflight(plan)
    numbered = list(enumerate(plan.actions, start=1))
    progress(0, len(numbered))
    for name, group in groupby(numbered, key=lambda pair: pair[1].repository):
        mine = list(group)
        allowed = allow_last_image(name) if callable(allow_last_image) else allow_last_image
        cleaning = _Cleaning(registry, name, [action for _, action in mine], ability, allowed, clock, in_use)
        for sequence, action in mine:
            if stop():
                report.stopped = True
                return report
            done = await cleaning.do(sequence, action, journal)
            report.done.append(done)
            progress(len(report.done), len(numbered))
    report.stopped = stop()
    return report


class _Cleaning:
    """Cleans one repository."""

    def __init__(
        self,
        registry: AnyRegistry,
        name: str,
        actions: Iterable[Action],
        ability: Ability,
        allow_last_image: bool,
        clock: Callable[[], float],
        in_use: InUseNow | None = None,
    ) -> None:
        self._in_use = in_use
        self._used: Mapping[str, str] | None = None
        self._needed_by_use: AbstractSet[Digest] = frozenset()
        self._registry = registry
        self._name = name
        self._ability = ability
        self._allow_last_image = allow_last_image
        self._refused: str | None = None
        self._emptied = False
        self._clock = clock
        self._pending = {id(action): action for action in actions}
        self._fresh: Repository | None = None
        self._read_at = 0.0
        self._good_for = 0.0

    async def do(self, sequence: int, action: Action, journal: Journal) -> Done:
        """Check, journal, delete, journal one action."""
        try:
            spoken_against = await self._check(action)
        except (RegistryError, StorageError, InUseError) as error:
            spoken_against = Done(action, "failed", f"could not be checked: {error}")
        if spoken_against is not None:
            self._settle(action, spoken_against.result)
            if spoken_against.result == "failed":
                # A failure is something to try again, so the journal wants it begun; what was skipped is settled.
                journal.begin(sequence)
            journal.record(sequence, spoken_against.result, spoken_against.detail)
            return spoken_against
        journal.begin(sequence)
        # Once journalled, the request is sent and answered to its end, whatever interrupts the run meanwhile.
        done = await asyncio.shield(self._delete(action))
        self._settle(action, done.result)
        journal.record(sequence, done.result, done.detail)
        return done

    async def _check(self, action: Action) -> Done | None:
        """Return how the action ends without being done, None where it may be done."""
        if self._refused is not None:
            return Done(action, "failed", self._refused)
        if action.action is ActionKind.DELETE_TAG and not self._ability.deletes_tags:
            return Done(action, "skipped", self._ability.tags_reason)
        fresh = await self._fresh_repository()
        if not fresh.is_complete:
            problem = next(problem for problem in fresh.problems if problem.blocks)
            return Done(action, "failed", f"the repository could not be read again completely: {problem.text}")
        if self._would_be_emptied(fresh):
            return Done(action, "skipped", f"{self._name} would lose its last tag; allow it with --allow-last-image")
        if self._in_use is not None:
            where = self._used_by(fresh, action, await self._in_use.in_repository(self._name))
            if where is not None:
                return Done(action, "skipped", f"in use now: {where}")
        if action.action is ActionKind.DELETE_TAG:
            return await self._check_tags(action)
        if not await self._registry.exists(self._name, action.digest):
            return Done(action, "gone", "it was deleted by somebody else")
        needed_by = self._needed_by(fresh, action)
        if needed_by is not None:
            return Done(action, "skipped", needed_by)
        return await self._check_tags(action)

    def _used_by(self, fresh: Repository, action: Action, used: Mapping[str, str]) -> str | None:
        """Return where something is in use that the action would take away, None where nothing is.

        A tag that goes alone takes nothing else; a manifest takes all that needs it.
        """
        named = next((used[name] for name in (*action.tags, action.digest) if name in used), None)
        if named is not None or not used or action.action is ActionKind.DELETE_TAG:
            return named
        if used is not self._used:
            # Nothing that is needed goes afterwards, so this holds until the repository or the sources are read again.
            roots = {digest: used[digest] for digest in fresh.manifests if digest in used}
            roots |= {tag.digest: used[tag.name] for tag in fresh.tags if tag.name in used}
            self._used, self._needed_by_use = used, Graph(fresh).needed(roots).keys() | roots.keys()
        return "something needs it that runs" if action.digest in self._needed_by_use else None

    def _would_be_emptied(self, fresh: Repository) -> bool:
        """Whether all tags that were to stay are gone. Then the plan's ground is gone with them, so nothing else goes:
        the next action alone would leave the skipped tag, which may be the oldest of all.
        """
        going = self._going()
        left = [(tag.name, tag.digest) for tag in fresh.tags]
        if left and not self._allow_last_image and all(pair in going for pair in left):
            self._emptied = True
        return self._emptied

    async def _check_tags(self, action: Action) -> Done | None:
        for tag, digest in action.precondition.tags.items():
            now = await self._registry.points_to(self._name, tag)
            if now is None and action.action is ActionKind.DELETE_TAG:
                return Done(action, "gone", "it was deleted by somebody else")
            if now != digest:
                where = f"points to {now.short} now" if now else "is gone"
                return Done(action, "skipped", f"changed since the plan was made: tag {tag} {where}")
        return None

    def _needed_by(self, fresh: Repository, action: Action) -> str | None:
        """Return who needs the action's digest now, as a sentence; None where nothing that stays does."""
        going = self._going()
        going_digests = {each.digest for each in self._pending.values() if each.action is ActionKind.DELETE_MANIFEST}
        graph = Graph(fresh)
        staying = {
            tag.digest: tag.name
            for tag in fresh.tags
            if (tag.name, tag.digest) not in going and graph.followers.get(tag.name) not in fresh.manifests
        }
        tagged = {tag.digest for tag in fresh.tags}
        untagged = {digest for digest in fresh.manifests if digest not in tagged and digest not in going_digests}
        alone = {digest for digest in untagged if not self._belongs(graph, digest, going_digests)}
        dropped = {each.digest for each in self._pending.values() if each.precondition.despite_subject}
        needed = graph.needed([*staying, *alone], without=dropped)
        if action.digest not in needed:
            return None
        if action.digest in staying:
            return f"changed since the plan was made: tag {staying[action.digest]} points to it now"
        need = needed[action.digest]
        return f"needed now: {need.bond} of {need.by.short}, which stays" if need else "it stays"

    def _going(self) -> set[tuple[str, Digest]]:
        """Return the tags that pending actions delete, each with the digest that it must still have."""
        return {pair for each in self._pending.values() for pair in each.precondition.tags.items()}

    @staticmethod
    def _belongs(graph: Graph, digest: Digest, going: set[Digest]) -> bool:
        """Whether an untagged manifest belongs to another one: then it stays or goes with that."""
        return any(need.by in going for need in graph.owners.get(digest, ()))

    async def _fresh_repository(self) -> Repository:
        now = self._clock()
        if self._fresh is None or now - self._read_at >= self._good_for:
            self._fresh = await self._registry.reread(self._name)
            self._used = None
            self._read_at = now
            self._good_for = min(RECHECK_AFTER, _READING_SHARE * (self._clock() - now))
        return self._fresh

    def _settle(self, action: Action, result: Result) -> None:
        """Forget a done action's part of the repository; an action that was not done stays, with all that it needs."""
        del self._pending[id(action)]
        if self._fresh is None or result not in ("done", "gone"):
            return
        tags = set(action.tags)
        manifests = dict(self._fresh.manifests)
        if action.action is ActionKind.DELETE_MANIFEST:
            manifests.pop(action.digest, None)
        self._fresh = Repository(
            self._fresh.name,
            tuple(tag for tag in self._fresh.tags if tag.name not in tags),
            manifests,
            self._fresh.facts,
            self._fresh.problems,
        )

    async def _delete(self, action: Action) -> Done:
        try:
            if action.action is ActionKind.DELETE_TAG:
                was_there = await self._registry.delete_tag(self._name, action.tags[0], action.digest)
            else:
                was_there = await self._registry.delete_manifest(self._name, action.digest, action.tags)
        except (UnsupportedError, UnauthorizedError) as error:
            # It would refuse every further one in this repository as well.
            self._refused = f"the registry refuses deletions in {self._name}: {error}"
            return Done(action, "failed", self._refused)
        except JettisonError as error:
            return Done(action, "failed", str(error))
        return Done(action, "done") if was_there else Done(action, "gone", "it was deleted by somebody else")
