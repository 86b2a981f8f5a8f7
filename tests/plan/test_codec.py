"""Plan files: written, read, and refused where they are not what was written."""

import json
from datetime import timedelta

import pytest

from jettison.errors import PlanRejectedError
from jettison.plan.build import build_plan
from jettison.plan.codec import decode, encode, refuse_stale, seal
from jettison.plan.model import Plan, Server
from jettison.policy.evaluate import decide
from jettison.policy.model import Limits, keep_newest_versions
from jettison.testing.images import image
from jettison.testing.inventories import NOW, inventory, repository


@pytest.fixture
def plan() -> Plan:
    stock = inventory(repository("app", {"1.0": image(seed=1, created=NOW), "2.0": image(seed=2)}))
    decisions = decide(stock, keep_newest_versions(1), NOW)
    made = build_plan(stock, decisions, policy="test", limits=Limits(), server=Server(), now=NOW, with_kept=True)
    return seal(made)


def test_a_plan_comes_back_as_it_was(plan: Plan) -> None:
    assert decode(encode(plan), "plan.json") == plan
    assert decode(encode(plan, indent=0), "plan.json") == plan


def test_it_has_what_the_documentation_promises(plan: Plan) -> None:
    document = json.loads(encode(plan))
    assert {"version", "registry", "created", "fingerprint", "totals", "actions", "kept"} <= document.keys()
    (action,) = document["actions"]
    assert {"action", "repository", "tags", "digest", "reason", "frees", "precondition"} <= action.keys()
    assert {"code", "text"} <= action["reason"].keys()
    assert action["action"] == "delete-manifest"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace(b'"1.0"', b'"2.0"'), "was changed after it was made"),
        (lambda text: text.replace(b'"app"', b'"other"'), "was changed after it was made"),
        (lambda text: text.replace(b'"version": 1', b'"force": true, "version": 1'), "was changed after it was made"),
        (lambda text: text.replace(b'"version": 1', b'"version": 2'), "plan format 2, this jettison reads 1"),
        (lambda text: text.replace(b'"delete-manifest"', b'"delete-everything"'), "is damaged"),
        (lambda text: text.replace(b"sha256:", b"sha256;", 1), "is damaged|was changed"),
        (lambda text: text[:-40], "is no plan"),
        (lambda text: b"", "is no plan"),
        (lambda text: b"[]", "is no plan"),
        (lambda text: b"{}", "plan format 0"),
    ],
)
def test_what_was_changed_is_refused(plan: Plan, change: object, message: str) -> None:
    assert callable(change)
    with pytest.raises(PlanRejectedError, match=message) as caught:
        decode(change(encode(plan)), "plan.json")
    assert caught.value.exit_status == 2
    assert "plan.json" in str(caught.value)


def test_an_old_plan_and_one_from_the_future_are_refused(plan: Plan) -> None:
    three_days = timedelta(days=3).total_seconds()
    refuse_stale(plan, "plan.json", NOW + timedelta(days=2), three_days)
    with pytest.raises(PlanRejectedError, match=r"made 7\.0 days ago"):
        refuse_stale(plan, "plan.json", NOW + timedelta(days=7), three_days)
    with pytest.raises(PlanRejectedError, match="made in the future"):
        refuse_stale(plan, "plan.json", NOW - timedelta(hours=1), three_days)
