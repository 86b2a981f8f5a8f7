"""Explain one tag or manifest of a registry, and weigh what deleting it would free."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jettison.errors import NotFoundError, UsageError
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository
from jettison.plan.space import Space, image_size
from jettison.policy.explain import Explanation, explain
from jettison.policy.model import Policy

if TYPE_CHECKING:
    from jettison.policy.in_use import InUse


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation, with bytes. `size` is what a pull of the image fetches.

    `frees` are the bytes that come back when the manifest goes with all its tags and what belongs to it, and nothing
    else does. `is_whole`: all repositories were read. Otherwise another one may share what is counted there.
    `elsewhere` are the other repositories that hold the same manifest.
    """

    explanation: Explanation
    size: int
    frees: int
    is_whole: bool
    elsewhere: tuple[str, ...] = ()


def explain_in(
    inventory: Inventory,
    policy: Policy,
    now: datetime,
    name: str,
    wanted: str,
    *,
    is_whole: bool,
    in_use: "InUse | None" = None,
) -> Explained:
    """Explain `wanted` of the repository `name`: a tag, or `@` and a digest or the beginning of one.

    Raises NotFoundError where there is none such, UsageError where the beginning of a digest fits several.
    """
    repository = next((each for each in inventory.repositories if each.name == name), None)
    if repository is None:
        raise NotFoundError(f"{inventory.registry} has no repository {name}")
    if not repository.tags and not repository.manifests and not repository.problems:
        raise NotFoundError(f"{name} is empty: it has no tags, and no manifests that could be seen")
    try:
        found = _wanted(repository, wanted)
    except NotFoundError as error:
        blocking = [problem.text for problem in repository.problems if problem.blocks]
        if not blocking:
            raise
        raise NotFoundError(f"{name} could not be read completely: {blocking[0]}") from error
    explanation = explain(repository, policy, now, found, in_use)
    space = Space.of(inventory)
    return Explained(
        explanation,
        image_size(repository, explanation.digest),
        space.freed_by((name, digest) for digest in explanation.deletes),
        is_whole,
        tuple(
            each.name
            for each in inventory.repositories
            if each is not repository and explanation.digest in each.manifests
        ),
    )


def _wanted(repository: Repository, wanted: str) -> str | Digest:
    if not wanted.startswith("@"):
        names = [tag.name for tag in repository.tags]
        if wanted in names:
            return wanted
        from difflib import get_close_matches

        near = get_close_matches(wanted, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; it has {len(names)} others"
        raise NotFoundError(f"{repository.name} has no tag {wanted!r}{hint}")
    text = wanted.removeprefix("@")
    found = [digest for digest in repository.manifests if text in (digest, digest.hex)] or [
        digest for digest in repository.manifests if digest.startswith(text) or digest.hex.startswith(text)
    ]
    if not found or not text:
        raise NotFoundError(f"{repository.name} has no manifest {text} that could be seen")
    if len(found) > 1:
        raise UsageError(f"{text} is the beginning of {len(found)} digests in {repository.name}; write more of it")
    return found[0]
