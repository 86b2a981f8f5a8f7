"""Plans: what is in them, in which order, and what they free to the byte."""

import itertools

from jettison.oci.inventory import Inventory
from jettison.plan.build import build_plan
from jettison.plan.codec import decode, encode, seal
from jettison.plan.model import Action, ActionKind, DeleteBy, Plan, PolicyLimits, Server
from jettison.policy.evaluate import decide
from jettison.policy.model import Limits, keep_newest_versions
from jettison.policy.parse import parse_policy
from jettison.testing.images import image, index, random_layer, signature_of, signature_tag
from jettison.testing.inventories import NOW, inventory, repository

V2 = Server("2.8.2", deletes_tags=False)
V3 = Server("3.1.1", deletes_tags=True)


def plan_of(stock: Inventory, keep: int = 1, server: Server = V2, *, with_kept: bool = False) -> Plan:
    policy = keep_newest_versions(keep)
    return build_plan(
        stock, decide(stock, policy, NOW), policy="test", limits=Limits(), server=server, now=NOW, with_kept=with_kept
    )


def targets(plan: Plan) -> list[tuple[ActionKind, tuple[str, ...]]]:
    return [(action.action, action.tags) for action in plan.actions]


def test_an_image_goes_with_all_its_tags() -> None:
    old, new = image(seed="old"), image(seed="new")
    plan = plan_of(inventory(repository("app", {"1.0": old, "1.0.0": old, "2.0": new})))
    assert targets(plan) == [(ActionKind.DELETE_MANIFEST, ("1.0", "1.0.0"))]
    (action,) = plan.actions
    assert action.precondition.tags == {"1.0": old.digest, "1.0.0": old.digest}
    assert action.precondition.unneeded
    assert action.reason.rule == "--keep 1"
    assert action.frees == action.size == sum(old.sizes().values())


def test_what_is_freed_is_what_nobody_else_needs() -> None:
    base = random_layer("base", 5000)
    old, older, new = (image([base, random_layer(each, 1000)], seed=each) for each in ("old", "older", "new"))
    plan = plan_of(inventory(repository("app", {"1.0": older, "2.0": old, "3.0": new})))
    base_size = max(new.sizes().values())
    expected = sum(old.sizes().values()) + sum(older.sizes().values()) - 2 * base_size
    assert plan.totals.frees == expected
    assert plan.totals.shared == base_size
    assert sum(action.frees for action in plan.actions) == expected


def test_what_only_expired_images_share_is_freed_by_all_of_them_and_none_alone() -> None:
    base = random_layer("base", 5000)
    a, b = (image([base], seed=each) for each in "ab")
    plan = plan_of(inventory(repository("app", {"1.0": a, "2.0": b, "3.0": image(seed="new")})))
    union = sum((a.sizes() | b.sizes()).values())
    assert plan.totals.frees == union
    assert sum(action.frees for action in plan.actions) < union


def test_another_repository_keeps_the_blobs_that_it_shares() -> None:
    old = image(seed="old")
    stock = inventory(repository("app", {"1.0": old, "2.0": image(seed="new")}), repository("copy", {"stable": old}))
    plan = plan_of(stock)
    assert len(plan.actions) == 1
    assert plan.totals.frees == 0
    assert plan.totals.shared == sum(old.sizes().values())


def test_totals_by_repository_count_only_their_own_actions() -> None:
    old = image(seed="old")
    both = {"1.0": old, "2.0": image(seed="new")}
    plan = plan_of(inventory(repository("one", both), repository("two", both)))
    assert [each.frees for each in plan.repositories] == [0, 0]
    assert plan.totals.frees == sum(old.sizes().values())


def test_on_2_8_an_expired_tag_of_a_kept_digest_stays_and_the_plan_says_why() -> None:
    shared = image(seed="shared")
    stock = inventory(repository("app", {"1.0": shared, "latest": shared, "2.0": image(seed="new")}))
    plan = plan_of(stock)
    assert plan.actions == ()
    (stay,) = plan.stays
    assert (stay.tag, stay.reason.code) == ("1.0", "server-deletes-no-tag")
    assert "latest needs the same manifest" in stay.reason.text


def test_on_2_8_the_last_tag_of_an_image_that_outlives_it_stays() -> None:
    stock = inventory(repository("app", {"1.0": image(seed="old"), "2.0": image(seed="new")}))
    text = (
        "policies: [{repositories: '**', rules: [{tags: '*', keep: {newest: 1, by: name}}], images_outlive_tags: true}]"
    )
    policy = parse_policy(text, "policy.yaml")
    plan = build_plan(stock, decide(stock, policy, NOW), policy="test", limits=Limits(), server=V2, now=NOW)
    (stay,) = plan.stays
    assert (plan.actions, stay.tag) == ((), "1.0")
    assert "its image stays (untagged, and the policy does not mention untagged manifests)" in stay.reason.text


def test_on_3_x_that_tag_goes_alone() -> None:
    shared = image(seed="shared")
    stock = inventory(repository("app", {"1.0": shared, "latest": shared, "2.0": image(seed="new")}))
    plan = plan_of(stock, server=V3)
    assert targets(plan) == [(ActionKind.DELETE_TAG, ("1.0",))]
    assert plan.actions[0].frees == 0
    assert plan.stays == ()


def test_where_nobody_knows_whether_tags_can_be_deleted_it_is_tried() -> None:
    shared = image(seed="shared")
    stock = inventory(repository("app", {"1.0": shared, "latest": shared, "2.0": image(seed="new")}))
    assert targets(plan_of(stock, server=Server())) == [(ActionKind.DELETE_TAG, ("1.0",))]


def test_by_tag_no_digest_is_deleted() -> None:
    old = image(seed="old")
    tags = {"1.0": old, "1.0.0": old, "2.0": image(seed="new"), signature_tag(old.digest): signature_of(old.digest)}
    plan = plan_of(inventory(repository("app", tags)), server=Server("3.1.1", True, DeleteBy.TAG))
    assert {action.action for action in plan.actions} == {ActionKind.DELETE_TAG}
    assert sorted(tag for action in plan.actions for tag in action.tags) == sorted(set(tags) - {"2.0"})
    assert plan.totals.deleted_manifests == 0


def test_owners_go_before_what_belongs_to_them() -> None:
    children = [image(seed=each, platform=f"linux/{each}") for each in ("amd64", "arm64")]
    multi = index(children)
    tags = {"1.0": multi, "1.0-amd64": children[0], "2.0": image(seed="new"), "2.0-amd64": image(seed="newer")}
    tags |= {signature_tag(children[0].digest): signature_of(children[0].digest)}
    plan = plan_of(inventory(repository("app", tags)))
    order = [action.digest for action in plan.actions]
    assert (
        order.index(multi.digest)
        < order.index(children[0].digest)
        < order.index(signature_of(children[0].digest).digest)
    )
    assert len(order) == 4


def test_the_kept_are_listed_on_request() -> None:
    stock = inventory(repository("app", {"1.0": image(seed=1), "2.0": image(seed=2), "latest": image(seed=3)}))
    assert plan_of(stock).kept is None
    kept = plan_of(stock, with_kept=True).kept
    assert kept is not None
    assert {(each.tag, each.reason.code) for each in kept} == {("2.0", "newest"), ("latest", "no-rule")}


def test_the_same_inventory_gives_the_same_plan_whatever_its_order() -> None:
    tags = {f"1.{n}": image(seed=n) for n in range(4)} | {"2.0": index([image(seed="a"), image(seed="b")])}
    repo = repository("app", tags)
    plans = set()
    for order in itertools.permutations(sorted(repo.manifests)[:4]):
        rest = [digest for digest in repo.manifests if digest not in order]
        manifests = {digest: repo.manifests[digest] for digest in (*order, *rest)}
        mixed = type(repo)(repo.name, repo.tags, manifests, repo.facts)
        plans.add(tuple(action.digest for action in plan_of(inventory(mixed)).actions))
    assert len(plans) == 1


def test_ages_are_of_the_push_where_it_is_known() -> None:
    repo = repository("app", {"1.0": image(seed="a", created=NOW), "2.0": image(seed="b")}, pushed={"1.0": NOW})
    (action,) = plan_of(inventory(repo)).actions
    assert isinstance(action, Action)
    assert action.created == NOW


def test_a_plan_carries_the_brakes_of_policies_and_the_names_of_rules() -> None:
    text = """
        policies:
          - name: apps
            repositories: "app*"
            limits: {deletions: 10%}
            rules: [{name: r, tags: "*", keep: {newest: 1, by: name}}]
          - {repositories: "**", rules: [{tags: "*", keep: {newest: 1, by: name}}]}
    """
    policy = parse_policy(text, "policy.yaml")
    names = ("app-a", "app-b", "other")
    found = inventory(*(repository(name, {"1": image(seed=1), "2": image(seed=2)}) for name in names))
    made = build_plan(found, decide(found, policy, NOW), policy="p", limits=policy.limits, server=Server(), now=NOW)
    assert made.limits.policies == (PolicyLimits("apps", ("app-a", "app-b"), "10%", "refuse"),)
    assert {(action.repository, action.reason.policy, action.reason.rule) for action in made.actions} == {
        ("app-a", "apps", "r"),
        ("app-b", "apps", "r"),
        ("other", None, "rule 1"),
    }
    assert decode(encode(seal(made)), "plan.json").limits == made.limits
