"""The settled meanings in docs/policy.md: each example there is a policy and a table, and is decided here."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository, Tag
from jettison.oci.manifest import Kind, Manifest
from jettison.policy.decision import RepositoryDecisions
from jettison.policy.evaluate import decide_repository
from jettison.policy.in_use import InUse
from jettison.policy.parse import parse_duration, parse_policy
from jettison.testing.inventories import NOW

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
UNTAGGED = "(untagged)"
TITLE_OR_EXAMPLE = re.compile(r"^### ([^\n]+)$|```yaml\n(.*?)```(.*?)\n((?:\|[^\n]*\n)+)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    title: str
    policy: str
    pulls_known: str | None
    rows: Sequence[Mapping[str, str]]


def examples() -> Iterator[Example]:
    """Yield every YAML block below "Settled meanings" with the table behind it."""
    section = PAGE.partition("## Settled meanings")[2].partition("\n## ")[0] + "\n"
    title = ""
    for block in TITLE_OR_EXAMPLE.finditer(section):
        if block[1]:
            title = block[1]
            continue
        heading, _, *lines = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in block[4].splitlines()]
        known = re.search(r"Pulls are known for (\w+)\.", block[3])
        rows = [dict(zip(heading, line, strict=True)) for line in lines]
        yield Example(title, block[2], known[1] if known else None, rows)


def ago(text: str) -> datetime | None:
    return None if text in ("unknown", "never", "") else NOW - parse_duration(text)


def digest(row: Mapping[str, str]) -> Digest:
    return Digest.of(row.get("image", row["tag"]).encode())


def decided(example: Example) -> RepositoryDecisions:
    tagged = [row for row in example.rows if row["tag"] != UNTAGGED]
    manifests = {digest(row): Manifest(digest(row), "", 0, Kind.IMAGE) for row in example.rows}
    dates = {digest(row): date for row in example.rows if (date := ago(row["age"])) is not None}
    repository = Repository(
        "team/app",
        tuple(sorted((Tag(row["tag"], digest(row), ago(row["age"])) for row in tagged), key=lambda tag: tag.name)),
        manifests,
        pushed=dates,
        pulled={row["tag"]: date for row in tagged if (date := ago(row.get("pulled", ""))) is not None},
        pulls_since=ago(example.pulls_known) if example.pulls_known else None,
    )
    used = InUse({repository.name: {row["tag"]: row["in use"] for row in example.rows if row.get("in use")}})
    return decide_repository(repository, parse_policy(example.policy, "docs/policy.md"), NOW, used)


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.title)
def test_the_documentation_tells_what_happens(example: Example) -> None:
    decisions = decided(example)
    tags = {each.tag.name: each.kept for each in decisions.tags}
    found = {}
    told = {}
    for row in example.rows:
        name = f"{row['tag']} {row.get('image', '')}"
        kept = decisions.manifests[digest(row)].kept
        told[name] = row["result"]
        if row["tag"] == UNTAGGED or tags[row["tag"]]:
            found[name] = "kept" if kept else "expired"
        else:
            found[name] = "expired, image kept" if kept else "expired"
    assert found == told


def test_every_settled_meaning_has_an_example() -> None:
    titles = re.findall(r"^### (.+)$", PAGE.partition("## Settled meanings")[2].partition("\n## ")[0], re.MULTILINE)
    assert len(titles) >= 14
    assert set(titles) == {example.title for example in examples()}
