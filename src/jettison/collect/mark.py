"""Mark: everything that is reachable from any revision of any repository, and with it what must never be collected.

Roots are all revisions, tagged or not: the registry serves them all by digest. From them the mark follows children and
subjects to configs and layers. A tag's target counts as a root too, since a tag whose revision is gone is damage.

A repository in which something could not be read keeps everything that it links (promise 2): all its layer links are
marked, and it is reported as broken. Where not even that is known, since a folder could not be listed, the mark is
incomplete and there is nothing to be done with it: sweeping takes a `CompleteMark`, which `mark` alone makes.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final, NamedTuple

from jettison.collect.packed import DigestSet, DigestText, pack
from jettison.collect.references import References
from jettison.oci.problem import Problem

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

Reading = References | Problem
"""What a manifest refers to, or why nobody knows."""


class Holding(NamedTuple):
    """What one repository holds, as far as marking is concerned.

    `layers` are its layer links; None where they were not listed, since they matter only when the repository turns out
    to be broken. `stored_as` has, for layer links of other algorithms than sha256, the blob that each names.
    `is_complete` is False where revisions or layer links could not be listed.
    """

    repository: str
    revisions: frozenset[DigestText] = frozenset()
    tagged: frozenset[DigestText] = frozenset()
    layers: AbstractSet[DigestText] | None = None
    stored_as: Mapping[DigestText, DigestText] = _NOTHING
    problems: tuple[Problem, ...] = ()
    is_complete: bool = True


class Settled(NamedTuple):
    """A repository of which all is known that a mark would find out: nothing in it is broken or points elsewhere.

    `reachable` are the digests that its manifests lead to, themselves included, and `unneeded` those among its layer
    links that none of them needs; both packed.
    """

    repository: str
    reachable: bytes | memoryview
    unneeded: bytes = b""


class Broken(NamedTuple):
    """A repository that keeps everything that it links, and why."""

    repository: str
    problems: tuple[Problem, ...]


_MADE_BY_MARK: Final = object()


class CompleteMark:
    """Everything that is reachable. Only `mark` can make one."""

    __slots__ = ("broken", "reachable")

    def __init__(self, maker: object, reachable: DigestSet, broken: tuple[Broken, ...]) -> None:
        if maker is not _MADE_BY_MARK:
            raise TypeError("a CompleteMark is made by jettison.collect.mark.mark, and by nothing else")
        self.reachable: Final = reachable
        """The digests of all blobs that must stay, manifests among them."""
        self.broken: Final = broken
        """The repositories in which something could not be read."""


class IncompleteMark(NamedTuple):
    """That nobody knows everything that is reachable, and why. Nothing can be collected then."""

    problems: tuple[Problem, ...]
    broken: tuple[Broken, ...] = ()


def mark(
    holdings: Iterable[Holding],
    readings: Mapping[DigestText, Reading],
    problems: Iterable[Problem] = (),
    settled: Iterable[Settled] = (),
) -> CompleteMark | IncompleteMark:
    """Mark what is reachable from `holdings`, and from what is `settled`.

    `readings` has what every manifest refers to that is held, and that those lead to, as far as its body exists.
    `problems` are those that may hide whole repositories; any of them makes the mark incomplete.
    """
    marker = _Marker(readings, [each.reachable for each in settled])
    unknown = list(problems)
    for holding in holdings:
        is_broken = marker.add(holding)
        if not holding.is_complete:
            unknown += [problem for problem in holding.problems if problem.blocks]
        elif is_broken and holding.layers is None:
            unknown.append(
                Problem("unlisted", f"the layer links of {holding.repository}, which is broken, are unknown")
            )
    broken = tuple(marker.broken)
    if unknown:
        return IncompleteMark(tuple(unknown), broken)
    return CompleteMark(_MADE_BY_MARK, marker.reachable(), broken)


class _Marker:
    def __init__(self, readings: Mapping[DigestText, Reading], packed: list[bytes | memoryview]) -> None:
        self._readings = readings
        self._packed = packed
        self._others: set[DigestText] = set()
        self._stored_as: dict[DigestText, set[DigestText]] = {}
        self.broken: list[Broken] = []

    def add(self, holding: Holding) -> bool:
        """Mark what one repository holds; return whether it is broken."""
        problems = [problem for problem in holding.problems if problem.blocks]
        problems += self._follow(holding)
        if problems:
            self._mark(holding.layers or ())
            self._mark(holding.stored_as.values())
            self.broken.append(Broken(holding.repository, tuple(problems)))
        for digest, stored in holding.stored_as.items():
            self._stored_as.setdefault(digest, set()).add(stored)
        return bool(problems)

    def reachable(self) -> DigestSet:
        """Return what is marked, with the blobs under which other digests than sha256 are stored.

        A link of any repository will do for that: content with the same digest is the same.
        """
        for digest in self._stored_as.keys() & self._others:
            self._mark(self._stored_as[digest])
        return DigestSet(self._packed, self._others)

    def _mark(self, digests: Iterable[DigestText]) -> None:
        packed, others = pack(digests)
        self._packed.append(packed)
        self._others.update(others)

    def _follow(self, holding: Holding) -> list[Problem]:
        """Mark everything that the revisions lead to; return what could not be read on the way.

        A digest that has no reading is marked like any other and ends the walk: an index may name platforms that were
        never pushed, and what a manifest of unknown type names may be a layer. A revision must be there.
        """
        problems: list[Problem] = []
        readings = self._readings
        seen: set[DigestText] = set(holding.revisions | holding.tagged)
        waiting = list(seen)
        while waiting:
            digest = waiting.pop()
            reading = readings.get(digest)
            if reading.__class__ is References:
                self._packed.append(reading.packed)
                if reading.others:
                    self._others.update(reading.others)
                if reading.manifests or reading.named:
                    fresh = [each for each in (*reading.manifests, *reading.named) if each not in seen]
                    seen.update(fresh)
                    waiting += fresh
            elif isinstance(reading, Problem):
                problems.append(reading)
            elif digest in holding.revisions:
                problems.append(Problem("missing-manifest", f"the data of manifest {digest} is missing"))
        self._mark(seen)
        return problems
