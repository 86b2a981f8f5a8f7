"""Runs and their actions: what is written, what is refused, what is told of it later."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from jettison.errors import HistoryError, UsageError
from jettison.history.model import Outcome, PlannedAction, Result
from jettison.history.store import History
from jettison.oci.digest import Digest

REGISTRY = "https://registry.example:5000"


def manifest(name: str, *tags: str, repository: str = "team/app", frees: int = 10) -> PlannedAction:
    return PlannedAction(
        "delete-manifest",
        repository,
        Digest.of(name.encode()),
        tags,
        "expired",
        f"{name}: older than the newest 3",
        frees,
    )


def test_a_run_is_told_as_it_was_written(history: History) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    planned = [manifest("a", "1.0", "1.0.1"), manifest("b", repository="team/größe"), PlannedAction("restart")]
    plan_json = json.dumps({"version": 1, "actions": ["…"] * 100}).encode()
    run = history.begin_run(REGISTRY, "apply", planned, plan_json)

    run.begin(1)
    run.record(1, "done", "202 Accepted")
    run.record(2, "skipped", "its tags changed")
    run.begin(3)
    run.record(3, "failed", "no such container")
    run.finish("part", 4, "1 of 3 was skipped", {"freed": 10, "deleted": 1})

    told = history.run(run.id)
    assert [record.action for record in told.actions] == planned
    assert [(r.sequence, r.result, r.detail) for r in told.actions] == [
        (1, "done", "202 Accepted"),
        (2, "skipped", "its tags changed"),
        (3, "failed", "no such container"),
    ]
    assert told.plan_json == plan_json
    first, second, _ = told.actions
    assert first.begun_at is not None
    assert first.ended_at is not None
    assert before < first.begun_at <= first.ended_at <= datetime.now(UTC)
    assert second.begun_at is None
    summary = told.summary
    assert (summary.registry, summary.command, summary.outcome, summary.exit_status) == (REGISTRY, "apply", "part", 4)
    assert (summary.message, summary.totals) == ("1 of 3 was skipped", {"freed": 10, "deleted": 1})
    assert summary.results == {"done": 1, "skipped": 1, "failed": 1}
    assert summary.freed == 10
    assert summary.ended is not None
    assert before < summary.started <= summary.ended


def test_begun_is_visible_to_others_before_anything_else_happens(history: History, location: str) -> None:
    run = history.begin_run(REGISTRY, "apply", [manifest("a"), manifest("b"), manifest("c")])
    other = History.open(location)
    assert other.run(run.id).summary.results == {"planned": 3}
    run.begin(1, 3)
    assert [record.begun_at is not None for record in other.run(run.id).actions] == [True, False, True]
    assert other.run(run.id).summary.results == {"begun": 2, "planned": 1}
    assert other.run(run.id).summary.outcome == "running"
    other.close()


def test_actions_found_later_are_planned_after_the_others(history: History) -> None:
    run = history.begin_run(REGISTRY, "run")
    assert list(run.plan([manifest("a"), manifest("b")], b"{}")) == [1, 2]
    assert list(run.plan([PlannedAction("collect")])) == [3]
    assert list(run.plan([])) == []
    told = history.run(run.id)
    assert [record.action.kind for record in told.actions] == ["delete-manifest", "delete-manifest", "collect"]
    assert told.plan_json == b"{}"


@pytest.mark.parametrize("result", ["done", "failed"])
def test_what_never_began_cannot_have_been_done(history: History, result: Result) -> None:
    run = history.begin_run(REGISTRY, "apply", [manifest("a")])
    with pytest.raises(HistoryError, match=run.id):
        run.record(1, result)
    assert history.run(run.id).actions[0].result is None


def test_a_batch_is_journalled_whole_or_not_at_all(history: History) -> None:
    run = history.begin_run(REGISTRY, "apply", [manifest("a"), manifest("b")])
    run.begin(1)
    with pytest.raises(HistoryError):
        run.begin(2, 1)  # 1 has begun already
    with pytest.raises(HistoryError):
        run.begin(2, 3)  # there is no 3
    assert history.run(run.id).actions[1].begun_at is None
    run.record(1, "done")
    with pytest.raises(HistoryError):
        run.record(1, "failed")
    assert history.run(run.id).actions[0].result == "done"


def test_runs_are_listed_newest_first_for_one_registry_or_all(history: History) -> None:
    ids = [history.begin_run(REGISTRY, "plan").id for _ in range(3)]
    other = history.begin_run("http://other.example", "gc").id
    assert [run.id for run in history.runs()] == [other, *reversed(ids)]
    assert [run.id for run in history.runs(REGISTRY)] == list(reversed(ids))
    assert [run.id for run in history.runs(limit=2)] == [other, ids[2]]
    assert len(set(ids)) == 3


def test_a_registry_is_found_under_all_its_spellings_and_no_password_is_kept(history: History, location: str) -> None:
    run = history.begin_run("HTTPS://ci:hunter2@Registry.Example:443/", "apply", [manifest("a")])
    run.finish("failed", 1)
    assert [r.registry for r in history.runs("https://registry.example")] == ["https://registry.example"]
    assert [a.run_id for a in history.unfinished("https://registry.example/")] == [run.id]
    history.close()
    assert "hunter2" not in repr(history.runs())


def test_a_run_is_found_by_the_beginning_of_its_id(history: History) -> None:
    run = history.begin_run(REGISTRY, "plan")
    assert history.run(run.id).summary.id == run.id
    assert history.run(run.id[:-2]).summary.id == run.id
    history.begin_run(REGISTRY, "plan")
    with pytest.raises(UsageError, match=f"several runs .*{run.id}"):
        history.run("20")
    for name in ("1999", "", "%", "_" * len(run.id)):
        with pytest.raises(UsageError, match="`jettison history` lists"):
            history.run(name)


def test_an_empty_history_tells_nothing(history: History) -> None:
    assert history.runs() == []
    assert history.unfinished(REGISTRY) == []
    with pytest.raises(UsageError, match="no run 'x'"):
        history.run("x")


@pytest.mark.parametrize(
    ("outcome", "listed"),
    [("failed", True), ("interrupted", True), ("part", True), ("done", False), ("stopped", False)],
)
def test_unfinished_are_manifests_that_a_run_left_undone(history: History, outcome: Outcome, listed: bool) -> None:
    run = history.begin_run(
        REGISTRY, "apply", [*map(manifest, "abcde"), PlannedAction("delete-tag", "team/app", None, ("t",))]
    )
    run.begin(1, 2, 3)
    run.record(1, "done")
    run.record(2, "failed", "500")
    run.record(4, "skipped", "tagged again")
    run.finish(outcome, 1)
    left = [(record.action.digest, record.begun_at is not None) for record in history.unfinished(REGISTRY)]
    expected = [(Digest.of(b"b"), True), (Digest.of(b"c"), True), (Digest.of(b"e"), False)]
    assert left == (expected if listed else [])
    assert history.unfinished("http://other.example") == []


def test_a_running_run_leaves_nothing_unfinished(history: History) -> None:
    history.begin_run(REGISTRY, "apply", [manifest("a")])
    assert history.unfinished(REGISTRY) == []


@pytest.mark.parametrize("result", ["done", "gone", "skipped"])
def test_a_later_run_settles_what_was_unfinished(history: History, result: Result) -> None:
    first = history.begin_run(
        REGISTRY, "apply", [manifest("a", "1"), manifest("b", "2"), manifest("a", repository="other")]
    )
    first.finish("interrupted", 130)
    second = history.begin_run(REGISTRY, "apply", [manifest("a"), manifest("b")])
    second.begin(1)
    second.record(1, result)
    second.finish("failed", 1)
    left = [(r.run_id, r.action.repository, r.action.digest) for r in history.unfinished(REGISTRY)]
    # The other repository's manifest stays, and one that was planned twice is told once, by the later run.
    assert left == [(first.id, "other", Digest.of(b"a")), (second.id, "team/app", Digest.of(b"b"))]


def test_what_another_registry_did_settles_nothing(history: History) -> None:
    history.begin_run(REGISTRY, "apply", [manifest("a")]).finish("failed", 1)
    other = history.begin_run("http://other.example", "apply", [manifest("a")])
    other.begin(1)
    other.record(1, "done")
    assert len(history.unfinished(REGISTRY)) == 1


def test_many_actions_in_one_transaction(history: History) -> None:
    run = history.begin_run(REGISTRY, "apply", [manifest(str(n), frees=1) for n in range(3000)])
    sequences = range(1, 3001)
    run.begin(*sequences)
    run.record_many((n, "done", "") for n in sequences)
    summary = history.run(run.id).summary
    assert (summary.results, summary.freed) == ({"done": 3000}, 3000)
