"""What another policy would change in a registry, with bytes."""

from dataclasses import dataclass
from datetime import datetime

from jettison.oci.inventory import Inventory
from jettison.plan.space import Space
from jettison.policy.diff import Change, Side, compare


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """What changes. `goes` would be deleted by the new policy only, `stays` by the old one only; of `others` another
    rule decides the same. `old_frees` and `new_frees` are what each policy gives back, in bytes.
    """

    registry: str
    tags: int
    goes: tuple[Change, ...]
    stays: tuple[Change, ...]
    others: tuple[Change, ...]
    old_frees: int
    new_frees: int

    @property
    def is_empty(self) -> bool:
        """Whether both policies come to the same."""
        return not self.goes and not self.stays


def diff_policies(inventory: Inventory, old: Side, new: Side, now: datetime) -> PolicyDiff:
    """Decide by both policies, and compare."""
    told = list(compare(inventory, old, new, now))
    changes = [change for each in told for change in each.changes]
    space = Space.of(inventory)
    return PolicyDiff(
        inventory.registry,
        inventory.tag_count,
        tuple(each for each in changes if each.was_kept and not each.kept),
        tuple(each for each in changes if each.kept and not each.was_kept),
        tuple(each for each in changes if each.kept is each.was_kept),
        space.freed_by((each.repository, digest) for each in told for digest in each.old_going),
        space.freed_by((each.repository, digest) for each in told for digest in each.new_going),
    )
