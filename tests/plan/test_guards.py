"""The brakes: what stops a run before its first deletion."""

import msgspec
import pytest

from jettison.plan import model
from jettison.plan.guards import Seen, brakes
from jettison.plan.model import Plan, PolicyLimits, RepositoryTotals, Server, Totals
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


def under(made: Plan, *limits: PolicyLimits, deletions: str | None = None, last_image: str = "refuse") -> Plan:
    return msgspec.structs.replace(made, limits=model.PlanLimits(deletions, last_image, limits))


def test_a_policy_has_brakes_of_its_own() -> None:
    made = plan(("team/a", 100, 20), ("team/b", 100, 1), ("other", 100, 90))
    own = PolicyLimits("team", ("team/a", "team/b"), "10%")
    texts = [brake.text for brake in brakes(under(made, own), Limits())]
    assert len(texts) == 2
    assert texts[0].startswith("21 of 200 tags of policy team would go, the limit is 10%")
    assert texts[1].startswith("20 of 100 tags of team/a would go, the limit is 10%")
    assert codes(under(made, PolicyLimits("team", ("team/a", "team/b"), "21")), Limits()) == []
    assert codes(under(made, PolicyLimits("team", ("team/a", "team/b"), "20")), Limits()) == ["deletions"]


def test_a_policy_may_empty_its_repositories_where_others_must_not() -> None:
    own = PolicyLimits("scratch", ("tmp",), None, "allow")
    assert codes(under(plan(("tmp", 3, 3), ("app", 3, 1)), own), Limits()) == []
    assert codes(under(plan(("tmp", 3, 3), ("app", 3, 3)), own), Limits()) == ["last-image"]
    careful = PolicyLimits("app", ("app",), None, "refuse")
    allowed = under(plan(("app", 3, 3), ("tmp", 3, 3)), careful, last_image="allow")
    (brake,) = brakes(allowed, Limits(last_image=LastImage.ALLOW))
    assert brake.text.startswith("app would lose every tag")


def test_the_command_line_goes_over_a_policys_brakes() -> None:
    own = PolicyLimits("app", ("app",), "10%", "refuse")
    made = under(plan(("app", 3, 3)), own)
    assert codes(made, Limits()) == ["last-image", "deletions", "deletions"]
    assert codes(made, Limits(Share(100), LastImage.ALLOW)) == []
