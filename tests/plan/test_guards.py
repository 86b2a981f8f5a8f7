"""The brakes: what stops a run before its first deletion."""

import pytest

from jettison.plan import model
from jettison.plan.guards import Seen, brakes
from jettison.plan.model import Plan, RepositoryTotals, Server, Totals
from jettison.policy.model import LastImage, Limits, Share
from jettison.testing.inventories import NOW


def plan(*repositories: tuple[str, int, int]) -> Plan:
    """Return a plan by what each repository has and loses: (name, tags, deleted tags)."""
    totals = tuple(RepositoryTotals(name, tags, deleted, deleted, 0) for name, tags, deleted in repositories)
    tags, deleted = sum(each[1] for each in repositories), sum(each[2] for each in repositories)
    return Plan(
        registry="http://r",
        created=NOW,
        source="api",
        policy="test",
        server=Server(),
        limits=model.PlanLimits(),
        totals=Totals(len(repositories), tags, deleted, deleted, 0, 0, 0),
        repositories=totals,
        actions=(),
    )


def codes(made: Plan, limits: Limits, seen: Seen | None = None) -> list[str]:
    return [brake.code for brake in brakes(made, limits, seen)]


def test_nothing_stops_a_modest_plan() -> None:
    assert codes(plan(("a", 10, 2), ("empty", 0, 0)), Limits(Share(30))) == []


def test_the_last_image_of_a_repository() -> None:
    made = plan(("a", 10, 2), ("b", 3, 3))
    assert codes(made, Limits()) == ["last-image"]
    assert codes(made, Limits(last_image=LastImage.ALLOW)) == []


def test_a_share_of_a_repository_and_of_the_registry() -> None:
    assert codes(plan(("a", 100, 1), ("b", 10, 4)), Limits(Share(30))) == ["deletions"]
    assert codes(plan(("a", 10, 4), ("b", 10, 4)), Limits(Share(30))) == ["deletions", "deletions"]
    assert codes(plan(("a", 10, 3)), Limits(Share(30))) == []


def test_a_number_of_tags() -> None:
    assert codes(plan(("a", 100, 11)), Limits(10)) == ["deletions"]
    assert codes(plan(("a", 100, 10)), Limits(10)) == []
    assert codes(plan(("a", 100, 1)), Limits(0)) == ["deletions"]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Seen(2, 20), []),
        (Seen(4, 40), []),
        (Seen(5, 20), ["truncated"]),
        (Seen(2, 41), ["truncated"]),
        (Seen(50, 500), ["truncated", "truncated"]),
    ],
)
def test_far_fewer_images_than_last_time(seen: Seen, expected: list[str]) -> None:
    assert codes(plan(("a", 10, 1), ("b", 10, 1)), Limits(), seen) == expected


def test_messages_say_the_way_out() -> None:
    texts = [brake.text for brake in brakes(plan(("b", 3, 3)), Limits(Share(10)), Seen(9, 90))]
    for way_out in ("--accept-listing", "--allow-last-image", "--max-deletions"):
        assert any(way_out in text for text in texts)
