"""A tree laid out for a comparison, and all that is known of it without reading it: what any collector should find.

The expectations are computed from what was laid out, with a parser and a walk of their own, so that an error in
jettison's reading or marking cannot hide in them.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from jettison.oci.digest import Digest
from jettison.testing.built import BuiltBlob, BuiltManifest
from jettison.testing.storage_tree import StorageTree


class Reason(StrEnum):
    """Why we keep a blob that the registry's own collector removes (design, "Promises")."""

    CHILD = "promise 1: a kept index keeps its platforms, also where a platform's own revision is gone"
    SUBJECT = "promise 4: what a kept manifest describes by `subject` stays"
    ALGORITHM = "server's fault: a layer that was pushed under sha512 is stored as sha256, and lost"
    BROKEN = "promise 2: a repository in which something is damaged keeps everything that it links"


@dataclass
class Contents:
    """One repository as it was laid out: linked manifests, what its tags point to, and its layer links."""

    revisions: set[Digest] = field(default_factory=set)
    tags: dict[str, Digest] = field(default_factory=dict)
    layers: set[Digest] = field(default_factory=set)


@dataclass
class Found:
    """What a correct collector keeps and removes; `reasons` has what the registry's own would remove beyond that."""

    removed: set[Digest]
    broken: set[str]
    reasons: dict[Digest, Reason]


class LaidOut:
    """A storage below `root`, and what is in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tree = StorageTree(root)
        self.repositories: dict[str, Contents] = {}
        self.bodies: dict[Digest, bytes] = {}
        """The manifests whose data is on the disk."""
        self.stored: set[Digest] = set()
        self.stored_as: dict[Digest, Digest] = {}
        self.unreadable: set[Digest] = set()
        """Manifests whose data was damaged or taken away."""
        self.broken: set[str] = set()
        """Repositories that were damaged otherwise."""

    def add(self, repository: str, built: BuiltManifest, tags: Iterable[str] = ()) -> None:
        """Lay out a manifest with all that it has, and tag it."""
        tags = tuple(tags)
        self.tree.add(repository, built, tags)
        contents = self.repositories.setdefault(repository, Contents())
        for manifest in built.walk():
            contents.revisions.add(manifest.digest)
            self.bodies[manifest.digest] = manifest.body
            self.stored.add(manifest.digest)
            for blob in manifest.blobs:
                as_stored = Digest.of(blob.body)
                self.stored.add(as_stored)
                contents.layers |= {blob.digest, as_stored}
                if blob.digest != as_stored:
                    self.stored_as[blob.digest] = as_stored
        contents.tags |= dict.fromkeys(tags, built.digest)

    def add_blob(self, body: bytes, repository: str | None) -> None:
        """Lay out a blob that no manifest refers to, as a push that broke off leaves it; linked, or not even that."""
        built = BuiltManifest(Digest.of(body), "", body)
        self.tree._blob(built.digest, body, None)
        self.stored.add(built.digest)
        if repository is not None:
            contents = self.repositories.setdefault(repository, Contents())
            contents.layers.add(built.digest)
            link = self.path(repository) / "_layers" / "sha256" / built.digest.hex / "link"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.write_text(built.digest)

    def unlink(self, repository: str, digest: Digest, *, folder: bool) -> None:
        """Delete a manifest with its tags as the registry's API does; 2.8 and 3.x leave the revision's empty folder."""
        contents = self.repositories[repository]
        contents.revisions.discard(digest)
        for tag in [tag for tag, target in contents.tags.items() if target == digest]:
            del contents.tags[tag]
            shutil.rmtree(self.path(repository) / "_manifests" / "tags" / tag)
        (self.revision(repository, digest) / "link").unlink()
        if folder:
            self.revision(repository, digest).rmdir()

    def path(self, repository: str) -> Path:
        """Return a repository's folder."""
        return self.root / "docker/registry/v2/repositories" / repository

    def revision(self, repository: str, digest: Digest) -> Path:
        """Return a revision's folder."""
        return self.path(repository) / "_manifests" / "revisions" / digest.algorithm / digest.hex

    def data(self, digest: Digest) -> Path:
        """Return a blob's data."""
        return self.root / "docker/registry/v2/blobs" / digest.algorithm / digest.hex[:2] / digest.hex / "data"

    def expected(self) -> Found:
        """Compute what is needed, and why the registry's own collector would not see some of it."""
        theirs: set[Digest] = set()
        ours: dict[Digest, Reason | None] = {}
        broken = set(self.broken)
        for name, contents in self.repositories.items():
            for digest in contents.revisions:
                theirs |= {digest, *(other for kind, other in self._edges(digest) if kind is not Reason.SUBJECT)}
            walked, is_broken = self._walk(contents)
            ours = walked | ours
            if is_broken:
                broken.add(name)
        for name in broken:
            ours |= dict.fromkeys(self.repositories[name].layers - ours.keys(), Reason.BROKEN)
        for named, stored in self.stored_as.items():
            if named in ours and stored not in ours:
                ours[stored] = ours[named] or Reason.ALGORITHM
        reasons = {
            digest: reason or Reason.BROKEN
            for digest, reason in ours.items()
            if digest in self.stored and digest not in theirs
        }
        return Found(self.stored - ours.keys(), broken, reasons)

    def contents_of(self, names: Iterable[str]) -> set[Digest]:
        """Return everything that some repositories need or link."""
        found: set[Digest] = set()
        for name in names:
            found |= self._walk(self.repositories[name])[0].keys() | self.repositories[name].layers
        return found

    def _walk(self, contents: Contents) -> tuple[dict[Digest, Reason | None], bool]:
        """Follow all that a repository refers to; remember by which kind of reference each was first come by."""
        roots = contents.revisions | set(contents.tags.values())
        found: dict[Digest, Reason | None] = dict.fromkeys(roots)
        waiting = list(roots)
        is_broken = not set(contents.tags.values()) <= contents.revisions
        while waiting:
            digest = waiting.pop(0)
            is_broken |= digest in self.unreadable and (self.data(digest).exists() or digest in contents.revisions)
            for kind, other in self._edges(digest):
                if other not in found:
                    via = found[digest]
                    # What the registry marks itself needs no reason: direct references of a revision, but for subjects.
                    direct = None if digest in contents.revisions and kind is not Reason.SUBJECT else kind
                    found[other] = via or direct
                    waiting.append(other)
        return found, is_broken

    def _edges(self, digest: Digest) -> Iterator[tuple[Reason, Digest]]:
        """Yield what a manifest refers to, and why we keep it where the registry does not come by."""
        if digest not in self.bodies or digest in self.unreadable:
            return
        document = json.loads(self.bodies[digest])
        entries = [document.get("config"), *document.get("layers", ()), *document.get("manifests", ())]
        for entry in [*entries, *document.get("blobs", ())]:
            if entry is not None:
                yield Reason.CHILD, Digest(entry["digest"])
        if "subject" in document:
            yield Reason.SUBJECT, Digest(document["subject"]["digest"])


def buildkit_cache(layers: Iterable[bytes]) -> BuiltManifest:
    """Return a cache as BuildKit exports it: an index whose entries are layers, not manifests."""
    kind = "application/vnd.oci.image.index.v1+json"
    blobs = [
        *(BuiltBlob(Digest.of(body), "application/vnd.oci.image.layer.v1.tar+gzip", body) for body in layers),
        BuiltBlob(Digest.of(b'{"layers":[]}'), "application/vnd.buildkit.cacheconfig.v0", b'{"layers":[]}'),
    ]
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": [blob.descriptor() for blob in blobs]}
    body = json.dumps(document).encode()
    return BuiltManifest(Digest.of(body), kind, body, tuple(blobs))
