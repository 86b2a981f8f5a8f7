"""Decide: nothing reachable, nothing young, nothing that was listed too late."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.collect.blob import StoredBlob
from jettison.collect.decide import Condemned, Young, decide, unreachable
from jettison.collect.mark import CompleteMark, Holding, Reading, mark
from jettison.collect.references import DigestText, References
from jettison.collect.safety import AT_ONCE, DEFAULT, Margins
from jettison.oci.digest import Digest
from jettison.oci.inventory import Problem

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
NAMES = [Digest.of(bytes([number])) for number in range(24)]
ANY = st.sampled_from(NAMES)
SOME = st.lists(ANY, max_size=4).map(tuple)
READINGS = st.dictionaries(
    ANY, st.builds(References.of, SOME, SOME, SOME) | st.just(Problem("wrong-hash", "damaged")), max_size=16
)
HOLDINGS = st.lists(
    st.builds(
        Holding,
        st.sampled_from(["a", "b", "c"]),
        st.frozensets(ANY, max_size=5),
        st.frozensets(ANY, max_size=3),
        st.frozensets(ANY, max_size=8),
        st.dictionaries(st.sampled_from([Digest.of(bytes([n]), "sha512") for n in range(4)]), ANY, max_size=2),
        problems=st.just(()),
        is_complete=st.just(value=True),
    ),
    max_size=4,
)


def _mark(*reachable: Digest) -> CompleteMark:
    made = mark([Holding("a", frozenset(reachable))], {digest: References() for digest in reachable})
    assert isinstance(made, CompleteMark)
    return made


def _blob(number: int, age: timedelta = timedelta(days=1), size: int = 10) -> StoredBlob:
    return StoredBlob(NAMES[number], size, NOW - age)


def test_condemned_cannot_be_made_up() -> None:
    with pytest.raises(TypeError, match="and by nothing else"):
        Condemned(object(), (_blob(1),), Young(0, 0), _mark())


def test_what_is_unreachable_and_old_is_condemned() -> None:
    made = decide([_blob(0), _blob(1), _blob(2, size=5)], _mark(NAMES[0]), NOW, DEFAULT)

    assert {blob.digest for blob in made.blobs} == {NAMES[1], NAMES[2]}
    assert made.size == 15


@pytest.mark.parametrize(
    ("age", "goes"),
    [
        (timedelta(minutes=59), False),
        (timedelta(hours=1), True),
        (timedelta(0), False),
        (-timedelta(days=400), False),
    ],
)
def test_the_grace_period_spares_what_is_young(age: timedelta, goes: bool) -> None:
    made = decide([_blob(0, age, size=7)], _mark(), NOW, DEFAULT)

    assert bool(made.blobs) is goes
    assert made.young == (Young(0, 0) if goes else Young(1, 7))


def test_without_grace_only_the_future_is_spared() -> None:
    made = decide([_blob(0, timedelta(0)), _blob(1, -timedelta(seconds=1))], _mark(), NOW, AT_ONCE)

    assert [blob.digest for blob in made.blobs] == [NAMES[0]]


def test_a_negative_grace_period_is_refused() -> None:
    with pytest.raises(ValueError, match="is negative"):
        Margins(timedelta(seconds=-1))


def test_what_was_not_listed_is_no_candidate() -> None:
    assert unreachable({NAMES[0], NAMES[1]}, _mark(NAMES[1], NAMES[2])) == {NAMES[0]}


def _served(holding: Holding, readings: dict[DigestText, Reading]) -> set[str]:
    """Return everything that a client could ask for in a repository."""
    served: set[str] = set(holding.revisions)
    manifests: list[str] = list(served)
    followed: set[str] = set()
    while manifests:
        digest = manifests.pop()
        reading = readings.get(digest)
        if digest in followed or not isinstance(reading, References):
            continue
        followed.add(digest)
        served.update(reading.blobs, reading.manifests, reading.named)
        manifests += [*reading.manifests, *reading.named]
    return served


@given(HOLDINGS, READINGS)
def test_nothing_that_a_repository_serves_is_ever_condemned(
    holdings: list[Holding], readings: dict[DigestText, Reading]
) -> None:
    made = mark(holdings, readings)
    assert isinstance(made, CompleteMark)
    condemned = {blob.digest for blob in decide([_blob(n) for n in range(len(NAMES))], made, NOW, DEFAULT).blobs}

    for holding in holdings:
        assert not condemned & _served(holding, readings)
        if any(isinstance(readings.get(digest, Problem("missing", "")), Problem) for digest in holding.revisions):
            assert holding.repository in {broken.repository for broken in made.broken}
            assert holding.layers is not None
            assert not condemned & holding.layers


@given(HOLDINGS, READINGS)
def test_marking_again_without_what_was_condemned_marks_the_same(
    holdings: list[Holding], readings: dict[DigestText, Reading]
) -> None:
    first = mark(holdings, readings)
    assert isinstance(first, CompleteMark)
    left: dict[DigestText, Reading] = {
        digest: reading for digest, reading in readings.items() if digest in first.reachable
    }

    second = mark(holdings, left)

    assert isinstance(second, CompleteMark)
    assert second.reachable == first.reachable
    assert second.broken == first.broken


@given(HOLDINGS, READINGS, st.lists(ANY, max_size=3))
def test_more_revisions_never_condemn_more(
    holdings: list[Holding], readings: dict[DigestText, Reading], pushed: list[Digest]
) -> None:
    first = mark(holdings, readings)
    second = mark([*holdings, Holding("pushed", frozenset(pushed), layers=frozenset())], readings)

    assert isinstance(first, CompleteMark)
    assert isinstance(second, CompleteMark)
    assert first.reachable <= second.reachable
