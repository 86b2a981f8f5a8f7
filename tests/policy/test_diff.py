"""What another policy changes, on inventories made here."""

from datetime import timedelta

from jettison.app.policy_diff import diff_policies
from jettison.policy.diff import Side
from jettison.policy.parse import parse_policy
from jettison.testing.images import image
from jettison.testing.inventories import NOW, inventory, repository

TAGS = {f"1.{number}": image(seed=number) for number in range(4)}
INVENTORY = inventory(
    repository(
        "team/app",
        TAGS | {"main": image(seed="main")},
        untagged=(image(seed="alone"),),
        pushed=dict.fromkeys((*TAGS, "main"), NOW - timedelta(days=9)),
    ),
    repository("other/app", TAGS),
)


def policy(keep: str, more: str = "") -> str:
    return f'policies: [{{repositories: "team/*", rules: [{{name: r, tags: {{version: "*"}}, keep: {keep}}}{more}]}}]'


def diff(old: str, new: str) -> tuple[list[str | None], list[str | None], list[str | None], int]:
    told = diff_policies(INVENTORY, Side(parse_policy(old, "old")), Side(parse_policy(new, "new")), NOW)
    lists = ([each.tag for each in changes] for changes in (told.goes, told.stays, told.others))
    goes, stays, others = lists
    return goes, stays, others, told.new_frees - told.old_frees


def test_the_same_policy_changes_nothing() -> None:
    assert diff(policy("{newest: 2}"), policy("{newest: 2}")) == ([], [], [], 0)


def test_what_goes_and_what_stays() -> None:
    goes, stays, others, frees = diff(policy("{newest: 3}"), policy("{newest: 1}"))
    assert (goes, stays, others) == (["1.1", "1.2"], [], [])
    # Each image has layers of its own, and what `other/app` holds too does not come back.
    assert frees == 0
    assert diff(policy("{newest: 1}"), policy("{newest: 3}"))[:2] == ([], ["1.1", "1.2"])


def test_bytes_and_untagged_manifests() -> None:
    other = policy("{newest: 9}").replace("}]}]", "}], untagged: {keep: {nothing: true}}}]")
    goes, stays, _, frees = diff(policy("{newest: 9}"), other)
    assert (goes, stays) == ([None], [])
    assert frees > 0


def test_another_rule_to_the_same_end() -> None:
    others = diff(policy("{newest: 9}"), policy("{newest: 9}", ', {name: s, tags: "m*", keep: {newest: 1}}'))[2]
    assert others == ["main"]


def test_an_image_that_outlives_its_tag_is_told() -> None:
    old = policy("{newest: 3}")
    goes, stays, _, frees = diff(old, old.replace("rules:", "images_outlive_tags: true, rules:"))
    assert (goes, stays) == ([], [None])
    assert frees <= 0
