"""ReferenceCache: what manifests refer to, kept in a file between runs. Manifests never change, so each is read once.

The file, all numbers little-endian:

    heading                 `jettison references 2` and a line feed
    32 bytes                sha256 of all that follows
    4 bytes                 how many plain manifests there are; each has a sha256 digest and refers to sha256 blobs only
    32 bytes for each       their digests
    4 bytes for each        how many bytes the digests of its blobs take
    those bytes for each    the digests of its blobs, 32 bytes each
    the rest                a line of text for each other manifest: its digest, a space, and what it refers to

It may be deleted at any time. One whose checksum is wrong, or that is of another version, counts as empty: a cache that
lied would lose data. A database would be slower to open than this is to read: 10,000 manifests take 10 ms.
"""

import os
import struct
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from hashlib import sha256
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

from jettison.collect.packed import DigestText, pack, unpack
from jettison.collect.references import References
from jettison.oci.problem import Problem
from jettison.storage import cache_file

_HEADING: Final = b"jettison references 2\n"
_COUNT: Final = struct.Struct("<I")

_Kept = bytes | str
"""The packed blobs of a plain manifest; the line of another one."""


def cache_folder() -> Path:
    """Return `$XDG_CACHE_HOME/jettison`, on Linux `~/.cache/jettison` by default. It may not exist yet.

    The same as platformdirs tells, which takes longer to load than a look at a hundred repositories: so on Linux the
    rule (XDG Base Directory Specification) is applied here.
    """
    if sys.platform != "linux":
        from platformdirs import user_cache_path

        return user_cache_path("jettison")
    told = os.environ.get("XDG_CACHE_HOME", "").strip()
    return Path(told or "~/.cache").expanduser() / "jettison"


class ReferenceCache:
    """The references of the manifests of one storage, in a folder of caches; `name` tells storages apart.

    It is as large as the storage needs: what a run did not ask for is dropped when that run keeps something new.
    `problem` says why nothing could be kept, where that happened; it harms nothing but the next run's speed.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"references-{sha256(os.fsencode(name)).hexdigest()[:32]}"
        self.problem: Problem | None = None
        self._kept: dict[DigestText, _Kept] | None = None
        self._used: set[DigestText] = set()

    def known(self, digests: AbstractSet[DigestText]) -> Mapping[DigestText, References]:
        """Return those that are known."""
        kept = self._loaded()
        found = [digest for digest in digests if digest in kept]
        self._used.update(found)
        return dict(zip(found, map(_references, map(kept.__getitem__, found)), strict=True))

    def remember(self, entries: Mapping[DigestText, References], *, whole: bool = True) -> None:
        """Keep these, whose bodies had their digests, beside what was asked for before: all of that, if it was not the
        `whole` of what the storage needs.
        """
        before = self._loaded()
        kept = {digest: before[digest] for digest in self._used if digest in before} if whole else dict(before)
        for digest, references in entries.items():
            packed, others, manifests, named = references
            is_plain = not (others or manifests or named) and digest.startswith("sha256:")
            kept[digest] = packed if is_plain else _line(references)
        try:
            cache_file.write(self.path, _HEADING, _encoded(kept))
        except OSError as error:
            text = f"what was read of manifests could not be kept in {self.path}: {error.strerror or error}"
            self.problem = Problem("cache", text, blocks=False)
        if whole:
            self._kept = kept
            self._used |= kept.keys()
        else:  # whoever asks for a part only should not carry all of it from here on
            self._kept = None

    def _loaded(self) -> dict[DigestText, _Kept]:
        if self._kept is None:
            self._kept = _decoded(cache_file.read(self.path, _HEADING))
        return self._kept


def _encoded(kept: Mapping[DigestText, _Kept]) -> list[bytes]:
    plain = {digest: blobs for digest, blobs in kept.items() if isinstance(blobs, bytes)}
    lines = [f"{digest} {line}" for digest, line in kept.items() if isinstance(line, str)]
    return [
        _COUNT.pack(len(plain)),
        pack(plain)[0],
        struct.pack(f"<{len(plain)}I", *map(len, plain.values())),
        *plain.values(),
        "\n".join(lines).encode("ascii"),
    ]


def _decoded(body: memoryview | None) -> dict[DigestText, _Kept]:
    if body is None:
        return {}
    (count,) = _COUNT.unpack_from(body)
    sizes_at = _COUNT.size + 32 * count
    digests = unpack(bytes(body[_COUNT.size : sizes_at]))
    sizes = struct.unpack_from(f"<{count}I", body, sizes_at)
    ends = list(accumulate(sizes, initial=sizes_at + 4 * count))
    kept: dict[DigestText, _Kept] = dict(zip(digests, [bytes(body[at:end]) for at, end in pairwise(ends)], strict=True))
    lines = bytes(body[ends[-1] :]).decode("ascii")
    if lines:
        kept.update((digest, rest) for digest, _, rest in (line.partition(" ") for line in lines.split("\n")))
    return kept


def _references(kept: _Kept) -> References:
    return References(kept) if isinstance(kept, bytes) else _parsed(kept)


def _line(references: References) -> str:
    return "|".join([" ".join(references.blobs), " ".join(references.manifests), " ".join(references.named)])


def _parsed(line: str) -> References:
    blobs, manifests, named = line.split("|")
    return References.of(blobs.split(), manifests.split(), named.split())
