"""Packed digests are the digests that went in, and the sets made of them behave as sets of text do."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jettison.collect import packed
from jettison.collect.packed import DigestListing, DigestSet, pack, pack_exactly, pack_names, unpack
from jettison.oci.digest import Digest

DIGESTS = st.sampled_from(
    [str(Digest.of(bytes([number]), algorithm)) for number in range(40) for algorithm in ("sha256", "sha512")]
)
SETS = st.frozensets(DIGESTS, max_size=40)
ONE, TWO = (str(Digest.of(body)) for body in (b"1", b"2"))
HEX = ONE.partition(":")[2]
ALMOST = st.sampled_from(
    [
        ONE,
        TWO,
        HEX,
        "",
        "sha256:",
        "\n",
        f"{ONE}\n{TWO}",
        f"{ONE}\n",
        f"\n{ONE}",
        f" {ONE}",
        ONE.upper(),
        f"sha256:{HEX.upper()}",
        f"sha256:{HEX[:-2]}",
        f"sha256:{HEX}ab",
        f"{HEX[:2]}sha256:{HEX[2:]}",
        f"sha256:{HEX[:-2]} {HEX[-2:]}",
        f"sha256: {HEX}",
        f"sha256:sha256:{HEX}",
        str(Digest.of(b"1", "sha512")),
    ]
)


def _is_sha256(text: str) -> bool:
    try:
        return Digest(text).algorithm == "sha256"
    except ValueError:
        return False


@given(st.lists(ALMOST | st.text(max_size=80), max_size=4))
@example([f"{ONE}\n{TWO}", HEX])
@example([ONE + "\nsha256:", HEX])
@example([ONE[:-2], HEX[:2] + TWO])
def test_texts_are_packed_only_where_each_is_a_digest(texts: list[str]) -> None:
    made = pack_exactly(texts)

    if all(map(_is_sha256, texts)):
        assert made is not None
        assert unpack(made) == texts
    else:
        assert made is None


@given(st.lists(ALMOST.map(lambda text: text.removeprefix("sha256:")), max_size=4))
def test_names_are_packed_only_where_each_is_64_lower_case_digits(names: list[str]) -> None:
    made = pack_names(names)

    assert (made is not None) == all(_is_sha256(f"sha256:{name}") for name in names)
    if made is not None:
        assert unpack(made) == [f"sha256:{name}" for name in names]


@given(st.lists(DIGESTS, max_size=20))
def test_others_than_sha256_stay_text(digests: list[str]) -> None:
    made, others = pack(digests)

    assert sorted([*unpack(made), *others]) == sorted(digests)
    assert all(other.startswith("sha512:") for other in others)


def _set(digests: frozenset[str], pieces: int) -> DigestSet:
    """Return a set made of several pieces, in which some digests stand twice."""
    ordered = sorted(digests)
    made = [pack(ordered[start::pieces]) for start in range(pieces)] + [pack(ordered[:2])]
    return DigestSet([piece for piece, _ in made], {other for _, others in made for other in others})


def _listing(digests: frozenset[str], mixed: int = 0) -> DigestListing:
    """Return a listing to which some were added together, the others one by one."""
    ordered = sorted(digests)
    packed, others = pack(ordered[:mixed])
    made = DigestListing()
    made.add_mixed(packed)
    made.add([*ordered[mixed:], *others])
    return made


@given(SETS, SETS, st.integers(1, 4), st.integers(0, 40))
def test_sets_are_sets(left: frozenset[str], right: frozenset[str], pieces: int, mixed: int) -> None:
    listing, reachable = _listing(left, mixed), _set(right, pieces)

    assert (frozenset(listing), frozenset(reachable)) == (left, right)
    assert (len(listing), len(reachable)) == (len(left), len(right))
    assert listing - reachable == left - right
    assert listing - right == left - right
    assert left - reachable == left - right
    assert left & reachable == left & right
    assert listing & right == right & listing == left & right
    assert reachable.among(left) == left & right
    for digest in left | right:
        assert (digest in listing) == (digest in left)
        assert (digest in reachable) == (digest in right)


def test_a_large_listing_is_taken_apart_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = frozenset(str(Digest.of(bytes([a, b]))) for a in range(40) for b in range(40))
    taken = frozenset(sorted(digests)[::3])
    for pieces, part, parts in ((1, 1, 1), (2, 7, 8), (5, 100, 200), (1000, 1600, 1), (1000, 9999, 8)):
        monkeypatch.setattr(packed, "_PIECES", pieces)
        monkeypatch.setattr(packed, "_PART", part)
        monkeypatch.setattr(packed, "_PARTS", parts)
        assert _listing(digests) - _set(taken, 5) == digests - taken
        assert _set(taken, 5).among(digests) == taken


def test_a_digest_that_begins_like_a_taken_one_is_kept() -> None:
    alike = ONE[:23] + "0" * 48

    assert _listing(frozenset({alike, TWO})) - _set(frozenset({ONE}), 1) == {TWO}
    assert alike not in _set(frozenset({ONE}), 1)
