"""CollectionReport: what one run of our own collector did, beside a serving registry or without one."""

from dataclasses import dataclass, field

from jettison.oci.inventory import Problem


@dataclass(slots=True)
class CollectionReport:
    """What one run did, in blobs and bytes.

    `condemned` are unreferenced and old enough. `quarantined` come back until they are purged, `purged` are gone,
    `restored` were needed again, `given_up` are left to the next run. `bodies` are manifests that wait for the servers'
    next start, `repaired` are layer links written back. `waiting` is all that is in quarantine at the end. `collection`
    is the quarantine's name for what this run moved there, `broken` are the repositories that keep all that they link.
    """

    condemned: int = 0
    condemned_bytes: int = 0
    quarantined: int = 0
    quarantined_bytes: int = 0
    purged: int = 0
    purged_bytes: int = 0
    restored: int = 0
    given_up: int = 0
    bodies: int = 0
    repaired: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    collection: str | None = None
    broken: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
