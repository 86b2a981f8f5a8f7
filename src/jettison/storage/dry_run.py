"""DryRun: a look at a storage that has been looked at before.

What it needs to know of each repository is one value, remembered from run to run.

A repository is settled where all in it is usual: sha256 digests only, tags that point to its own revisions, manifests
that could be read and lead to nothing but its own manifests and blobs. What it reaches then depends on nothing else,
and while nothing in it has changed, looking is enough:

    its folders            have the time of modification and change, and the inode, that they had
    the link of each tag   has the time of change and inode that it had: 2.8 writes a moved tag in place
    each revision          has its link: a deletion takes the link alone

Nobody can set a time of change. What was written within the clock's granularity of the look may be written again
unnoticed, so it is not remembered. For looking only: what removes anything reads all anew.
"""

import os
import struct
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import Final, NamedTuple

from jettison.collect.decide import unreachable
from jettison.collect.mark import CompleteMark, Settled
from jettison.collect.packed import WIDTH, DigestListing, DigestText, pack, split, unpack
from jettison.collect.references import References
from jettison.storage import layout
from jettison.storage.folder_memory import SUSPECT, Content, Entry, FolderMemory
from jettison.storage.local import LocalStorage
from jettison.storage.reference_cache import ReferenceCache, encoded
from jettison.storage.shares import in_shares

_CANONICAL_REVISIONS: Final = f"{layout.REVISIONS}/{layout.CANONICAL}"
_FOLDERS: Final = (
    layout.REVISIONS,
    _CANONICAL_REVISIONS,
    layout.TAGS,
    layout.LAYERS,
    f"{layout.LAYERS}/{layout.CANONICAL}",
)
_UNREACHABLE: Final = "unreachable"
_LENGTHS: Final = struct.Struct("<III")

_AS_REMEMBERED: Final = (b"", b"")
_Found = tuple[list[Entry | None], bytes]
"""What one process found: for each repository its stamp and content, the stamp empty where it cannot be remembered, and
None where it is not settled; and the references of manifests that were not known, as the cache of them has them."""


class DryRun:
    """What makes looking at a storage fast: what was remembered of it, and several processes at once.

    `memory` and `known` take up what is found out.
    """

    def __init__(self, storage: LocalStorage, known: ReferenceCache, memory: FolderMemory, processes: int) -> None:
        self._storage = storage
        self._known = known
        self._memory = memory
        self._processes = processes

    def settle(self, names: Sequence[str]) -> list[Settled]:
        """Return those of the repositories that are settled. The blobs must have been listed before.

        Raises StorageError where the storage as a whole cannot be read.
        """
        self._memory.load()
        names = list(names)
        shares = in_shares(self._look_at, names, self._processes)
        settled: list[Settled] = []
        for start, (found, _) in enumerate(shares):
            settled += filter(None, map(self._take, names[start :: len(shares)], found))
        fresh = [read for _, read in shares if read]
        if fresh:
            self._known.add(fresh)
        return settled

    def _look_at(self, share: Sequence[str]) -> _Found:
        settler = _Settler(self._storage, self._known, self._memory)
        found = [settler.settle(name) for name in share]
        return found, encoded(settler.fresh) if settler.fresh else b""

    def _take(self, name: str, found: Entry | None) -> Settled | None:
        """Remember what was found of a repository, and return it."""
        if found is None:
            self._memory.leave_out()
            return None
        stamp, encoded = self._memory.entry(_key(name)) or found if found == _AS_REMEMBERED else found
        if stamp:
            self._memory.take(_key(name), (stamp, encoded))
        else:
            self._memory.leave_out()
        content = _Content.decoded(encoded)
        return Settled(layout.readable(name), content.reachable, bytes(content.unneeded))

    def unreachable(self, listed: AbstractSet[DigestText], mark: CompleteMark) -> AbstractSet[DigestText]:
        """Return the listed blobs that nothing refers to: what it was before where nothing at all has changed."""
        state = self._memory.state()
        remembered = self._memory.entry(_UNREACHABLE)
        if remembered is not None and remembered[0] == state:
            self._memory.take(_UNREACHABLE, remembered)
            return frozenset(unpack(bytes(remembered[1])))
        found = unreachable(listed, mark)
        packed, others = pack(found)
        if state and not others:
            self._memory.take(_UNREACHABLE, (state, packed))
        return found


class _Settler:
    def __init__(self, storage: LocalStorage, known: ReferenceCache, memory: FolderMemory) -> None:
        self._storage = storage
        self._root = f"{storage.name}/{layout.REPOSITORIES}"
        self._known = known
        self._memory = memory
        self.fresh: dict[DigestText, References] = {}

    def settle(self, name: str) -> Entry | None:
        """Return stamp and content of a repository; None where it is not settled."""
        remembered = self._memory.entry(_key(name))
        if remembered is not None:
            content = _Content.decoded(remembered[1])
            look = _Look(f"{self._root}/{name}")
            stamp = look.stamp(look.links(content.tags), content.revisions)
            if stamp == remembered[0] and look.has_revisions(content.revisions):
                return _AS_REMEMBERED
        return self._read(name)

    def _read(self, name: str) -> Entry | None:
        look = _Look(f"{self._root}/{name}")
        stamps: list[int] = []
        tags = self._storage.targets(name, stamps)
        revisions = self._storage.revisions(name, read=False)
        layers = self._storage.layers(name, canonical=True)
        held = revisions.digests
        if tags.problems or revisions.problems or layers.problems or layers.stored_as:
            return None
        if not isinstance(layers.digests, DigestListing):
            return None
        if not (held and revisions.is_complete and layers.is_complete and held.issuperset(tags.targets.values())):
            return None
        references = self._references(held)
        packed, others = pack(held)
        if references is None or others:
            return None
        for each in references:
            if each.others or each.named or not held.issuperset(each.manifests):
                return None
        needed = set(split(b"".join([packed, *[each.packed for each in references]])))
        unneeded, foreign = layers.digests.besides(needed)
        if foreign:
            return None
        is_safe = look.is_safe(stamps) and len(stamps) == 2 * len(tags.targets)
        content = _Content(list(tags.targets), packed, b"".join(needed), unneeded)
        return look.stamp(stamps, packed) if is_safe else b"", content.encoded()

    def _references(self, held: frozenset[DigestText]) -> list[References] | None:
        """Return what the revisions refer to; None where one of them cannot be read."""
        found = dict(self._known.known(held))
        unknown = held - found.keys()
        if unknown:
            from jettison.storage.reading import LARGEST, reading_of

            for digest, body in self._storage.bodies(unknown, LARGEST):
                reading = reading_of(digest, body)
                if not isinstance(reading, References):
                    return None
                found[digest] = self.fresh[digest] = reading
        return list(found.values())


def _key(name: str) -> str:
    """Return the name in the memory; no path of a folder of blobs begins with a slash."""
    return f"/{name}"


class _Content(NamedTuple):
    """What is remembered of a repository: its tags in the order of their stamps, and digests, packed."""

    tags: Sequence[str]
    revisions: Content
    reachable: Content
    unneeded: Content

    def encoded(self) -> bytes:
        """Return it as bytes: three lengths, then all of it; no name holds a slash."""
        tags = "/".join(self.tags).encode("utf-8", "surrogateescape")
        lengths = _LENGTHS.pack(len(tags), len(self.revisions), len(self.reachable))
        return b"".join([lengths, tags, self.revisions, self.reachable, self.unneeded])

    @classmethod
    def decoded(cls, encoded: Content) -> "_Content":
        """Return what `encoded` made bytes of."""
        tags, revisions, reachable = _LENGTHS.unpack_from(encoded)
        revisions_at = _LENGTHS.size + tags
        reachable_at = revisions_at + revisions
        unneeded_at = reachable_at + reachable
        names = bytes(encoded[_LENGTHS.size : revisions_at]).decode("utf-8", "surrogateescape")
        return cls(
            names.split("/") if names else [],
            encoded[revisions_at:reachable_at],
            encoded[reachable_at:unneeded_at],
            encoded[unneeded_at:],
        )


class _Look:
    """A look at a repository's folders, which must be taken before anything in them is read."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._began = time.time_ns()
        self._newest = 0
        self._numbers: list[int] = []
        for inner in _FOLDERS:
            try:
                status = os.stat(f"{folder}/{inner}")
            except OSError:  # there is none, and none was there before
                self._numbers += (0, 0, 0)
                continue
            self._numbers += (status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            self._newest = max(self._newest, status.st_mtime_ns, status.st_ctime_ns)

    def stamp(self, links: Sequence[int], revisions: Content) -> bytes:
        """Return the numbers of the folders and of the tags' links as bytes, and a digest of the revisions.

        That is for whoever compares stamps only: a revision that goes leaves no trace in the numbers.
        """
        numbers = struct.pack(f"<{len(self._numbers) + len(links)}Q", *self._numbers, *links)
        return numbers + sha256(revisions).digest()

    def links(self, tags: Sequence[str]) -> list[int]:
        """Return time of change and inode of the tags' links, up to the first that cannot be looked at."""
        numbers: list[int] = []
        stat = os.stat
        try:
            folder = os.open(f"{self._folder}/{layout.TAGS}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return numbers
        try:
            for tag in tags:
                status = stat(f"{tag}/current/link", dir_fd=folder)
                numbers += (status.st_ctime_ns, status.st_ino)
        except OSError:
            pass
        finally:
            os.close(folder)
        return numbers

    def has_revisions(self, packed: Content) -> bool:
        """Whether each of these revisions has a link."""
        together = packed.hex()
        access = os.access
        try:
            folder = os.open(f"{self._folder}/{_CANONICAL_REVISIONS}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            for at in range(0, len(together), 2 * WIDTH):
                if not access(f"{together[at : at + 2 * WIDTH]}/link", os.F_OK, dir_fd=folder):
                    return False
        finally:
            os.close(folder)
        return True

    def is_safe(self, links: Sequence[int]) -> bool:
        """Whether nothing that was looked at was written to just before the look began, or since."""
        return max(self._newest, *links[::2], 0) < self._began - SUSPECT
