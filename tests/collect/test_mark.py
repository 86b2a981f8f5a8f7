"""Mark: reachability from every revision, and what a repository keeps in which something could not be read."""

import pytest

from jettison.collect.mark import CompleteMark, Holding, IncompleteMark, Reading, mark
from jettison.collect.packed import DigestSet
from jettison.collect.references import References
from jettison.oci.digest import Digest
from jettison.oci.inventory import Problem

DAMAGE = Problem("wrong-hash", "it is damaged")


def _d(name: str, algorithm: str = "sha256") -> Digest:
    return Digest.of(name.encode(), algorithm)


def _complete(*holdings: Holding, readings: dict[str, Reading]) -> CompleteMark:
    made = mark(holdings, {_d(name): reading for name, reading in readings.items()})
    assert isinstance(made, CompleteMark)
    return made


def test_a_complete_mark_cannot_be_made_up() -> None:
    with pytest.raises(TypeError, match="and by nothing else"):
        CompleteMark(object(), DigestSet([]), ())


def test_configs_layers_children_and_subjects_are_reached() -> None:
    made = _complete(
        Holding("a", frozenset({_d("index")})),
        readings={
            "index": References.of((_d("cache layer"),), (_d("child"), _d("subject"))),
            "child": References.of((_d("config"), _d("layer"))),
            "subject": References.of((_d("subject's layer"),)),
            "of nobody": References.of((_d("its layer"),)),
        },
    )

    assert set(made.reachable) == {
        _d(name) for name in ("index", "cache layer", "child", "subject", "config", "layer", "subject's layer")
    }
    assert made.broken == ()


def test_a_loop_of_indexes_ends() -> None:
    made = _complete(
        Holding("a", frozenset({_d("one")})),
        readings={"one": References.of((), (_d("two"), _d("one"))), "two": References.of((), (_d("one"),))},
    )

    assert set(made.reachable) == {_d("one"), _d("two")}


def test_what_an_unknown_manifest_names_is_followed_as_far_as_it_can_be() -> None:
    made = _complete(
        Holding("a", frozenset({_d("unknown")})),
        readings={"unknown": References.of(named=(_d("image"), _d("blob"))), "image": References.of((_d("layer"),))},
    )

    assert set(made.reachable) == {_d("unknown"), _d("image"), _d("blob"), _d("layer")}


def test_a_sha512_layer_marks_the_blob_that_holds_it() -> None:
    name = _d("layer", "sha512")
    made = _complete(
        Holding("a", frozenset({_d("image")}), stored_as={name: _d("layer"), _d("x", "sha512"): _d("x")}),
        readings={"image": References.of((name,))},
    )

    assert _d("layer") in made.reachable
    assert _d("x") not in made.reachable


def test_another_repositorys_link_tells_where_a_sha512_layer_is() -> None:
    name = _d("layer", "sha512")
    made = _complete(
        Holding("a", frozenset({_d("image")})),
        Holding("b", stored_as={name: _d("layer")}),
        readings={"image": References.of((name,))},
    )

    assert _d("layer") in made.reachable


@pytest.mark.parametrize("reading", [DAMAGE, None], ids=["damaged", "missing"])
def test_a_repository_with_a_manifest_that_cannot_be_read_keeps_its_layers(reading: Reading | None) -> None:
    readings: dict[str, Reading] = {"good": References.of((_d("5"),))}
    if reading is not None:
        readings["bad"] = reading

    made = _complete(
        Holding(
            "a", frozenset({_d("bad")}), layers=frozenset({_d("1"), _d("2")}), stored_as={_d("3", "sha512"): _d("3")}
        ),
        Holding("b", frozenset({_d("good")}), layers=frozenset({_d("4")})),
        readings=readings,
    )

    assert [broken.repository for broken in made.broken] == ["a"]
    assert set(made.reachable) == {_d(name) for name in ("bad", "1", "2", "3", "good", "5")}


def test_a_damaged_child_breaks_the_repository() -> None:
    made = _complete(
        Holding("a", frozenset({_d("index")}), layers=frozenset({_d("1")})),
        readings={"index": References.of((), (_d("child"),)), "child": DAMAGE},
    )

    assert made.broken[0].problems == (DAMAGE,)
    assert _d("1") in made.reachable


def test_a_problem_that_does_not_block_breaks_nothing() -> None:
    made = _complete(Holding("a", problems=(Problem("foreign", "a file", blocks=False),)), readings={})

    assert made.broken == ()


def test_the_target_of_a_dangling_tag_is_reached() -> None:
    made = _complete(
        Holding("a", tagged=frozenset({_d("image")}), layers=frozenset(), problems=(Problem("dangling-tag", "x"),)),
        readings={"image": References.of((_d("layer"),))},
    )

    assert set(made.reachable) == {_d("image"), _d("layer")}


def test_what_could_not_be_listed_makes_the_mark_incomplete() -> None:
    unlisted = Problem("unlisted", "permission denied")
    made = mark([Holding("a", problems=(unlisted,), layers=frozenset(), is_complete=False), Holding("b")], {})

    assert isinstance(made, IncompleteMark)
    assert made.problems == (unlisted,)
    assert [broken.repository for broken in made.broken] == ["a"]


def test_repositories_that_could_not_be_listed_make_the_mark_incomplete() -> None:
    unlisted = Problem("unlisted", "permission denied")

    assert isinstance(mark([Holding("b")], {}, [unlisted]), IncompleteMark)


def test_a_broken_repository_whose_layers_nobody_listed_makes_the_mark_incomplete() -> None:
    assert isinstance(mark([Holding("a", frozenset({_d("bad")}))], {_d("bad"): DAMAGE}), IncompleteMark)
