"""Referrers: what becomes of signatures and the like where a policy says more than that they follow their subject."""

from collections.abc import Iterable, Mapping

from jettison.oci.digest import Digest
from jettison.oci.graph import Bond, Graph
from jettison.oci.inventory import Repository, Tag
from jettison.policy.candidate import Candidate, Outcome, Setting
from jettison.policy.clause import Clause
from jettison.policy.clauses import weigh
from jettison.policy.decision import Reason


def orphans(repository: Repository, graph: Graph) -> dict[Digest, Digest]:
    """Return the referrers whose subject is not in the repository, with that subject.

    A tag that names no subject makes a referrer an image like any other, which the rules decide.
    """
    manifests, followers = repository.manifests, graph.followers
    found = {
        digest: manifest.subject.digest
        for digest, manifest in manifests.items()
        if manifest.subject is not None and manifest.subject.digest not in manifests
    }
    if found:
        ordinary = {tag.digest for tag in repository.tags if tag.name not in followers}
        found = {digest: subject for digest, subject in found.items() if digest not in ordinary}
    lost = {name for name, subject in followers.items() if subject not in manifests}
    if lost:
        found |= {
            tag.digest: followers[tag.name] for tag in repository.tags if tag.name in lost and tag.digest in manifests
        }
    return found


def orphan_reason(subject: Digest) -> Reason:
    """Return why a referrer stays whose subject is not in the repository."""
    return Reason("orphan-referrer", f"it belongs to {subject.short}, which is not in this repository")


def weigh_referrers(
    clause: Clause, repository: Repository, graph: Graph, digests: Iterable[Digest], setting: Setting
) -> dict[Digest, Outcome]:
    """Return what `clause` says of these referrers, which it counts together."""
    tags: dict[Digest, list[Tag]] = {}
    for tag in repository.tags:
        if tag.name in graph.followers:
            tags.setdefault(tag.digest, []).append(tag)
    wanted = list(digests)
    candidates = [Candidate.of_image(repository, each, tags.get(each, ()), ()) for each in wanted]
    return dict(zip(wanted, weigh(clause, candidates, setting), strict=True))


def not_kept(
    clause: Clause, repository: Repository, graph: Graph, needed: Mapping[Digest, object], setting: Setting
) -> dict[Digest, Outcome]:
    """Return the referrers of kept subjects that `clause` does not keep. It counts for each subject by itself.

    A referrer with an ordinary tag is decided by the rules. The index of the tag scheme that lists a subject's
    referrers (`sha256-<hex>` without an ending) is no referrer itself, and what it lists stays with it.
    """
    exempt = {tag.digest for tag in repository.tags if not _is_followers_own(graph, tag)}
    dropped: dict[Digest, Outcome] = {}
    for subject in needed:
        mine = dict.fromkeys(
            digest
            for digest, bond in graph.bonds(subject)
            if bond is Bond.REFERRER and digest in repository.manifests and digest not in exempt
        )
        if mine:
            outcomes = weigh_referrers(clause, repository, graph, mine, setting)
            dropped |= {digest: outcome for digest, outcome in outcomes.items() if outcome.keeps is False}
    return dropped


def _is_followers_own(graph: Graph, tag: Tag) -> bool:
    """Whether the tag belongs to one referrer (`sha256-<hex>.sig`), rather than to people or to the list of all."""
    return tag.name in graph.followers and "." in tag.name
