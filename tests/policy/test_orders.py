"""Which date a count or an age goes by, and what becomes of what has none."""

from datetime import UTC, datetime, timedelta

import pytest

from jettison.errors import ConfigurationError
from jettison.oci.config import ConfigFacts
from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository, Tag
from jettison.oci.manifest import Descriptor, Kind, Manifest
from jettison.policy.evaluate import decide_repository
from jettison.policy.parse import parse_policy

NOW = datetime(2026, 6, 1, tzinfo=UTC)
Ages = dict[str, int | None]


def repository(stored: Ages, tagged: Ages | None = None, built: Ages | None = None) -> Repository:
    """Return a repository with an image for each name, the days since each date given."""
    tagged, built = tagged or {}, built or {}
    manifests, facts, pushed, tags = {}, {}, {}, []
    for number, (name, age) in enumerate(stored.items()):
        digest, config = Digest("sha256:" + f"{number:064x}"), Digest("sha256:" + f"{number + 1000:064x}")
        descriptor = Descriptor("application/vnd.oci.image.config.v1+json", config, 2)
        media_type = "application/vnd.oci.image.manifest.v1+json"
        manifests[digest] = Manifest(digest, media_type, 2, Kind.IMAGE, descriptor, (descriptor,))
        facts[config] = ConfigFacts(_ago(built.get(name)), "linux/amd64")
        date = _ago(age)
        if date is not None:
            pushed[digest] = date
        tags.append(Tag(name, digest, _ago(tagged.get(name, age))))
    return Repository("app", tuple(tags), manifests, facts, pushed=pushed)


def _ago(days: int | None) -> datetime | None:
    return None if days is None else NOW - timedelta(days=days)


def gone(repo: Repository, keep: str, unit: str = "tag") -> list[str]:
    rules = f"rules: [{{tags: {{glob: '*'}}, keep: {keep}}}]"
    policy = parse_policy(f"policies: [{{repositories: ['**'], unit: {unit}, {rules}}}]", "policy")
    return [each.tag.name for each in decide_repository(repo, policy, NOW).tags if not each.kept]


def test_stored_is_when_the_image_came_whichever_tag_it_got_since() -> None:
    repo = repository({"old": 90, "new": 5}, tagged={"old": 1, "new": 5})
    assert gone(repo, "{newest: 1, by: pushed}") == ["new"]
    assert gone(repo, "{newest: 1, by: stored}") == ["old"]
    assert gone(repo, "{within: 7d, by: stored}") == ["old"]


def test_tagged_is_the_latest_time_of_an_image_and_its_tags() -> None:
    repo = repository({"old": 90, "new": 5}, tagged={"old": 1, "new": 5})
    assert gone(repo, "{newest: 1, by: pushed}", unit="image") == ["old"]
    assert gone(repo, "{newest: 1, by: tagged}", unit="image") == ["new"]


def test_no_push_stands_in_for_built() -> None:
    repo = repository({"a": 3, "b": 2}, built={"a": 50, "b": None})
    assert gone(repo, "{newest: 1, by: built, unknown: oldest}") == ["b"]
    assert gone(repo, "{newest: 1, by: created, unknown: oldest}") == ["a"]


@pytest.mark.parametrize(
    ("unknown", "expected"),
    [("keep", ["past"]), ("oldest", ["past", "undated"]), ("newest", ["future", "past"]), ("now", ["past", "undated"])],
)
def test_what_has_no_date_takes_its_place(unknown: str, expected: list[str]) -> None:
    repo = repository({"future": -1, "past": 10, "undated": None})
    assert gone(repo, f"{{newest: 1, by: pushed, unknown: {unknown}}}") == expected


def test_now_is_a_date() -> None:
    repo = repository({"past": 10, "undated": None})
    assert gone(repo, "{newest: 1, by: pushed, unknown: now}") == ["past"]
    assert gone(repo, "{within: 1d, unknown: now}") == ["past"]
    assert gone(repo, "{daily: 1, unknown: now}") == ["past"]
    with pytest.raises(ConfigurationError, match="`now` is a date, and the count is by version"):
        gone(repo, "{newest: 1, by: version, unknown: now}")
