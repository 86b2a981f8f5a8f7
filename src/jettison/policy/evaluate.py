"""Evaluate: from an inventory and a policy to decisions. Pure, so that any run can be decided again from its record."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from jettison.oci.digest import Digest
from jettison.oci.graph import Bond, Graph, Need
from jettison.oci.inventory import Inventory, Repository
from jettison.oci.version import parse_version
from jettison.policy.candidate import Setting
from jettison.policy.decision import ManifestDecision, Reason, RepositoryDecisions, TagDecision
from jettison.policy.model import Policy, Unit
from jettison.policy.referrers import not_kept
from jettison.policy.roots import Roots, rule_reason
from jettison.policy.spared import spared

if TYPE_CHECKING:
    from jettison.policy.in_use import InUse

_INCOMPLETE: Final = Reason("incomplete", "something in this repository could not be read, so it loses nothing")
_NO_POLICY: Final = Reason("no-policy", "no policy applies to this repository")
_UNTOUCHED: Final = Reason("untouched", "nothing that expires leads to it")
_UNTOLD: Final = Reason("untold", "its manifest could not be seen")


def decide(
    inventory: Inventory, policy: Policy, now: datetime, in_use: "InUse | None" = None
) -> Iterator[RepositoryDecisions]:
    """Decide every repository of `inventory`, one after the other."""
    for repository in inventory.repositories:
        yield decide_repository(repository, policy, now, in_use)


def decide_repository(
    repository: Repository, policy: Policy, now: datetime, in_use: "InUse | None" = None
) -> RepositoryDecisions:
    """Decide what stays and what goes in `repository` at the moment `now`.

    Kept are the tags that protection, use, a rule's clauses or the lack of a rule keep; then every manifest that a kept
    one needs (children, subjects, referrers). Expired is only what an expired tag or untagged manifest leads to and
    nothing kept needs, but for what the policy spares of it. Whatever neither walk reaches is kept.
    """
    if not repository.is_complete:
        return _keep_all(repository, _INCOMPLETE)
    applying = policy.for_repository(repository.name)
    if applying is not None and not applying.enabled:
        text = f"the policy for {applying.label} is switched off, so it keeps everything"
        return _keep_all(repository, Reason("switched-off", text, None, applying.name))
    if applying is None and not repository.leftovers:
        return _keep_all(repository, _NO_POLICY)
    graph = Graph(repository)
    setting = Setting(now, policy.timezone or UTC, repository.pulls_since)
    used = in_use.in_repository(repository.name) if in_use is not None else {}
    roots = Roots.decide(repository, graph, policy, applying, setting, used)
    needed = graph.needed(roots.kept)
    dropped: dict[Digest, Reason] = {}
    if applying is not None and applying.referrers.of_kept is not None:
        outcomes = not_kept(applying.referrers.of_kept, repository, graph, needed, setting)
        dropped = {
            digest: rule_reason(outcome, "referrers", applying.name)
            for digest, outcome in outcomes.items()
            if digest not in roots.kept
        }
        needed = graph.needed(roots.kept, without=dropped)
    expired = roots.expired | dropped if dropped else roots.expired
    followed = graph.dependents(expired)
    # What neither walk reaches stays, and so does what that needs: an index that refers to its own child belongs to the
    # child, and that to the index, so nobody decides either.
    untouched = [digest for digest in repository.manifests if digest not in needed and digest not in followed]
    if untouched:
        needed = graph.needed(untouched, without=dropped) | needed
    staying = roots.kept
    if applying is not None and (applying.platforms is not None or applying.referrers.of_expired is not None):
        leaving = {digest: need for digest, need in followed.items() if digest not in needed}
        by_themselves = spared(applying, repository, graph, leaving, expired, setting)
        staying = staying | by_themselves
        needed = graph.dependents(by_themselves) | needed  # the subject of what is spared goes all the same
    manifests = _manifests(repository, staying, expired, needed, followed)
    verdicts = roots.tags
    for tag in repository.tags:
        if tag.name not in verdicts:  # a follower goes where the manifest behind it goes
            decision = manifests.get(tag.digest)
            kept = decision is None or decision.kept
            verdicts[tag.name] = TagDecision(tag, kept, decision.reason if decision else _UNTOLD)
    if applying is not None and applying.unit is Unit.IMAGE:  # an image that something else needs keeps its tags
        for name, verdict in verdicts.items():
            image = manifests.get(verdict.tag.digest)
            if not verdict.kept and image is not None and image.kept:
                verdicts[name] = TagDecision(verdict.tag, True, image.reason)
    going = [digest for digest, decision in manifests.items() if not decision.kept]
    order = graph.owners_first(sorted(going, key=_reading_order(repository, going))) if going else ()
    tags = tuple([verdicts[tag.name] for tag in repository.tags])
    return RepositoryDecisions(repository, tags, manifests, order, applying, frozenset(dropped))


def _manifests(
    repository: Repository,
    kept: Mapping[Digest, Reason],
    expired: Mapping[Digest, Reason],
    needed: Mapping[Digest, Need | None],
    followed: Mapping[Digest, Need | None],
) -> dict[Digest, ManifestDecision]:
    decisions: dict[Digest, ManifestDecision] = {}
    for digest in repository.manifests:
        if digest in needed or digest not in followed:
            reason = kept.get(digest) or _needed_reason(needed.get(digest), kept=True)
            decisions[digest] = ManifestDecision(digest, True, reason)
        else:
            reason = expired.get(digest) or _needed_reason(followed[digest], kept=False)
            decisions[digest] = ManifestDecision(digest, False, reason)
    return decisions


def _reading_order(
    repository: Repository, going: Iterable[Digest]
) -> Callable[[Digest], tuple[int, tuple[object, ...] | str]]:
    """Return a sort key: versions first, the oldest of all first, then other tags by name, then what has no tag."""
    wanted = set(going)
    keys: dict[Digest, tuple[int, tuple[object, ...] | str]] = {}
    for tag in repository.tags:
        if tag.digest not in wanted:
            continue
        version = parse_version(tag.name)
        key = (1, tag.name) if version is None else (0, version.sort_key)
        before = keys.get(tag.digest)
        keys[tag.digest] = key if before is None or key < before else before
    return lambda digest: keys.get(digest, (2, digest))


def _keep_all(repository: Repository, reason: Reason) -> RepositoryDecisions:
    return RepositoryDecisions(
        repository,
        tuple([TagDecision(tag, True, reason) for tag in repository.tags]),
        {digest: ManifestDecision(digest, True, reason) for digest in repository.manifests},
    )


_BOND_TEXT: dict[Bond, Callable[[str, str], str]] = {
    Bond.CHILD: lambda state, by: f"a platform of the {state} index {by}",
    Bond.REFERRER: lambda state, by: f"refers to {by}, which is {state}",
    Bond.SUBJECT: lambda state, by: f"the subject of {by}, which is {state}",
    Bond.NAMED: lambda state, by: f"named in {by}, a manifest of unknown type",
    Bond.LAYER: lambda state, by: f"a layer of {by}, which is {state}",
}


def _needed_reason(need: Need | None, *, kept: bool) -> Reason:
    if need is None:
        return _UNTOUCHED
    state = "kept" if kept else "expired"
    return Reason(f"{need.bond}-of-{state}", _BOND_TEXT[need.bond](state, need.by.short))
