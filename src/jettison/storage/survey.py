"""Survey: what a collection would do. Nothing is written."""

from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple

from jettison.collect.decide import Condemned, Young, decide, unreachable
from jettison.collect.mark import Broken, IncompleteMark
from jettison.collect.packed import DigestText
from jettison.collect.safety import Margins
from jettison.oci.problem import Problem
from jettison.storage.contract import StorageReader
from jettison.storage.dry_run import DryRun
from jettison.storage.roots import KnownReferences, Roots, read_roots


class Survey(NamedTuple):
    """What a collection would do; nothing has been written.

    `condemned` is None where the mark is incomplete, for the reasons in `problems`; otherwise `problems` may be
    anything that was seen and does not matter. `blobs` is how many there are, `broken` the repositories that keep all
    that they link.
    """

    blobs: int
    condemned: Condemned | None
    broken: tuple[Broken, ...]
    problems: tuple[Problem, ...]

    @property
    def young(self) -> Young:
        """What is unreachable and stays since it is young."""
        return Young(0, 0) if self.condemned is None else self.condemned.young


class Found(NamedTuple):
    """A survey with what it was made from: the roots, and the unreachable blobs whose data is gone."""

    survey: Survey
    roots: Roots
    without_data: AbstractSet[DigestText]


def survey(storage: StorageReader, now: datetime, margins: Margins, known: KnownReferences | None = None) -> Survey:
    """Find out what a collection would remove. Raises StorageError where the storage as a whole cannot be read."""
    return find(storage, now, margins, known).survey


def find(
    storage: StorageReader,
    now: datetime,
    margins: Margins,
    known: KnownReferences | None = None,
    dry_run: DryRun | None = None,
) -> Found:
    """Survey a storage, and return what tells more about it.

    Blobs are listed before roots are read, and sizes and times are read after them, as `storage.sweep` tells. Raises
    StorageError where the storage as a whole cannot be read.
    """
    listing = storage.blobs()
    roots = read_roots(storage, listing.digests, known, None if dry_run is None else dry_run.settle)
    mark = roots.mark()
    if isinstance(mark, IncompleteMark):
        return Found(Survey(len(listing.digests), None, mark.broken, mark.problems), roots, frozenset())
    unneeded = (unreachable if dry_run is None else dry_run.unreachable)(listing.digests, mark)
    stored = storage.stored(unneeded)
    condemned = decide(stored.values(), mark, now, margins)
    found = Survey(len(listing.digests), condemned, mark.broken, (*listing.problems, *roots.harmless))
    return Found(found, roots, unneeded - stored.keys())
