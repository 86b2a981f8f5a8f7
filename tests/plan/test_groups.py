"""Sums by rule and by reason: each has what goes by it, and only the bytes that come back if only that goes."""

from jettison.oci.inventory import Inventory
from jettison.plan.build import build_plan
from jettison.plan.model import DeleteBy, Group, Plan, Server
from jettison.policy.evaluate import decide
from jettison.policy.parse import parse_policy
from jettison.testing.images import image, index, signature_of, signature_tag
from jettison.testing.inventories import NOW, inventory, repository

ONE, TWO, THREE = (image(seed=number) for number in range(3))
BOTH = index([ONE, image(seed="arm", platform="linux/arm64")])
POLICY = """
policies:
  - name: team
    repositories: ["team/*"]
    rules:
      - {name: releases, tags: {version: "*"}, keep: {newest: 1}}
      - {name: rest, tags: "r*", keep: {nothing: true}}
    untagged: {keep: {nothing: true}}
  - repositories: ["**"]
    rules: [{name: all, tags: "*", keep: {nothing: true}}]
limits: {last_image: allow}
"""


def plan(found: Inventory, delete_by: DeleteBy = DeleteBy.DIGEST) -> Plan:
    policy = parse_policy(POLICY, "policy")
    server = Server(deletes_tags=True, delete_by=delete_by)
    return build_plan(found, decide(found, policy, NOW), policy="", limits=policy.limits, server=server, now=NOW)


def sums(made: Plan, by: str) -> dict[str, Group]:
    return {each.name: each for each in made.groups if each.by == by}


def test_platforms_and_signatures_count_for_the_rule_of_their_image() -> None:
    tags = {"1.0": BOTH, "2.0": THREE, signature_tag(BOTH.digest): signature_of(BOTH.digest), "r1": TWO}
    made = plan(inventory(repository("team/app", tags)))
    found = sums(made, "rule")
    assert {name: (each.tags, each.manifests) for name, each in found.items()} == {
        "team: releases": (2, 4),
        "team: rest": (1, 1),
    }
    assert sum(each.frees for each in found.values()) == made.totals.frees
    assert set(sums(made, "reason")) == {"not-newest", "child-of-expired", "referrer-of-expired", "nothing"}


def test_what_two_rules_share_is_in_neither_sum() -> None:
    made = plan(inventory(repository("team/app", {"1.0": ONE, "2.0": THREE, "r1": BOTH}), repository("x", {"y": ONE})))
    found = sums(made, "rule")
    assert set(found) == {"team: releases", "team: rest", "all"}
    # `1.0` is a platform of `r1` and `x` has it too: alone none of them gives its layers back, together they do.
    assert found["all"].frees == 0
    assert found["team: releases"].frees == 0
    assert sum(each.frees for each in found.values()) < made.totals.frees


def test_untagged_manifests_and_what_is_deleted_tag_by_tag() -> None:
    kept = inventory(repository("team/app", {"2.0": THREE, "1.0": ONE, "1.1": ONE}, untagged=(TWO,)))
    made = sums(plan(kept), "rule")
    assert (made["team: untagged"].tags, made["team: untagged"].manifests) == (0, 1)
    by_tag = sums(plan(kept, DeleteBy.TAG), "rule")
    assert (by_tag["team: releases"].tags, by_tag["team: releases"].manifests) == (2, 0)
    assert by_tag["team: releases"].frees == made["team: releases"].frees > 0


def test_nothing_that_goes_makes_no_group() -> None:
    assert plan(inventory(repository("team/app", {"2.0": THREE}))).groups == ()
