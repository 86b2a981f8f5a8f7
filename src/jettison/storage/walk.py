"""Walking the folders of repositories: their names nest, and anything may lie between them."""

import errno
import os
import stat

from jettison.oci.problem import Problem
from jettison.storage.contract import RepositoryListing
from jettison.storage.files import is_absent, status, unreadable
from jettison.storage.layout import REPOSITORY_MARKS, readable

_Identity = tuple[int, int]


def list_repositories(folder: str) -> RepositoryListing:
    """List the repositories below `folder`, an absolute path; none where it does not exist.

    A symbolic link is followed once all real folders have been seen, and only where it leads to a folder that was not
    seen yet: so every repository has one name, and no loop is walked.
    """
    walk = _Walk(folder)
    walk.real_folders("", is_linked=False)
    walk.links()
    walk.problems.sort(key=lambda problem: problem.text)
    return RepositoryListing(tuple(sorted(walk.names)), frozenset(walk.linked), tuple(walk.problems), walk.is_complete)


class _Walk:
    def __init__(self, top: str) -> None:
        self.top = top
        self.names: list[str] = []
        self.linked: set[str] = set()
        self.problems: list[Problem] = []
        self.is_complete = True
        self._folders: list[str] = []
        self._links: list[str] = []

    def real_folders(self, start: str, *, is_linked: bool) -> None:
        """Walk everything below `start` that no further symbolic link leads to."""
        waiting = [start]
        while waiting:
            name = waiting.pop()
            self._folders.append(name)
            inner: list[str] = []
            is_repository = False
            try:
                with os.scandir(f"{self.top}/{name}") as entries:
                    for entry in entries:
                        if entry.name in REPOSITORY_MARKS:
                            is_repository = True
                        elif entry.name.startswith("_"):
                            continue
                        elif entry.is_dir(follow_symlinks=False):
                            inner.append(entry.name)
                        elif entry.is_symlink():
                            self._links.append(f"{name}/{entry.name}" if name else entry.name)
                        else:
                            self._foreign(f"{name}/{entry.name}" if name else entry.name)
            except OSError as error:
                self._unlisted(name, error)
                continue
            if is_repository and name:
                self.names.append(name)
                if is_linked:
                    self.linked.add(name)
            waiting += [f"{name}/{each}" if name else each for each in inner]

    def links(self) -> None:
        """Follow the symbolic links, each to a folder that was not seen yet."""
        seen: set[_Identity] = set()
        known = 0
        while self._links:
            # Only where there is a link need the identity of every folder be known.
            seen.update(filter(None, map(self._identity, self._folders[known:])))
            known = len(self._folders)
            name = self._links.pop()
            identity = self._identity(name)
            if identity is None:
                self._foreign(name)
            elif identity in seen:
                text = f"the symbolic link {readable(name)} leads to a folder that is read under its own name"
                self.problems.append(Problem("symbolic-link", text, blocks=False))
            else:
                self.real_folders(name, is_linked=True)

    def _identity(self, name: str) -> _Identity | None:
        """Return which folder a name leads to; None where it leads to none."""
        try:
            found = status(f"{self.top}/{name}")
        except OSError as error:
            # A link that leads to itself leads the registry nowhere either.
            if not is_absent(error) and error.errno != errno.ELOOP:
                self._unlisted(name, error)
            return None
        return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None

    def _foreign(self, name: str) -> None:
        self.problems.append(
            Problem("foreign", f"repositories/{readable(name)} is none of the registry's", blocks=False)
        )

    def _unlisted(self, name: str, error: OSError) -> None:
        if is_absent(error):
            return
        self.is_complete = False
        self.problems.append(unreadable(f"the folder repositories/{readable(name)}", error, code="unlisted"))
