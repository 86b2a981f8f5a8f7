"""Tag: a name in a repository that points to a manifest."""

from datetime import datetime
from typing import NamedTuple

from jettison.oci.digest import Digest


class Tag(NamedTuple):
    """A tag, what it points to, and when it was last pushed (None: the source does not tell)."""

    name: str
    digest: Digest
    pushed: datetime | None = None
