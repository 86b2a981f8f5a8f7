"""LocalStorage: a registry's storage on a local file system, read."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from jettison.collect.blob import StoredBlob
from jettison.collect.packed import DigestListing, DigestText, pack_exactly, pack_names
from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.oci.problem import Problem
from jettison.oci.reference import is_tag
from jettison.oci.tag import Tag
from jettison.storage import layout
from jettison.storage.contract import (
    BlobListing,
    Body,
    LayerListing,
    RepositoryListing,
    RevisionListing,
    TagListing,
    TargetListing,
    Upload,
)
from jettison.storage.files import (
    TooLargeError,
    is_absent,
    names_in,
    open_folder,
    read_file,
    read_small,
    status,
    unreadable,
)
from jettison.storage.layout import readable
from jettison.storage.link_folder import LinkFolder, malformed
from jettison.storage.place import find_root
from jettison.storage.shares import in_shares
from jettison.storage.walk import list_repositories

if TYPE_CHECKING:
    from jettison.storage.folder_memory import FolderMemory

_SMALL: Final = 8192
"""Bytes; nearly all manifests are smaller."""


class LocalStorage:
    """The storage whose driver's root directory is `root`; symbolic links in it are followed.

    Raises StorageError where `root` does not hold a registry's storage.
    """

    def __init__(self, root: Path) -> None:
        self.root = find_root(root)
        self._root = str(self.root)
        self._memory: FolderMemory | None = None
        self._processes = 1

    def remembering(self, memory: "FolderMemory", processes: int) -> Self:
        """Return the same storage for looking at only: folders of blobs that `memory` has are not listed anew, others
        by several processes.
        """
        made = copy(self)
        made._memory = memory  # noqa: SLF001  # of the same class
        made._processes = processes  # noqa: SLF001
        return made

    @property
    def name(self) -> str:
        """The root directory, absolute."""
        return self._root

    def blobs(self) -> BlobListing:
        """List the blobs: a folder of each of 256 prefixes, and no file."""
        listing = DigestListing()
        problems: list[Problem] = []

        def listed(path: str) -> list[str]:
            try:
                return names_in(f"{self._root}/{path}")
            except OSError as error:
                # Its blobs, if it has any, are not listed and so not collected, which somebody must be told.
                if isinstance(error, NotADirectoryError):
                    problems.append(_foreign(path))
                elif not is_absent(error):
                    problems.append(unreadable(f"the folder {readable(path)}", error, code="unlisted"))
                return []

        for algorithm in listed(layout.BLOBS):
            if algorithm not in layout.HEX_LENGTH:
                problems.append(_foreign(f"{layout.BLOBS}/{algorithm}"))
                continue
            unusual = self._add_packed(listing, algorithm, listed(f"{layout.BLOBS}/{algorithm}"))
            for prefix in unusual:
                folder = f"{layout.BLOBS}/{algorithm}/{prefix}"
                found, foreign = layout.digests_of_folders(algorithm, listed(folder), prefix)
                listing.add(found)
                problems += [_foreign(f"{folder}/{name}") for name in foreign]
        return BlobListing(listing, tuple(problems))

    def _add_packed(self, listing: DigestListing, algorithm: str, prefixes: Iterable[str]) -> list[str]:
        """Add what is in the folders of these prefixes; return those in which not all names are right."""
        unusual: list[str] = []
        unknown: list[str] = []
        stamps: dict[str, os.stat_result] = {}
        for prefix in prefixes:
            folder = f"{layout.BLOBS}/{algorithm}/{prefix}"
            status_before, packed = self._recall(folder)
            if packed is not None:
                listing.add_packed(packed)
                continue
            unknown.append(prefix)
            if status_before is not None:
                stamps[prefix] = status_before

        def list_them(share: Sequence[str]) -> list[tuple[str, bytes | None]]:
            return [(prefix, self._packed_folder(algorithm, prefix)) for prefix in share]

        for share in in_shares(list_them, unknown, self._processes):
            for prefix, packed in share:
                if packed is not None:
                    listing.add_packed(packed)
                else:
                    unusual.append(prefix)
                if self._memory is None:
                    continue
                if packed is not None and prefix in stamps:
                    self._memory.note(f"{layout.BLOBS}/{algorithm}/{prefix}", stamps[prefix], packed)
                else:
                    self._memory.leave_out()
        return unusual

    def _packed_folder(self, algorithm: str, prefix: str) -> bytes | None:
        """Return the blobs of one prefix, packed; None where they are to be looked at one by one."""
        try:
            names = names_in(f"{self._root}/{layout.BLOBS}/{algorithm}/{prefix}")
        except OSError:
            return None
        return layout.packed_blobs(algorithm, names, prefix)

    def stored(self, digests: Iterable[DigestText]) -> dict[DigestText, StoredBlob]:
        """Return size and time of those of the blobs that have data; others are left out, whatever the reason."""
        found: dict[DigestText, StoredBlob] = {}
        try:
            blobs = open_folder(f"{self._root}/{layout.BLOBS}")
        except OSError as error:
            if is_absent(error):
                return found
            raise _cannot("list", self.root / layout.BLOBS, error) from error
        try:
            for digest in digests:
                try:
                    data = status(_data(digest), blobs)
                except OSError:
                    continue
                found[digest] = StoredBlob(Digest(digest), data.st_size, datetime.fromtimestamp(data.st_mtime, UTC))
        finally:
            os.close(blobs)
        return found

    def bodies(self, digests: Iterable[DigestText], limit: int) -> Iterator[tuple[DigestText, Body]]:
        """Read blobs of at most `limit` bytes each."""
        try:
            blobs = open_folder(f"{self._root}/{layout.BLOBS}")
        except OSError as error:
            if not is_absent(error):
                raise _cannot("open", self.root / layout.BLOBS, error) from error
            yield from ((digest, None) for digest in digests)
            return
        try:
            digests = list(digests)
            paths = map(_data, digests)
            for digest, small in zip(digests, read_small(paths, blobs, _SMALL), strict=True):
                if small is not None:
                    yield digest, small
                    continue
                try:
                    body: Body = read_file(_data(digest), limit, blobs)
                except (OSError, TooLargeError) as error:
                    absent = isinstance(error, OSError) and is_absent(error)
                    body = None if absent else unreadable(f"the data of {digest}", error, code="unreadable-data")
                yield digest, body
        finally:
            os.close(blobs)

    def repositories(self) -> RepositoryListing:
        """List the repositories."""
        return list_repositories(f"{self._root}/{layout.REPOSITORIES}")

    def tags(self, repository: str) -> TagListing:
        """List a repository's tags, and read what each points to and when that was written."""
        tags: list[Tag] = []
        problems: list[Problem] = []
        with self._tags_folder(repository, problems) as (folder, names):
            for name in names:
                tag = _read_tag(folder, name)
                if isinstance(tag, Tag):
                    tags.append(tag)
                else:
                    problems.append(tag)
        return TagListing(tuple(tags), tuple(problems))

    def targets(self, repository: str, stamps: list[int] | None = None) -> TargetListing:
        """Read what a repository's tags point to; whatever is unusual is left to the slower reading of one tag.

        `stamps` takes up the time of change in nanoseconds and the inode of each link, as far as they could be read.
        """
        targets: dict[str, DigestText] = {}
        problems: list[Problem] = []
        with self._tags_folder(repository, problems) as (folder, names):
            links = read_small([f"{name}/current/link" for name in names], folder, layout.LONGEST_LINK, stamps)
            contents = [(content or b"").decode("ascii", "replace") for content in links]
            if pack_exactly(contents) is not None:
                return TargetListing(dict(zip(names, contents, strict=True)))
            for name in names:
                tag = _read_tag(folder, name)
                if isinstance(tag, Tag):
                    targets[name] = tag.digest
                else:
                    problems.append(tag)
        return TargetListing(targets, tuple(problems))

    def revisions(self, repository: str, *, read: bool) -> RevisionListing:
        """List a repository's revisions, whose links all have one size if they are whole."""
        listing = LinkFolder(f"{self._root}/{layout.revisions_folder(repository)}", "revision")
        digests: set[DigestText] = set()
        pushed: dict[DigestText, datetime] = {}
        for algorithm, names in listing.algorithms():
            found, foreign = layout.digests_of_folders(algorithm, names)
            listing.foreign(foreign)
            if not read:
                found = list(found)
                unusual = set(listing.unusual(found))
                digests.update(found if not unusual else [digest for digest in found if digest not in unusual])
                found = unusual
            for digest in found:
                link = listing.link(digest, read=read)
                if link is None:
                    continue
                digests.add(digest)
                if read:
                    pushed[digest] = datetime.fromtimestamp(link.st_mtime, UTC)
        return RevisionListing(frozenset(digests), pushed, tuple(listing.problems), listing.is_complete)

    def layers(self, repository: str, *, canonical: bool) -> LayerListing:
        """List a repository's layer links. Only links of another algorithm than sha256 are read."""
        listing = LinkFolder(f"{self._root}/{layout.layers_folder(repository)}", "layer")
        digests = DigestListing()
        stored_as: dict[DigestText, DigestText] = {}
        for algorithm, names in listing.algorithms(frozenset() if canonical else {layout.CANONICAL}):
            packed = pack_names(names) if algorithm == layout.CANONICAL else None
            if packed is not None:
                digests.add_mixed(packed)
                continue
            found, foreign = layout.digests_of_folders(algorithm, names)
            found = list(found)
            listing.foreign(foreign)
            digests.add(found)
            if algorithm == layout.CANONICAL:
                continue
            for digest in found:
                target = listing.target(digest)
                if target is not None:
                    stored_as[digest] = target
        return LayerListing(digests, stored_as, tuple(listing.problems), listing.is_complete)

    def uploads(self, repository: str) -> tuple[Upload, ...]:
        """List a repository's unfinished uploads; one that does not tell when it began, began when its folder says."""
        folder = f"{self._root}/{layout.uploads_folder(repository)}"
        uploads: list[Upload] = []
        try:
            for identifier in sorted(names_in(folder)):
                upload = _read_upload(folder, identifier)
                if upload is not None:
                    uploads.append(upload)
        except OSError as error:
            if is_absent(error):
                return ()
            raise _cannot("list", Path(folder), error) from error
        return tuple(uploads)

    def _recall(self, folder: str) -> tuple[os.stat_result | None, bytes | None]:
        """Return what is known of a folder before it is listed, and what is in it where that is remembered."""
        if self._memory is None:
            return None, None
        try:
            known = status(f"{self._root}/{folder}")
        except OSError:  # listing it tells why
            return None, None
        return known, self._memory.recall(folder, known)

    @contextmanager
    def _tags_folder(self, repository: str, problems: list[Problem]) -> Iterator[tuple[int, list[str]]]:
        """Open the folder of tags and list it; what cannot be listed is noted and has no names."""
        folder = -1
        names: list[str] = []
        try:
            folder = open_folder(f"{self._root}/{layout.tags_folder(repository)}")
            names = sorted(names_in(folder))
        except OSError as error:
            if not is_absent(error):
                problems.append(unreadable("the tags", error, code="unlisted"))
        try:
            yield folder, names
        finally:
            if folder >= 0:
                os.close(folder)

    def points_to(self, repository: str, tag: str) -> Digest | None:
        """Return what a tag points to now, None where there is no such tag."""
        path = f"{self._root}/{layout.tag_link(repository, tag)}"
        try:
            content = read_file(path, layout.LONGEST_LINK)
        except (OSError, TooLargeError) as error:
            if isinstance(error, OSError) and is_absent(error):
                return None
            raise _cannot("read", Path(path), error) from error
        digest = layout.parse_link(content)
        if digest is None:
            raise StorageError(f"{path}: {malformed(content)}; push the tag again to repair it")
        return digest

    def has_revision(self, repository: str, digest: Digest) -> bool:
        """Whether the repository links the manifest now."""
        path = f"{self._root}/{layout.revision_link(repository, digest)}"
        try:
            status(path)
        except OSError as error:
            if is_absent(error):
                return False
            raise _cannot("read", Path(path), error) from error
        return True


def _data(digest: DigestText) -> str:
    """Return the path of a blob's data below the folder of blobs."""
    algorithm, _, name = digest.partition(":")
    return f"{algorithm}/{name[:2]}/{name}/data"


def _read_tag(folder: int, name: str) -> Tag | Problem:
    link = f"{name}/current/link"
    shown = readable(name)
    try:
        content = read_file(link, layout.LONGEST_LINK, folder)
        pushed = datetime.fromtimestamp(status(link, folder).st_mtime, UTC)
    except FileNotFoundError:
        # An interrupted push leaves this, and hides nothing: what it pushed is a revision.
        return Problem("tag-without-target", f"tag {shown} points to nothing", blocks=False)
    except NotADirectoryError:
        return Problem("foreign", f"{shown!r} among the tags is none of the registry's", blocks=False)
    except (OSError, TooLargeError) as error:
        return unreadable(f"tag {shown}", error, code="unreadable-link")
    digest = layout.parse_link(content)
    if digest is None:
        return Problem("damaged-link", f"what tag {shown} points to is damaged: {malformed(content)}")
    if not is_tag(name):
        return Problem("bad-name", f"{shown!r} is no legal tag")
    return Tag(name, digest, pushed)


def _read_upload(folder: str, identifier: str) -> Upload | None:
    from jettison.oci.config import parse_date

    path = f"{folder}/{identifier}"
    try:
        its_folder = status(path)
    except FileNotFoundError:  # it ended just now
        return None
    started = None
    try:
        started = parse_date(read_file(f"{path}/startedat", layout.LONGEST_LINK).decode("ascii", "replace").strip())
        size = status(f"{path}/data").st_size
    except (OSError, TooLargeError):
        size = 0
    return Upload(identifier, started or datetime.fromtimestamp(its_folder.st_mtime, UTC), size)


def _foreign(path: str) -> Problem:
    return Problem("foreign", f"{readable(path)} is none of the registry's", blocks=False)


def _cannot(what: str, path: Path, error: Exception) -> StorageError:
    reason = error.strerror if isinstance(error, OSError) else "it is far larger than it can be"
    return StorageError(f"{path}: cannot {what} it: {reason}; run as the user that owns the registry's storage")
