"""What a run did, and what taking it back means: values and choices, nothing read and nothing written."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from jettison.history.model import ActionRecord, RunRecord
from jettison.oci.digest import Digest
from jettison.oci.graph import Graph
from jettison.oci.inventory import Repository, Tag
from jettison.oci.manifest import Manifest
from jettison.oci.reference import subject_of_tag
from jettison.plan.model import ActionKind


class Restoration(StrEnum):
    """What an undo does; also the kinds of its actions in the journal."""

    BLOB = "restore-blob"
    LINK = "restore-link"
    MANIFEST = "restore-manifest"
    TAG = "restore-tag"


_REMOVE_LINK: Final = "remove-link"
_MANIFESTS: Final = {ActionKind.DELETE_MANIFEST.value, Restoration.MANIFEST.value}


@dataclass(frozen=True, slots=True)
class Taken:
    """What a run deleted from one repository: manifests, tags with what they pointed to, layer links with what they
    named, as far as that is known.
    """

    repository: str
    manifests: frozenset[Digest] = frozenset()
    tags: Mapping[str, Digest] = field(default_factory=dict)
    links: Mapping[Digest, Digest | None] = field(default_factory=dict)

    @property
    def digests(self) -> frozenset[Digest]:
        """All manifests that are needed to take it back: a tag is put by its manifest."""
        return self.manifests | frozenset(self.tags.values())


@dataclass(frozen=True, slots=True)
class Effects:
    """What a run did to a registry. `restored` is what a run that was an undo itself brought back, `blobs` those that
    it took from the quarantine. `others` are actions that cannot be taken back, in words.
    """

    deleted: Mapping[str, Taken] = field(default_factory=dict)
    restored: Mapping[str, Taken] = field(default_factory=dict)
    blobs: tuple[Digest, ...] = ()
    others: tuple[str, ...] = ()


def effects_of(record: RunRecord) -> Effects:
    """Return what a run did, or may have done.

    An action that was begun and has no result, or failed, may have been done all the same: the run was killed, or the
    answer lost. Whether it was is seen in the registry. What was gone already, or skipped, is not the run's doing.
    """
    deleted, restored = _Gathering(), _Gathering()
    blobs: list[Digest] = []
    others: list[str] = []
    for each in record.actions:
        if not _may_have_happened(each):
            continue
        action = each.action
        if action.kind in {ActionKind.DELETE_MANIFEST, ActionKind.DELETE_TAG, _REMOVE_LINK}:
            deleted.add(each)
        elif action.kind in {Restoration.MANIFEST, Restoration.TAG}:
            restored.add(each)
        elif action.kind == Restoration.BLOB and action.digest is not None:
            blobs.append(action.digest)
        elif action.kind in _LOST:
            others.append(f"{_LOST[action.kind]} {action.repository}".strip())
    return Effects(deleted.result(), restored.result(), tuple(blobs), tuple(others))


_LOST: Final = {"remove-upload": "an unfinished upload of"}
"""What a run removes for good. Empty folders and a registry's restart are nothing that anybody could miss."""


def _may_have_happened(record: ActionRecord) -> bool:
    return record.begun_at is not None and record.result in {"done", "failed", None}


class _Gathering:
    """Gathers actions by repository."""

    def __init__(self) -> None:
        self._manifests: dict[str, set[Digest]] = {}
        self._tags: dict[str, dict[str, Digest]] = {}
        self._links: dict[str, dict[Digest, Digest | None]] = {}

    def add(self, record: ActionRecord) -> None:
        """Add what an action took or brought."""
        action = record.action
        if action.digest is None:
            return
        manifests = self._manifests.setdefault(action.repository, set())
        if action.kind == _REMOVE_LINK:
            named = next(map(Digest, action.tags), None)
            self._links.setdefault(action.repository, {})[action.digest] = named
            return
        if action.kind in _MANIFESTS:
            manifests.add(action.digest)
        tags = self._tags.setdefault(action.repository, {})
        tags.update(dict.fromkeys(action.tags, action.digest))

    def result(self) -> dict[str, Taken]:
        """Return what was gathered."""
        return {
            name: Taken(
                name,
                frozenset(digests),
                dict(sorted(self._tags.get(name, {}).items())),
                self._links.get(name, {}),
            )
            for name, digests in sorted(self._manifests.items())
        }


def limited(
    taken: Mapping[str, Taken],
    manifests: Mapping[Digest, Manifest],
    repository: Callable[[str], bool],
    tag: Callable[[str], bool] | None,
) -> dict[str, Taken]:
    """Return the part that is wanted: of wanted repositories; with `tag`, wanted tags with all that follows them.

    A tag's manifest follows it, and to that belong its children and referrers (promise 4). Of other tags only those of
    the `sha256-<hex>` scheme follow: a platform that had a tag of its own comes back without it.
    """
    wanted = {name: each for name, each in taken.items() if repository(name)}
    if tag is None:
        return wanted
    found = {}
    for name, each in wanted.items():
        roots = [digest for text, digest in each.tags.items() if tag(text)]
        following = Graph(_as_repository(each, manifests)).dependents(roots)
        tags = {
            text: digest
            for text, digest in each.tags.items()
            if tag(text) or (digest in following and subject_of_tag(text) in following)
        }
        if tags:
            found[name] = Taken(name, each.manifests & following.keys(), tags)
    return found


def restore_order(digests: Iterable[Digest], manifests: Mapping[Digest, Manifest]) -> tuple[Digest, ...]:
    """Return `digests` so that children stand before indexes, and subjects before what refers to them.

    A registry takes an index only when it has its children. Loops, which only damage makes, are broken at any point.
    """
    waiting = sorted(digests)
    wanted = frozenset(waiting)
    ordered: dict[Digest, None] = {}
    entered: set[Digest] = set()
    stack = list(reversed(waiting))
    while stack:
        digest = stack[-1]
        needs = [each for each in _needs(manifests.get(digest)) if each in wanted and each not in entered]
        entered.add(digest)
        if needs:
            stack += needs
        else:
            ordered[stack.pop()] = None
    return tuple(ordered)


def delete_order(taken: Taken, manifests: Mapping[Digest, Manifest]) -> tuple[Digest, ...]:
    """Return the manifests so that owners go before what belongs to them, as deletions do."""
    return Graph(_as_repository(taken, manifests)).owners_first(sorted(taken.manifests))


def _needs(manifest: Manifest | None) -> tuple[Digest, ...]:
    if manifest is None:
        return ()
    children = tuple(child.digest for child in manifest.children)
    return (*children, manifest.subject.digest) if manifest.subject else children


def _as_repository(taken: Taken, manifests: Mapping[Digest, Manifest]) -> Repository:
    return Repository(
        taken.repository,
        tuple(Tag(name, digest) for name, digest in taken.tags.items()),
        {digest: manifests[digest] for digest in taken.digests if digest in manifests},
    )
