"""Run: the journal of one run. What it does is on the disk before it happens, and what came of it after.

The worst moment to be killed is between the registry's answer and `record`: the journal then shows the action as begun
and not ended, which is the truth, and no action that the registry did is missing from it. The power may go at any
moment as well; a commit is on the disk before `begin` returns. `tests/history/test_killed.py` plays both.
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Text, Update, bindparam, func, insert, select, update

from jettison.errors import HistoryError
from jettison.history.database import Database
from jettison.history.model import Outcome, PlannedAction, Result
from jettison.history.schema import actions, runs

_BEGIN = (
    update(actions)
    .where(
        actions.c.run == bindparam("at_run"),
        actions.c.sequence == bindparam("at_sequence"),
        actions.c.begun_at.is_(None),
        actions.c.result.is_(None),
    )
    .values(begun_at=bindparam("now"))
)

_SAID = bindparam("said", type_=Text)

# Done and failed are results of something begun; that an action was skipped, or its object gone, can show before.
_RECORD = (
    update(actions)
    .where(
        actions.c.run == bindparam("at_run"),
        actions.c.sequence == bindparam("at_sequence"),
        actions.c.begun_at.is_not(None) | (_SAID == "skipped") | (_SAID == "gone"),
        actions.c.result.is_(None),
    )
    .values(ended_at=bindparam("now"), result=_SAID, detail=bindparam("with_detail"))
)


class Run:
    """One run's journal. Made by `History.begin_run`; all methods raise HistoryError where they cannot write.

    An act whose `begin` raised must not be done: nothing would tell of it.
    """

    def __init__(self, database: Database, number: int, run_id: str) -> None:
        self._database = database
        self._number = number
        self.id = run_id
        """The run's name, as `jettison history` shows it and `jettison undo` takes it."""

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    def plan(self, planned: Sequence[PlannedAction], plan_json: bytes | None = None) -> range:
        """Add actions that this run means to do, and the plan's JSON; return their sequence numbers, in order."""
        with self._database.writing() as connection:
            return add_actions(connection, self._number, planned, plan_json)

    def begin(self, *sequences: int) -> None:
        """Journal that these actions are about to be done, in one transaction that is on the disk on return."""
        now = datetime.now(UTC)
        self._update("begin", _BEGIN, [{"at_run": self._number, "at_sequence": n, "now": now} for n in sequences])

    def record(self, sequence: int, result: Result, detail: str = "") -> None:
        """Journal what came of an action; `detail` is a sentence for a person."""
        self.record_many([(sequence, result, detail)])

    def record_many(self, results: Iterable[tuple[int, Result, str]]) -> None:
        """Journal what came of several actions, (sequence, result, detail) each, in one transaction."""
        now = datetime.now(UTC)
        self._update(
            "end",
            _RECORD,
            [
                {"at_run": self._number, "at_sequence": n, "now": now, "said": result, "with_detail": detail}
                for n, result, detail in results
            ],
        )

    def finish(
        self, outcome: Outcome, exit_status: int, message: str = "", totals: Mapping[str, int] | None = None
    ) -> None:
        """Journal how the run ended. Called again, it overwrites: the last word counts."""
        with self._database.writing() as connection:
            done = connection.execute(
                update(runs)
                .where(runs.c.number == self._number)
                .values(
                    ended=datetime.now(UTC),
                    outcome=outcome,
                    exit_status=exit_status,
                    message=message,
                    totals=json.dumps(dict(totals or {})),
                )
            )
            if done.rowcount != 1:
                raise self._gone()

    def _update(self, what: str, statement: Update, rows: list[dict[str, object]]) -> None:
        if not rows:
            return
        with self._database.writing() as connection:
            changed = connection.execute(statement, rows).rowcount
            if changed != len(rows):
                # The transaction is undone by the error, so nothing of the batch counts as journalled.
                raise self._gone(f"{what} {len(rows)} actions, of which {changed} could take it")

    def _gone(self, what: str = "end it") -> HistoryError:
        return HistoryError(
            f"the history database {self._database.name} does not hold run {self.id} as it was written ({what}): "
            "was it replaced, or did two processes journal one run? What this run did is shown by its output alone"
        )


def add_actions(connection: Connection, run: int, planned: Sequence[PlannedAction], plan_json: bytes | None) -> range:
    """Write the actions that the run with this number means to do, after those that it has; return their numbers."""
    if plan_json is not None:
        connection.execute(update(runs).where(runs.c.number == run).values(plan=zlib.compress(plan_json)))
    last = connection.scalar(select(func.max(actions.c.sequence)).where(actions.c.run == run)) or 0
    numbers = range(last + 1, last + 1 + len(planned))
    if planned:
        connection.execute(
            insert(actions),
            [
                {
                    "run": run,
                    "sequence": number,
                    "kind": action.kind,
                    "repository": action.repository,
                    "digest": action.digest,
                    "tags": json.dumps(action.tags),
                    "reason_code": action.reason_code,
                    "reason_text": action.reason_text,
                    "frees": action.frees,
                }
                for number, action in zip(numbers, planned, strict=True)
            ],
        )
    return numbers
