"""Forecast: what expires when, over a registry, with the bytes that come back."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory
from jettison.plan.space import Owner, Space
from jettison.policy.forecast import foretell
from jettison.policy.model import Policy

if TYPE_CHECKING:
    from jettison.policy.in_use import InUse


@dataclass(frozen=True, slots=True)
class Expiring:
    """A manifest that goes at one moment, with its tags; or a tag alone (`digest` is None), whose manifest stays."""

    repository: str
    tags: tuple[str, ...]
    digest: Digest | None
    rule: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """One run of the forecast: what it deletes. `frees` are the bytes that come back then, once collected."""

    moment: datetime
    tags: int
    manifests: int
    frees: int
    expiring: tuple[Expiring, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The runs from now on, one every `step`. `size` is what the registry holds now, in bytes."""

    registry: str
    until: datetime
    step: timedelta
    size: int
    steps: tuple[Step, ...]

    @property
    def frees(self) -> int:
        """All bytes that come back."""
        return sum(each.frees for each in self.steps)


def forecast(
    inventory: Inventory,
    policy: Policy,
    now: datetime,
    days: int,
    step: timedelta,
    in_use: "InUse | None" = None,
) -> Forecast:
    """Play runs every `step` from `now` on, and one when `days` are over, while nothing is pushed or pulled.

    Tags that expire on a manifest that stays are taken to be deleted, as servers from 3.0 on do.
    """
    until = now + timedelta(days=days)
    count = _number(until - now, step) + 1
    tags = [0] * count
    going: list[list[Owner]] = [[] for _ in range(count)]
    expiring: list[list[Expiring]] = [[] for _ in range(count)]
    for repository in inventory.repositories:
        for run in foretell(repository, policy, now, until, step, in_use):
            number = _number(run.moment - now, step)
            gone = set(run.decisions.order)
            names: dict[Digest, list[str]] = {}
            for decision in run.decisions.tags:
                if decision.kept:
                    continue
                tags[number] += 1
                if decision.tag.digest in gone:
                    names.setdefault(decision.tag.digest, []).append(decision.tag.name)
                else:
                    reason = decision.reason
                    alone = Expiring(repository.name, (decision.tag.name,), None, reason.rule, reason.text)
                    expiring[number].append(alone)
            for digest in run.decisions.order:
                going[number].append((repository.name, digest))
                why = run.decisions.manifests[digest].reason
                mine = tuple(names.get(digest, ()))
                expiring[number].append(Expiring(repository.name, mine, digest, why.rule, why.text))
    space = Space.of(inventory)
    frees = _freed(space, going)
    steps = tuple(
        Step(min(now + number * step, until), tags[number], len(going[number]), frees[number], tuple(expiring[number]))
        for number in range(count)
    )
    return Forecast(inventory.registry, until, step, space.total, steps)


def _number(span: timedelta, step: timedelta) -> int:
    """Return how many steps a span takes; the last may be a short one."""
    return -(-span // step)


def _freed(space: Space, going: Iterable[Iterable[Owner]]) -> list[int]:
    """Return the bytes that come back with each step: a blob's, when the last that needs it goes."""
    lost: Counter[Digest] = Counter()
    freed: list[int] = []
    for owners in going:
        bytes_now = 0
        for owner in owners:
            for blob in space.blobs.get(owner, ()):
                lost[blob] += 1
                if lost[blob] == space.owners[blob]:
                    bytes_now += space.sizes[blob]
        freed.append(bytes_now)
    return freed
