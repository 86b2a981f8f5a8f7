"""Layer links of suspects: which repositories have them, which had them, and writing one back.

A registry that deletes a blob from a repository (`DELETE /v2/<name>/blobs/<digest>`) removes the link and leaves its
folder: a record, free of charge, that the repository once had the blob, and that its server may still remember it.
"""

import contextlib
import os
import secrets
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from jettison.collect.quarantine import Link
from jettison.collect.references import DigestText
from jettison.errors import StorageError
from jettison.oci.digest import Digest
from jettison.oci.problem import Problem
from jettison.storage import layout
from jettison.storage.contract import StorageReader
from jettison.storage.files import status
from jettison.storage.layout import readable
from jettison.storage.lease import Lease
from jettison.storage.own import make_own_folder, take_after


@dataclass(frozen=True, slots=True)
class LinkSurvey:
    """Who knows which blob: every link or left-over folder, by the blob that it stands for.

    `unknown` are left-over folders of other algorithms than sha256: nobody can tell which blob they stood for.
    `problems` are repositories whose links could not be listed; then nobody knows who else knows a blob.
    """

    links: Mapping[DigestText, tuple[Link, ...]] = field(default_factory=dict)
    unknown: tuple[Link, ...] = ()
    problems: tuple[Problem, ...] = ()


def find_links(storage: StorageReader, blobs: AbstractSet[DigestText]) -> LinkSurvey:
    """Look in every repository for links, live or left over, of `blobs`."""
    found: dict[DigestText, list[Link]] = {digest: [] for digest in blobs}
    unknown: list[Link] = []
    problems: list[Problem] = []
    listing = storage.repositories()
    if not listing.is_complete:
        problems += [problem for problem in listing.problems if problem.blocks]
    for name in listing.names:
        layers = storage.layers(name, canonical=True)
        problems += [Problem(each.code, f"{readable(name)}: {each.text}") for each in layers.problems if each.blocks]
        if not layers.is_complete and not any(each.blocks for each in layers.problems):
            problems.append(Problem("unlisted", f"{readable(name)}: its layer links could not be listed"))
        for digest in layers.digests & blobs:
            found[digest].append(Link(name, digest, _may_have_link(storage.name, name, digest)))
        for digest in layers.digests:
            if digest.startswith(f"{layout.CANONICAL}:") or digest in blobs:
                continue
            stored = layers.stored_as.get(digest)
            if stored is None:
                unknown.append(Link(name, digest, live=False))
            elif stored in blobs:
                found[stored].append(Link(name, digest, live=True))
    return LinkSurvey({digest: tuple(links) for digest, links in found.items()}, tuple(unknown), tuple(problems))


def _may_have_link(root: str, repository: str, digest: DigestText) -> bool:
    """Whether a link is there, or might be since it cannot be looked at."""
    try:
        return has_link(root, repository, digest)
    except StorageError:
        return True


def has_link(root: str, repository: str, digest: DigestText) -> bool:
    """Whether a repository has a layer link, as a file. Raises StorageError where that cannot be told."""
    path = f"{root}/{layout.layer_link(repository, Digest(digest))}"
    try:
        status(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageError(f"{readable(path)}: {error.strerror}") from error
    return True


def write_layer_link(lease: Lease, repository: str, digest: DigestText, target: DigestText) -> None:
    """Write a layer link; `target` is the blob that it names. It is whole or not there, whatever crashes.

    Raises StorageError where the storage refuses, or a symbolic link leads to the repository.
    """
    path = layout.layer_link(repository, Digest(digest)).rpartition("/")[0]
    part = f"link.jettison-{secrets.token_hex(4)}"
    try:
        folder = make_own_folder(lease.root, path)
        try:
            _write_link(folder, part, target)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(
            f"{readable(f'{lease.root}/{path}')}: the link cannot be written: {error.strerror}"
        ) from error


def _write_link(folder: int, part: str, target: DigestText) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(part, flags, 0o644, dir_fd=folder)
        try:
            os.write(descriptor, target.encode("ascii"))
            take_after(folder, descriptor)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(part, "link", src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=folder)
        raise


def links_by_repository(links: Iterable[Link]) -> dict[str, list[Link]]:
    """Return links grouped by their repository."""
    found: dict[str, list[Link]] = {}
    for link in links:
        found.setdefault(link.repository, []).append(link)
    return found
