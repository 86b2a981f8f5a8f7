"""ReferenceCache: what manifests refer to, kept in a file between runs. Manifests never change, so each is read once.

The file, all numbers little-endian:

    heading                 `jettison references 4` and a line feed
    32 bytes                sha256 of all that follows

then parts, one for each run that added to it:

    8 bytes                 how many bytes follow
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
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

from jettison.collect.packed import DigestText, pack, unpack
from jettison.collect.references import References
from jettison.oci.problem import Problem
from jettison.storage import cache_file

_HEADING: Final = b"jettison references 4\n"
_LENGTH: Final = struct.Struct("<Q")
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
        if not whole:
            self.add([encoded(entries)])
            return
        before = self._loaded()
        kept = {digest: before[digest] for digest in self._used if digest in before} | _kept(entries)
        self._write([_encoded(kept)])
        self._kept = kept
        self._used |= kept.keys()

    def add(self, parts: Sequence[bytes]) -> None:
        """Keep what `encoded` made of references, beside all that is there."""
        body = cache_file.read(self.path, _HEADING)
        self._write(parts if body is None else [body, *parts])
        self._kept = None

    def _write(self, parts: Sequence[bytes | memoryview]) -> None:
        try:
            cache_file.write(self.path, _HEADING, parts)
        except OSError as error:
            text = f"what was read of manifests could not be kept in {self.path}: {error.strerror or error}"
            self.problem = Problem("cache", text, blocks=False)

    def _loaded(self) -> dict[DigestText, _Kept]:
        if self._kept is None:
            self._kept = _decoded(cache_file.read(self.path, _HEADING))
        return self._kept


def encoded(entries: Mapping[DigestText, References]) -> bytes:
    """Return the references of some manifests as a part of the file."""
    return _encoded(_kept(entries))


def _kept(entries: Mapping[DigestText, References]) -> dict[DigestText, _Kept]:
    kept: dict[DigestText, _Kept] = {}
    for digest, references in entries.items():
        packed, others, manifests, named = references
        is_plain = not (others or manifests or named) and digest.startswith("sha256:")
        kept[digest] = packed if is_plain else _line(references)
    return kept


def _encoded(kept: Mapping[DigestText, _Kept]) -> bytes:
    plain = {digest: blobs for digest, blobs in kept.items() if isinstance(blobs, bytes)}
    lines = [f"{digest} {line}" for digest, line in kept.items() if isinstance(line, str)]
    parts = [
        _COUNT.pack(len(plain)),
        pack(plain)[0],
        struct.pack(f"<{len(plain)}I", *map(len, plain.values())),
        *plain.values(),
        "\n".join(lines).encode("ascii"),
    ]
    return b"".join([_LENGTH.pack(sum(map(len, parts))), *parts])


def _decoded(body: memoryview | None) -> dict[DigestText, _Kept]:
    kept: dict[DigestText, _Kept] = {}
    while body:
        (length,) = _LENGTH.unpack_from(body)
        kept.update(_decoded_part(body[_LENGTH.size : _LENGTH.size + length]))
        body = body[_LENGTH.size + length :]
    return kept


def _decoded_part(body: memoryview) -> dict[DigestText, _Kept]:
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
