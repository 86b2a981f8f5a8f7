"""Repository names and tags (distribution-spec, "Pulling manifests"), and tags that name a subject."""

import re
from typing import Final, NamedTuple, Self

from jettison.oci.digest import Digest

_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
# cosign and the referrers fallback: `sha256-<hex>` with nothing, or an ending, behind it.
_SUBJECT_TAG = re.compile(r"(?P<algorithm>sha256|sha384|sha512)-(?P<hex>[0-9a-f]{64,128})(?:\.[A-Za-z0-9._-]+)?")
LONGEST_REPOSITORY: Final = 255


def is_repository(text: str) -> bool:
    """Whether `text` is a legal repository name."""
    return len(text) <= LONGEST_REPOSITORY and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether `text` is a legal tag."""
    return _TAG.fullmatch(text) is not None


def subject_of_tag(tag: str) -> Digest | None:
    """Return the digest that a tag of the `sha256-<hex>` scheme belongs to, None for any other tag.

    distribution-spec, "Referrers Tag Schema"; cosign adds `.sig`, `.att`, `.sbom`.
    """
    match = _SUBJECT_TAG.fullmatch(tag)
    if match is None:
        return None
    try:
        return Digest(f"{match['algorithm']}:{match['hex']}")
    except ValueError:
        return None


class Reference(NamedTuple):
    """`repository:tag` or `repository@digest`, without the registry."""

    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `repository`, `repository:tag` or `repository@digest`. Raises ValueError with the reason."""
        name, at, digest = text.partition("@")
        head, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:
            head, tag = name, ""
        if not is_repository(head):
            raise ValueError(f"{head!r} is no repository name (lower-case letters, digits and . _ - / between them)")
        if colon and tag and not is_tag(tag):
            raise ValueError(f"{tag!r} is no tag (letters, digits, . _ -, at most 128)")
        return cls(head, tag or None, Digest(digest) if at else None)

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")
