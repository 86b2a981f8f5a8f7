"""Values of the history: what was planned, what was done, how a run ended. No database in here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

from jettison.oci.digest import Digest

Outcome: TypeAlias = Literal["done", "part", "failed", "stopped", "interrupted"]
"""How a run ended, as it said itself: all done; some skipped or failed; failed; stopped by a brake; Ctrl-C."""

State: TypeAlias = Outcome | Literal["running", "killed", "unknown"]
"""How a run stands: its outcome; or, where it gave none, at work, killed, or at work on a host we cannot look into."""

Result: TypeAlias = Literal["done", "gone", "skipped", "failed"]
"""How an action ended: done; it was gone already; not done since its precondition changed; tried and failed."""


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """One thing that a run means to do, with the reason that a person was shown."""

    kind: str
    """`delete-manifest`, `delete-tag`, `collect`, `restart`, ..."""
    repository: str = ""
    """Empty where the action concerns the registry as a whole."""
    digest: Digest | None = None
    tags: tuple[str, ...] = ()
    """For `remove-link` of another digest than sha256: what the link named."""
    reason_code: str = ""
    reason_text: str = ""
    frees: int = 0
    """Bytes that this action alone gives back."""


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """A planned action and what became of it.

    `begun_at` None: never begun. `begun_at` without `result`: the run ended in the middle of it, so whether the
    registry did it is not known.
    """

    run_id: str
    sequence: int
    action: PlannedAction
    begun_at: datetime | None
    ended_at: datetime | None
    result: Result | None
    detail: str


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in a list of runs."""

    id: str
    registry: str
    command: str
    started: datetime
    ended: datetime | None
    outcome: State
    exit_status: int | None
    host: str
    pid: int
    message: str
    totals: Mapping[str, int]
    """The figures that the run gave when it ended; empty where it gave none."""
    results: Mapping[str, int]
    """Number of actions per result; under `begun` those begun and never ended, under `planned` those never begun."""
    freed: int
    """Sum of `frees` over the actions that were done, bytes."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run with its journal, in order, and the plan's JSON if it had one."""

    summary: RunSummary
    actions: tuple[ActionRecord, ...]
    plan_json: bytes | None = field(repr=False)


class StoredManifest(NamedTuple):
    """A manifest as some registry sent it: a body that has the digest under which it is kept."""

    media_type: str
    body: bytes
