"""StoredBlob: a blob as the storage holds it."""

from datetime import datetime
from typing import NamedTuple

from jettison.oci.digest import Digest


class StoredBlob(NamedTuple):
    """A blob's digest, its bytes on the disk, and when its data was written. A tuple, since there are many."""

    digest: Digest
    size: int
    modified: datetime
