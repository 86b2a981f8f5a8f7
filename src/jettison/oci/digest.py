"""Digest: the identity of a blob or manifest (image-spec, descriptor.md, "Digests")."""

import hashlib
import re
from typing import Final, Self

# The algorithms that the specification registers. Others are legal, but nobody can verify them.
_HEX_LENGTH: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_REGISTERED = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_NAMED_ANYWHERE = re.compile(rb"sha256[:-][0-9a-f]{64}|sha384[:-][0-9a-f]{96}|sha512[:-][0-9a-f]{128}")


class Digest(str):
    """A valid digest, `algorithm:hex`. It is a string, so it sorts, hashes and serialises as one.

    Raises ValueError for text that is no digest: a Digest that exists is valid.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`, or raise ValueError."""
        if type(text) is cls:
            return text
        if _REGISTERED.fullmatch(text) is None:
            raise ValueError(f"{text[:200]!r} is no digest: expected sha256:, sha384: or sha512: and lower-case hex")
        return str.__new__(cls, text)

    @classmethod
    def of(cls, body: bytes, algorithm: str = "sha256") -> Self:
        """Return the digest of `body` under a registered `algorithm`."""
        if algorithm not in _HEX_LENGTH:
            raise ValueError(f"{algorithm!r} is no registered digest algorithm")
        return str.__new__(cls, f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}")

    @property
    def algorithm(self) -> str:
        """The part before the colon."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The part after the colon."""
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """The first twelve hex digits, as docker prints them."""
        return self.hex[:12]

    def matches(self, body: bytes) -> bool:
        """Whether `body` has this digest."""
        algorithm, _, wanted = self.partition(":")
        return hashlib.new(algorithm, body).hexdigest() == wanted


def digests_named_in(body: bytes) -> tuple[Digest, ...]:
    """Return every digest that stands anywhere in `body`, once each, in order.

    For content whose type nobody knows: what it names is kept (promise 2).
    """
    found = (Digest(match.decode().replace("-", ":", 1)) for match in _NAMED_ANYWHERE.findall(body))
    return tuple(dict.fromkeys(found))
