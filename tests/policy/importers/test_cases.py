"""Ours decides as theirs does: every case of every system is imported, parsed by us, and decided on its images."""

import re
import warnings
from importlib.util import find_spec
from typing import Any

import pytest
from tests.policy.importers.replay import FOLDER, cases_of, gone, options_of

from jettison.errors import PolicyImportError
from jettison.policy.importers import SYSTEMS, convert

COUNTS: dict[str, tuple[int, int]] = {
    "ecr": (71, 0),
    "artifact-registry": (75, 0),
    "quay": (80, 1),
    "gitlab": (60, 1),
    "acr": (83, 2),
    "harbor": (101, 0),
    "zot": (94, 1),
}
"""Of each system: how many cases there are, and how many of them our language cannot say exactly."""

CASES = [
    pytest.param(system, case, id=f"{system}-{case['name']}")
    for system in SYSTEMS
    if (FOLDER / f"{system}.cases.yaml").exists() and find_spec(f"jettison.policy.importers.{SYSTEMS[system]}")
    for case in cases_of(system)
]


@pytest.mark.parametrize(("system", "case"), CASES)
def test_a_policy_decides_here_as_it_does_there(system: str, case: dict[str, Any]) -> None:
    if "refused" in case:
        with pytest.raises(PolicyImportError) as refusal:
            convert(system, case["policy"], options_of(case))
        assert _words(str(refusal.value)) & _words(case["refused"]), f"refused for another reason: {refusal.value}"
        return
    imported = convert(system, case["policy"], options_of(case))
    expected = set(case["deleted"])
    if "beyond" in case:
        assert imported.warnings, "what cannot be said exactly is not told"
        assert set(case["ours"]) < expected, "ours may keep more, and never less"
        expected = set(case["ours"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gone(imported.yaml, case) == expected, imported.yaml


def _words(text: str) -> set[str]:
    """Return the beginnings of the words that tell something: a message and a case's reason share at least one."""
    return {word[:4] for word in re.findall("[a-z]{4,}", text.lower())}


@pytest.mark.parametrize("system", list(COUNTS))
def test_the_cases_are_all_there(system: str) -> None:
    cases = cases_of(system)
    assert len({case["name"] for case in cases}) == len(cases)
    assert (len(cases), sum("beyond" in case for case in cases)) == COUNTS[system]
