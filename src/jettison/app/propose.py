"""Try a proposed policy on what it was proposed from."""

from dataclasses import dataclass
from datetime import datetime

from jettison.oci.inventory import Inventory
from jettison.plan.space import Space
from jettison.policy.evaluate import decide
from jettison.policy.parse import parse_policy


@dataclass(frozen=True, slots=True)
class Trial:
    """What a policy would do now; `frees` in bytes."""

    tags: int
    deleted_tags: int
    frees: int


def tried(inventory: Inventory, text: str, now: datetime) -> Trial:
    """Read a policy's text and decide by it. Raises ConfigurationError where it is no policy."""
    policy = parse_policy(text, "the proposal")
    space = Space.of(inventory)
    deleted = 0
    going = []
    for decided in decide(inventory, policy, now):
        deleted += sum(not each.kept for each in decided.tags)
        going += [(decided.repository.name, digest) for digest in decided.order]
    return Trial(inventory.tag_count, deleted, space.freed_by(going))
