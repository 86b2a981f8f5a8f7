"""Tag: a name in a repository that points to a manifest."""

from dataclasses import dataclass
from datetime import datetime

from jettison.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, what it points to, and when it was last pushed (None: the source does not tell)."""

    name: str
    digest: Digest
    pushed: datetime | None = None
