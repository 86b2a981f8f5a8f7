"""docs/policy-import.md is true: each example is what import writes."""

import re
from pathlib import Path

import pytest

from jettison.policy.importers import SYSTEMS, convert
from jettison.policy.importers.model import Options
from jettison.policy.parse import parse_policy

PAGE = (Path(__file__).parents[3] / "docs" / "policy-import.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```(?:json|yaml|text) ([a-z-]+)((?: \w+=\S+)*)\n(.*?)```\n```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("system", "options", "theirs", "ours"), EXAMPLES)
def test_an_example_is_what_import_writes(system: str, options: str, theirs: str, ours: str) -> None:
    given = dict(pair.split("=") for pair in options.split())
    assert convert(system, theirs, Options(**given)).yaml == ours  # type: ignore[arg-type]  # all texts
    assert parse_policy(ours, system).policies


def test_each_system_has_an_example() -> None:
    documented = set(re.findall(r"^## ([a-z-]+)$", PAGE, re.MULTILINE))
    assert {system for system, *_ in EXAMPLES} == documented
    assert documented <= set(SYSTEMS)
