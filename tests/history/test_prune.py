"""What is forgotten of a history, and what stays."""

import os
import shutil
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, update
from tests.history.conftest import POSTGRESQL

from jettison.app.prune_history import Held, prune
from jettison.history.model import PlannedAction
from jettison.history.pulls import LogPosition
from jettison.history.schema import runs
from jettison.history.store import History
from jettison.pulls.spans import Span
from jettison.testing.built import BuiltManifest
from jettison.testing.images import image

REGISTRY, OTHER = "https://registry.example:5000", "https://other.example"
NOW = datetime.now(UTC)
YEAR = NOW - timedelta(days=365)
LONG_AGO = NOW - timedelta(days=500)


def deleting(*built: BuiltManifest) -> list[PlannedAction]:
    return [PlannedAction("delete-manifest", "team/app", each.digest, ("1.0",), "expired", "old", 10) for each in built]


def run_of(history: History, *built: BuiltManifest, registry: str = REGISTRY, done: bool = True) -> str:
    """Journal a run that deletes these, keep their bodies, and return its id."""
    history.manifests.remember([(each.digest, each.media_type, each.body) for each in built])
    run = history.begin_run(registry, "run", deleting(*built), b"{}")
    if done:
        for number in range(1, len(built) + 1):
            run.begin(number)
            run.record(number, "done")
        run.finish("done", 0)
    return run.id


def aged(location: str, *wanted: str) -> None:
    """Let these runs have begun and ended long ago."""
    engine = create_engine(location if "://" in location else f"sqlite:///{location}")
    with engine.begin() as connection:
        mine = update(runs).where(runs.c.id.in_(wanted))
        assert connection.execute(mine.values(started=LONG_AGO)).rowcount == len(wanted)
        connection.execute(mine.where(runs.c.ended.is_not(None)).values(ended=LONG_AGO))
    engine.dispose()


def ids(history: History) -> set[str]:
    return {each.id for each in history.runs(limit=None)}


A, B, C = image(seed="a"), image(seed="b"), image(seed="c")


def test_old_runs_go_with_the_bodies_that_no_other_run_names(history: History, location: str) -> None:
    old, young = run_of(history, A, B), run_of(history, B, C)
    elsewhere = run_of(history, A, registry=OTHER)
    aged(location, old, elsewhere)
    told = prune(history, [REGISTRY], YEAR, Held(), dry_run=True)
    assert (told.runs, told.actions, ids(history)) == (1, 0, {old, young, elsewhere})
    done = prune(history, [REGISTRY], YEAR, Held(), dry_run=False)
    assert (done.runs, done.actions, done.manifests) == (1, 2, 0), "another registry's run names the body"
    assert ids(history) == {young, elsewhere}
    assert prune(history, [OTHER], YEAR, Held(), dry_run=False).manifests == 1
    assert history.manifests.known([A.digest, B.digest, C.digest]).keys() == {B.digest, C.digest}
    assert prune(history, [REGISTRY, OTHER], YEAR, Held(), dry_run=False).runs == 0


def test_what_is_in_quarantine_keeps_the_runs_that_an_undo_needs(history: History, location: str) -> None:
    by_manifest, by_layer, collecting, free = (run_of(history, each) for each in (A, B, C, image(seed="free")))
    aged(location, by_manifest, by_layer, collecting, free)
    layer = B.blobs[-1].digest
    held = Held(frozenset({str(A.digest), str(layer)}), frozenset({collecting}))
    done = prune(history, [REGISTRY], YEAR, held, dry_run=False)
    assert (done.runs, done.undoable) == (1, 3)
    assert ids(history) == {by_manifest, by_layer, collecting}
    assert history.run(by_layer).actions[0].action.digest == B.digest


def test_runs_at_work_and_runs_that_are_to_be_finished_stay(history: History, location: str) -> None:
    at_work = run_of(history, A, done=False)
    part = history.begin_run(REGISTRY, "run", deleting(B))
    part.finish("interrupted", 130)
    aged(location, at_work, part.id)
    done = prune(history, [REGISTRY], YEAR, Held(), dry_run=False)
    assert (done.runs, done.unfinished) == (0, 1)
    assert ids(history) == {at_work, part.id}


def test_a_pull_that_is_forgotten_is_not_known_to_be_missing(history: History) -> None:
    counted = {("team/app", "old"): (3, LONG_AGO + timedelta(days=1)), ("team/app", "new"): (1, NOW)}
    position = LogPosition("head", "content", 100)
    history.pulls.record(REGISTRY, counted, [Span(LONG_AGO, NOW)], position, None)
    history.pulls.record(OTHER, counted, [Span(LONG_AGO, NOW)], position, None)
    assert prune(history, [REGISTRY], YEAR, Held(), dry_run=True).pulls == 1
    assert history.pulls.known_since(REGISTRY, NOW) == LONG_AGO
    assert prune(history, [REGISTRY], YEAR, Held(), dry_run=False).pulls == 1
    assert set(history.pulls.pulled(REGISTRY, ["team/app"])["team/app"]) == {"new"}
    assert history.pulls.known_since(REGISTRY, NOW) == YEAR
    assert history.pulls.known_since(OTHER, NOW) == LONG_AGO
    # The log is not counted again.
    assert history.pulls.positions(REGISTRY, "head") == (position,)


def test_pulls_that_are_known_of_old_times_only_are_not_known_at_all(history: History) -> None:
    position = LogPosition("head", "content", 100)
    counted = {("team/app", "old"): (3, LONG_AGO)}
    history.pulls.record(REGISTRY, counted, [Span(LONG_AGO, LONG_AGO + timedelta(days=9))], position, None)
    prune(history, [REGISTRY], YEAR, Held(), dry_run=False)
    assert history.pulls.spans(REGISTRY) == ()


def test_may_have_collected(history: History) -> None:
    run_of(history, A)
    by_registry = history.begin_run(REGISTRY, "gc", [PlannedAction("collect")])
    by_registry.begin(1)
    by_registry.record(1, "done", "3 blobs, away for 1.0 s")
    assert not history.pruning.may_have_collected([REGISTRY])
    ours = history.begin_run(REGISTRY, "gc", [PlannedAction("collect")])
    ours.begin(1)
    assert history.pruning.may_have_collected([REGISTRY]), "it may have when it was killed"
    ours.record(1, "done", "3 blobs (9 bytes) into quarantine 2026, 0 purged")
    assert history.pruning.may_have_collected([REGISTRY])
    assert not history.pruning.may_have_collected([OTHER])


@pytest.mark.skipif(POSTGRESQL is not None, reason="a server gives space back by itself")
def test_the_file_gets_smaller(history: History, location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert history.pruning.compact(), "there is no history yet"
    run = history.begin_run(REGISTRY, "run", (), os.urandom(4_000_000))
    run.finish("done", 0)
    aged(location, run.id)
    prune(history, [REGISTRY], YEAR, Held(), dry_run=False)
    assert Path(location).stat().st_size > 4_000_000
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000))
    assert not history.pruning.compact()
    monkeypatch.undo()
    assert history.pruning.compact()
    assert Path(location).stat().st_size < 1_000_000
    assert not ids(history)
