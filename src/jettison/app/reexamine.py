"""Re-examine what is in quarantine: restore what is needed again, purge what may go, write lost links back.

It is the same beside a serving registry and without one (docs/protocol.md, steps 0, 4 and 6); only who may say that a
blob may be purged differs. What cannot be judged comes back.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final

from jettison.app.collection_report import CollectionReport
from jettison.collect.mark import IncompleteMark
from jettison.collect.quarantine import Collected, Evidence, Suspect, Verdict, judge, repairs
from jettison.collect.references import DigestText, References
from jettison.errors import StorageError
from jettison.oci.inventory import Problem
from jettison.storage.bodies import traces
from jettison.storage.lease import Lease
from jettison.storage.links import find_links, has_link, write_layer_link
from jettison.storage.local import LocalStorage
from jettison.storage.quarantine import Quarantine
from jettison.storage.roots import KnownReferences, Roots, read_roots

_CLOCKS_DIFFER: Final = timedelta(hours=1)


class Reexamination:
    """Looks at links and manifests again and settles blobs in quarantine; what it does is counted in `report`."""

    def __init__(
        self,
        lease: Lease,
        storage: LocalStorage,
        report: CollectionReport,
        known: KnownReferences | None = None,
        step: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._lease = lease
        self._storage = storage
        self._quarantine = Quarantine(lease)
        self._report = report
        self._known = known
        self._step = step
        self._unrepaired = False

    def roots(self) -> Roots:
        """List the blobs, then read what all repositories hold now."""
        return read_roots(self._storage, self._storage.blobs().digests, self._known)

    def finish(self, collected: Collected) -> None:
        """Forget a collection that holds nothing any more, unless a layer link that is needed could not be written: the
        record alone may tell that it was there, and which blob it named.
        """
        if not self._unrepaired:
            self._quarantine.finish(collected)

    def note_clock(self, collected: Collected, now: datetime) -> None:
        """Tell of a collection that began in the future: the clock was set back since, so its time is far away."""
        if collected.begun > now + _CLOCKS_DIFFER:
            text = (
                f"collection {collected.id} in quarantine began on {collected.begun:%Y-%m-%d %H:%M}, in the future, so "
                f"the clock was set back; it stays until {collected.until:%Y-%m-%d %H:%M}, and `jettison quarantine "
                "purge` gives its space back before"
            )
            self._note(Problem("clock", text))

    def rescan(self, collected: Collected, *, may_purge: AbstractSet[DigestText]) -> None:
        """Restore, drop or purge each blob of a collection, and repair links. `may_purge` have waited long enough.

        What cannot be restored or purged now is reported and stays in quarantine.
        """
        # A manifest that comes back may lead to more that must: nothing is purged before no more comes back.
        while True:
            roots = self.roots()
            needed = self._needed(collected, roots)
            if not self._settle(collected, needed, may_purge=frozenset()):
                break
        self._settle(collected, {digest: needed[digest] for digest in needed.keys() & may_purge}, may_purge=may_purge)
        self.repair(roots, collected.suspects)

    def _settle(
        self, collected: Collected, needed: Mapping[DigestText, bool], *, may_purge: AbstractSet[DigestText]
    ) -> int:
        """Settle each blob once; return how many came back."""
        back = 0
        for digest in needed:
            try:
                evidence = Evidence(needed[digest], self._quarantine.is_present(digest))
                match judge(evidence, may_purge=digest in may_purge):
                    case Verdict.RESTORE | Verdict.DROP:
                        self._quarantine.bring_back(collected, digest)
                        back += 1
                        self._report.restored += 1
                        self._step("restored-one")
                    case Verdict.PURGE:
                        self._report.purged_bytes += self._quarantine.purge(collected, digest)
                        self._report.purged += 1
                        self._step("purged-one")
                    case Verdict.WAIT:
                        pass
            except StorageError as error:
                self._note(Problem("refused", f"blob {digest} stays in quarantine: {error}"))
        return back

    def _needed(self, collected: Collected, roots: Roots) -> dict[DigestText, bool]:
        """Tell of each blob in quarantine whether anything needs it. What cannot be judged is needed."""
        held = self._quarantine.held(collected)
        if not held:
            return {}
        mark = roots.mark()
        links = find_links(self._storage, held.keys())
        suspects = {suspect.digest: suspect for suspect in collected.suspects}
        changed = traces(self._storage, {each.digest for each in suspects.values() if each.trace} & held.keys())
        for problem in (*(mark.problems if isinstance(mark, IncompleteMark) else ()), *links.problems):
            self._note(problem)
        if isinstance(mark, IncompleteMark) or links.problems:
            return dict.fromkeys(held, True)

        def is_needed(digest: DigestText) -> bool:
            suspect = suspects.get(digest)
            if suspect is None or suspect.trace != changed.get(digest, suspect.trace):
                # Nobody wrote down who may know it; or its manifest was pushed meanwhile, and servers remember it.
                return True
            # A manifest may name it by the digest that it was pushed under, whose link we removed.
            names = {digest, *(link.digest for link in suspect.links)}
            return not names.isdisjoint(mark.reachable) or any(link.live for link in links.links.get(digest, ()))

        return {digest: is_needed(digest) for digest in held}

    def repair(self, roots: Roots, suspects: Iterable[Suspect]) -> None:
        """Write layer links that a repository had and its manifests need, where the blob's data exists.

        The sha256 link beside a live link of another digest is always needed: without it servers answer 500 for that
        digest, and nobody can make them delete it.
        """
        targets = {link.digest: suspect.digest for suspect in suspects for link in suspect.links}
        known: dict[str, set[DigestText]] = {}
        for suspect in suspects:
            for link in suspect.links:
                known.setdefault(link.repository, set()).add(link.digest)
        needed: dict[str, set[DigestText]] = {}
        linked: dict[str, set[DigestText]] = {}
        for holding in roots.holdings:
            name = holding.repository
            wants: set[DigestText] = set(holding.stored_as.values())
            for digest in holding.revisions:
                reading = roots.readings.get(digest)
                if isinstance(reading, References):
                    wants.update(reading.blobs)
            if not wants:
                continue
            # A server finds a blob by the link of another digest, and serves it by that of its own.
            wants.update(filter(None, [targets.get(each) or holding.stored_as.get(each) for each in wants]))
            folders = {*self._storage.layers(name, canonical=True).digests, *holding.stored_as.values()}
            had = (known.setdefault(name, set()) | folders) & wants
            needed[name] = had
            known[name] |= folders
            linked[name] = {digest for digest in had if self._may_have_link(name, digest)}
        missing = set().union(*(needed[name] - linked[name] for name in needed)) if needed else set()
        if not missing:
            return
        stored = {digest for digest in missing if self._is_stored(targets.get(digest, digest))}
        for repair in repairs(needed, known, linked, stored):
            target = targets.get(repair.digest, repair.target)
            try:
                write_layer_link(self._lease, repair.repository, repair.digest, target)
            except StorageError as error:
                self._unrepaired = True
                self._note(Problem("refused", f"{repair.repository} lacks a layer link that it needs: {error}"))
                continue
            self._report.repaired += 1
            self._step("repaired-one")

    def _may_have_link(self, repository: str, digest: DigestText) -> bool:
        try:
            return has_link(self._storage.name, repository, digest)
        except StorageError:
            return True

    def _is_stored(self, digest: DigestText) -> bool:
        try:
            return self._quarantine.is_present(digest)
        except StorageError:
            return False

    def _note(self, problem: Problem) -> None:
        if problem not in self._report.problems:
            self._report.problems.append(problem)

    def count_waiting(self) -> None:
        """Count what is in quarantine now."""
        for collected in self._quarantine.collections():
            held = self._quarantine.held(collected)
            self._report.waiting += len(held)
            self._report.waiting_bytes += sum(held.values())
