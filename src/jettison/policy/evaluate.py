"""Evaluate: from an inventory and a policy to decisions. Pure, so that any run can be decided again from its record."""

from collections.abc import Callable, Iterator
from datetime import datetime

from jettison.oci.digest import Digest
from jettison.oci.graph import Bond, Graph, Need
from jettison.oci.inventory import Inventory, Repository, Tag
from jettison.oci.manifest import Kind
from jettison.oci.version import Version, parse_version
from jettison.policy.clauses import Candidate, Outcome, weigh
from jettison.policy.decision import ManifestDecision, Reason, RepositoryDecisions, TagDecision
from jettison.policy.model import Policy, RepositoryPolicy, Rule

_INCOMPLETE = "something in this repository could not be read, so it loses nothing"


def decide(inventory: Inventory, policy: Policy, now: datetime) -> Iterator[RepositoryDecisions]:
    """Decide every repository of `inventory`, one after the other."""
    for repository in inventory.repositories:
        yield decide_repository(repository, policy, now)


def decide_repository(repository: Repository, policy: Policy, now: datetime) -> RepositoryDecisions:
    """Decide what stays and what goes in `repository` at the moment `now`.

    Kept are the tags that protection, a rule's clauses or the lack of a rule keep; then every manifest that a kept one
    needs (children, subjects, referrers). Expired is only what an expired tag or untagged manifest leads to and nothing
    kept needs. Whatever neither walk reaches is kept.
    """
    if not repository.is_complete:
        return _keep_all(repository, Reason("incomplete", _INCOMPLETE))
    applying = policy.for_repository(repository.name)
    if applying is None and not repository.leftovers:
        return _keep_all(repository, Reason("no-policy", "no policy applies to this repository"))
    graph = Graph(repository)
    verdicts = _decide_tags(repository, graph, policy, applying, now)
    untagged = _decide_untagged(repository, graph, applying, now)
    kept_roots = {decision.tag.digest: decision.reason for decision in verdicts.values() if decision.kept}
    kept_roots |= {digest: reason for digest, (kept, reason) in untagged.items() if kept}
    expired_roots = {decision.tag.digest: decision.reason for decision in verdicts.values() if not decision.kept}
    expired_roots |= {digest: reason for digest, (kept, reason) in untagged.items() if not kept}
    needed = graph.needed(kept_roots)
    followed = graph.dependents(expired_roots)
    manifests: dict[Digest, ManifestDecision] = {}
    for digest in repository.manifests:
        if digest in needed or digest not in followed:
            reason = kept_roots.get(digest) or _needed_reason(needed.get(digest), kept=True)
            manifests[digest] = ManifestDecision(digest, True, reason)
        else:
            reason = expired_roots.get(digest) or _needed_reason(followed[digest], kept=False)
            manifests[digest] = ManifestDecision(digest, False, reason)
    for tag in repository.tags:
        if tag.name not in verdicts:  # a follower goes where the manifest behind it goes
            decision = manifests.get(tag.digest)
            kept = decision is None or decision.kept
            reason = decision.reason if decision else Reason("untold", "its manifest could not be seen")
            verdicts[tag.name] = TagDecision(tag, kept, reason)
    going = {digest for digest, decision in manifests.items() if not decision.kept}
    order = graph.owners_first(sorted(going, key=_reading_order(repository)))
    return RepositoryDecisions(repository, tuple(verdicts[tag.name] for tag in repository.tags), manifests, order)


def _reading_order(repository: Repository) -> Callable[[Digest], tuple[int, Version | str]]:
    """Return a sort key: versions first, the oldest of all first, then other tags by name, then what has no tag."""
    keys: dict[Digest, tuple[int, Version | str]] = {}
    for tag in repository.tags:
        version = parse_version(tag.name)
        key: tuple[int, Version | str] = (1, tag.name) if version is None else (0, version)
        keys[tag.digest] = min(key, keys.get(tag.digest, key))
    return lambda digest: keys.get(digest, (2, digest))


def _keep_all(repository: Repository, reason: Reason) -> RepositoryDecisions:
    return RepositoryDecisions(
        repository,
        tuple(TagDecision(tag, True, reason) for tag in repository.tags),
        {digest: ManifestDecision(digest, True, reason) for digest in repository.manifests},
    )


def _decide_tags(
    repository: Repository, graph: Graph, policy: Policy, applying: RepositoryPolicy | None, now: datetime
) -> dict[str, TagDecision]:
    """Return the verdict of every tag but the followers, which go where their subject goes."""
    verdicts: dict[str, TagDecision] = {}
    claimed: dict[str, list[Tag]] = {}
    rules: dict[str, Rule] = {}
    for tag in repository.tags:
        reason = _kept_without_rule(repository, graph, policy, tag)
        if reason is not None:
            verdicts[tag.name] = TagDecision(tag, True, reason)
            continue
        if tag.name in graph.followers:
            continue
        rule = next((rule for rule in applying.rules if rule.claims(tag.name)), None) if applying else None
        if rule is None:
            verdicts[tag.name] = TagDecision(tag, True, Reason("no-rule", "no rule claims this tag"))
        else:
            rules[rule.name] = rule
            claimed.setdefault(rule.name, []).append(tag)
    for name, tags in claimed.items():
        candidates = [_candidate(repository, tag) for tag in tags]
        outcomes = weigh(rules[name].keep, candidates, now)
        for tag in tags:
            outcome = outcomes[tag.name]
            verdicts[tag.name] = TagDecision(tag, outcome.keeps is not False, _rule_reason(outcome, name))
    return verdicts


def _kept_without_rule(repository: Repository, graph: Graph, policy: Policy, tag: Tag) -> Reason | None:
    if policy.protects(tag.name):
        return Reason("protected", "the policy protects this tag")
    manifest = repository.manifests.get(tag.digest)
    if manifest is None:
        return Reason("untold", "its manifest could not be seen")
    if manifest.kind is Kind.UNKNOWN:
        kind = manifest.media_type or "none"
        return Reason("unknown-manifest", f"its type, {kind}, is unknown here, and so is what it needs")
    subject = graph.followers.get(tag.name)
    if subject is not None and subject not in repository.manifests:
        return Reason("orphan-referrer", f"it belongs to {subject.short}, which is not in this repository")
    return None


def _decide_untagged(
    repository: Repository, graph: Graph, applying: RepositoryPolicy | None, now: datetime
) -> dict[Digest, tuple[bool, Reason]]:
    """Return the verdict of every manifest that has no tag and belongs to no other manifest."""
    tagged = {tag.digest for tag in repository.tags}
    alone = [
        digest
        for digest in repository.manifests
        if digest not in tagged and not any(need.by in repository.manifests for need in graph.owners.get(digest, ()))
    ]
    verdicts: dict[Digest, tuple[bool, Reason]] = {
        digest: (True, Reason("untagged", "untagged, and the policy does not mention untagged manifests"))
        for digest in alone
    }
    if applying is not None and applying.untagged is not None:
        candidates = [
            Candidate(digest, digest, None, repository.pushed.get(digest), repository.created(digest))
            for digest in alone
        ]
        outcomes = weigh(applying.untagged, candidates, now)
        verdicts = {
            digest: (outcomes[digest].keeps is not False, _rule_reason(outcomes[digest], "untagged"))
            for digest in alone
        }
    for digest in alone:
        if repository.manifests[digest].kind is Kind.UNKNOWN:
            verdicts[digest] = (True, Reason("unknown-manifest", "nobody knows what it needs"))
        elif digest in repository.leftovers:
            verdicts[digest] = (False, Reason("left-over", "an earlier run was interrupted before it deleted this"))
    return verdicts


def _candidate(repository: Repository, tag: Tag) -> Candidate:
    return Candidate(tag.name, tag.digest, parse_version(tag.name), tag.pushed, repository.created(tag.digest))


def _rule_reason(outcome: Outcome, rule: str) -> Reason:
    return Reason(outcome.code, outcome.text, rule)


_BOND_TEXT: dict[Bond, Callable[[str, str], str]] = {
    Bond.CHILD: lambda state, by: f"a platform of the {state} index {by}",
    Bond.REFERRER: lambda state, by: f"refers to {by}, which is {state}",
    Bond.SUBJECT: lambda state, by: f"the subject of {by}, which is {state}",
    Bond.NAMED: lambda state, by: f"named in {by}, a manifest of unknown type",
}


def _needed_reason(need: Need | None, *, kept: bool) -> Reason:
    if need is None:
        return Reason("untouched", "nothing that expires leads to it")
    state = "kept" if kept else "expired"
    return Reason(f"{need.bond}-of-{state}", _BOND_TEXT[need.bond](state, need.by.short))
