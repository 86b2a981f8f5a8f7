"""Lint: what is legal in a policy and yet surely not meant, each with the place where it stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jettison.policy.clause import (
    AnyOf,
    Everything,
    Newest,
    Nothing,
    Order,
    Unknown,
    with_inner,
)
from jettison.policy.extremes import keeps_all, keeps_none
from jettison.policy.located import Located, Step, as_mapping, path_text
from jettison.policy.model import Policy, RepositoryPolicy, Rule
from jettison.policy.pattern import TagPattern
from jettison.policy.reach import Reach


@dataclass(frozen=True, slots=True)
class PolicyWarning:
    """Something to look at: a stable name, where (`file:line:column`), the path, and a sentence."""

    code: str
    where: str
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.path}: {self.text}"


def lint(policy: Policy, text: str, source: str) -> tuple[PolicyWarning, ...]:
    """Return the warnings about a policy that was read from `text`."""
    return tuple(_Lint(policy, Located.load(text, source)).warnings())


class _Lint:
    def __init__(self, policy: Policy, document: Located) -> None:
        self._policy = policy
        self._document = document
        self._reach = Reach()

    def warnings(self) -> Iterator[PolicyWarning]:
        for selector in self._policy.protect:
            if self._reach.names_no_tag(selector):
                yield self._warning("never-matches", ("protect", "tags"), f"no tag can match {selector}")
        for i, each in enumerate(self._policy.policies):
            yield from self._repositories(i, each)
            yield from self._effect(i, each)
            if each.enabled:
                yield from self._rules(i, each)
        yield from self._unused_sets()

    def _warning(self, code: str, path: Sequence[Step], text: str) -> PolicyWarning:
        return PolicyWarning(code, self._document.where(path), path_text(path), text)

    def _repositories(self, i: int, policy: RepositoryPolicy) -> Iterator[PolicyWarning]:
        path = ("policies", i, "repositories")
        if self._reach.no_repository(policy):
            yield self._warning("never-applies", path, "no repository's name can match this")
            return
        name = self._reach.a_repository(policy)
        earlier = [  # one that does not match this name hides nothing alone, and all together do not where none does
            (j, each)
            for j, each in enumerate(self._policy.policies[:i])
            if name is None or each.repositories.matches(name)
        ]
        for j, each in earlier:
            if self._reach.no_repository(policy, [each]):
                text = f"policies[{j}] ({each.label}) applies to all of these before; the first that matches counts"
                yield self._warning("hidden-policy", path, text)
                return
        if earlier and i > 1 and self._reach.no_repository(policy, self._policy.policies[:i]):
            text = "the policies before this one apply to all of these together; the first that matches counts"
            yield self._warning("hidden-policy", path, text)

    def _effect(self, i: int, policy: RepositoryPolicy) -> Iterator[PolicyWarning]:
        if not policy.enabled:
            text = "it is switched off, so everything in its repositories stays"
            yield self._warning("no-effect", ("policies", i, "enabled"), text)
            return
        others = (policy.untagged, policy.referrers.of_kept, policy.referrers.orphaned)
        deciding = [*(rule.keep for rule in policy.rules), *(each for each in others if each is not None)]
        if all(map(keeps_all, deciding)):
            text = "it keeps everything in its repositories; all it does is to shield them from later policies"
            yield self._warning("no-effect", ("policies", i), text)

    def _rules(self, i: int, policy: RepositoryPolicy) -> Iterator[PolicyWarning]:
        earlier: list[tuple[str, TagPattern]] = [("`protect`", each) for each in self._policy.protect]
        for rule, path in zip(policy.rules, rule_paths(self._document.plain, i), strict=True):
            yield from self._rule(rule, path, policy, earlier)
            earlier.append((f"the rule {rule.name!r}", rule.selector))

    def _rule(
        self, rule: Rule, path: Sequence[Step], policy: RepositoryPolicy, earlier: Sequence[tuple[str, TagPattern]]
    ) -> Iterator[PolicyWarning]:
        what = "image" if policy.unit.value == "image" else "tag"
        if self._reach.matches_nothing(rule, policy.unit):
            yield self._warning("never-matches", (*path, "tags"), f"no {what} can match what {rule.name!r} selects")
            return
        if self._reach.is_covered(rule, policy.unit, [selector for _, selector in earlier]):
            alone = (name for name, each in earlier if self._reach.is_covered(rule, policy.unit, [each]))
            by = next(alone, "what stands before")
            text = f"every {what} that {rule.name!r} selects is taken by {by} already, so this rule never decides"
            yield self._warning("hidden-rule", (*path, "tags"), text)
            return
        yield from self._clause(rule, path)

    def _clause(self, rule: Rule, path: Sequence[Step]) -> Iterator[PolicyWarning]:
        keep = (*path, "keep")
        if rule.keep != Nothing() and keeps_none(rule.keep):
            text = f"{rule.name!r} can keep nothing, so all that it claims goes; if so, write `keep: {{nothing: true}}`"
            yield self._warning("never-keeps", keep, text)
        for clause in with_inner(rule.keep):
            if isinstance(clause, AnyOf) and clause.clauses != (Everything(),) and any(map(keeps_all, clause.clauses)):
                text = f"one of these clauses keeps all that {rule.name!r} claims, so the others change nothing"
                yield self._warning("no-effect", keep, text)
                break
        by_version = [
            clause
            for clause in with_inner(rule.keep)
            if isinstance(clause, Newest) and clause.by is Order.VERSION and clause.unknown is Unknown.KEEP
        ]
        if by_version and self._reach.claims_no_version(rule):
            text = f"{rule.name!r} counts by version, but selects no versions: what is none takes no place and stays"
            yield self._warning("no-version", keep, text)

    def _unused_sets(self) -> Iterator[PolicyWarning]:
        root = as_mapping(self._document.plain)
        lists = [as_mapping(each).get("rules") for each in root.get("policies") or ()]
        lists.append(as_mapping(root.get("defaults")).get("rules"))
        used = {as_mapping(rule).get("use") for rules in lists for rule in rules or ()}
        for name in as_mapping(root.get("rule_sets")):
            if name not in used:
                yield self._warning("unused", ("rule_sets", name), "no policy uses this rule set")


def rule_paths(plain: Any, i: int) -> list[tuple[Step, ...]]:
    """Return where each rule of the policy number `i` stands, in the order in which they decide."""
    root = as_mapping(plain)
    own = as_mapping(root["policies"][i]).get("rules") or ()
    common = as_mapping(root.get("defaults")).get("rules") or ()
    paths: list[tuple[Step, ...]] = []
    places: list[tuple[tuple[Step, ...], Any]] = [
        *((("policies", i, "rules", j), rule) for j, rule in enumerate(own)),
        *((("defaults", "rules", j), rule) for j, rule in enumerate(common)),
    ]
    for path, rule in places:
        used = as_mapping(rule).get("use")
        if used is None:
            paths.append(path)
        else:
            paths += [("rule_sets", used, j) for j, _ in enumerate(root["rule_sets"][used])]
    return paths
