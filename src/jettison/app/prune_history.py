"""Forgetting old history, but for what an undo may still need."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jettison.oci.digest import Digest
from jettison.oci.manifest import ManifestError, parse_manifest
from jettison.storage.quarantine import QuarantineReader

if TYPE_CHECKING:
    from jettison.history.store import History

_BODIES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Held:
    """What lies in quarantine: the blobs' digests, and the runs that moved them there."""

    digests: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()

    @classmethod
    def in_storage(cls, root: str) -> "Held":
        """Look at the quarantine of a storage. Raises StorageError where that cannot be read."""
        reader = QuarantineReader(root)
        digests: set[str] = set()
        runs: set[str] = set()
        for collected in reader.collections():
            held = reader.held(collected)
            if held:
                digests |= held.keys()
                runs.add(collected.run)
        return cls(frozenset(digests), frozenset(runs))


@dataclass(slots=True)
class Pruned:
    """What was forgotten, or would be; and how many old runs stay, since an undo or the next run needs them."""

    runs: int = 0
    actions: int = 0
    manifests: int = 0
    pulls: int = 0
    undoable: int = 0
    unfinished: int = 0


def prune(history: "History", names: Collection[str], before: datetime, held: Held, *, dry_run: bool) -> Pruned:
    """Forget the runs on registries of these names that ended before that moment, and the pulls before it.

    A run stays while something that it deleted or collected is `held` in quarantine, so that it can be undone, and
    while the next run has to finish it. Raises HistoryError.
    """
    pruning = history.pruning
    done = Pruned()
    unfinished = {each.run_id for name in names for each in history.unfinished(name)}
    for run in pruning.old_runs(names, before):
        if run.id in unfinished:
            done.unfinished += 1
        elif run.id in held.runs or _is_held(history, pruning.digests(run) if held.digests else (), held):
            done.undoable += 1
        else:
            done.runs += 1
            if not dry_run:
                actions, manifests = pruning.forget(run)
                done.actions += actions
                done.manifests += manifests
    done.pulls = pruning.old_pulls(names, before)
    if not dry_run:
        # Also where no pull is so old: what is known of them then begins later.
        pruning.forget_pulls(names, before)
    return done


def _is_held(history: "History", digests: Iterable[Digest], held: Held) -> bool:
    """Whether one of these digests is held, or a blob of the manifests that they are of."""
    every = sorted(digests)
    if not held.digests.isdisjoint(every):
        return True
    for start in range(0, len(every), _BODIES_AT_ONCE):
        for digest, stored in history.manifests.known(every[start : start + _BODIES_AT_ONCE]).items():
            try:
                manifest = parse_manifest(digest, stored.body, stored.media_type or None)
            except ManifestError:
                return True
            named = {*(blob.digest for blob in manifest.blobs), *manifest.named}
            # A storage keeps a blob under its SHA-256, whatever digest it was pushed under.
            if not held.digests.isdisjoint(named) or any(each.algorithm != "sha256" for each in named):
                return True
    return False
