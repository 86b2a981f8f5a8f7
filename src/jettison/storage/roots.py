"""Reading what a mark needs: what every repository holds, and what every manifest refers to."""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from jettison.collect.mark import CompleteMark, Holding, IncompleteMark, Reading, Settled, mark
from jettison.collect.packed import DigestText
from jettison.collect.references import References
from jettison.oci.problem import Problem
from jettison.storage.contract import StorageReader
from jettison.storage.layout import readable


class KnownReferences(Protocol):
    """What manifests that were read before refer to; they never change."""

    def known(self, digests: AbstractSet[DigestText]) -> Mapping[DigestText, References]:
        """Return those that are known."""
        ...

    def remember(self, entries: Mapping[DigestText, References], *, whole: bool = True) -> None:
        """Keep these, whose bodies had their digests. `whole`: all that the storage needs was asked for or is here."""
        ...


Settle = Callable[[Sequence[str]], Iterable[Settled]]
"""Returns those of the repositories of these names that are settled."""


@contextmanager
def _no_cycles() -> Iterator[None]:
    """Keep Python's collector of cycles from searching hundreds of thousands of new values that have none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Roots(NamedTuple):
    """All that a mark needs. `problems` may hide whole repositories; `harmless` are foreign files and the like."""

    holdings: tuple[Holding, ...]
    readings: Mapping[DigestText, Reading]
    problems: tuple[Problem, ...] = ()
    harmless: tuple[Problem, ...] = ()
    settled: tuple[Settled, ...] = ()

    def mark(self) -> CompleteMark | IncompleteMark:
        """Mark from these roots."""
        return mark(self.holdings, self.readings, self.problems, self.settled)


def read_roots(
    storage: StorageReader,
    listed: AbstractSet[DigestText],
    known: KnownReferences | None = None,
    settle: Settle | None = None,
) -> Roots:
    """Read the roots of all repositories.

    `listed` are the blobs, which must have been listed before. What a manifest leads to beyond the revisions, such as a
    child whose link is gone, is read where it is listed. Repositories that `settle` returns are not read once more.
    """
    with _no_cycles():
        return _read_roots(storage, listed, known, settle)


def _read_roots(
    storage: StorageReader, listed: AbstractSet[DigestText], known: KnownReferences | None, settle: Settle | None
) -> Roots:
    listing = storage.repositories()
    settled = () if settle is None else tuple(settle(listing.names))
    done = {each.repository for each in settled}
    names = [name for name in listing.names if readable(name) not in done] if done else listing.names
    held = [_hold(storage, name) for name in names]
    readings = _Readings(storage, listed, known, whole=not done)
    readings.read(_all(held))
    # Layer links matter where a repository is broken, and only there; marking on trial tells which those are.
    broken = frozenset[str]()
    if not readings.are_fine or any(problem.blocks for holding in held for problem in holding.problems):
        broken = frozenset(each.repository for each in mark(held, readings.found).broken)
    holdings = [
        _with_layers(storage, name, holding) if holding.repository in broken else holding
        for name, holding in zip(names, held, strict=True)
    ]
    problems = () if listing.is_complete else tuple(problem for problem in listing.problems if problem.blocks)
    harmless = [problem for problem in listing.problems if not problem.blocks]
    for holding in holdings:
        harmless += [
            Problem(problem.code, f"{holding.repository}: {problem.text}", blocks=False)
            for problem in holding.problems
            if not problem.blocks
        ]
    return Roots(tuple(holdings), readings.found, problems, tuple(harmless), settled)


def _hold(storage: StorageReader, name: str) -> Holding:
    """Read what a repository holds. Tags come before revisions, as a push writes them the other way round."""
    tags = storage.targets(name)
    revisions = storage.revisions(name, read=False)
    others = storage.layers(name, canonical=False)
    held = revisions.digests
    tagged = frozenset(tags.targets.values())
    if tagged <= held:
        # The same digests, but the very values: half of them need not stay.
        tagged = frozenset(digest for digest in held if digest in tagged)
    problems = [*tags.problems, *revisions.problems, *others.problems]
    if not tagged <= held:
        problems += [dangling(tag, digest) for tag, digest in tags.targets.items() if digest not in held]
    is_complete = revisions.is_complete and others.is_complete
    return Holding(readable(name), held, tagged, None, others.stored_as, tuple(problems), is_complete)


def _with_layers(storage: StorageReader, name: str, holding: Holding) -> Holding:
    layers = storage.layers(name, canonical=True)
    fresh = tuple(problem for problem in layers.problems if problem not in holding.problems)
    return holding._replace(
        layers=layers.digests,
        problems=(*holding.problems, *fresh),
        is_complete=holding.is_complete and layers.is_complete,
    )


def dangling(tag: str, digest: DigestText) -> Problem:
    """Describe a tag whose revision is not linked."""
    return Problem("dangling-tag", f"tag {tag} points to {digest}, which the repository does not link")


def _all(holdings: Iterable[Holding]) -> set[DigestText]:
    digests: set[DigestText] = set()
    for holding in holdings:
        digests |= holding.revisions
        digests |= holding.tagged
    return digests


class _Readings:
    """Reads manifests, then what they lead to, until nothing is left to read."""

    def __init__(
        self,
        storage: StorageReader,
        listed: AbstractSet[DigestText],
        known: KnownReferences | None,
        *,
        whole: bool,
    ) -> None:
        self._whole = whole
        self._storage = storage
        self._listed = listed
        self._known = known
        self.found: dict[DigestText, Reading] = {}
        self.are_fine = True
        """Whether all that had to be read could be read."""

    def read(self, digests: AbstractSet[DigestText]) -> None:
        """Read `digests` and all that they lead to.

        What is only named by a manifest of unknown type may be a layer, so nothing is wrong where it is no manifest.
        """
        fresh: dict[DigestText, References] = {}
        surely, maybe = digests, frozenset[DigestText]()
        while surely or maybe:
            self._read_some(surely, fresh, guess=False)
            self._read_some(maybe - surely, fresh, guess=True)
            surely, maybe = self._further(surely | maybe)
        if self._known is not None and fresh:
            self._known.remember(fresh, whole=self._whole)

    def _read_some(self, digests: AbstractSet[DigestText], fresh: dict[DigestText, References], *, guess: bool) -> None:
        if self._known is not None and digests:
            self.found.update(self._known.known(digests))
            digests = digests - self.found.keys()
        if not digests:
            return
        from jettison.storage.reading import LARGEST, reading_of

        found = self.found
        for digest, body in self._storage.bodies(digests, LARGEST):
            reading = reading_of(digest, body)
            if isinstance(reading, References):
                found[digest] = fresh[digest] = reading
            elif not guess:
                self.are_fine = False
                if reading is not None:
                    found[digest] = reading

    def _further(self, read: AbstractSet[DigestText]) -> tuple[set[DigestText], frozenset[DigestText]]:
        """Return what the manifests just read lead to, as far as it is there and was not read yet."""
        surely: set[DigestText] = set()
        maybe: set[DigestText] = set()
        for digest in read:
            reading = self.found.get(digest)
            if isinstance(reading, References):
                surely.update(reading.manifests)
                maybe.update(reading.named)
        return (surely & self._listed) - self.found.keys(), frozenset(maybe & self._listed) - self.found.keys()
