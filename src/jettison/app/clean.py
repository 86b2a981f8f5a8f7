"""Clean: what `apply` and `run` share. One run at a time, journalled from its first moment to its end, with brakes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from jettison.app.outcome import FAILED, INTERRUPTED, PART, blocking, unlisted
from jettison.errors import BrakeError, HistoryError, JettisonError
from jettison.history.lock import registry_lock
from jettison.history.model import Outcome, PlannedAction
from jettison.history.state import state_folder
from jettison.plan.codec import encode
from jettison.plan.guards import Seen, brakes, may_lose_all
from jettison.plan.model import Plan
from jettison.policy.model import LastImage, Limits
from jettison.policy.parse import parse_limit

if TYPE_CHECKING:
    from jettison.app.apply_plan import ApplyReport
    from jettison.app.registries import AnyRegistry
    from jettison.app.use import Use
    from jettison.history.journal import Run
    from jettison.history.store import History

_OUTCOMES: Final[dict[int, Outcome]] = {0: "done", PART: "part", 3: "stopped", INTERRUPTED: "interrupted"}


@dataclass(slots=True)
class Recorder:
    """A run while it is under way; `status`, `message` and `totals` are written when it ends."""

    run: "Run"
    status: int = 0
    message: str = ""
    totals: dict[str, int] = field(default_factory=dict)

    def worsen(self, status: int) -> None:
        """Take the worse of two exit statuses: interrupted, failed, in part, done."""
        ranks = (0, PART, FAILED, INTERRUPTED)
        self.status = max(self.status, status, key=ranks.index)


@contextmanager
def recorded_run(history: "History", registry: str, command: str) -> Iterator[Recorder]:
    """Hold the registry's lock and journal a run, however it ends.

    Raises LockedError where another run holds the registry, HistoryError where nothing can be journalled.
    """
    with registry_lock(state_folder(), registry, command):
        recorder = Recorder(history.begin_run(registry, command))
        try:
            yield recorder
        except JettisonError as error:
            _finish(recorder, error.exit_status, str(error))
            raise
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort"
            _finish(recorder, INTERRUPTED if interrupted else FAILED, "interrupted" if interrupted else repr(error))
            raise
        _finish(recorder, recorder.status, recorder.message)
        history.keep_space()


def _finish(recorder: Recorder, status: int, message: str) -> None:
    outcome = _OUTCOMES.get(status, "failed")
    try:
        recorder.run.finish(outcome, status, message, recorder.totals)
    except HistoryError:
        # The error that ended the run is the one to show; where there is none, a run without an end must be told.
        if status in (0, PART):
            raise


def effective_limits(plan: Plan, max_deletions: str | None, *, allow_last_image: bool) -> Limits:
    """Return the plan's own brakes, with what the command line says over them. Raises ValueError."""
    written = max_deletions if max_deletions is not None else plan.limits.deletions
    last_image = LastImage.ALLOW if allow_last_image else LastImage(plan.limits.last_image)
    return Limits(None if written is None else parse_limit(written), last_image)


def check_brakes(plan: Plan, limits: Limits, seen: Seen | None) -> None:
    """Raise BrakeError with every reason to stop before the first deletion."""
    met = brakes(plan, limits, seen)
    if met and plan.actions:
        raise BrakeError("stopped before the first deletion: " + "; ".join(brake.text for brake in met))


def last_seen(history: "History", registry: str) -> Seen | None:
    """Return what the newest run that saw the whole registry left in it, None where none has."""
    for run in history.runs(registry, limit=50):
        if "listed_tags" in run.totals:
            return Seen(run.totals.get("listed_repositories", 0), run.totals["listed_tags"])
    return None


def planned_actions(plan: Plan) -> list[PlannedAction]:
    """Return the plan's actions as the journal writes them."""
    return [
        PlannedAction(
            kind=action.action.value,
            repository=action.repository,
            digest=action.digest,
            tags=action.tags,
            reason_code=action.reason.code,
            reason_text=action.reason.text,
            frees=action.frees,
        )
        for action in plan.actions
    ]


async def apply_recorded(
    registry: "AnyRegistry",
    plan: Plan,
    recorder: Recorder,
    limits: Limits,
    *,
    stop: Callable[[], bool],
    progress: Callable[[int, int], None],
    use: "Use | None" = None,
) -> "ApplyReport":
    """Journal the plan, apply it, and note how that ended. `use`: what is asked again for images in use."""
    # Here, since it brings the HTTP client with it, which a collection without a server does not need.
    from jettison.app.apply_plan import apply_plan
    from jettison.app.use import LatestUse

    recorder.run.plan(planned_actions(plan), encode(plan, indent=0))
    report = await apply_plan(
        registry,
        plan,
        recorder.run,
        allow_last_image=may_lose_all(plan, limits),
        in_use=LatestUse(use) if use is not None else None,
        stop=stop,
        progress=progress,
    )
    deleted_tags = sum(len(each.action.tags) for each in report.done if each.result in ("done", "gone"))
    recorder.totals |= {
        "done": report.count("done"),
        "gone": report.count("gone"),
        "skipped": report.count("skipped"),
        "failed": report.count("failed"),
        "deleted_tags": deleted_tags,
        "frees": freed(plan, report),
    }
    if not plan.partial and not unlisted(plan) and not blocking(plan):
        recorder.totals |= {
            "listed_repositories": plan.totals.repositories,
            "listed_tags": plan.totals.tags - deleted_tags,
        }
    recorder.worsen(apply_status(plan, report))
    return report


def apply_status(plan: Plan, report: "ApplyReport") -> int:
    """Return the exit status of an applied plan."""
    if report.stopped:
        return INTERRUPTED
    if report.count("failed") and not report.count("done") + report.count("gone"):
        return FAILED
    return 0 if report.is_whole and not blocking(plan) and not unlisted(plan) else PART


def freed(plan: Plan, report: "ApplyReport") -> int:
    """Return the bytes that come back: the plan's figure where all was done, else at least what each action frees."""
    if report.is_whole:
        return plan.totals.frees
    return sum(each.action.frees for each in report.done if each.result == "done")
