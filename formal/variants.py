"""The variants of the models: what each leaves out or adds, and the verdict that it must have.

A variant that must lose something is searched against as little as it takes: what one client breaks without a kill is
broken too where there are more of both. A variant that must hold is searched in full.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """What a search came to."""

    HOLDS = "holds"
    LOSES_DATA = "loses data"
    LOSES_LINK = "loses a link"
    LOSES_MANIFEST = "loses the manifest"


@dataclass(frozen=True, slots=True)
class Variant:
    """One combination of a model's settings.

    `about` is what docs/protocol.md says of it. `slow` ones take more than a few seconds. A `breadth_first` search
    ends with the shortest counterexample, and takes longer where there is none.
    """

    name: str
    about: str
    expected: Verdict
    settings: Mapping[str, int | str] = field(default_factory=dict)
    model: str = "collector.pml"
    slow: bool = False
    breadth_first: bool = False


_SMALL: Final[Mapping[str, int | str]] = {"CLIENTS": 1, "KILLS": 0}
_DATA: Final[Mapping[str, int | str]] = {**_SMALL, "JUDGE_LINKS": 0}
_LINKS: Final[Mapping[str, int | str]] = {**_SMALL, "JUDGE_DATA": 0}
# Scan, unlink through the API, wait, rename, wait, re-scan, purge: it looked right.
_EARLIER: Final[Mapping[str, int | str]] = {
    "JOURNAL": 0,
    "LINK_REPAIR": 0,
    "UNLINK_BARRIER": 1,
    "CONFIRM_BEFORE": 0,
    "EARLY_RESCAN": 0,
    "CONFIRM_AFTER": 0,
    "RESCAN_BARRIER": 0,
}
_UNCONFIRMED: Final[Mapping[str, int | str]] = {"CONFIRM_BEFORE": 0, "CONFIRM_AFTER": 0}


def _holds(name: str, about: str, *, slow: bool = True, **settings: int | str) -> Variant:
    return Variant(name, about, Verdict.HOLDS, settings, slow=slow)


def _loses_data(
    name: str, about: str, *settings: Mapping[str, int | str], breadth_first: bool = True, **more: int | str
) -> Variant:
    together = dict(_DATA)
    for each in settings:
        together.update(each)
    return Variant(name, about, Verdict.LOSES_DATA, {**together, **more}, breadth_first=breadth_first)


def _loses_link(name: str, about: str, *settings: Mapping[str, int | str], **more: int | str) -> Variant:
    together = dict(_LINKS)
    for each in settings:
        together.update(each)
    return Variant(name, about, Verdict.LOSES_LINK, {**together, **more}, breadth_first=True)


def _body(name: str, about: str, expected: Verdict, **settings: int | str) -> Variant:
    return Variant(name, about, expected, settings, "manifest_body.pml", breadth_first=expected is not Verdict.HOLDS)


VARIANTS: Final[tuple[Variant, ...]] = (
    _holds("steps", "the steps above"),
    _holds("steps-without-kills", "the same without a kill", KILLS=0),
    _holds("replicas", "the same on two replicas", REPLICAS=2),
    _holds("eviction", "the same where the cache forgets entries at any time", EVICTION=1),
    _holds("restarts", "the same where clients' requests end half-way, too", EVICTION=1, CUTS=1),
    _holds("fine-stat", "the same as steps, STAT reads its three places one by one", FINE_STAT=1),
    _holds(
        "all-at-once", "the same as restarts, STAT reads its three places one by one", EVICTION=1, CUTS=1, FINE_STAT=1
    ),
    _holds("no-cache", "no descriptor cache, no confirming", slow=False, CACHE=0, CONFIRM_BEFORE=0, CONFIRM_AFTER=0),
    _loses_data("earlier-protocol", "scan, unlink, wait, rename, wait, re-scan, purge", _EARLIER),
    _loses_data("earlier-protocol-unlinking-twice", "the same with a second round of DELETE", _EARLIER, UNLINK_AGAIN=1),
    _loses_link("earlier-protocol-without-cache", "the same, caches off, no link repair", _EARLIER, CACHE=0),
    _loses_data(
        "data-directly",
        "no unlinking: data is taken away while caches are warm",
        _UNCONFIRMED,
        UNLINK="NO_LINK",
        RESCAN="REVISIONS",
    ),
    _loses_data(
        "links-in-the-storage", "links are removed in the storage while caches are warm", UNLINK="IN_THE_STORAGE"
    ),
    _loses_data("confirmed-before-only", "step 5 without confirming", CONFIRM_AFTER=0),
    _loses_data("no-barrier-before-rescan", "steps 5 and 6 without barriers", LONG_BARRIER=0, RESCAN_BARRIER=0),
    _loses_data("no-rescan", "step 6 without a re-scan", RESCAN="NOTHING"),
    _loses_data("rescan-of-revisions", "step 6 looks at M only", RESCAN="REVISIONS"),
    _loses_data("no-journal", "only links that are there now are unlinked and confirmed", JOURNAL=0),
    _loses_data(
        "no-start-barrier", "a killed run's requests meet the next run", breadth_first=False, START_BARRIER=0, KILLS=1
    ),
    _loses_data(
        "no-barrier-after-confirming", "step 6 without its barrier, with eviction", RESCAN_BARRIER=0, EVICTION=1
    ),
    _loses_link("no-link-repair", "no link repair", LINK_REPAIR=0),
    _loses_data("one-replica-told", "two replicas, one of them unknown to us", REPLICAS=2, TOLD_REPLICAS=1),
    _loses_data("no-quarantine", "data is deleted in step 3", QUARANTINE=0),
    _loses_data("barrier-by-uploads", "barriers wait for `_uploads` folders only", BARRIERS_SEE="UPLOAD_FOLDERS"),
    _body("manifest-body", "a manifest's body is collected, server up to 3.1.1", Verdict.LOSES_MANIFEST),
    _body("manifest-body-newer-server", "the same, a push looks at the storage", Verdict.HOLDS, PUSH_BELIEVES_CACHE=0),
    _body("manifest-body-no-cache", "the same up to 3.1.1, no descriptor cache", Verdict.HOLDS, CACHE=0),
    _body("manifest-body-restart", "the same, a restart since m went", Verdict.LOSES_MANIFEST, RESTART=1),
    _body(
        "manifest-body-restart-noted",
        "the same, a restart, and no push of m since that was noted",
        Verdict.HOLDS,
        RESTART=1,
        NOTE=1,
    ),
)
