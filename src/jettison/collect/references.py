"""References: the digests that a manifest refers to, which is all that marking needs of it."""

from collections.abc import Iterable
from typing import NamedTuple

from jettison.collect.packed import DigestText, pack, unpack

__all__ = ["DigestText", "References"]


class References(NamedTuple):
    """What a manifest refers to. All of them are blobs of the store; `manifests` refer to further ones."""

    packed: bytes = b""
    """Config and layers, or an artifact's blobs, as far as their digests are sha256 ones."""
    others: tuple[DigestText, ...] = ()
    """Those of other algorithms."""
    manifests: tuple[DigestText, ...] = ()
    """Children, and the subject."""
    named: tuple[DigestText, ...] = ()
    """Whatever a manifest of unknown type names: manifests or blobs, nobody knows."""

    @classmethod
    def of(
        cls,
        blobs: Iterable[DigestText] = (),
        manifests: Iterable[DigestText] = (),
        named: Iterable[DigestText] = (),
    ) -> "References":
        """Return the references to these."""
        return cls(*pack(blobs), tuple(manifests), tuple(named))

    @property
    def blobs(self) -> tuple[DigestText, ...]:
        """Config and layers, or an artifact's blobs."""
        return (*unpack(self.packed), *self.others)
