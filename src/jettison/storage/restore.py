"""LocalRestore: what is written back into a registry's storage: revisions, tags, layer links, manifest bodies.

Nothing that exists is ever replaced, and nothing is written through a symbolic link. The order on the disk is the
reverse of deleting: bodies before revisions, revisions before tags, each flushed before the next. What a crash leaves
is then a blob or manifest that nothing leads to, which is garbage; never a tag that leads nowhere, which is damage.

A registry may serve meanwhile: it keeps no tags and no "not there" in memory, and finds what was written at once.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from jettison.collect.references import DigestText
from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.oci.reference import is_repository, is_tag
from jettison.storage import layout
from jettison.storage.changes import remove_tree
from jettison.storage.contract import ChangedError
from jettison.storage.files import names_in, open_folder, open_own_folder
from jettison.storage.lease import Lease
from jettison.storage.local import LocalStorage
from jettison.storage.own import make_own_folder, take_after
from jettison.storage.refusal import way_out

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TAKEN: Final = {errno.EEXIST, errno.ENOTEMPTY}


class LocalRestore:
    """Writes back into the storage that a lease is held on, and that `storage` reads."""

    def __init__(self, lease: Lease, storage: LocalStorage) -> None:
        if lease.root != storage.name:
            raise ValueError(f"the lease is on {lease.root}, not on {storage.name}")
        self._root = lease.root
        self._storage = storage

    def put_body(self, digest: Digest, body: bytes) -> bool:
        """Store a manifest's body; False where the blob has data already. Raises StorageError."""
        if not digest.matches(body):
            raise StorageError(f"what is to be stored as {digest} is something else")
        with self._inside(layout.blob_folder(digest)) as folder:
            return _put(folder, "data", body)

    def put_link(self, repository: str, digest: DigestText, target: DigestText) -> bool:
        """Write a layer link that the repository had; False where there is one. Raises StorageError."""
        _check(repository)
        with self._inside(layout.layer_link(repository, Digest(digest)).rpartition("/")[0]) as folder:
            return _put(folder, "link", target.encode("ascii"))

    def put_revision(self, repository: str, digest: Digest) -> bool:
        """Make a manifest whose body is stored one of the repository's again; False where it is one."""
        _check(repository)
        # The registry knows a repository by this folder, even one without any layer.
        with self._inside(layout.layers_folder(repository)):
            pass
        with self._inside(layout.revision_link(repository, digest).rpartition("/")[0]) as folder:
            return _put(folder, "link", digest.encode("ascii"))

    def put_tag(self, repository: str, tag: str, digest: Digest) -> bool:
        """Point a tag that does not exist to a revision; False where it points there already.

        The race: somebody pushes the tag in this moment. The tag's folder is made out of sight and comes into its place
        with one rename, which fails where there is a folder with anything in it; so either push stands. Played by
        tests/storage/test_restore.py.

        Raises ChangedError where the tag points elsewhere, StorageError where it cannot be written.
        """
        _check(repository, tag)
        if self._points(repository, tag, digest):
            return False
        with self._inside(layout.tags_folder(repository)) as tags, self._inside(_manifests(repository)) as manifests:
            aside = f"{layout.ASIDE}{secrets.token_hex(8)}"
            try:
                self._lay_out(repository, aside, digest)
                try:
                    os.rename(aside, tag, src_dir_fd=manifests, dst_dir_fd=tags)
                except OSError as error:
                    if error.errno not in _TAKEN:
                        raise
                    return self._fill_in(repository, tag, digest)
            finally:
                remove_tree(manifests, aside)
            os.fsync(tags)
        return True

    def _lay_out(self, repository: str, aside: str, digest: Digest) -> None:
        """Make a tag's folder under a name that the registry does not look at."""
        folder = f"{_manifests(repository)}/{aside}"
        with self._inside(f"{folder}/index/{digest.algorithm}/{digest.hex}") as entry:
            _put(entry, "link", digest.encode("ascii"))
        with self._inside(f"{folder}/current") as current:
            _put(current, "link", digest.encode("ascii"))

    def _fill_in(self, repository: str, tag: str, digest: Digest) -> bool:
        """Give a tag whose folder is there its link, unless it has one. An interrupted push leaves such a folder."""
        if self._points(repository, tag, digest):
            return False
        folder = f"{layout.tags_folder(repository)}/{tag}"
        with self._inside(f"{folder}/index/{digest.algorithm}/{digest.hex}") as entry:
            _put(entry, "link", digest.encode("ascii"))
        with self._inside(f"{folder}/current") as current:
            if _put(current, "link", digest.encode("ascii")):
                return True
        return not self._points(repository, tag, digest)

    def _points(self, repository: str, tag: str, digest: Digest) -> bool:
        """Whether the tag points to `digest`; False where there is no such tag. Raises ChangedError."""
        now = self._storage.points_to(repository, tag)
        if now is not None and now != digest:
            raise ChangedError(f"tag {tag} of {repository} points to {now.short} now, so it is left alone")
        return now is not None

    @contextmanager
    def _inside(self, path: str) -> Iterator[int]:
        """Enter a folder, made where it is missing, never through a symbolic link."""
        folder = -1
        try:
            folder = make_own_folder(self._root, path)
            yield folder
        except OSError as error:
            raise StorageError(
                f"{layout.readable(f'{self._root}/{path}')}: cannot write in it: {error.strerror}; {way_out(error)}"
            ) from error
        finally:
            if folder >= 0:
                os.close(folder)


def had_link(root: str, repository: str, digest: Digest) -> bool:
    """Whether the repository has a layer link or the folder that one leaves: it could reach the blob once.

    What cannot be looked at, or lies behind a symbolic link, counts as none.
    """
    try:
        descriptor = open_folder(root)
        try:
            os.close(open_own_folder(descriptor, layout.layer_link(repository, digest).rpartition("/")[0]))
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return True


def _put(folder: int, name: str, content: bytes) -> bool:
    """Write a new file, whole or not at all, and flush it; False where there is one. Raises OSError.

    Beside others it is written under another name and then linked: unlike a rename, that replaces nothing.
    """
    if name in names_in(folder):
        return False
    part = f"{name}.jettison-{secrets.token_hex(4)}"
    descriptor = os.open(part, _NEW_FILE, 0o644, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            take_after(folder, file.fileno())
            os.fsync(file.fileno())
        os.link(part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=folder)
    os.fsync(folder)
    return True


def _manifests(repository: str) -> str:
    return f"{layout.repository_folder(repository)}/{layout.MANIFESTS}"


def _check(repository: str, *tags: str) -> None:
    """Let no name reach a path that could leave the repository's folder."""
    if not is_repository(repository):
        raise StorageError(f"{repository!r} is no repository name, so nothing is written under it")
    for tag in tags:
        if not is_tag(tag):
            raise StorageError(f"{tag!r} is no tag, so nothing is written under it")
