"""LinkFolder: the links of one kind in a repository, `<algorithm>/<hex>/link`, and what is wrong with them."""

import os
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from jettison.collect.packed import DigestText
from jettison.oci.digest import Digest
from jettison.oci.problem import Problem
from jettison.storage import layout
from jettison.storage.files import (
    TooLargeError,
    is_absent,
    names_in,
    open_folder,
    read_file,
    sizes_of,
    status,
    unreadable,
)
from jettison.storage.layout import readable


class LinkFolder:
    """The links below `folder`; `kind` is what they are called in a problem."""

    def __init__(self, folder: str, kind: str) -> None:
        self._folder = folder
        self._kind = kind
        self._descriptor = -1
        self._hex = 0
        self.problems: list[Problem] = []
        self.is_complete = True

    def algorithms(self, but: AbstractSet[str] = frozenset()) -> Iterator[tuple[str, list[str]]]:
        """Yield each algorithm with the names in its folder, which stays open until the next one is asked for."""
        try:
            algorithms = sorted(names_in(self._folder))
        except OSError as error:
            self._unlisted("", error)
            return
        for algorithm in algorithms:
            if algorithm in but:
                continue
            if algorithm not in layout.HEX_LENGTH:
                self.foreign([algorithm])
                continue
            try:
                self._descriptor = open_folder(f"{self._folder}/{algorithm}")
            except OSError as error:
                self._unlisted(algorithm, error)
                continue
            self._hex = len(algorithm) + 1
            try:
                try:
                    names = names_in(self._descriptor)
                except OSError as error:
                    self._unlisted(algorithm, error)
                    continue
                yield algorithm, names
            finally:
                os.close(self._descriptor)

    def foreign(self, names: Iterable[str]) -> None:
        """Note names that stand for no digest."""
        self.problems += [
            Problem(
                "foreign", f"{readable(name)!r} among the {self._kind} links is none of the registry's", blocks=False
            )
            for name in names
        ]

    def link(self, digest: DigestText, *, read: bool) -> os.stat_result | None:
        """Return what the system knows of a link, None where there is none; note what is wrong with it."""
        name = digest[self._hex :]
        try:
            link = status(f"{name}/link", self._descriptor)
        except OSError as error:
            if is_absent(error):
                return None
            self.problems.append(unreadable(f"the {self._kind} link of {digest}", error, code="unreadable-link"))
            return status(name, self._descriptor)
        if read or link.st_size != len(digest):
            target = self.target(digest)
            if target is not None and target != digest:
                text = f"the {self._kind} link of {digest} names another digest, {target}"
                self.problems.append(Problem("misleading-link", text))
        return link

    def unusual(self, digests: list[DigestText]) -> list[DigestText]:
        """Return those whose link has not the size that it should have, or cannot be looked at."""
        sizes = sizes_of([f"{digest[self._hex :]}/link" for digest in digests], self._descriptor)
        return [digest for digest, size in zip(digests, sizes, strict=True) if size != len(digest)]

    def target(self, digest: DigestText) -> Digest | None:
        """Return what a link names; None where it is missing or damaged, and damage is noted."""
        try:
            content = read_file(f"{digest[self._hex :]}/link", layout.LONGEST_LINK, self._descriptor)
        except (OSError, TooLargeError) as error:
            if not (isinstance(error, OSError) and is_absent(error)):
                what = f"the {self._kind} link of {digest}"
                self.problems.append(unreadable(what, error, code="unreadable-link"))
            return None
        target = layout.parse_link(content)
        if target is None:
            text = f"the {self._kind} link of {digest} is damaged: {malformed(content)}"
            self.problems.append(Problem("damaged-link", text))
        return target

    def _unlisted(self, algorithm: str, error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            return
        if isinstance(error, NotADirectoryError) and algorithm:
            self.foreign([algorithm])
            return
        self.is_complete = False
        self.problems.append(
            unreadable(f"the {algorithm} {self._kind} links".replace("  ", " "), error, code="unlisted")
        )


def malformed(content: bytes) -> str:
    """Say why a link's content is no digest."""
    if not content:
        return "it is empty"
    return f"{content[:80].decode('ascii', 'backslashreplace')!r} is no digest"
