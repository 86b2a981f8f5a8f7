"""Diff: what another policy would decide otherwise on the same inventory. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository
from jettison.policy.decision import Reason
from jettison.policy.evaluate import decide_repository
from jettison.policy.model import Policy

if TYPE_CHECKING:
    from jettison.policy.in_use import InUse


@dataclass(frozen=True, slots=True)
class Side:
    """One of two policies that are compared, and the use by which it decides."""

    policy: Policy
    in_use: "InUse | None" = None


@dataclass(frozen=True, slots=True)
class Change:
    """A tag that another policy decides otherwise; `tag` is None for a manifest that is decided without its tags.

    `kept` is what the new policy says. Where the verdict is the same, another rule comes to it.
    """

    repository: str
    tag: str | None
    digest: Digest
    kept: bool
    was_kept: bool
    old: Reason
    new: Reason


@dataclass(frozen=True, slots=True)
class RepositoryDiff:
    """What changes in one repository, and the digests that go by each policy."""

    repository: str
    changes: tuple[Change, ...]
    old_going: tuple[Digest, ...]
    new_going: tuple[Digest, ...]


def compare(inventory: Inventory, old: Side, new: Side, now: datetime) -> Iterator[RepositoryDiff]:
    """Yield what changes in each repository, those without a change among them."""
    for repository in inventory.repositories:
        yield _compare(repository, old, new, now)


def _compare(repository: Repository, old: Side, new: Side, now: datetime) -> RepositoryDiff:
    before, after = (decide_repository(repository, side.policy, now, side.in_use) for side in (old, new))
    changes: list[Change] = []
    for was, is_ in zip(before.tags, after.tags, strict=True):
        if was.kept is not is_.kept or _who(was.reason) != _who(is_.reason):
            name, digest = was.tag.name, was.tag.digest
            changes.append(Change(repository.name, name, digest, is_.kept, was.kept, was.reason, is_.reason))
    told = {change.digest for change in changes if change.kept is not change.was_kept}
    for digest in repository.manifests:
        one, two = before.manifests[digest], after.manifests[digest]
        if digest not in told and one.kept is not two.kept:
            changes.append(Change(repository.name, None, digest, two.kept, one.kept, one.reason, two.reason))
    return RepositoryDiff(repository.name, tuple(changes), before.order, after.order)


def _who(reason: Reason) -> object:
    """Return who decided: a rule, or the kind of reason where none did."""
    return reason.rule if reason.rule is not None else f"({reason.code})"
