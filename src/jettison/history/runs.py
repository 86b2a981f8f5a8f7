"""RunStore: begins runs, and tells of old ones."""

import json
import secrets
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, get_args

from sqlalchemy import Connection, Row, Select, and_, exists, func, insert, or_, select

from jettison.errors import UsageError
from jettison.history.database import Database
from jettison.history.journal import Run, add_actions
from jettison.history.model import ActionRecord, Outcome, PlannedAction, RunRecord, RunSummary, State
from jettison.history.process import ProcessIdentity
from jettison.history.registry_url import canonical
from jettison.history.schema import actions, runs
from jettison.oci.digest import Digest

_LISTED: Final = [column for column in runs.columns if column.name != "plan"]
_NAMES_AT_MOST: Final = 8


class RunStore:
    """The runs of a history, each with its journal. Its methods are those of `History`, and documented there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_run(
        self, registry: str, command: str, planned: Sequence[PlannedAction] = (), plan_json: bytes | None = None
    ) -> Run:
        """Journal that this process begins `command` on `registry`, and what it means to do."""
        process = ProcessIdentity.current()
        started = datetime.now(UTC)
        with self._database.writing() as connection:
            run_id = _free_id(connection, started)
            inserted = connection.execute(
                insert(runs).values(
                    id=run_id,
                    registry=canonical(registry),
                    command=command,
                    started=started,
                    host=process.host,
                    pid=process.pid,
                    process_token=process.token,
                )
            )
            (number,) = inserted.inserted_primary_key or (0,)
            add_actions(connection, number, planned, plan_json)
        return Run(self._database, number, run_id)

    def runs(self, registry: str | None = None, limit: int | None = 20) -> list[RunSummary]:
        """Return the newest runs, newest first."""
        wanted = select(*_LISTED).order_by(runs.c.number.desc()).limit(limit)
        if registry is not None:
            wanted = wanted.where(runs.c.registry == canonical(registry))
        with self._database.reading() as connection:
            return [] if connection is None else _summaries(connection, wanted)

    def run(self, id_or_prefix: str) -> RunRecord:
        """Return the run with this id, or the only one whose id begins so, with its journal."""
        with self._database.reading() as connection:
            if connection is None:
                raise self._no_run(id_or_prefix)
            number = self._number_of(connection, id_or_prefix)
            (summary,) = _summaries(connection, select(*_LISTED).where(runs.c.number == number))
            plan = connection.scalar(select(runs.c.plan).where(runs.c.number == number))
            rows = connection.execute(
                select(runs.c.id, actions).join(runs).where(actions.c.run == number).order_by(actions.c.sequence)
            )
            return RunRecord(summary, tuple(_action(row) for row in rows), self._plan(plan))

    def unfinished(self, registry: str) -> list[ActionRecord]:
        """Return the manifests of `registry` that a run meant to delete and did not."""
        undone = or_(actions.c.result.is_(None), actions.c.result == "failed")
        later, later_run = actions.alias("later"), runs.alias("later_run")
        settled = exists().where(
            later.c.digest == actions.c.digest,
            later.c.repository == actions.c.repository,
            later.c.kind == actions.c.kind,
            later.c.result.in_(["done", "gone", "skipped"]),
            later_run.c.number == later.c.run,
            later_run.c.registry == runs.c.registry,
            or_(
                later.c.run > actions.c.run,
                and_(later.c.run == actions.c.run, later.c.sequence > actions.c.sequence),
            ),
        )
        wanted = (
            select(runs.c.id, runs.c.outcome, runs.c.host, runs.c.pid, runs.c.process_token, actions)
            .join(runs)
            .where(
                runs.c.registry == canonical(registry),
                or_(runs.c.outcome.is_(None), runs.c.outcome.in_(["failed", "interrupted", "part"])),
                actions.c.kind == "delete-manifest",
                actions.c.digest.is_not(None),
                undone,
                ~settled,
            )
            .order_by(actions.c.run, actions.c.sequence)
        )
        newest: dict[tuple[str, str], ActionRecord] = {}
        with self._database.reading() as connection:
            if connection is not None:
                states: dict[str, State] = {}
                for row in connection.execute(wanted):
                    if row.id not in states:
                        states[row.id] = state_of(row)
                    if states[row.id] not in ("running", "unknown"):
                        # Later rows replace earlier ones of the same manifest.
                        newest.pop((row.repository, row.digest), None)
                        newest[row.repository, row.digest] = _action(row)
        return list(newest.values())

    def _no_run(self, id_or_prefix: str) -> UsageError:
        return UsageError(
            f"no run {id_or_prefix!r} in the history {self._database.name}: `jettison history` lists the runs, "
            "and --history URL names another history"
        )

    def _number_of(self, connection: Connection, id_or_prefix: str) -> int:
        wanted = (
            select(runs.c.number, runs.c.id)
            .where(runs.c.id.startswith(id_or_prefix, autoescape=True))
            .order_by(runs.c.number.desc())
            .limit(_NAMES_AT_MOST + 1)
        )
        found = [] if not id_or_prefix else connection.execute(wanted).all()
        exact = [row.number for row in found if row.id == id_or_prefix]
        if exact or len(found) == 1:
            number: int = exact[0] if exact else found[0].number
            return number
        if not found:
            raise self._no_run(id_or_prefix)
        names = ", ".join(row.id for row in found[:_NAMES_AT_MOST])
        more = ", ..." if len(found) > _NAMES_AT_MOST else ""
        raise UsageError(f"{id_or_prefix!r} begins the names of several runs ({names}{more}): give more of it")

    def _plan(self, stored: bytes | None) -> bytes | None:
        if stored is None:
            return None
        try:
            return zlib.decompress(stored)
        except zlib.error as error:
            raise self._database.damaged("a plan cannot be unpacked") from error


def _free_id(connection: Connection, started: datetime) -> str:
    while True:
        # Sorts by time, says the time to a person, and the ending tells apart runs of the same second.
        run_id = f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        if connection.scalar(select(runs.c.number).where(runs.c.id == run_id)) is None:
            return run_id


def _summaries(connection: Connection, wanted: Select[Any]) -> list[RunSummary]:
    rows = connection.execute(wanted).all()
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    freed: dict[int, int] = defaultdict(int)
    for run, name, number, frees in _counted(connection, [row.number for row in rows]):
        counts[run][name] = number
        if name == "done":
            freed[run] = frees
    return [
        RunSummary(
            id=row.id,
            registry=row.registry,
            command=row.command,
            started=row.started,
            ended=row.ended,
            outcome=state_of(row),
            exit_status=row.exit_status,
            host=row.host,
            pid=row.pid,
            message=row.message,
            totals=json.loads(row.totals),
            results=counts[row.number],
            freed=freed[row.number],
        )
        for row in rows
    ]


def _counted(connection: Connection, numbers: list[int]) -> Iterable[tuple[int, str, int, int]]:
    begun = actions.c.begun_at.is_not(None)
    counted = connection.execute(
        select(actions.c.run, actions.c.result, begun, func.count(), func.sum(actions.c.frees))
        .where(actions.c.run.in_(numbers))
        .group_by(actions.c.run, actions.c.result, begun)
    )
    merged: dict[tuple[int, str], tuple[int, int]] = {}
    for run, result, was_begun, number, frees in counted:
        name = result or ("begun" if was_begun else "planned")
        before = merged.get((run, name), (0, 0))
        merged[run, name] = (before[0] + number, before[1] + int(frees))
    return [(run, name, number, frees) for (run, name), (number, frees) in merged.items()]


def state_of(row: Row[Any]) -> State:
    """Return how a run stands, from its outcome and its process."""
    if row.outcome is not None:
        if row.outcome not in get_args(Outcome):
            raise ValueError(f"the outcome {row.outcome!r} of run {row.id}")
        outcome: Outcome = row.outcome
        return outcome
    life = ProcessIdentity(row.host, row.pid, row.process_token).life()
    return {"alive": "running", "gone": "killed", "unknown": "unknown"}[life]  # type: ignore[return-value] # mypy sees str


def _action(row: Row[Any]) -> ActionRecord:
    return ActionRecord(
        run_id=row.id,
        sequence=row.sequence,
        action=PlannedAction(
            kind=row.kind,
            repository=row.repository,
            digest=None if row.digest is None else Digest(row.digest),
            tags=tuple(json.loads(row.tags)),
            reason_code=row.reason_code,
            reason_text=row.reason_text,
            frees=row.frees,
        ),
        begun_at=row.begun_at,
        ended_at=row.ended_at,
        result=row.result,
        detail=row.detail,
    )
