"""Housekeeping: chores are done, whatever is gone by now counting as done. `chores` finds them."""

import errno
import os
import secrets
from collections.abc import Iterable, Iterator

from jettison.collect.packed import DigestText
from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.storage import layout
from jettison.storage.changes import LocalChanges, remove_tree
from jettison.storage.chores import Chore, ChoreKind, is_missing
from jettison.storage.files import names_in, open_folder, open_own_folder
from jettison.storage.lease import Lease
from jettison.storage.local import LocalStorage


class Housekeeper:
    """Does chores in the storage that a lease is held on. Every method raises StorageError where that refuses."""

    def __init__(self, lease: Lease, storage: LocalStorage) -> None:
        self._root = lease.root
        self._changes = LocalChanges(storage)

    def do(self, chore: Chore) -> None:
        """Do one chore; what is gone by now is done."""
        match chore.kind:
            case ChoreKind.LINK | ChoreKind.LINK_FOLDER:
                self.remove_links(chore.repository, [chore.name])
            case ChoreKind.BLOB_FOLDERS:
                for digest in chore.digests:
                    self._remove_blob_folder(Digest(digest))
            case ChoreKind.UPLOAD:
                with _Inside(self._root, layout.uploads_folder(chore.repository)) as folder:
                    if folder is not None:
                        remove_tree(folder, chore.name)
            case ChoreKind.TAG_FOLDER:
                self._remove_tag_folder(chore.repository, chore.name)
            case ChoreKind.REPOSITORY:
                self._remove_repository(chore.repository)

    def remove_links(self, repository: str, digests: Iterable[DigestText]) -> None:
        """Remove layer links of one repository together."""
        self._changes.remove_layer_links(repository, digests)

    def _remove_blob_folder(self, digest: Digest) -> None:
        with _Inside(self._root, layout.blob_folder(digest).rpartition("/")[0]) as folder:
            if folder is not None:
                _remove_empty(folder, digest.hex)

    def _remove_tag_folder(self, repository: str, tag: str) -> None:
        """Take the folder out of sight, and look again before it goes: a push may have finished meanwhile."""
        with (
            _Inside(self._root, layout.tags_folder(repository)) as tags,
            _Inside(self._root, f"{layout.repository_folder(repository)}/{layout.MANIFESTS}") as manifests,
        ):
            if tags is None or manifests is None:
                return
            aside = f"{layout.ASIDE}{secrets.token_hex(8)}"
            try:
                os.rename(tag, aside, src_dir_fd=tags, dst_dir_fd=manifests)
            except FileNotFoundError:
                return
            if is_missing(f"{aside}/current/link", manifests):
                remove_tree(manifests, aside)
            else:
                os.rename(aside, tag, src_dir_fd=manifests, dst_dir_fd=tags)

    def _remove_repository(self, repository: str) -> None:
        """Remove a repository's own folders, then those that lead to it, as far as nothing else is in them."""
        with _Inside(self._root, layout.repository_folder(repository)) as folder:
            if folder is None:
                return
            revisions = _deep_names(folder, layout.REVISIONS)
            tags = _deep_names(folder, layout.TAGS)
            if revisions or tags:
                raise StorageError(f"{repository} stays: something was pushed to it meanwhile")
            for mark in sorted(layout.REPOSITORY_MARKS):
                remove_tree(folder, mark)
        parts = repository.split("/")
        for count in range(len(parts), 0, -1):
            inner = "/".join(parts[: count - 1])
            outer = f"{layout.REPOSITORIES}/{inner}" if inner else layout.REPOSITORIES
            with _Inside(self._root, outer) as folder:
                if folder is None or not _remove_empty(folder, parts[count - 1]):
                    return


class _Inside:
    """Enters a folder below the root without following a symbolic link; its value is None where it is missing."""

    def __init__(self, root: str, path: str) -> None:
        self._root = root
        self._path = path
        self._descriptors: list[int] = []

    def __enter__(self) -> int | None:
        try:
            root = open_folder(self._root)
            self._descriptors.append(root)
            folder = open_own_folder(root, self._path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._close()
            raise self._refused(error) from error
        self._descriptors.append(folder)
        return folder

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._close()
        if isinstance(error, OSError):
            raise self._refused(error) from error

    def _close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()

    def _refused(self, error: OSError) -> StorageError:
        return StorageError(f"{self._root}/{layout.readable(self._path)}: cannot remove in it: {error.strerror}")


def _remove_empty(folder: int, name: str) -> bool:
    """Remove an empty folder; return whether it is gone."""
    try:
        os.rmdir(name, dir_fd=folder)
    except FileNotFoundError:
        return True
    except OSError as error:
        # Something is in it or mounted on it, or it is a symbolic link: in no case it is ours to remove.
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EBUSY):
            return False
        raise
    return True


def _deep_names(folder: int, path: str) -> list[str]:
    """Return the names two levels below a folder of revisions, or one level below a folder of tags."""
    try:
        inner = open_own_folder(folder, path)
    except FileNotFoundError:
        return []
    try:
        names = names_in(inner)
        return names if path == layout.TAGS else [each for name in names for each in _names_at(inner, name)]
    finally:
        os.close(inner)


def _names_at(folder: int, name: str) -> Iterator[str]:
    descriptor = open_own_folder(folder, name)
    try:
        for each in names_in(descriptor):
            if not is_missing(f"{each}/link", descriptor):
                yield each
    finally:
        os.close(descriptor)
