"""What the tests of the use cases share: a registry opened over its API, plans of it, and a journal in memory."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from jettison.app.apply_plan import ApplyReport, Result, apply_plan
from jettison.app.make_plan import make_plan
from jettison.app.registries import ApiRegistry
from jettison.errors import HistoryError
from jettison.oci.digest import Digest
from jettison.plan.model import Action, DeleteBy, Plan
from jettison.policy.model import Policy, keep_newest_versions
from jettison.registry.client import RegistryClient
from jettison.registry.inventory import KnownConfigs, KnownManifests, RegistryReader
from jettison.registry.settings import Limits
from jettison.testing.images import pull

APP = "team/app"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FAST = Limits(backoff=0, retries=2)
KEEP_ONE = keep_newest_versions(1)


@asynccontextmanager
async def opened(
    url: str,
    *,
    delete_by: DeleteBy | None = DeleteBy.DIGEST,
    leftovers: dict[str, Collection[Digest]] | None = None,
    manifests: KnownManifests | None = None,
    configs: KnownConfigs | None = None,
    first_time: bool = False,
    repositories: tuple[str, ...] = (),
    limits: Limits = FAST,
) -> AsyncIterator[ApiRegistry]:
    """Open a registry over its API, deleting by digest unless told otherwise: that is where something can be lost."""
    async with RegistryClient(url, limits=limits) as client:
        reader = RegistryReader(
            client,
            limits=limits,
            manifests=manifests,
            configs=configs,
            leftovers=leftovers,
            first_time=first_time,
        )
        yield ApiRegistry(client, reader, repositories=repositories, delete_by=delete_by)


async def planned(registry: ApiRegistry, policy: Policy = KEEP_ONE) -> Plan:
    """Plan, as `jettison plan` does."""
    return await make_plan(registry, policy, policy_name="tests", now=NOW)


class MemoryJournal:
    """A journal that remembers, and that calls `before` with an action's number when that is about to be done."""

    def __init__(self, before: Callable[[int], None] = lambda sequence: None) -> None:
        self.lines: list[tuple[int, str]] = []
        self._before = before

    def begin(self, *sequences: int) -> None:
        for sequence in sequences:
            self._before(sequence)
            self.lines.append((sequence, "begun"))

    def record(self, sequence: int, result: Result, detail: str = "") -> None:
        self.lines.append((sequence, result))


class FullDisk(MemoryJournal):
    """A journal that cannot be written from some action on."""

    def __init__(self, first: int) -> None:
        super().__init__(self._refuse)
        self._first = first

    def _refuse(self, sequence: int) -> None:
        if sequence >= self._first:
            raise HistoryError("the history database: the disk is full")


class Clock:
    """A clock on which every reading is too old by the next action, so that each action reads again."""

    def __init__(self, step: float = 60.0) -> None:
        self.now = 0.0
        self._step = step

    def __call__(self) -> float:
        self.now += self._step
        return self.now


async def applied(
    registry: ApiRegistry,
    plan: Plan,
    journal: MemoryJournal | None = None,
    *,
    clock: Callable[[], float] | None = None,
    allow_last_image: bool = False,
) -> ApplyReport:
    """Apply, reading again before each action unless the `clock` says otherwise."""
    return await apply_plan(
        registry, plan, journal or MemoryJournal(), clock=clock or Clock(), allow_last_image=allow_last_image
    )


def action_on(plan: Plan, digest: Digest) -> Action:
    """Return the plan's only action on a digest."""
    (action,) = (action for action in plan.actions if action.digest == digest)
    return action


def outcome(report: ApplyReport, digest: Digest) -> tuple[Result, str]:
    """Return how the only action on a digest ended, and what was said about it."""
    (done,) = (done for done in report.done if done.action.digest == digest)
    return done.result, done.detail


def assert_whole(url: str, references: Iterable[str], repository: str = APP) -> None:
    """Pull all of these whole, or fail."""
    for reference in references:
        pull(url, repository, reference)
