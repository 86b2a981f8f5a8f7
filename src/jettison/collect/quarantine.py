"""Quarantine: what was moved out of the registry's sight, what must come back, and what may be purged. Pure values."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from jettison.collect.references import DigestText


class Link(msgspec.Struct, frozen=True):
    """A repository that has, or once had, a layer link of a blob. `digest` is the one that it was pushed under."""

    repository: str
    digest: DigestText
    live: bool
    """Whether the link itself was there; otherwise only its folder was left over."""


class Suspect(msgspec.Struct, frozen=True):
    """A condemned blob: its bytes, when its data was written, and every repository that may know it.

    `trace` is for a manifest's body that a serving registry may lose: what changes when it is linked meanwhile.
    """

    digest: DigestText
    size: int
    modified: datetime
    links: tuple[Link, ...] = ()
    trace: str | None = None


class Collected(msgspec.Struct, frozen=True):
    """One collection, as it is written down before anything is touched.

    `until`: not purged before this moment. `run` names the run in the history, `online` tells whether a server served
    meanwhile.
    """

    id: str
    run: str
    begun: datetime
    until: datetime
    online: bool
    suspects: tuple[Suspect, ...]
    version: int = 1

    @property
    def size(self) -> int:
        """Bytes of all suspects."""
        return sum(suspect.size for suspect in self.suspects)


class Verdict(StrEnum):
    """What becomes of a blob in quarantine."""

    RESTORE = "restore"
    """Something needs it and its data is gone: rename it back."""
    DROP = "drop"
    """It was uploaded anew: the copy in quarantine is not needed."""
    WAIT = "wait"
    """Nothing needs it, and its time has not come."""
    PURGE = "purge"
    """Nothing needs it, and its time has come."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a re-scan saw, after a barrier: `needed` by some manifest or layer link, `present` data uploaded anew."""

    needed: bool
    present: bool


def judge(evidence: Evidence, *, may_purge: bool) -> Verdict:
    """Decide one blob (protocol, step 6). `may_purge` is for a re-scan that stands behind the long barrier only."""
    if evidence.present:
        return Verdict.DROP
    if evidence.needed:
        return Verdict.RESTORE
    return Verdict.PURGE if may_purge else Verdict.WAIT


@dataclass(frozen=True, slots=True)
class Repair:
    """A layer link that a repository had and lost, though one of its manifests needs the blob."""

    repository: str
    digest: DigestText
    target: DigestText


def repairs(
    needed: Mapping[str, AbstractSet[DigestText]],
    known: Mapping[str, AbstractSet[DigestText]],
    linked: Mapping[str, AbstractSet[DigestText]],
    stored: AbstractSet[DigestText],
) -> tuple[Repair, ...]:
    """Return the links to write (protocol, step 0): by repository, what its manifests need, what it had a link of once,
    and what it has a link of now; `stored` are the blobs whose data exists.

    Never a link that the repository did not have: nobody may get at a blob that way who could not reach it before.
    """
    found = []
    for repository, digests in needed.items():
        had = known.get(repository, frozenset())
        has = linked.get(repository, frozenset())
        found += [Repair(repository, digest, digest) for digest in sorted(digests & had & stored) if digest not in has]
    return tuple(found)
