"""Re-examine what is in quarantine: restore what is needed again, purge what may go, write lost links back.

It is the same beside a serving registry and without one (docs/protocol.md, steps 0, 4 and 6); only who may say that a
blob may be purged differs. What cannot be judged comes back.
"""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

from jettison.app.collection_report import CollectionReport
from jettison.collect.mark import CompleteMark, IncompleteMark
from jettison.collect.quarantine import Collected, Evidence, Suspect, Verdict, judge, repairs
from jettison.collect.references import DigestText, References
from jettison.storage.lease import Lease
from jettison.storage.links import find_links, has_link, write_layer_link
from jettison.storage.local import LocalStorage
from jettison.storage.quarantine import Quarantine
from jettison.storage.roots import KnownReferences, Roots, read_roots


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

    def roots(self) -> Roots:
        """List the blobs, then read what all repositories hold now."""
        return read_roots(self._storage, self._storage.blobs().digests, self._known)

    def rescan(self, collected: Collected, *, may_purge: AbstractSet[DigestText]) -> None:
        """Restore, drop or purge each blob of a collection, and repair links. `may_purge` have waited long enough."""
        held = self._quarantine.held(collected)
        roots = self.roots()
        mark = roots.mark()
        links = find_links(self._storage, held.keys())
        unknown = isinstance(mark, IncompleteMark) or bool(links.problems)
        if isinstance(mark, IncompleteMark):
            self._report.problems += mark.problems
        self._report.problems += links.problems
        for digest in held:
            needed = unknown or (isinstance(mark, CompleteMark) and digest in mark.reachable)
            needed = needed or any(link.live for link in links.links.get(digest, ()))
            evidence = Evidence(needed, self._quarantine.is_present(digest))
            match judge(evidence, may_purge=digest in may_purge):
                case Verdict.RESTORE | Verdict.DROP:
                    self._quarantine.bring_back(collected, digest)
                    self._report.restored += 1
                    self._step("restored-one")
                case Verdict.PURGE:
                    self._report.purged_bytes += self._quarantine.purge(collected, digest)
                    self._report.purged += 1
                    self._step("purged-one")
                case Verdict.WAIT:
                    pass
        self.repair(roots, collected.suspects)

    def repair(self, roots: Roots, suspects: Iterable[Suspect]) -> None:
        """Write layer links that a repository had and its manifests need, where the blob's data exists."""
        targets = {link.digest: suspect.digest for suspect in suspects for link in suspect.links}
        known: dict[str, set[DigestText]] = {}
        for suspect in suspects:
            for link in suspect.links:
                known.setdefault(link.repository, set()).add(link.digest)
        needed: dict[str, set[DigestText]] = {}
        linked: dict[str, set[DigestText]] = {}
        for holding in roots.holdings:
            name = holding.repository
            wants: set[DigestText] = set()
            for digest in holding.revisions:
                reading = roots.readings.get(digest)
                if isinstance(reading, References):
                    wants.update(reading.blobs)
            if not wants:
                continue
            folders = self._storage.layers(name, canonical=True).digests
            had = (known.setdefault(name, set()) | folders) & wants
            needed[name] = had
            known[name] |= folders
            linked[name] = {digest for digest in had if has_link(self._storage.name, name, digest)}
        missing = set().union(*(needed[name] - linked[name] for name in needed)) if needed else set()
        if not missing:
            return
        stored = {digest for digest in missing if self._quarantine.is_present(targets.get(digest, digest))}
        for repair in repairs(needed, known, linked, stored):
            target = targets.get(repair.digest, repair.target)
            write_layer_link(self._lease, repair.repository, repair.digest, target)
            self._report.repaired += 1
            self._step("repaired-one")

    def count_waiting(self) -> None:
        """Count what is in quarantine now."""
        for collected in self._quarantine.collections():
            held = self._quarantine.held(collected)
            self._report.waiting += len(held)
            self._report.waiting_bytes += sum(held.values())
