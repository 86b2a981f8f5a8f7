"""Chores: what lies about in a storage beside blobs that nothing refers to. Found here; `housekeeping` removes it.

    stale uploads          begun more than a week ago and never finished; the registry purges them at that age itself
    tag folders            left by a push that was interrupted before the tag pointed to anything
    layer links            that no manifest of their repository needs, and the folders of those that are gone
    repositories           without a manifest, tag, link or upload
    blob folders           without data, which collecting beside a serving registry leaves

Beside a serving registry only stale uploads are removed. A server that is about to finish one finds it gone and answers
with an error, so nothing is accepted and lost. The others wait for a run without a server: it remembers who has which
link, so a link removed behind its back would be believed in; a push may be between making a tag's or repository's
folder and writing into it, and would fail for no fault of its own.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from jettison.collect.mark import Holding
from jettison.collect.packed import DigestSet, DigestText, pack, unpack
from jettison.collect.references import References
from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.oci.reference import is_repository, is_tag
from jettison.storage import layout
from jettison.storage.files import is_absent, names_in, status
from jettison.storage.local import LocalStorage
from jettison.storage.roots import Roots
from jettison.storage.symbolic import behind_symbolic_link, is_behind_symbolic_link

STALE: Final = timedelta(days=7)
"""The age at which the registry's own purging takes uploads too (`storage.maintenance.uploadpurging.age`, 168h)."""


class ChoreKind(StrEnum):
    """What is done; also the kind of the journal's action."""

    UPLOAD = "remove-upload"
    TAG_FOLDER = "remove-tag-folder"
    LINK = "remove-link"
    LINK_FOLDER = "remove-link-folder"
    REPOSITORY = "remove-repository"
    BLOB_FOLDERS = "remove-blob-folders"


LINKS: Final = frozenset({ChoreKind.LINK, ChoreKind.LINK_FOLDER})
"""Those of one repository are removed together. Only where there was a link there is something to take back."""


class Chore(NamedTuple):
    """One thing to remove. `name` is an upload's identifier, a tag, or a digest; `size` the bytes that come back.

    `digests` are the blobs of a chore about blob folders, or what a link of another algorithm than sha256 names.
    """

    kind: ChoreKind
    repository: str
    name: str
    reason: str
    size: int = 0
    digests: tuple[DigestText, ...] = ()


def find_chores(
    storage: LocalStorage,
    roots: Roots,
    *,
    broken: AbstractSet[str],
    condemned: AbstractSet[DigestText],
    now: datetime,
    grace: timedelta,
) -> tuple[Chore, ...]:
    """Find what there is to do where no registry serves. Nothing is written.

    `broken` repositories keep everything but stale uploads. `condemned` blobs lose their links when they are collected,
    so those are not named here. `grace`: what is younger may belong to a push. What cannot be read stays as it is.
    """
    finder = _Finder(storage, roots, broken, condemned, now, grace)
    listing = storage.repositories()
    found: list[Chore] = []
    for name in listing.names:
        if name not in listing.linked and is_repository(name):
            found += finder.everything(name)
    return tuple(found)


def stale_uploads(storage: LocalStorage, now: datetime) -> tuple[Chore, ...]:
    """Find what there is to do beside a serving registry. Nothing is written; what cannot be read stays."""
    listing = storage.repositories()
    names = [name for name in listing.names if name not in listing.linked and is_repository(name)]
    return tuple(chore for name in names for chore in _stale_uploads(storage, name, now))


def _stale_uploads(storage: LocalStorage, name: str, now: datetime) -> list[Chore]:
    try:
        uploads = storage.uploads(name)
    except StorageError:
        return []
    stale = [upload for upload in uploads if now - upload.started > STALE]
    if stale and is_behind_symbolic_link(storage.name, layout.uploads_folder(name)):
        return []
    return [
        Chore(
            ChoreKind.UPLOAD,
            name,
            upload.identifier,
            f"an upload begun on {upload.started:%Y-%m-%d} and never finished",
            upload.size,
        )
        for upload in stale
    ]


def blob_folders(digests: Iterable[DigestText]) -> tuple[Chore, ...]:
    """Return the chore of removing the folders of blobs that have no data; none for none."""
    gone = tuple(sorted(digests))
    if not gone:
        return ()
    return (Chore(ChoreKind.BLOB_FOLDERS, "", f"{len(gone)}", "folders of blobs whose data is gone", digests=gone),)


class _Finder:
    def __init__(
        self,
        storage: LocalStorage,
        roots: Roots,
        broken: AbstractSet[str],
        condemned: AbstractSet[DigestText],
        now: datetime,
        grace: timedelta,
    ) -> None:
        self._storage = storage
        self._root = storage.name
        self._roots = roots
        self._holdings = {holding.repository: holding for holding in roots.holdings}
        self._settled = {settled.repository: settled for settled in roots.settled}
        self._broken = broken
        self._condemned = condemned
        self._now = now
        self._grace = grace

    def everything(self, name: str) -> list[Chore]:
        """Find all there is in one repository."""
        found = _stale_uploads(self._storage, name, self._now)
        settled = self._settled.get(name)
        if settled is not None:
            return found + self._links(name, unpack(settled.unneeded)) if settled.unneeded else found
        holding = self._holdings.get(name)
        if holding is None or name in self._broken or any(problem.blocks for problem in holding.problems):
            return found
        found += self._tag_folders(name, holding)
        layers = self._storage.layers(name, canonical=True)
        if not layers.is_complete or layers.problems:
            return found
        needed = needed_by(holding, self._roots)
        unneeded = layers.digests - needed
        if layers.stored_as:
            as_stored = {layers.stored_as[digest] for digest in needed.among(layers.stored_as)}
            as_stored |= needed.among(layers.stored_as.values())
            unneeded = {digest for digest in unneeded if layers.stored_as.get(digest, digest) not in as_stored}
        going = [each for each in unneeded if layers.stored_as.get(each, each) not in self._condemned]
        found += self._links(name, going, layers.stored_as)
        if self._is_empty(name, holding, layers.digests, found):
            found.append(Chore(ChoreKind.REPOSITORY, name, "", "it holds no manifest, and nothing is being pushed"))
        return found

    def _links(
        self, name: str, unneeded: Iterable[DigestText], stored_as: Mapping[DigestText, DigestText] | None = None
    ) -> list[Chore]:
        going = [
            digest
            for digest in sorted(unneeded)
            if digest not in self._condemned and self._is_old(layout.layer_link(name, Digest(digest)))
        ]
        behind = behind_symbolic_link(self._root, name, going) if going else ()
        live: list[Chore] = []
        left: list[Chore] = []
        for digest in going:
            if digest in behind:
                continue
            if is_missing(f"{self._root}/{layout.layer_link(name, Digest(digest))}"):
                left.append(Chore(ChoreKind.LINK_FOLDER, name, digest, "the link that was in it is gone already"))
            else:
                named = () if stored_as is None or digest not in stored_as else (stored_as[digest],)
                text = "no manifest of the repository needs this layer"
                live.append(Chore(ChoreKind.LINK, name, digest, text, digests=named))
        return live + left

    def _tag_folders(self, name: str, holding: Holding) -> list[Chore]:
        if not any(problem.code == "tag-without-target" for problem in holding.problems):
            return []
        folder = f"{self._root}/{layout.tags_folder(name)}"
        try:
            tags = sorted(names_in(folder))
        except OSError:
            return []
        return [
            Chore(ChoreKind.TAG_FOLDER, name, tag, "a push was interrupted before this tag pointed to anything")
            for tag in tags
            if is_tag(tag)
            and is_missing(f"{folder}/{tag}/current/link")
            and self._is_old(f"{layout.tags_folder(name)}/{tag}")
        ]

    def _is_empty(self, name: str, holding: Holding, layers: AbstractSet[DigestText], found: list[Chore]) -> bool:
        """Whether nothing is left of a repository once what was found is removed, and nobody is pushing to it."""
        if holding.revisions or holding.tagged:
            return False
        if any(problem.code != "tag-without-target" for problem in holding.problems):
            return False
        going = {(chore.kind, chore.name) for chore in found}
        folder = f"{self._root}/{layout.repository_folder(name)}"
        try:
            tags = _names(f"{folder}/{layout.TAGS}")
            uploads = _names(f"{folder}/{layout.UPLOADS}")
            marks = [mark for mark in layout.REPOSITORY_MARKS if not is_missing(f"{folder}/{mark}")]
        except OSError:
            return False
        return (
            all((ChoreKind.TAG_FOLDER, tag) in going for tag in tags)
            and all((ChoreKind.UPLOAD, upload) in going for upload in uploads)
            and all(
                not going.isdisjoint((kind, digest) for kind in LINKS) or digest in self._condemned for digest in layers
            )
            and all(self._is_old(f"{layout.repository_folder(name)}/{mark}") for mark in marks)
        )

    def _is_old(self, path: str) -> bool:
        """Whether a file, or where it is gone its folder, is older than the grace period."""
        full = f"{self._root}/{path}"
        try:
            try:
                modified = status(full).st_mtime
            except FileNotFoundError:
                modified = status(full.rpartition("/")[0]).st_mtime
        except OSError:
            return False
        return datetime.fromtimestamp(modified, UTC) <= self._now - self._grace


def needed_by(holding: Holding, roots: Roots) -> DigestSet:
    """Return every digest that the manifests of one repository lead to, themselves included."""
    waiting = list(holding.revisions | holding.tagged)
    seen = set(waiting)
    packed: list[bytes] = []
    others: set[DigestText] = set()
    while waiting:
        reading = roots.readings.get(waiting.pop())
        if isinstance(reading, References):
            packed.append(reading.packed)
            others.update(reading.others)
            fresh = [each for each in (*reading.manifests, *reading.named) if each not in seen]
            seen.update(fresh)
            waiting += fresh
    seen_packed, seen_others = pack(seen)
    return DigestSet([*packed, seen_packed], others.union(seen_others))


def _names(folder: str) -> list[str]:
    try:
        return names_in(folder)
    except OSError as error:
        if is_absent(error):
            return []
        raise


def is_missing(path: str, folder: int | None = None) -> bool:
    """Whether nothing has this path; False where nobody can tell."""
    try:
        status(path, folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False
