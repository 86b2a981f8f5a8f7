"""Collect while no registry serves: it is stopped or read-only, so nothing is pushed and nobody is to be waited for.

What is condemned goes into the quarantine, as beside a serving registry, or with `purge_now` from the disk at once. The
order, and what is left when the process is killed after each step (docs/crash-table.md has a row for each name that
`step` is told):

1. what is in quarantine is re-examined: what is needed comes back, what is due is purged;
2. list the blobs, read the roots, mark, condemn;
3. write down what is condemned and who has links of it. Killed here: nothing has happened;
4. remove the layer links, and flush. Killed here: repositories lost links that none of their manifests needs; the next
   run condemns the same blobs, and takes the links over from the record of this one, so that undo can write them back;
5. move the data. Killed here: part is in quarantine, the rest is unreachable still, and goes with the next run.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from jettison.app.collection_report import CollectionReport
from jettison.app.examine import Examined, examine
from jettison.app.reexamine import Reexamination
from jettison.collect.decide import Condemned
from jettison.collect.quarantine import Collected, Link, Suspect
from jettison.collect.references import DigestText
from jettison.collect.safety import Margins
from jettison.errors import StorageError
from jettison.oci.problem import Problem
from jettison.storage.changes import LocalChanges
from jettison.storage.layout import readable
from jettison.storage.lease import Lease
from jettison.storage.links import find_links, links_by_repository
from jettison.storage.local import LocalStorage
from jettison.storage.quarantine import Quarantine
from jettison.storage.roots import KnownReferences
from jettison.storage.sweep import sweep
from jettison.storage.symbolic import reachable_directly


class OfflineCollector:
    """One collector on one storage that nobody serves. `run` names the run in the history."""

    def __init__(
        self,
        lease: Lease,
        storage: LocalStorage,
        *,
        margins: Margins,
        run: str,
        now: Callable[[], datetime],
        known: KnownReferences | None = None,
        step: Callable[[str], None] = lambda name: None,
        progress: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> None:
        self._lease = lease
        self._storage = storage
        self._margins = margins
        self._run = run
        self._now = now
        self._known = known
        self._step = step
        self._progress = progress
        self._changes = LocalChanges(storage)
        self._quarantine = Quarantine(lease)
        self._carried: dict[DigestText, tuple[Link, ...]] = {}
        self.report = CollectionReport()
        self._reexamination = Reexamination(lease, storage, self.report, known, step)

    def collect(self, *, purge_now: bool, housekeeping: bool = True) -> Examined:
        """Do all steps once and return what was found; the chores of housekeeping are left to the caller.

        Raises StorageError where the storage as a whole cannot be read or written.
        """
        self._changes.check()
        self._quarantine.reserve()
        self._recover()
        examined = examine(
            self._storage, self._now(), self._margins, self._known, serving=False, housekeeping=housekeeping
        )
        self.report.note(examined.survey)
        condemned = examined.survey.condemned
        self._step("examined")
        if condemned is not None and condemned.blobs:
            self.report.condemned, self.report.condemned_bytes = len(condemned.blobs), condemned.size
            if purge_now:
                self._sweep(condemned)
            else:
                self._set_aside(condemned)
        self._reexamination.count_waiting()
        return examined

    def _recover(self) -> None:
        """1. Settle what is in quarantine. What a killed run had only written down leaves its links to this one.

        Links are missing only where a collector beside a serving registry was killed, and its record is there then: to
        look at every link of a large registry would take longer than all else.
        """
        collections = self._quarantine.collections()
        for collected in collections:
            self._reexamination.note_clock(collected, self._now())
            held = self._quarantine.held(collected)
            for suspect in collected.suspects:
                if suspect.digest not in held and suspect.links:
                    self._carried[suspect.digest] = suspect.links
            due = self._now() >= collected.until
            self._reexamination.rescan(collected, may_purge=frozenset(held) if due else frozenset())
            self._reexamination.finish(collected)
        if collections:
            self._reexamination.repair(self._reexamination.roots(), ())
        self._step("recovered")

    def _sweep(self, condemned: Condemned) -> None:
        swept = sweep(self._storage, self._changes, condemned, progress=self._progress)
        self.report.purged += swept.blobs
        self.report.purged_bytes += swept.freed
        self.report.given_up += len(condemned.blobs) - swept.blobs
        self.report.problems += swept.problems
        self._step("swept")

    def _set_aside(self, condemned: Condemned) -> None:
        """3 to 5. Write down, unlink, move."""
        digests = {str(blob.digest) for blob in condemned.blobs}
        links = find_links(self._storage, digests)
        if links.problems:
            # Whoever cannot be listed may have links, which could not be written back.
            self.report.problems += links.problems
            self.report.given_up += len(digests)
            return
        suspects = tuple(
            Suspect(blob.digest, blob.size, blob.modified, self._with_carried(blob.digest, links.links[blob.digest]))
            for blob in condemned.blobs
        )
        suspects = self._without_linked(suspects)
        begun = self._now()
        until = begun + self._margins.retention
        collected = self._quarantine.begin(suspects, run=self._run, begun=begun, until=until, online=False)
        self.report.collection = collected.id
        self._step("written-down")
        self._move(collected, self._unlink(collected))

    def _with_carried(self, digest: DigestText, links: tuple[Link, ...]) -> tuple[Link, ...]:
        """Add the links that a killed run removed and had written down."""
        now = {(link.repository, link.digest): link for link in self._carried.get(digest, ())}
        for link in links:
            before = now.get((link.repository, link.digest))
            now[link.repository, link.digest] = link if before is None or not before.live else before
        return tuple(now.values())

    def _without_linked(self, suspects: tuple[Suspect, ...]) -> tuple[Suspect, ...]:
        """Leave out what a repository links that a symbolic link leads to: its links cannot be removed."""
        going, problems = reachable_directly(self._storage.name, suspects, self._storage.repositories().linked)
        self.report.given_up += len(suspects) - len(going)
        self.report.problems += problems
        return going

    def _unlink(self, collected: Collected) -> list[Suspect]:
        """4. Remove links and left-over folders of links, repository after repository. Return what may be moved.

        Where the system refuses, what that repository links stays; the others go on.
        """
        by_repository = links_by_repository(link for suspect in collected.suspects for link in suspect.links)
        refusing: set[str] = set()
        for repository, links in sorted(by_repository.items()):
            try:
                self._changes.remove_layer_links(repository, [link.digest for link in links])
            except StorageError as error:
                refusing.add(repository)
                text = f"{readable(repository)}: blobs that are linked there stay: {error}"
                self.report.problems.append(Problem("refused", text))
            self._step("unlinked-one")
        self._step("unlinked")
        if not refusing:
            return list(collected.suspects)
        going = [each for each in collected.suspects if not any(link.repository in refusing for link in each.links)]
        self.report.given_up += len(collected.suspects) - len(going)
        return going

    def _move(self, collected: Collected, unlinked: Sequence[Suspect]) -> None:
        """5. Move the data aside."""
        total = len(unlinked)
        for done, moved in enumerate(self._quarantine.move_in(collected, unlinked), start=1):
            self._progress(done, total)
            if moved.problem is None:
                self.report.quarantined += 1
                self.report.quarantined_bytes += moved.size
                self._step("moved-one")
            else:
                self.report.given_up += 1
                if moved.problem.blocks:
                    self.report.problems.append(moved.problem)
        self._step("moved")
