"""What needs what: from kept manifests to all that must stay with them (promise 4)."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository
from jettison.oci.reference import subject_of_tag


class Bond(StrEnum):
    """Why a manifest is needed by another."""

    CHILD = "child"
    SUBJECT = "subject"
    REFERRER = "referrer"
    NAMED = "named"
    LAYER = "layer"
    """Its bytes are a layer or config of another one, too: 2.8 unlinks a layer with the manifest of the same digest."""


@dataclass(frozen=True, slots=True)
class Need:
    """That `by` needs a manifest, and as what."""

    by: Digest
    bond: Bond


_UPWARDS: Final = frozenset({Bond.SUBJECT, Bond.LAYER})
"""Bonds to what does not go with the manifest that needs it."""
_NOBODY: Final[set[Digest]] = set()


class Graph:
    """The bonds between the manifests of one repository.

    A manifest needs its children, its subject, its referrers (by their `subject` field and by the tags of the
    `sha256-<hex>` scheme), and manifests whose bytes are a layer of it. Digests that the repository does not hold are
    followed too, and end there.
    """

    __slots__ = ("_bonds", "followers", "owners")

    def __init__(self, repository: Repository) -> None:
        bonds: dict[Digest, list[tuple[Digest, Bond]]] = {}
        owners: dict[Digest, list[Need]] = {}

        def bind(needing: Digest, needed: Digest, bond: Bond) -> None:
            if needing != needed:
                bonds.setdefault(needing, []).append((needed, bond))
                if bond not in _UPWARDS:
                    owners.setdefault(needed, []).append(Need(needing, bond))

        for digest, manifest in repository.manifests.items():
            for child in manifest.children:
                bind(digest, child.digest, Bond.CHILD)
            for named in manifest.named:
                bind(digest, named, Bond.NAMED)
            for layer in [blob.digest for blob in manifest.blobs if blob.digest in repository.manifests]:
                bind(digest, layer, Bond.LAYER)
            if manifest.subject is not None:
                if manifest.subject.digest in repository.manifests:  # referrers of a missing one do not need each other
                    bind(digest, manifest.subject.digest, Bond.SUBJECT)
                bind(manifest.subject.digest, digest, Bond.REFERRER)
        followers: dict[str, Digest] = {}
        for tag in repository.tags:
            subject = subject_of_tag(tag.name)
            if subject is not None:
                followers[tag.name] = subject
                bind(subject, tag.digest, Bond.REFERRER)
        self._bonds = bonds
        self.owners: Mapping[Digest, list[Need]] = owners
        """For each manifest, those that it belongs to: the indexes it is a child of, the subjects it refers to."""
        self.followers: Mapping[str, Digest] = followers
        """The tags of the `sha256-<hex>` scheme, and the subject of each."""

    def bonds(self, digest: Digest) -> Sequence[tuple[Digest, Bond]]:
        """Return what a manifest needs, and as what."""
        return self._bonds.get(digest, ())

    def needed(self, roots: Iterable[Digest], without: Container[Digest] = ()) -> dict[Digest, Need | None]:
        """Return the roots (with None) and everything that they need, each with the first need found.

        `without` are referrers that their subject does not need after all.
        """
        return self._walk(roots, upwards=True, without=without)

    def dependents(self, roots: Iterable[Digest]) -> dict[Digest, Need | None]:
        """Return the roots (with None) and all that follows them: children and referrers, but nothing upwards."""
        return self._walk(roots, upwards=False)

    def owners_first(self, digests: Iterable[Digest]) -> tuple[Digest, ...]:
        """Return `digests` so that an index stands before its children, and a subject before its referrers.

        Otherwise they keep their order, with what belongs to a manifest right behind it. Deleting in this order never
        leaves an index without a child: when a step fails, what belongs to it stays. Loops (only damage makes them)
        are broken at any point.
        """
        wanted = dict.fromkeys(digests)
        waits_for: dict[Digest, set[Digest]] = {}
        for digest in wanted:
            needs = self.owners.get(digest)
            owners = {need.by for need in needs if need.by in wanted} if needs is not None else None
            if owners:
                waits_for[digest] = owners
        if not waits_for:
            return tuple(wanted)
        ordered: dict[Digest, None] = {}
        ready = [digest for digest in reversed(wanted) if digest not in waits_for]
        while len(ordered) < len(wanted):
            if not ready:
                ready = [next(digest for digest in wanted if digest not in ordered)]
            digest = ready.pop()
            if digest in ordered:
                continue
            ordered[digest] = None
            for other, bond in self._bonds.get(digest, ()):
                owners = waits_for.get(other, _NOBODY)
                if bond not in _UPWARDS and digest in owners:
                    owners.remove(digest)
                    if not owners:
                        ready.append(other)
        return tuple(ordered)

    def _walk(
        self, roots: Iterable[Digest], *, upwards: bool, without: Container[Digest] = ()
    ) -> dict[Digest, Need | None]:
        """Walk the bonds, parents before what depends on them.

        An index that contains itself, or two that contain each other, end the walk like any other digest seen before.
        """
        found: dict[Digest, Need | None] = dict.fromkeys(roots)
        waiting = list(found)
        while waiting:
            digest = waiting.pop()
            for other, bond in self._bonds.get(digest, ()):
                if other in found or (bond in _UPWARDS and not upwards):
                    continue
                if bond is not Bond.REFERRER or other not in without:
                    found[other] = Need(digest, bond)
                    waiting.append(other)
        return found
