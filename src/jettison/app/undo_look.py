"""Looking before an undo: what a run did, what of it is there already, what can come back, and what cannot and why."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from jettison.app.undo_plan import Effects, Restoration, Taken, effects_of, limited, restore_order
from jettison.app.undo_target import Piece, Shelf, Target
from jettison.history.model import RunRecord, StoredManifest
from jettison.oci.digest import Digest
from jettison.oci.manifest import Manifest, ManifestError, parse_manifest

_PURGED: Final = "purged"


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a run is taken back: repositories by name; with `tag`, tags by name with all that follows them."""

    repository: Callable[[str], bool] = lambda name: True
    tag: Callable[[str], bool] | None = None
    is_whole: bool = True
    """Whether nothing was left out on request."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that can come back. `piece` is for blobs and links, `manifest` for manifests and tags."""

    kind: Restoration
    repository: str
    digest: Digest
    tag: str = ""
    piece: Piece | None = None
    manifest: StoredManifest | None = None
    needs: frozenset[Digest] = frozenset()
    """Manifests of the same repository that must be there first."""


@dataclass(frozen=True, slots=True)
class Lost:
    """One thing that cannot come back, with a stable name and a sentence for why."""

    kind: Restoration
    repository: str
    digest: Digest | None
    tag: str
    code: str
    text: str


@dataclass(slots=True)
class UndoPlan:
    """What an undo will do. `there` is how much is there already; `removals` is what it deletes again."""

    run: str
    steps: list[Step] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    there: int = 0
    removals: dict[str, Taken] = field(default_factory=dict)
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    left_blobs: int = 0
    """Blobs that the undone undo brought back; they stay until garbage is collected."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps and not self.removals

    def count(self, kind: Restoration) -> int:
        """How many things of a kind can come back."""
        return sum(step.kind is kind for step in self.steps)


class KeptBodies(Protocol):
    """Manifests by digest, as the history keeps them."""

    def known(self, digests: Iterable[Digest]) -> Mapping[Digest, StoredManifest]:
        """Return those that are kept."""
        ...


async def plan_undo(
    record: RunRecord, selection: Selection, target: Target, shelf: Shelf | None, bodies: KeptBodies
) -> UndoPlan:
    """Look at what a run did and at what is there now. Writes nothing.

    Raises RegistryError or StorageError where that cannot be told.
    """
    return await _Looking(record, selection, target, shelf, bodies).plan()


class _Looking:
    """Finds out what can come back."""

    def __init__(
        self, record: RunRecord, selection: Selection, target: Target, shelf: Shelf | None, bodies: KeptBodies
    ) -> None:
        self._record = record
        self._effects: Effects = effects_of(record)
        self._selection = selection
        self._target = target
        self._shelf = shelf
        self._bodies = bodies
        self._stored: dict[Digest, StoredManifest] = {}
        self._pieces: dict[Digest, Piece] = {}
        self.result = UndoPlan(record.summary.id)

    async def plan(self) -> UndoPlan:
        """Look at everything."""
        effects, plan = self._effects, self.result
        await self._read(effects.deleted)
        await self._read(effects.restored)
        only = self._selection
        for taken in limited(effects.restored, plan.manifests, only.repository, only.tag).values():
            await self._removal(taken)
        plan.left_blobs = len(effects.blobs) if only.is_whole else 0
        if only.tag is None:
            self._collected()
        for taken in limited(effects.deleted, plan.manifests, only.repository, only.tag).values():
            self._links(taken)
            coming = await self._manifests(taken)
            await self._tags(taken, coming)
        if only.is_whole:
            plan.lost += [Lost(Restoration.BLOB, "", None, "", "removed", f"{each}") for each in effects.others]
        blobs = [Step(Restoration.BLOB, "", piece.digest, piece=piece) for piece in self._pieces.values()]
        plan.steps = [*blobs, *plan.steps]
        return plan

    async def _read(self, taken: Mapping[str, Taken]) -> None:
        """Find the bodies of all manifests concerned: in the history, in the registry, in the storage."""
        wanted = {digest for each in taken.values() for digest in each.digests}
        self._stored.update(self._bodies.known(wanted))
        for each in taken.values():
            for digest in each.digests - self._stored.keys():
                found = await self._target.body(each.repository, digest)
                if found is None and self._shelf is not None:
                    found = self._shelf.body(digest)
                if found is not None:
                    self._stored[digest] = found
        for digest in wanted & self._stored.keys():
            stored = self._stored[digest]
            try:
                manifest = parse_manifest(digest, stored.body, stored.media_type or None)
            except ManifestError:
                del self._stored[digest]
                continue
            self.result.manifests[digest] = manifest
            self._stored[digest] = StoredManifest(stored.media_type or manifest.media_type, stored.body)

    def _collected(self) -> None:
        """Take back the collections that the run moved into quarantine: every blob, and its links that were live."""
        shelf = self._shelf
        for collected in shelf.collections if shelf is not None else ():
            if collected.run != self._record.summary.id or shelf is None:
                continue
            for suspect in collected.suspects:
                repositories = {link.repository for link in suspect.links}
                if not self._selection.is_whole and not any(map(self._selection.repository, repositories)):
                    continue
                piece = shelf.whole(collected, suspect)
                if isinstance(piece, str):
                    self._lose(Restoration.BLOB, "", Digest(suspect.digest), "", _PURGED, piece)
                elif piece is None:
                    self.result.there += 1
                else:
                    self._add(piece)

    def _links(self, taken: Taken) -> None:
        for digest in sorted(taken.links):
            if self._shelf is None:
                self._lose(Restoration.LINK, taken.repository, digest, "", "no-storage", "it needs --storage")
                continue
            piece = self._shelf.piece(taken.repository, digest)
            if isinstance(piece, str):
                self._lose(Restoration.LINK, taken.repository, digest, "", _PURGED, piece)
            elif piece is None:
                self.result.there += 1
            else:
                self._add(piece)

    async def _removal(self, taken: Taken) -> None:
        """Find what is still there of what an undo brought back, and where its tags still point to it."""
        manifests = frozenset(await self._there(taken.repository, taken.manifests))
        tags = {
            tag: digest
            for tag, digest in taken.tags.items()
            if await self._target.points_to(taken.repository, tag) == digest
        }
        if manifests or tags:
            self.result.removals[taken.repository] = Taken(taken.repository, manifests, tags)

    async def _there(self, name: str, digests: Iterable[Digest]) -> set[Digest]:
        """Return those of the manifests that the repository has; the target limits how many are asked for at once."""
        wanted = list(digests)
        found = await asyncio.gather(*(self._target.exists(name, digest) for digest in wanted))
        return {digest for digest, exists in zip(wanted, found, strict=True) if exists}

    async def _manifests(self, taken: Taken) -> dict[Digest, str]:
        """Look at the manifests of a repository; return those that cannot come back, with the reason."""
        name = taken.repository
        missing: dict[Digest, str] = {}
        there = await self._there(name, taken.digests)
        self.result.there += len(there & taken.manifests)
        absent = taken.digests - there
        blobs = await self._blobs(name, absent)
        for digest in restore_order(absent, self.result.manifests):
            code, text, pieces = self._look(digest, missing, blobs)
            if code:
                missing[digest] = text
                self._lose(Restoration.MANIFEST, name, digest, "", code, text)
                continue
            for piece in pieces:
                self._add(piece)
            needs = {child.digest for child in self.result.manifests[digest].children} & taken.digests
            step = Step(Restoration.MANIFEST, name, digest, manifest=self._stored[digest], needs=frozenset(needs))
            self.result.steps.append(step)
        return missing

    def _look(
        self, digest: Digest, missing: Mapping[Digest, str], blobs: Mapping[Digest, Piece | str | None]
    ) -> tuple[str, str, list[Piece]]:
        """Return why a manifest cannot come back, as code and sentence, or the blobs that must come first."""
        manifest = self.result.manifests.get(digest)
        if manifest is None or not self._stored[digest].media_type:
            return "body-unknown", "its body is in no history here, and the registry has it no more", []
        absent = [child.digest for child in manifest.children if child.digest in missing]
        if absent:
            return "child-lost", f"{len(absent)} of the manifests it lists cannot come back: {absent[0]}", []
        pieces: list[Piece] = []
        reasons: list[str] = []
        for blob in manifest.blobs:
            found = blobs[blob.digest]
            if isinstance(found, Piece):
                pieces.append(found)
            elif found and not blob.is_foreign:
                reasons.append(found)
        if reasons:
            more = f", and {len(reasons) - 1} more of its blobs" if len(reasons) > 1 else ""
            return _PURGED, reasons[0] + more, []
        if self._shelf is not None and (body := self._shelf.manifest_piece(digest)) is not None:
            pieces.append(body)
        return "", "", pieces

    async def _blobs(self, name: str, digests: Iterable[Digest]) -> dict[Digest, Piece | str | None]:
        """Look at every blob of these manifests, each once."""
        manifests = [self.result.manifests[digest] for digest in digests if digest in self.result.manifests]
        wanted = list(dict.fromkeys(blob.digest for manifest in manifests for blob in manifest.blobs))
        found = await asyncio.gather(*(self._blob(name, digest) for digest in wanted))
        return dict(zip(wanted, found, strict=True))

    async def _blob(self, name: str, digest: Digest) -> Piece | str | None:
        if self._shelf is not None:
            return self._shelf.piece(name, digest)
        if not await self._target.lacks(name, digest):
            return None
        return f"the repository has no blob {digest} any more; where it is in quarantine, --storage brings it back"

    async def _tags(self, taken: Taken, missing: Mapping[Digest, str]) -> None:
        for tag, digest in taken.tags.items():
            now = await self._target.points_to(taken.repository, tag)
            if now == digest and digest not in missing:
                self.result.there += 1
            elif now is not None and now != digest:
                text = f"it points to {now.short} now, and is left alone"
                self._lose(Restoration.TAG, taken.repository, digest, tag, "tag-moved", text)
            elif digest in missing:
                text = f"its manifest cannot come back: {missing[digest]}"
                self._lose(Restoration.TAG, taken.repository, digest, tag, "manifest-lost", text)
            else:
                step = Step(
                    Restoration.TAG,
                    taken.repository,
                    digest,
                    tag,
                    manifest=self._stored.get(digest),
                    needs=frozenset({digest}),
                )
                if step.manifest is None:
                    text = "its manifest is there, but its body cannot be read"
                    self._lose(Restoration.TAG, taken.repository, digest, tag, "body-unknown", text)
                else:
                    self.result.steps.append(step)

    def _add(self, piece: Piece) -> None:
        """Add a blob, with the links of all who want it."""
        before = self._pieces.get(piece.digest)
        if before is not None:
            links = tuple(dict.fromkeys((*before.links, *piece.links)))
            piece = Piece(piece.digest, piece.size, piece.collected or before.collected, links)
        self._pieces[piece.digest] = piece

    def _lose(self, kind: Restoration, repository: str, digest: Digest | None, tag: str, code: str, text: str) -> None:
        self.result.lost.append(Lost(kind, repository, digest, tag, code, text))
