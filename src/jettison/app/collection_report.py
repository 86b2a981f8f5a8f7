"""CollectionReport: what one run of our own collector did, beside a serving registry or without one."""

from dataclasses import dataclass, field

from jettison.oci.problem import Problem
from jettison.storage.survey import Survey


@dataclass(slots=True)
class CollectionReport:
    """What one run did, in blobs and bytes.

    `blobs` are all that the storage holds, `condemned` those that are unreferenced and old enough, `young` those that
    are unreferenced only. `quarantined` come back until they are purged, `purged` are gone, `restored` were needed
    again, `given_up` are left to the next run. `bodies` are manifests that wait for the servers' next start, `repaired`
    are layer links written back. `waiting` is all that is in quarantine at the end. `collection` is the quarantine's
    name for what this run moved there, `broken` are the repositories that keep all that they link. `barriers` is how
    often the servers' requests were waited for, `barriers_early` how often the servers' metrics showed that none was
    left, and `barriers_doubt` why they did not, where they did not.
    """

    blobs: int = 0
    condemned: int = 0
    condemned_bytes: int = 0
    young: int = 0
    young_bytes: int = 0
    quarantined: int = 0
    quarantined_bytes: int = 0
    purged: int = 0
    purged_bytes: int = 0
    restored: int = 0
    given_up: int = 0
    bodies: int = 0
    repaired: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    barriers: int = 0
    barriers_early: int = 0
    barriers_doubt: str = ""
    collection: str | None = None
    broken: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether everything could be read, and nothing was given up because of an error."""
        return not self.broken and not self.problems

    def note(self, found: Survey) -> None:
        """Take over what a survey saw, but for what is condemned: who collects may leave some of that."""
        self.blobs = found.blobs
        self.young, self.young_bytes = found.young.blobs, found.young.size
        self.broken = tuple(each.repository for each in found.broken)
        told = [
            Problem(problem.code, f"{each.repository}: {problem.text}")
            for each in found.broken
            for problem in each.problems
        ]
        # Where the mark is incomplete, the reasons may be those of broken repositories once more.
        said = {problem.text for each in found.broken for problem in each.problems}
        told += [problem for problem in found.problems if problem.blocks and problem.text not in said]
        self.problems += told
