"""Decisions: what stays and what goes in a repository, each with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass

from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository, Tag


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something stays or goes: a stable name for machines, a sentence for people, and the rule if one decided."""

    code: str
    text: str
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class TagDecision:
    """What becomes of one tag."""

    tag: Tag
    kept: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class ManifestDecision:
    """What becomes of one manifest."""

    digest: Digest
    kept: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class RepositoryDecisions:
    """What becomes of everything in one repository.

    A tag may expire while its manifest is kept, since something else needs that manifest. `order` lists the digests
    that go, what others belong to before what belongs to it.
    """

    repository: Repository
    tags: tuple[TagDecision, ...]
    manifests: Mapping[Digest, ManifestDecision]
    order: tuple[Digest, ...] = ()
