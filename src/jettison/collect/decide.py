"""Decide: which blobs are condemned. Pure."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final, NamedTuple

from jettison.collect.blob import StoredBlob
from jettison.collect.mark import CompleteMark
from jettison.collect.packed import DigestText
from jettison.collect.safety import Margins


def unreachable(listed: AbstractSet[DigestText], mark: CompleteMark) -> AbstractSet[DigestText]:
    """Return the listed blobs that nothing refers to.

    They must have been listed before the mark's roots were read: a blob that comes later may belong to a manifest that
    comes later still, and is not among them.
    """
    return listed - mark.reachable


class Young(NamedTuple):
    """How many unreachable blobs stay since they are younger than the grace period, and their bytes."""

    blobs: int
    size: int


_MADE_BY_DECIDE: Final = object()
_AT_ONCE: Final = 10_000
"""Candidates that are looked up together: more take more memory, fewer more looks at all that is reachable."""


class Condemned:
    """The blobs that may be collected. Only `decide` can make one, and it needs a complete mark."""

    __slots__ = ("blobs", "mark", "size", "young")

    def __init__(self, maker: object, blobs: tuple[StoredBlob, ...], young: Young, mark: CompleteMark) -> None:
        if maker is not _MADE_BY_DECIDE:
            raise TypeError("Condemned is made by jettison.collect.decide.decide, and by nothing else")
        self.blobs: Final = blobs
        self.young: Final = young
        self.mark: Final = mark
        self.size: Final = sum(blob.size for blob in blobs)
        """Bytes of all of them."""


def decide(candidates: Iterable[StoredBlob], mark: CompleteMark, now: datetime, margins: Margins) -> Condemned:
    """Condemn the candidates that are unreachable and older than the grace period.

    Size and time of a candidate must have been read after the mark's roots, so that one that was removed and pushed
    again meanwhile is young. A time in the future, as a clock that was set back leaves it, is younger than any grace
    period, even none.
    """
    candidates = list(candidates)
    needed: set[DigestText] = set()
    for start in range(0, len(candidates), _AT_ONCE):
        needed |= mark.reachable.among(blob.digest for blob in candidates[start : start + _AT_ONCE])
    condemned: list[StoredBlob] = []
    young = young_size = 0
    youngest = now - margins.grace
    for blob in candidates:
        if blob.digest in needed:
            continue
        if blob.modified <= youngest:
            condemned.append(blob)
        else:
            young += 1
            young_size += blob.size
    condemned.sort()
    return Condemned(_MADE_BY_DECIDE, tuple(condemned), Young(young, young_size), mark)
