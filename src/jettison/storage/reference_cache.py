"""ReferenceCache: what manifests refer to, kept in a file between runs. Manifests never change, so each is read once.

The file is text: a heading with the checksum of the rest, then a line for each manifest, its digest and then the
digests that it refers to. It may be deleted at any time; one that is damaged, or of another version, counts as empty. A
database would be slower to open than this is to read.
"""

import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from hashlib import sha256
from pathlib import Path
from typing import Final

from jettison.collect.references import DigestText, References
from jettison.oci.inventory import Problem

_HEADING: Final = b"jettison references 1 "
_HEADING_LENGTH: Final = len(_HEADING) + 64 + 1


class ReferenceCache:
    """The references of the manifests of one storage, in a folder of caches; `name` tells storages apart.

    It is as large as the storage needs: what a run did not ask for is dropped when that run keeps something new.
    `problem` says why nothing could be kept, where that happened; it harms nothing but the next run's speed.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"references-{sha256(os.fsencode(name)).hexdigest()[:32]}"
        self.problem: Problem | None = None
        self._lines: dict[DigestText, str] | None = None
        self._used: set[DigestText] = set()

    def known(self, digests: AbstractSet[DigestText]) -> Mapping[DigestText, References]:
        """Return those that are known."""
        if self._lines is None:
            self._lines = self._load()
        lines = self._lines
        found = lines.keys() & digests
        self._used |= found
        return {digest: _parsed(lines[digest]) for digest in found}

    def remember(self, entries: Mapping[DigestText, References]) -> None:
        """Keep these, whose bodies had their digests, beside what was asked for before."""
        lines = self._lines or {}
        kept = {digest: lines[digest] for digest in self._used if digest in lines}
        kept |= {digest: _line(references) for digest, references in entries.items()}
        rest = "\n".join([f"{digest} {line}" for digest, line in kept.items()]).encode("ascii")
        content = _HEADING + sha256(rest).hexdigest().encode("ascii") + b"\n" + rest
        # Written beside and renamed, so that a run that reads it at the same time sees the old or the new one, whole.
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                beside.write_bytes(content)
                beside.replace(self.path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            text = f"what was read of manifests could not be kept in {self.path}: {error.strerror or error}"
            self.problem = Problem("cache", text, blocks=False)
        self._lines = kept
        self._used |= kept.keys()

    def _load(self) -> dict[DigestText, str]:
        try:
            content = self.path.read_bytes()
        except OSError:  # none yet, or one that may not be read: the manifests themselves are there
            return {}
        heading, rest = content[:_HEADING_LENGTH], content[_HEADING_LENGTH:]
        if heading != _HEADING + sha256(rest).hexdigest().encode("ascii") + b"\n":
            return {}
        return dict([line.split(" ", 1) for line in rest.decode("ascii").split("\n")]) if rest else {}


def _line(references: References) -> str:
    return "|".join([" ".join(references.blobs), " ".join(references.manifests), " ".join(references.named)])


def _parsed(line: str) -> References:
    blobs, manifests, named = line.split("|")
    return References(tuple(blobs.split()), tuple(manifests.split()), tuple(named.split()))
