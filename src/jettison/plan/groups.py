"""Groups: what a plan deletes by rule and by reason, each with the bytes that it alone gives back. Pure."""

from collections.abc import Mapping, Sequence

from jettison.oci.digest import Digest
from jettison.oci.graph import Graph
from jettison.plan.model import Action, ActionKind, Group, GroupKind
from jettison.plan.space import Owner, Space
from jettison.policy.decision import ManifestDecision, Reason, RepositoryDecisions

FOLLOWS = "(no rule)"
"""Under this stands what no rule decided, such as the rest of an interrupted run."""


class Grouping:
    """Gathers the groups, repository by repository."""

    def __init__(self) -> None:
        self._tags: dict[tuple[GroupKind, str], int] = {}
        self._manifests: dict[tuple[GroupKind, str], int] = {}
        self._owners: dict[tuple[GroupKind, str], list[Owner]] = {}

    def add(self, decided: RepositoryDecisions, actions: Sequence[Action]) -> None:
        """Take what goes in one repository. A platform or signature belongs to the rule that its image belongs to."""
        rules = _rules(decided)
        for digest in decided.order:
            why = decided.manifests[digest].reason
            for key in self._keys(rules[digest], why.code):
                self._owners.setdefault(key, []).append((decided.repository.name, digest))
        for action in actions:
            rule = rules.get(action.digest) or rule_text(action.reason.policy, action.reason.rule)
            for key in self._keys(rule, action.reason.code):
                self._tags[key] = self._tags.get(key, 0) + len(action.tags)
                self._manifests[key] = self._manifests.get(key, 0) + (action.action is ActionKind.DELETE_MANIFEST)

    def _keys(self, rule: str, code: str) -> tuple[tuple[GroupKind, str], ...]:
        return (GroupKind.RULE, rule), (GroupKind.REASON, code)

    def weighed(self, space: Space) -> tuple[Group, ...]:
        """Return the groups; those that free most come first."""
        keys = dict.fromkeys((*self._tags, *self._owners))
        groups = [
            Group(
                by=kind,
                name=name,
                tags=self._tags.get((kind, name), 0),
                manifests=self._manifests.get((kind, name), 0),
                frees=space.freed_by(self._owners.get((kind, name), ())),
            )
            for kind, name in keys
        ]
        return tuple(sorted(groups, key=lambda each: (each.by, -each.frees, each.name)))


def rule_text(policy: str | None, rule: str | None) -> str:
    """Return a rule's name, with that of its policy where it has one."""
    if rule is None:
        return FOLLOWS
    return rule if policy is None else f"{policy}: {rule}"


def _rules(decided: RepositoryDecisions) -> Mapping[Digest, str]:
    """Return the rule of each manifest that goes: its own, else that of what it belongs to, which stands before it."""
    going: Mapping[Digest, ManifestDecision] = decided.manifests
    rules: dict[Digest, str] = {}
    graph: Graph | None = None
    for digest in decided.order:
        why: Reason = going[digest].reason
        if why.rule is None and why.code != "left-over":
            graph = graph or Graph(decided.repository)
            owners = (need.by for need in graph.owners.get(digest, ()))
            rules[digest] = next((rules[owner] for owner in owners if owner in rules), FOLLOWS)
        else:
            rules[digest] = rule_text(why.policy, why.rule)
    return rules
