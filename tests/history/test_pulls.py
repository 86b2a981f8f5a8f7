"""Pulls add up once, spans join, and a tag's age is known only where it came after the first look."""

from datetime import UTC, datetime, timedelta

import pytest

from jettison.errors import LockedError
from jettison.history.pulls import LogPosition, Pulled
from jettison.history.store import History
from jettison.oci.digest import Digest
from jettison.pulls.spans import Span

REGISTRY = "http://registry.example:5000"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
A, B = Digest.of(b"a"), Digest.of(b"b")
FIRST, SECOND = LogPosition("head", "first", 100), LogPosition("head", "second", 200, own_log=True)


def test_pulls_add_up_and_the_latest_stays(history: History) -> None:
    store = history.pulls
    assert store.pulled(REGISTRY, ["a"]) == {}
    assert store.listed(REGISTRY) == []
    store.record(REGISTRY, {("a", "1.0"): (2, NOON), ("b", A): (1, NOON)}, [], FIRST, None)
    store.record(REGISTRY + "/", {("a", "1.0"): (3, NOON - DAY), ("a", "2.0"): (1, NOON + HOUR)}, [], SECOND, FIRST)
    assert store.listed(REGISTRY) == [
        Pulled("a", "2.0", NOON + HOUR, 1),
        Pulled("a", "1.0", NOON, 5),
        Pulled("b", A, NOON, 1),
    ]
    assert store.pulled(REGISTRY, ["a", "c"]) == {"a": {"1.0": NOON, "2.0": NOON + HOUR}}
    assert store.listed("http://other.example") == []
    assert store.listed(REGISTRY, limit=1) == [Pulled("a", "2.0", NOON + HOUR, 1)]


def test_how_far_a_log_is_imported_moves_on(history: History) -> None:
    store = history.pulls
    assert store.positions(REGISTRY, "head") == ()
    store.record(REGISTRY, {}, [], FIRST, None)
    assert store.positions(REGISTRY, "head") == (FIRST,)
    store.record(REGISTRY, {}, [], SECOND, FIRST)
    assert store.positions(REGISTRY, "head") == (SECOND,)
    other = LogPosition("head", "of another server", 150)
    store.record(REGISTRY, {}, [], other, None)
    assert store.positions(REGISTRY, "head") == (SECOND, other)
    assert store.positions(REGISTRY, "other head") == ()
    assert store.positions("http://other.example", "head") == ()


def test_two_imports_of_one_log_at_once_count_it_once(history: History) -> None:
    store, counted = history.pulls, {("a", "1.0"): (1, NOON)}
    store.record(REGISTRY, counted, [], FIRST, None)
    with pytest.raises(LockedError, match="nothing is counted twice"):
        store.record(REGISTRY, counted, [], FIRST, None)
    store.record(REGISTRY, counted, [], SECOND, FIRST)
    with pytest.raises(LockedError):
        store.record(REGISTRY, counted, [], LogPosition("head", "third", 300), FIRST)
    with pytest.raises(LockedError, match="import again"):
        store.record(REGISTRY, counted, [], LogPosition("head", "grown meanwhile", 250), None, seen=(FIRST,))
    assert store.listed(REGISTRY) == [Pulled("a", "1.0", NOON, 2)]


def test_spans_are_kept_apart_and_joined_when_they_are_read(history: History) -> None:
    store = history.pulls
    early, late = Span(NOON - 9 * DAY, NOON - 8 * DAY), Span(NOON - DAY, NOON)
    store.record(REGISTRY, {}, [late], FIRST, None)
    store.record(REGISTRY, {}, [early, Span(NOON - 2 * DAY, NOON - HOUR)], SECOND, FIRST)
    assert store.spans(REGISTRY) == (early, Span(NOON - 2 * DAY, NOON))
    assert store.known_since(REGISTRY, NOON) == NOON - 2 * DAY
    assert store.known_since(REGISTRY, NOON + 4 * DAY) is None
    assert store.known_since("http://other.example", NOON) is None
    assert store.registries() == [REGISTRY]


def test_how_long_a_silence_may_be_is_said_where_the_history_is_opened(location: str) -> None:
    history = History.open(location, pull_gap=10 * DAY)
    spans = [Span(NOON - 20 * DAY, NOON - 19 * DAY), Span(NOON - 10 * DAY, NOON - 9 * DAY)]
    history.pulls.record(REGISTRY, {}, spans, FIRST, None)
    assert history.pulls.known_since(REGISTRY, NOON) == NOON - 20 * DAY
    history.close()


# When tags were first seen.


def test_what_was_there_at_the_first_look_may_be_of_any_age(history: History) -> None:
    seen = history.first_seen
    assert seen.look(REGISTRY, {"a": {"1.0": A}}, NOON) == {"a": {}}
    assert seen.look(REGISTRY, {"a": {"1.0": A}}, NOON + DAY) == {"a": {}}


def test_what_came_after_it_is_as_old_as_the_look_that_found_it(history: History) -> None:
    seen = history.first_seen
    seen.look(REGISTRY, {"a": {"1.0": A}}, NOON)
    assert seen.look(REGISTRY, {"a": {"1.0": A, "2.0": B}}, NOON + DAY) == {"a": {"2.0": NOON + DAY}}
    assert seen.look(REGISTRY, {"a": {"1.0": A, "2.0": B}}, NOON + 9 * DAY) == {"a": {"2.0": NOON + DAY}}


def test_a_repository_without_tags_was_looked_at_too(history: History) -> None:
    seen = history.first_seen
    seen.look(REGISTRY, {"a": {}}, NOON)
    assert seen.look(REGISTRY, {"a": {"1.0": A}}, NOON + DAY) == {"a": {"1.0": NOON + DAY}}


def test_a_tag_that_moved_was_pushed_since(history: History) -> None:
    seen = history.first_seen
    seen.look(REGISTRY, {"a": {"latest": A}}, NOON)
    assert seen.look(REGISTRY, {"a": {"latest": B}}, NOON + DAY) == {"a": {"latest": NOON + DAY}}
    assert seen.look(REGISTRY, {"a": {"latest": B}}, NOON + 2 * DAY) == {"a": {"latest": NOON + DAY}}
    assert seen.look(REGISTRY, {"a": {"latest": A}}, NOON + 3 * DAY) == {"a": {"latest": NOON + 3 * DAY}}


def test_a_tag_that_was_deleted_and_came_back_is_a_new_one(history: History) -> None:
    seen = history.first_seen
    seen.look(REGISTRY, {"a": {"1.0": A, "2.0": B}}, NOON)
    seen.look(REGISTRY, {"a": {"2.0": B}}, NOON + DAY)
    assert seen.look(REGISTRY, {"a": {"1.0": A, "2.0": B}}, NOON + 2 * DAY) == {"a": {"1.0": NOON + 2 * DAY}}


def test_repositories_and_registries_are_looked_at_each_by_itself(history: History) -> None:
    seen = history.first_seen
    seen.look(REGISTRY, {"a": {"1.0": A}}, NOON)
    assert seen.look(REGISTRY, {"b": {"1.0": A}}, NOON + DAY) == {"b": {}}
    assert seen.look("http://other.example", {"a": {"2.0": A}}, NOON + DAY) == {"a": {}}
    assert seen.look(REGISTRY, {"a": {"1.0": A, "2.0": A}}, NOON + DAY) == {"a": {"2.0": NOON + DAY}}


def test_many_repositories_are_looked_at_together(history: History) -> None:
    seen = history.first_seen
    tags = {f"r{number}": {f"{tag}": A for tag in range(3)} for number in range(700)}
    assert seen.look(REGISTRY, tags, NOON) == {name: {} for name in tags}
    tags["r699"]["new"] = B
    found = seen.look(REGISTRY, tags, NOON + DAY)
    assert found.pop("r699") == {"new": NOON + DAY}
    assert not any(found.values())
