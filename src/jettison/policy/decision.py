"""Decisions: what stays and what goes in a repository, each with its reason.

There is one of these for every tag and manifest of a registry, so they are msgspec's values, which are made in a fifth
of the time that a frozen dataclass takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository, Tag
from jettison.policy.model import RepositoryPolicy


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why something stays or goes: a stable name for machines, a sentence for people, and the rule if one decided.

    `policy` is the name of the policy that the rule belongs to, where it has one.
    """

    code: str
    text: str
    rule: str | None = None
    policy: str | None = None


class TagDecision(msgspec.Struct, frozen=True):
    """What becomes of one tag."""

    tag: Tag
    kept: bool
    reason: Reason


class ManifestDecision(msgspec.Struct, frozen=True):
    """What becomes of one manifest."""

    digest: Digest
    kept: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class RepositoryDecisions:
    """What becomes of everything in one repository.

    A tag may expire while its manifest is kept, since something else needs that manifest. `order` lists the digests
    that go, what others belong to before what belongs to it. `policy` is the one that applied, if any. `dropped` are
    referrers that go although their subject stays.
    """

    repository: Repository
    tags: tuple[TagDecision, ...]
    manifests: Mapping[Digest, ManifestDecision]
    order: tuple[Digest, ...] = ()
    policy: RepositoryPolicy | None = None
    dropped: frozenset[Digest] = frozenset()
