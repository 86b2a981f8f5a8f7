"""LocalChanges: what is deleted from a registry's storage on a local file system.

Folders are entered one by one from the root, and never through a symbolic link; names are unlinked relative to the
folder that was entered, so nothing that is swapped in between leads anywhere else.

The order on the disk: a tag goes before its revision, and a layer link before its blob. What a crash leaves is then a
manifest without a tag or a blob without a link, which is garbage; never the reverse, which would be damage. Where the
second step may not reach the disk before the first one, the folder is flushed in between.
"""

import errno
import os
import secrets
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from jettison.collect.blob import StoredBlob
from jettison.collect.packed import DigestText
from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.oci.problem import Problem
from jettison.storage import layout
from jettison.storage.contract import ChangedError, RemovedBlob
from jettison.storage.files import TooLargeError, is_absent, names_in, open_folder, open_own_folder, read_file
from jettison.storage.local import LocalStorage
from jettison.storage.refusal import way_out

# A folder that is no symbolic link.
_OWN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SYMBOLIC: Final = {errno.ELOOP, errno.ENOTDIR}


class LocalChanges:
    """Deletes from the storage that `storage` reads."""

    def __init__(self, storage: LocalStorage) -> None:
        self._root = storage.name

    def check(self) -> None:
        """Raise StorageError where this process may not delete here: no right to, or a read-only file system."""
        for path in (layout.REPOSITORIES, layout.BLOBS):
            folder = f"{self._root}/{path}"
            try:
                # A file without a name: whoever may make one here may delete here, and nobody ever sees it.
                os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno in (errno.EOPNOTSUPP, errno.EISDIR) and os.access(folder, os.W_OK | os.X_OK):
                    continue
                if error.errno in (errno.ENOSPC, errno.EDQUOT):  # deleting needs no space
                    continue
                raise StorageError(
                    f"{folder} cannot be written ({error.strerror}), so nothing can be deleted there; run as the user "
                    "that owns the registry's storage, and mount it writable"
                ) from error

    def delete_tag(self, repository: str, tag: str, expected: Digest) -> bool:
        """Delete a tag that points to `expected`; False where it is gone.

        Raises ChangedError where it points elsewhere, StorageError where it cannot be deleted.
        """
        deleted = self._delete_tag(repository, tag, expected)
        self._sweep_aside(repository)
        return deleted

    def delete_revision(self, repository: str, digest: Digest, tags: Collection[str]) -> bool:
        """Delete the tags, all of which point to `digest`, then the revision; False where that was gone.

        Raises ChangedError, before the revision goes, where a tag points elsewhere by now.
        """
        deleted = [tag for tag in sorted(tags) if self._delete_tag(repository, tag, digest)]
        if deleted:
            # Without this, a power failure might leave the tags and take the revision.
            with self._inside(layout.tags_folder(repository)) as folder:
                if folder is not None:
                    os.fsync(folder)
        with self._inside(f"{layout.revisions_folder(repository)}/{digest.algorithm}") as folder:
            gone = folder is not None and _unlink_link(folder, digest.hex)
        if tags:
            self._sweep_aside(repository)
        return gone

    def remove_layer_links(self, repository: str, digests: Iterable[DigestText]) -> int:
        """Remove layer links, and flush; what is left of one that was removed before goes too, uncounted."""
        removed = 0
        for algorithm, group in groupby(sorted(digests), key=lambda digest: digest.partition(":")[0]):
            with self._inside(f"{layout.layers_folder(repository)}/{algorithm}") as folder:
                if folder is None:
                    continue
                for digest in group:
                    removed += _unlink_link(folder, digest.partition(":")[2])
                os.fsync(folder)
        return removed

    def remove_blobs(self, blobs: Iterable[StoredBlob]) -> Iterator[RemovedBlob]:
        """Remove blobs that are still as described, in the order of their digests, and tell what became of each."""
        for prefix, group in groupby(
            sorted(blobs), key=lambda blob: layout.blob_folder(blob.digest).rpartition("/")[0]
        ):
            with self._inside(prefix) as folder:
                for blob in group:
                    if folder is None:
                        yield RemovedBlob(blob.digest, 0, Problem("gone", f"blob {blob.digest} is gone already", False))
                    else:
                        yield _remove_blob(folder, blob)

    def _delete_tag(self, repository: str, tag: str, expected: Digest) -> bool:
        """Take the tag's folder out of sight with one rename, so that no half-removed tag is ever seen, and look again.

        The race: the registry moves the tag between our reading and our rename. Its new link then lies in the folder
        that was renamed; it is found by the second reading, and the folder goes back, unless yet another push has made
        the tag anew. What remains is a link that registry 3.0 and older has opened before the rename and writes after
        the second reading, some microseconds. Played by tests/storage/test_changes.py.
        """
        with self._inside(layout.tags_folder(repository)) as tags:
            if tags is None or not self._points_to(tags, tag, tag, expected, repository):
                return False
            with self._inside(f"{layout.repository_folder(repository)}/{layout.MANIFESTS}") as manifests:
                if manifests is None:
                    return False
                aside = f"{layout.ASIDE}{secrets.token_hex(8)}"
                if _is_link(tags, tag):
                    raise through_link(f"{layout.tags_folder(repository)}/{tag}")
                try:
                    os.rename(tag, aside, src_dir_fd=tags, dst_dir_fd=manifests)
                except FileNotFoundError:
                    return False
                try:
                    self._points_to(manifests, aside, tag, expected, repository)
                except StorageError:
                    _put_back(manifests, aside, tags, tag)
                    raise
        return True

    def _points_to(self, folder: int, name: str, tag: str, expected: Digest, repository: str) -> bool:
        """Whether the tag in the folder `name` points to `expected`; False where it points to nothing at all."""
        path = f"{self._root}/{layout.tag_link(repository, tag)}"
        try:
            content = read_file(f"{name}/current/link", layout.LONGEST_LINK, folder)
        except FileNotFoundError:
            return False
        except (OSError, TooLargeError) as error:
            raise StorageError(f"{path} cannot be read, so the tag stays: {error}") from error
        if content != expected.encode():
            found = layout.parse_link(content)
            now = f"points to {found.short}" if found else "is damaged"
            raise ChangedError(f"tag {tag} of {repository} {now} by now, not to {expected.short}, so it stays")
        return True

    def _sweep_aside(self, repository: str) -> None:
        """Remove the folders of tags that were taken out of sight, by this process or by one that was killed."""
        with self._inside(f"{layout.repository_folder(repository)}/{layout.MANIFESTS}") as folder:
            if folder is None:
                return
            for name in names_in(folder):
                if name.startswith(layout.ASIDE):
                    remove_tree(folder, name)

    @contextmanager
    def _inside(self, path: str) -> Iterator[int | None]:
        """Enter a folder without following symbolic links; None where it does not exist.

        Raises StorageError where a symbolic link stands in the way or the system refuses something in the block.
        """
        root = -1
        folder: int | None = None
        try:
            root = open_folder(self._root)
            try:
                folder = open_own_folder(root, path)
            except FileNotFoundError:
                folder = None
            except OSError as error:
                if error.errno in _SYMBOLIC:
                    raise through_link(path) from error
                raise
            yield folder
        except OSError as error:
            raise StorageError(
                f"{self._root}/{path}: cannot delete in it: {error.strerror}; {way_out(error)}"
            ) from error
        finally:
            for descriptor in (folder, root):
                if descriptor is not None and descriptor >= 0:
                    os.close(descriptor)


def remove_tree(folder: int, name: str) -> None:
    """Remove a file, or a folder with all that is in it; a symbolic link goes itself, and what it leads to stays.

    Raises OSError. What somebody else removes at the same time is no error.
    """
    try:
        inner = os.open(name, _OWN_FOLDER, dir_fd=folder)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in _SYMBOLIC:
            raise
        os.unlink(name, dir_fd=folder)
        return
    try:
        for each in names_in(inner):
            remove_tree(inner, each)
    finally:
        os.close(inner)
    try:
        os.rmdir(name, dir_fd=folder)
    except FileNotFoundError:
        return


def _put_back(manifests: int, aside: str, tags: int, tag: str) -> None:
    """Return a tag's folder to its place. Where a newer push has made the place anew, that push stands instead."""
    try:
        os.rename(aside, tag, src_dir_fd=manifests, dst_dir_fd=tags)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise


def _unlink_link(folder: int, name: str) -> bool:
    """Remove the link in the folder `name`, and that folder where nothing else is in it; False where there was none."""
    try:
        inner = os.open(name, _OWN_FOLDER, dir_fd=folder)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in _SYMBOLIC:
            raise through_link(name) from error
        raise
    try:
        os.unlink("link", dir_fd=inner)
        found = True
    except FileNotFoundError:
        found = False
    finally:
        os.close(inner)
    _remove_empty(folder, name)
    return found


def _remove_empty(folder: int, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=folder)
    except OSError as error:
        # Something of somebody else is in it or mounted on it, or it was removed meanwhile: none of that is ours.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY):
            raise


def _remove_blob(folder: int, blob: StoredBlob) -> RemovedBlob:
    """Remove one blob's data and folder. A blob that was written anew since it was condemned stays."""
    name = blob.digest.hex
    try:
        inner = os.open(name, _OWN_FOLDER, dir_fd=folder)
    except OSError as error:
        if error.errno in _SYMBOLIC:
            text = f"blob {blob.digest} stays: its folder is a symbolic link, and nothing is deleted through one"
            return RemovedBlob(blob.digest, 0, Problem("symbolic-link", text))
        return _stays(blob, error)
    try:
        data = os.stat("data", dir_fd=inner, follow_symlinks=False)
        changed = _changed(blob, data)
        if changed is not None:
            return RemovedBlob(blob.digest, 0, changed)
        os.unlink("data", dir_fd=inner)
    except OSError as error:
        return _stays(blob, error)
    finally:
        os.close(inner)
    _remove_empty(folder, name)
    # The last name of the file gives its bytes back; a hard link elsewhere (a backup's, say) keeps them.
    return RemovedBlob(blob.digest, data.st_size if data.st_nlink == 1 else 0)


def _changed(blob: StoredBlob, data: os.stat_result) -> Problem | None:
    """Say what is no longer as it was when the blob was condemned; None where it is the same."""
    if stat.S_ISLNK(data.st_mode):
        text = f"blob {blob.digest} stays: its data is a symbolic link, and nothing is deleted through one"
        return Problem("symbolic-link", text)
    if data.st_size != blob.size or datetime.fromtimestamp(data.st_mtime, UTC) != blob.modified:
        return Problem("changed", f"blob {blob.digest} stays: it was written anew since it was looked at")
    return None


def _stays(blob: StoredBlob, error: OSError) -> RemovedBlob:
    if is_absent(error):
        return RemovedBlob(blob.digest, 0, Problem("gone", f"blob {blob.digest} is gone already", blocks=False))
    return RemovedBlob(blob.digest, 0, Problem("refused", f"blob {blob.digest} stays: {error.strerror}"))


def _is_link(folder: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode)
    except FileNotFoundError:
        return False


def through_link(path: str) -> StorageError:
    """Return the error for what would be deleted through a symbolic link."""
    return StorageError(
        f"{layout.readable(path)}: a symbolic link leads there, and nothing is deleted through one; name the storage "
        "that it leads to, or replace the link by a bind mount"
    )
