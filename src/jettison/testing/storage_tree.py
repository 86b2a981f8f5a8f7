"""Images laid out in a registry's storage without a server: large trees in seconds, with any push time.

The layout is the one of CNCF distribution's storage drivers (registry/storage/paths.go), version 2 of it.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from jettison.oci.digest import Digest
from jettison.testing.built import BuiltManifest


class StorageTree:
    """The storage below `root`, a storage driver's root directory. A server may be started on it at any time.

    A server that runs already caches what it has seen, and does not expect others to write: stop it first.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._base = f"{root}/docker/registry/v2"

    def add(
        self,
        repository: str,
        built: BuiltManifest,
        tags: Sequence[str] = (),
        pushed: datetime | None = None,
    ) -> Digest:
        """Lay out a manifest with its blobs and children, and point `tags` to it; return its digest.

        What a push would find there already stays untouched. With `pushed`, every file that this call writes carries
        that time of modification, as if it had been pushed then; a link that a push would write again, that of a tag
        and of a revision, carries it in any case.
        """
        when = None if pushed is None else int(pushed.timestamp() * 1_000_000_000)
        links = f"{self._base}/repositories/{repository}"
        for manifest in built.walk():
            for blob in manifest.blobs:
                # A blob is stored as sha256 whatever the digest that it was pushed under. It is linked under both, and
                # each link names the digest that it is stored under.
                stored = Digest.of(blob.body) if blob.digest.algorithm != "sha256" else blob.digest
                self._blob(stored, blob.body, when)
                for linked in dict.fromkeys((stored, blob.digest)):
                    self._write(f"{links}/_layers/{_split(linked)}/link", stored.encode(), when, again=False)
            self._blob(manifest.digest, manifest.body, when)
            link = manifest.digest.encode()
            self._write(f"{links}/_manifests/revisions/{_split(manifest.digest)}/link", link, when)
        if not built.blobs:
            # A push of a whole repository makes this folder even when no layer came with it.
            _make_folder(f"{links}/_layers")
        for tag in tags:
            folder = f"{links}/_manifests/tags/{tag}"
            self._write(f"{folder}/index/{_split(built.digest)}/link", built.digest.encode(), when)
            self._write(f"{folder}/current/link", built.digest.encode(), when)
        return built.digest

    def _blob(self, digest: Digest, body: bytes, when: int | None) -> None:
        path = f"{self._base}/blobs/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}/data"
        self._write(path, body, when, again=False)

    def _write(self, path: str, content: bytes, when: int | None, *, again: bool = True) -> None:
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if again else os.O_EXCL)
        try:
            descriptor = os.open(path, flags, 0o644)
        except FileExistsError:
            return
        except FileNotFoundError:
            _make_folder(path.rpartition("/")[0])
            descriptor = os.open(path, flags, 0o644)
        try:
            _write_all(descriptor, content)
            if when is not None:
                os.utime(descriptor, ns=(when, when))
        finally:
            os.close(descriptor)


def _make_folder(folder: str) -> None:
    # Strings and bare calls: a large tree spends most of its time here, and Path would double it.
    try:
        os.mkdir(folder)  # noqa: PTH102  # see above
    except FileExistsError:
        return
    except FileNotFoundError:
        _make_folder(folder.rpartition("/")[0])
        os.mkdir(folder)  # noqa: PTH102  # see above


def _split(digest: Digest) -> str:
    return f"{digest.algorithm}/{digest.hex}"


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
