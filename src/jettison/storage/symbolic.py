"""Symbolic links on the way to layer links: what lies behind one is read, and never deleted.

It may belong to another registry as well. That the server deletes it, when we ask it to, makes no difference.
"""

import os
import stat
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from typing import TYPE_CHECKING

from jettison.collect.packed import DigestText
from jettison.oci.problem import Problem
from jettison.storage import layout
from jettison.storage.files import is_absent, open_folder, open_own_folder

if TYPE_CHECKING:
    from jettison.collect.quarantine import Suspect


def behind_symbolic_link(root: str, repository: str, digests: Iterable[DigestText]) -> frozenset[DigestText]:
    """Return those of a repository's layer links that a symbolic link leads to, wherever on the way it stands.

    What cannot be looked at counts among them. A `link` file that is a symbolic link itself does not: it goes, and what
    it leads to stays.
    """
    found: set[DigestText] = set()
    for algorithm, group in groupby(sorted(digests), key=lambda digest: digest.partition(":")[0]):
        links = list(group)
        try:
            folder = _own(root, f"{layout.layers_folder(repository)}/{algorithm}")
        except FileNotFoundError:
            continue
        except OSError:
            found.update(links)
            continue
        try:
            found.update(digest for digest in links if _leads_elsewhere(folder, digest.partition(":")[2]))
        finally:
            os.close(folder)
    return frozenset(found)


def is_behind_symbolic_link(root: str, folder: str) -> bool:
    """Whether a symbolic link leads to a folder below `root`, wherever on the way it stands; or that cannot be told."""
    try:
        os.close(_own(root, folder))
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def reachable_directly(
    root: str, suspects: "Sequence[Suspect]", linked: AbstractSet[str] = frozenset()
) -> "tuple[tuple[Suspect, ...], tuple[Problem, ...]]":
    """Return the suspects none of whose layer links lies behind a symbolic link, and why the others stay.

    `linked` are repositories that are known to lie behind one.
    """
    wanted: dict[str, set[DigestText]] = {}
    for suspect in suspects:
        for link in suspect.links:
            wanted.setdefault(link.repository, set()).add(link.digest)
    behind = {
        name: digests if name in linked else behind_symbolic_link(root, name, digests)
        for name, digests in wanted.items()
    }
    stay = {
        suspect.digest: sorted({link.repository for link in suspect.links if link.digest in behind[link.repository]})
        for suspect in suspects
    }
    counts: dict[str, int] = {}
    for names in stay.values():
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    problems = tuple(told(name, count) for name, count in sorted(counts.items()))
    return tuple(suspect for suspect in suspects if not stay[suspect.digest]), problems


def told(repository: str, count: int) -> Problem:
    """Say that blobs stay, since nothing is deleted through a symbolic link."""
    what = "1 blob that is linked there stays" if count == 1 else f"{count} blobs that are linked there stay"
    text = f"{layout.readable(repository)}: a symbolic link leads to it or to layer links of it, so {what}"
    return Problem("symbolic-link", text)


def _own(root: str, path: str) -> int:
    descriptor = open_folder(root)
    try:
        return open_own_folder(descriptor, path)
    finally:
        os.close(descriptor)


def _leads_elsewhere(folder: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError as error:
        return not is_absent(error)
