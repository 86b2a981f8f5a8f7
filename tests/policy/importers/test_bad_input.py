"""Whatever text is imported: it is refused with a reason, or becomes a policy that ours reads."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.importers.replay import FOLDER, cases_of, options_of

from jettison.errors import PolicyImportError
from jettison.policy.importers import SYSTEMS, convert
from jettison.policy.importers.model import Options, read_json
from jettison.policy.parse import parse_policy

WORDS = (
    "",
    "a",
    "*",
    "-1d",
    "10d",
    "1.5d",
    "tagged",
    "Delete",
    "9" * 30,
    "{",
    "[",
    "(",
    "\\",
    "😀",
    "\x00",
    "\ud800",
    "../a",
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=8),
    st.just([]), st.just({}), st.just([None]), st.just({"a": 1}), st.just([[]]),
)  # fmt: skip


def documents() -> Iterator[Any]:
    """Yield the cases whose policy is JSON, with the document."""
    for system in SYSTEMS:
        if (FOLDER / f"{system}.cases.yaml").exists():
            for case in cases_of(system):
                try:
                    yield system, case, json.loads(case["policy"])
                except ValueError:
                    continue


DOCUMENTS = list(documents())


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a document: what holds it, and its key or index."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from places(node[key])


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, Options, str]:
    """Draw a policy of a case with up to three places taken away, or holding something else."""
    system, case, whole = draw(st.sampled_from(DOCUMENTS))
    document = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(document))
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        match draw(st.integers(0, 3)):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[draw(st.sampled_from(WORDS))] = holder[key]
            case 2:
                other, where = draw(st.sampled_from(found))
                holder[key] = copy.deepcopy(other[where]) if where in other or isinstance(other, list) else None
            case _:
                holder[key] = copy.deepcopy(draw(VALUES))  # what just() gives is one object for all
    return system, options_of(case), json.dumps(document)


@settings(deadline=None, max_examples=300)
@given(damaged())
def test_a_damaged_policy_is_refused_or_still_one(damage: tuple[str, Options, str]) -> None:
    system, options, text = damage
    try:
        imported = convert(system, text, options)
    except PolicyImportError:
        return
    assert parse_policy(imported.yaml, "imported.yaml").policies


@settings(deadline=None)
@given(st.sampled_from(list(SYSTEMS)), st.text(max_size=60))
def test_any_text_is_refused_or_a_policy(system: str, text: str) -> None:
    if not (FOLDER / f"{system}.cases.yaml").exists():
        return
    try:
        imported = convert(system, text, Options(project="team"))
    except PolicyImportError:
        return
    parse_policy(imported.yaml, "imported.yaml")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "line 1, column 2"),
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice"),
        ("[" * 200_000, "nested too deeply"),
        ("[" * 80 + "]" * 80, "nested too deeply"),
        ("1" * 5000, "digits"),
    ],
)
def test_json_is_read_strictly(text: str, why: str) -> None:
    with pytest.raises(PolicyImportError, match=f"this is no JSON: .*{why}"):
        read_json(text, "this is no JSON")
