"""Spared: what outlives the index or subject that it belongs to, where the policy says so."""

from collections.abc import Container, Mapping

from jettison.oci.digest import Digest
from jettison.oci.graph import Bond, Graph
from jettison.oci.inventory import Repository
from jettison.policy.candidate import Setting
from jettison.policy.decision import Reason
from jettison.policy.model import RepositoryPolicy
from jettison.policy.referrers import orphan_reason, weigh_referrers


def spared(
    policy: RepositoryPolicy,
    repository: Repository,
    graph: Graph,
    going: Mapping[Digest, object],
    expired: Container[Digest],
    setting: Setting,
) -> dict[Digest, Reason]:
    """Return what stays of all that is `going` though nothing that stays needs it, with the reasons.

    That is what follows something that expires, and what the policy's `platforms` and `referrers` keep by itself; what
    is `expired` was decided by itself before. What belongs to both an index and a subject stays where one of them says
    so. All platforms of the repository are counted together, and so are all referrers.
    """
    kept: dict[Digest, Reason] = {}
    clauses = ((Bond.CHILD, policy.platforms, "platforms"), (Bond.REFERRER, policy.referrers.of_expired, "referrers"))
    for bond, clause, name in clauses:
        if clause is None:
            continue
        following = [
            digest
            for digest in going
            if digest in repository.manifests
            and digest not in expired
            and any(need.bond is bond and need.by in going for need in graph.owners.get(digest, ()))
        ]
        if bond is Bond.CHILD:
            kept |= {digest: orphan_reason(subject) for digest in following if (subject := _lost(repository, digest))}
        for digest, outcome in weigh_referrers(clause, repository, graph, following, setting).items():
            if outcome.keeps is not False:
                kept.setdefault(digest, Reason(outcome.code, outcome.text, name, policy.name))
    return kept


def _lost(repository: Repository, digest: Digest) -> Digest | None:
    """Return the subject of a manifest where it is not in the repository."""
    subject = repository.manifests[digest].subject
    return subject.digest if subject is not None and subject.digest not in repository.manifests else None
