"""Usage: what each repository takes, and how much of that it shares."""

from dataclasses import dataclass

from jettison.oci.inventory import Inventory
from jettison.plan.space import Space


@dataclass(frozen=True, slots=True)
class RepositoryUsage:
    """A repository in bytes: `size` is all that it needs, `alone` the part that nobody else needs."""

    name: str
    tags: int
    manifests: int
    size: int
    alone: int
    complete: bool


@dataclass(frozen=True, slots=True)
class UsageProblem:
    """What could not be read, and where (an empty repository: the registry as a whole)."""

    code: str
    repository: str
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """A registry in bytes: `total` counts what several repositories share once."""

    registry: str
    total: int
    repositories: tuple[RepositoryUsage, ...]
    problems: tuple[UsageProblem, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all repositories were listed, and each could be read completely."""
        return all(each.complete for each in self.repositories) and all(each.repository for each in self.problems)


def measure(inventory: Inventory) -> Usage:
    """Weigh an inventory; the largest repository comes first."""
    space = Space.of(inventory)
    found = []
    for repository in inventory.repositories:
        owners = [(repository.name, digest) for digest in repository.manifests]
        blobs = {blob for owner in owners for blob in space.blobs[owner]}
        found.append(
            RepositoryUsage(
                repository.name,
                len(repository.tags),
                len(repository.manifests),
                sum(space.sizes[blob] for blob in blobs),
                space.freed_by(owners),
                repository.is_complete,
            )
        )
    found.sort(key=lambda each: (-each.size, each.name))
    whole = [UsageProblem(each.code, "", each.text) for each in inventory.problems]
    single = [
        UsageProblem(each.code, repository.name, each.text)
        for repository in inventory.repositories
        for each in repository.problems
    ]
    return Usage(inventory.registry, space.total, tuple(found), (*whole, *single))
