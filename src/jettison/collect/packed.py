"""Digests packed: a registry has millions, and as text each would take four times the memory.

A sha256 digest, which nearly all are, is kept as its 32 bytes, and many of them one after the other in one value.
Others stay text. Both sets below look like sets of digests as text.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

DigestText = str
"""A digest as plain text, checked like a `Digest` and equal to one.

There are as many as there are blobs, and making a `Digest` of each would take longer than all else that marking does.
"""

WIDTH: Final = 32
_PREFIX: Final = "sha256:"
_PREFIX_LENGTH: Final = len(_PREFIX)
_NAME_LENGTH: Final = 2 * WIDTH
_PART: Final = 40_000
_PARTS: Final = 8
_PIECES: Final = 1000
_MIXED: Final = -1


def pack(digests: Iterable[DigestText]) -> tuple[bytes, tuple[DigestText, ...]]:
    """Return digests packed, and beside them those of other algorithms than sha256."""
    packed: list[bytes] = []
    others: list[DigestText] = []
    for digest in digests:
        raw = _raw(digest)
        if isinstance(raw, bytes):
            packed.append(raw)
        else:
            others.append(digest)
    return b"".join(packed), tuple(others)


def pack_names(names: list[str]) -> bytes | None:
    """Return sha256 digests packed that are given as 64 hexadecimal digits each; None where one of them is not that.

    One look at all of them together tells: nothing but lower-case digits comes out as it went in.
    """
    if not set(map(len, names)) <= {_NAME_LENGTH}:
        return None
    together = "".join(names)
    try:
        packed = bytes.fromhex(together)
    except ValueError:
        return None
    return packed if packed.hex() == together else None


def pack_exactly(digests: list[DigestText]) -> bytes | None:
    """Return digests packed, in their order; None where one of them is no sha256 digest, as nothing has checked yet.

    Written for speed, as every manifest comes by. Each text is a line. As many beginnings as texts are cut off, all at
    the start of a line, and what is left comes out as it went in with as many lines as texts: so each is one digest.
    """
    lines = "\n".join(("", *digests))
    short = lines.replace("\nsha256:", "\n")
    try:
        packed = bytes.fromhex(short)
    except ValueError:
        return None
    is_exact = (
        len(packed) == WIDTH * len(digests)
        and len(lines) - len(short) == _PREFIX_LENGTH * len(digests)
        and short[1:] == packed.hex("\n", WIDTH)
    )
    return packed if is_exact else None


def unpack(packed: bytes) -> list[DigestText]:
    """Return packed digests as text."""
    together = packed.hex()
    return [_PREFIX + together[at : at + _NAME_LENGTH] for at in range(0, len(together), _NAME_LENGTH)]


def split(packed: bytes) -> list[bytes]:
    """Return packed digests one by one, each of 32 bytes."""
    return [packed[at : at + WIDTH] for at in range(0, len(packed), WIDTH)]


def beginnings(packed: bytes) -> list[int]:
    """Return the first eight bytes of each packed digest as a number.

    Numbers take a third of the time and memory of what they begin. Two digests that begin alike, which nobody has seen,
    are then taken for one: good enough for what errs by keeping a blob.
    """
    return memoryview(packed).cast("Q")[:: WIDTH // 8].tolist()


def _raw(digest: DigestText) -> bytes | DigestText:
    return bytes.fromhex(digest[_PREFIX_LENGTH:]) if digest.startswith(_PREFIX) else digest


class DigestSet(AbstractSet[DigestText]):
    """A set of digests made of packed ones, in which any may stand more than once, and of others.

    Looking one up makes a set of them all, which takes four times the memory; taking them away from a listing does not.
    """

    __slots__ = ("_all", "_others", "_packed")

    def __init__(self, packed: Sequence[bytes | memoryview], others: Iterable[DigestText] = ()) -> None:
        self._packed = packed
        self._others = frozenset(others)
        self._all: frozenset[bytes] | None = None

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> frozenset[Any]:
        return frozenset(it)

    def __contains__(self, digest: object) -> bool:
        raw = _raw(digest) if isinstance(digest, str) else digest
        return raw in self._raws() if isinstance(raw, bytes) else raw in self._others

    def __iter__(self) -> Iterator[DigestText]:
        for raw in self._raws():
            yield _PREFIX + raw.hex()
        yield from self._others

    def __len__(self) -> int:
        return len(self._raws()) + len(self._others)

    def __repr__(self) -> str:
        return f"<{len(self)} digests>"

    def missing_from(self, listed: Sequence[bytes]) -> list[bytes]:
        """Return those of some packed digests that are not in this set, one by one.

        One that begins like a digest of this set is not among them.
        """
        left: set[int] = set()
        for packed in listed:
            left.update(beginnings(packed))
        for start in range(0, len(self._packed), _PIECES):
            left.difference_update(beginnings(b"".join(self._packed[start : start + _PIECES])))
        if not left:
            return []
        return [
            raw
            for packed in listed
            for raw, beginning in zip(split(packed), beginnings(packed), strict=True)
            if beginning in left
        ]

    def among(self, digests: Iterable[DigestText]) -> set[DigestText]:
        """Return those of some digests that are in this set."""
        wanted = set(digests)
        packed, others = pack(wanted)
        left = set(split(packed))
        for part in self._parts() if left else ():
            left.difference_update(part)
        return wanted.difference(unpack(b"".join(left)), (other for other in others if other not in self._others))

    def _raws(self) -> frozenset[bytes]:
        if self._all is None:
            self._all = frozenset().union(*self._parts())
        return self._all

    def _parts(self) -> Iterator[list[bytes]]:
        """Yield all one by one, many at a time: most pieces hold a handful, and would each cost a call."""
        for start in range(0, len(self._packed), _PIECES):
            yield split(b"".join(self._packed[start : start + _PIECES]))


class DigestListing(AbstractSet[DigestText]):
    """Digests as a storage lists them, for going through. Each is added once."""

    __slots__ = ("_length", "_others", "_packed", "_sorted")

    def __init__(self) -> None:
        self._packed: dict[int, bytes] = {}  # by first byte, or mixed
        self._others: set[DigestText] = set()
        self._sorted: set[int] = set()
        self._length = 0

    def add_packed(self, packed: bytes) -> None:
        """Add packed digests that begin with the same byte."""
        if not packed:
            return
        first = packed[0]
        present = self._packed.get(first)
        self._packed[first] = packed if present is None else present + packed
        self._sorted.discard(first)
        self._length += len(packed) // WIDTH

    def add_mixed(self, packed: bytes) -> None:
        """Add packed digests that begin with any bytes."""
        self._packed[_MIXED] = self._packed.get(_MIXED, b"") + packed
        self._sorted.discard(_MIXED)
        self._length += len(packed) // WIDTH

    def besides(self, raws: AbstractSet[bytes]) -> tuple[bytes, AbstractSet[DigestText]]:
        """Return what is not among some digests of 32 bytes each: packed, and those of other algorithms."""
        return b"".join(set(split(b"".join(self._packed.values()))) - raws), self._others

    def add(self, digests: Iterable[DigestText]) -> None:
        """Add digests one by one."""
        packed, others = pack(digests)
        for raw in split(packed):
            self.add_packed(raw)
        self._others.update(others)
        self._length += len(others)

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> frozenset[Any]:
        return frozenset(it)

    def __contains__(self, digest: object) -> bool:
        raw = _raw(digest) if isinstance(digest, str) else digest
        if not isinstance(raw, bytes):
            return raw in self._others
        return self._finds(raw[0], raw) or self._finds(_MIXED, raw)

    def _finds(self, part: int, raw: bytes) -> bool:
        """Whether one part has a digest. Each is sorted when first needed, which takes less memory than a set."""
        packed = self._packed.get(part, b"")
        if part not in self._sorted:
            packed = self._packed[part] = b"".join(sorted(split(packed)))
            self._sorted.add(part)
        at = bisect_left(
            range(len(packed) // WIDTH), raw, key=lambda number: packed[number * WIDTH : (number + 1) * WIDTH]
        )
        return packed[at * WIDTH : (at + 1) * WIDTH] == raw

    def __and__(self, other: AbstractSet[Any]) -> frozenset[DigestText]:
        # A search takes as long as making the text of some twenty digests, and that takes memory for all of them.
        if len(other) * 20 < len(self):
            return frozenset(digest for digest in other if digest in self)
        return frozenset(self) & other

    __rand__ = __and__

    def __iter__(self) -> Iterator[DigestText]:
        for packed in self._packed.values():
            yield from unpack(packed)
        yield from self._others

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"<{len(self)} listed digests>"

    def __sub__(self, other: AbstractSet[Any]) -> frozenset[DigestText]:
        # By beginnings where both are packed: what is left is surely not in the other set.
        if not isinstance(other, DigestSet):
            return frozenset(digest for digest in self if digest not in other)
        left = [digest for digest in self._others if digest not in other]
        # In parts, which take less memory than all at once; each costs a look at all that is taken away.
        largest = max(_PART, self._length // _PARTS)
        part: list[bytes] = []
        for number, packed in enumerate(self._packed.values(), start=1):
            part.append(packed)
            if sum(map(len, part)) >= largest * WIDTH or number == len(self._packed):
                left += unpack(b"".join(other.missing_from(part)))
                part = []
        return frozenset(left)
