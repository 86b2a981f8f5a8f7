"""Plan: everything that a run will do, why, under which precondition, and what it frees. Values only.

These are the values that `codec.py` writes, so their field names are the plan file's: changing one changes the format.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from jettison.oci.digest import Digest

FORMAT: Final = 1
"""The version of the plan file's format."""


class ActionKind(StrEnum):
    """What an action does to the registry."""

    DELETE_MANIFEST = "delete-manifest"
    DELETE_TAG = "delete-tag"


class DeleteBy(StrEnum):
    """How images are deleted: the manifest with all its tags, or one tag after the other."""

    DIGEST = "digest"
    TAG = "tag"


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stable name for machines, a sentence for people, the rule if one decided, and its policy's name if any."""

    code: str
    text: str
    rule: str | None = None
    policy: str | None = None


class Precondition(msgspec.Struct, frozen=True):
    """What must still hold at the last moment.

    `tags`: each of these still points to the digest given, and for a manifest no other tag does.
    `unneeded`: nothing that stays needs the digest (promise 4), whatever was pushed in between. `despite_subject`: it
    is a referrer that the policy does not keep although its subject stays, so that one does not count.
    """

    tags: dict[str, Digest] = {}
    unneeded: bool = False
    despite_subject: bool = False


class Action(msgspec.Struct, frozen=True):
    """One deletion.

    `frees` are the bytes that this action alone gives back, `size` all that a pull of the image would fetch (sharing
    disregarded). `created` is the date by which its age is told, None where nobody knows it.
    """

    action: ActionKind
    repository: str
    digest: Digest
    tags: tuple[str, ...]
    reason: Reason
    kind: str
    size: int
    frees: int
    precondition: Precondition
    created: datetime | None = None
    platforms: tuple[str, ...] = ()


class Stay(msgspec.Struct, frozen=True):
    """A tag that stays: an expired one that cannot be deleted alone, or, on request, a kept one."""

    repository: str
    tag: str
    digest: Digest
    reason: Reason


class RepositoryTotals(msgspec.Struct, frozen=True):
    """What a repository has, and what the plan does to it. `frees` are bytes if only this repository's actions ran."""

    name: str
    tags: int
    deleted_tags: int
    deleted_manifests: int
    frees: int
    complete: bool = True


class GroupKind(StrEnum):
    """By what a group gathers: by the rule that decided, or by the reason's code."""

    RULE = "rule"
    REASON = "reason"


class Group(msgspec.Struct, frozen=True):
    """What goes by one rule, or for one reason. `frees` are the bytes if only that went; what groups share is in none,
    so they add up to less than the plan frees.
    """

    by: GroupKind
    name: str
    tags: int
    manifests: int
    frees: int


class Totals(msgspec.Struct, frozen=True):
    """Sums. `frees` is what all actions together give back once they are collected, `shared` the bytes of what is
    deleted that stay since something kept needs them too, `size` all that is known to be stored, all in bytes.
    """

    repositories: int
    tags: int
    deleted_tags: int
    deleted_manifests: int
    size: int
    frees: int
    shared: int


class Problem(msgspec.Struct, frozen=True):
    """What could not be read, and where (an empty repository: the registry as a whole)."""

    code: str
    repository: str
    text: str


class Server(msgspec.Struct, frozen=True):
    """What the plan relies on about the server: its version if known, and whether it deletes a single tag."""

    version: str | None = None
    deletes_tags: bool | None = None
    delete_by: DeleteBy = DeleteBy.DIGEST


class PolicyLimits(msgspec.Struct, frozen=True):
    """The brakes of one policy's repositories, which are named."""

    policy: str
    repositories: tuple[str, ...]
    deletions: str | None = None
    last_image: str = "refuse"


class PlanLimits(msgspec.Struct, frozen=True):
    """The brakes that the plan was made under; `deletions` as written (`30%`, `200`), None for no limit.

    `policies` has those of the policies that have brakes of their own, besides these.
    """

    deletions: str | None = None
    last_image: str = "refuse"
    policies: tuple[PolicyLimits, ...] = ()


class AskedInUse(msgspec.Struct, frozen=True):
    """Which sources were asked for images in use, and what they told.

    `sources` are as they were named, so that `apply` can ask them again; `names` are those that runtimes may have for
    the registry, None where nobody knows them and every image counts. `images` counts what each source told, `silent`
    says why an optional one told nothing. `kept` tags and digests are in use. `doubtful` has other registries of
    which images run, with repositories of theirs that are here too: it may be another name of this registry.
    """

    sources: tuple[str, ...]
    names: tuple[str, ...] | None = None
    kept: int = 0
    images: dict[str, int] = {}
    silent: dict[str, str] = {}
    doubtful: dict[str, tuple[str, ...]] = {}


class Plan(msgspec.Struct, frozen=True):
    """A plan. `fingerprint` covers all other fields, so that a file edited by hand is noticed.

    `partial`: repositories were left out on request, so it does not tell how much the registry holds.
    """

    registry: str
    created: datetime
    source: str
    policy: str
    server: Server
    limits: PlanLimits
    totals: Totals
    repositories: tuple[RepositoryTotals, ...]
    actions: tuple[Action, ...]
    stays: tuple[Stay, ...] = ()
    problems: tuple[Problem, ...] = ()
    kept: tuple[Stay, ...] | None = None
    groups: tuple[Group, ...] = ()
    partial: bool = False
    in_use: AskedInUse | None = None
    version: int = FORMAT
    fingerprint: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether everything could be read when the plan was made."""
        return not self.problems
