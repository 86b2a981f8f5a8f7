"""Parse: a policy file (YAML) to a Policy. Every error names the file, line, column, path and the way out."""

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, Final

from jettison.errors import ConfigurationError
from jettison.policy.clause import Clause, Order
from jettison.policy.document import Document, Entry, built, load
from jettison.policy.extremes import keeps_none
from jettison.policy.model import (
    Counts,
    LastImage,
    Limits,
    Policy,
    Referrers,
    RepositoryPolicy,
    Rule,
    Unit,
)
from jettison.policy.parse_clauses import VERSION_KEYS, Scope, read_keep
from jettison.policy.parse_selectors import read_repositories, read_selectors
from jettison.policy.pattern import TagPattern
from jettison.policy.selectors import AnySelector, Untagged, leaves, selects_versions
from jettison.policy.spans import parse_duration, parse_limit

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

__all__ = ["parse_duration", "parse_limit", "parse_policy", "parse_policy_node"]

_ROOT: Final = ("timezone", "protect", "rule_sets", "defaults", "policies", "limits")
_DEFAULTS: Final = ("untagged", "platforms", "referrers", "limits", "rules")
_POLICY: Final = (
    "name", "repositories", "enabled", "unit", "rules", "images_outlive_tags", "untagged", "platforms", "referrers",
    "limits",
)  # fmt: skip
_REFERRERS: Final = ("of_kept", "of_expired", "orphaned")
_RULE: Final = ("name", "tags", "counts", "keep")


def parse_policy(text: str | bytes, source: str) -> Policy:
    """Read a policy. `source` is the file's name for messages. Raises ConfigurationError."""
    return _read(load(text, source), source)


def parse_policy_node(node: "Node | None", source: str) -> Policy:
    """Read a policy that stands inside of another YAML text. Raises ConfigurationError."""
    return _read(built(node, source), source)


def _read(document: Any, source: str) -> Policy:
    try:
        return _Reader(source).policy(document)
    except RecursionError as error:
        raise ConfigurationError(f"{source}: it is too deep; does an alias (*name) stand in its own anchor?") from error


class _Reader:
    """Walks the document."""

    def __init__(self, source: str) -> None:
        self._document = Document(source)
        self._sets: Mapping[str, Sequence[Entry]] = {}
        self._defaults: Mapping[str, Any] = {}

    def policy(self, node: Any) -> Policy:
        document = self._document
        if node is None:
            raise ConfigurationError(f"{document.source}: the policy is empty; it needs `policies:`")
        root = document.mapping(node, "policy", None, _ROOT)
        self._sets = self._rule_sets(root)
        limits = self._limits(root, "limits", LastImage.REFUSE) or Limits()
        if root.get("defaults") is not None:
            self._defaults = document.mapping(root["defaults"], "defaults", (root, "defaults"), _DEFAULTS)
            self._check_defaults()
        entries = document.sequence(root, "policies", "policies")
        policies = tuple(self._repository_policy(each, limits) for each in entries)
        if not policies:
            document.refuse(root, "policies", "policies", "no policy is given, so nothing would ever happen")
        names = [policy.name for policy in policies]
        for i, name in enumerate(names):
            if name is not None and name in names[:i]:
                text = f"{name!r} names an earlier policy already"
                document.refuse(entries[i].value, "name", f"{entries[i].path}.name", text)
        protect, in_use = self._protect(root)
        policy = Policy(policies, protect, limits, self._timezone(root), in_use)
        self._refuse_deleting_all(policy, root)
        return policy

    def _check_defaults(self) -> None:
        """Read the defaults once, so that a mistake shows though no policy takes them."""
        defaults = self._defaults
        self._clause_of("untagged", defaults, "defaults.untagged")
        self._platforms(defaults, "defaults.platforms")
        self._referrers(defaults, "defaults.referrers")
        self._limits(defaults, "defaults.limits", LastImage.REFUSE)
        for i, entry in enumerate(self._document.sequence(defaults, "rules", "defaults.rules", required=False)):
            for rule in self._used(entry):
                self._rule(rule, i, None)

    def _timezone(self, root: Mapping[str, Any]) -> tzinfo:
        if root.get("timezone") is None:
            return UTC
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

        name = self._document.text(root["timezone"], root, "timezone", "timezone")
        if name == "UTC":
            return UTC
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            known = available_timezones()
            if not known:
                text = "this machine knows no time zones; install the package tzdata, the system's or Python's"
                self._document.refuse(root, "timezone", "timezone", f"{name!r} cannot be looked up: {text}")
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "write one such as Europe/Berlin"
            self._document.refuse(root, "timezone", "timezone", f"{name!r} is no time zone known here; {hint}")

    def _rule_sets(self, root: Mapping[str, Any]) -> Mapping[str, Sequence[Entry]]:
        node = root.get("rule_sets")
        if node is None:
            return {}
        if not isinstance(node, Mapping):
            self._document.mapping(node, "rule_sets", (root, "rule_sets"), ("NAME: [RULE...]",))
        sets: dict[str, Sequence[Entry]] = {}
        for key in node:
            name = self._document.text(key, node, key, "rule_sets")
            sets[name] = self._document.sequence(node, name, f"rule_sets.{name}")
            for i, rule in enumerate(sets[name]):  # so that a mistake shows before the set is used
                self._rule(rule, i, None)
        return sets

    def _protect(self, root: Mapping[str, Any]) -> tuple[tuple[TagPattern, ...], tuple[str, ...]]:
        document = self._document
        if root.get("protect") is None:
            return (), ()
        protect = document.mapping(root["protect"], "protect", (root, "protect"), ("tags", "in_use"))
        sources: tuple[str, ...] = ()
        if protect.get("in_use") is not None:
            sources = tuple(document.text(*each) for each in document.one_or_more(protect, "in_use", "protect.in_use"))
        if sources and "tags" not in protect:
            return (), sources
        return read_selectors(document, protect, "tags", "protect.tags"), sources

    def _limits(self, node: Mapping[str, Any], path: str, otherwise: LastImage) -> Limits | None:
        """Read limits; `otherwise` is what goes for the last image where they do not say."""
        document = self._document
        if node.get("limits") is None:
            return None
        limits = document.mapping(node["limits"], path, (node, "limits"), ("deletions", "last_image"))
        deletions, last_image = None, otherwise
        if limits.get("deletions") is not None:
            try:
                deletions = parse_limit(limits["deletions"])
            except ValueError as error:
                document.refuse(limits, "deletions", f"{path}.deletions", str(error))
        if limits.get("last_image") is not None:
            last_image = LastImage(document.word(limits, "last_image", f"{path}.last_image", tuple(LastImage)))
        return Limits(deletions, last_image)

    def _repository_policy(self, entry: Entry, whole: Limits) -> RepositoryPolicy:
        document, path = self._document, entry.path
        policy = document.mapping(entry.value, path, (entry.parent, entry.key), _POLICY)
        repositories = read_repositories(document, policy, "repositories", f"{path}.repositories")
        name = document.text(policy["name"], policy, "name", f"{path}.name") if "name" in policy else None
        enabled = document.truth(policy, "enabled", f"{path}.enabled", default=True)
        unit = Unit(document.word(policy, "unit", f"{path}.unit", tuple(Unit))) if "unit" in policy else Unit.TAG
        rules = self._rules(policy, path, unit)
        untagged = self._untagged(policy, path, unit)
        referrers = self._referrers(*self._own_or_default(policy, path, "referrers"))
        platforms = self._platforms(*self._own_or_default(policy, path, "platforms"))
        outlive = self._images_outlive_tags(policy, path, unit)
        limits = self._limits(*self._own_or_default(policy, path, "limits"), whole.last_image)
        if enabled and not rules and untagged is referrers.of_kept is referrers.orphaned is None:
            text = "it has neither `rules` nor `untagged`, so it would do nothing"
            document.refuse(policy, "repositories", path, text)
        return RepositoryPolicy(
            repositories, rules, untagged, name, unit, enabled, referrers, limits, platforms, outlive
        )

    def _own_or_default(self, policy: Mapping[str, Any], path: str, key: str) -> tuple[Mapping[str, Any], str]:
        """Return the mapping that says `key` for a policy: itself, else the defaults; and the key's path there."""
        own = key in policy or key not in self._defaults
        return (policy, f"{path}.{key}") if own else (self._defaults, f"defaults.{key}")

    def _rules(self, policy: Mapping[str, Any], path: str, unit: Unit) -> tuple[Rule, ...]:
        own = self._document.sequence(policy, "rules", f"{path}.rules", required=False)
        common = self._document.sequence(self._defaults, "rules", "defaults.rules", required=False)
        entries = [rule for each in (*own, *common) for rule in self._used(each)]
        rules = tuple(self._rule(each, i, unit) for i, each in enumerate(entries))
        names = [rule.name for rule in rules]
        for i, name in enumerate(names):
            if name in names[:i]:
                text = f"{name!r} names an earlier rule already"
                self._document.refuse(entries[i].value, "name", f"{entries[i].path}.name", text)
        return rules

    def _used(self, entry: Entry) -> Sequence[Entry]:
        """Return a rule, or the rules of the set that stands in its place."""
        node, path = entry.value, entry.path
        if not isinstance(node, Mapping) or "use" not in node:
            return [entry]
        self._document.mapping(node, path, None, ("use",))
        name = self._document.text(node["use"], node, "use", f"{path}.use")
        if name not in self._sets:
            near = difflib.get_close_matches(name, self._sets, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self._sets) or 'none'}"
            self._document.refuse(node, "use", f"{path}.use", f"there is no rule set {name!r}; {hint}")
        return self._sets[name]

    def _rule(self, entry: Entry, index: int, unit: Unit | None) -> Rule:
        """Read a rule. `unit` is None while it is not known who uses the rule."""
        document, path = self._document, entry.path
        rule = document.mapping(entry.value, path, (entry.parent, entry.key), _RULE)
        name = document.text(rule["name"], rule, "name", f"{path}.name") if "name" in rule else f"rule {index + 1}"
        selectors = read_selectors(document, rule, "tags", f"{path}.tags")
        if unit is Unit.TAG and any(isinstance(leaf, Untagged) for each in selectors for leaf in leaves(each)):
            text = "a tag is never untagged; write `unit: image` to decide images, or `untagged:` beside `rules`"
            document.refuse(rule, "tags", f"{path}.tags", text)
        whole = AnySelector(selectors)
        scope = Scope(
            Order.VERSION if selects_versions(whole) else Order.PUSHED,
            (*VERSION_KEYS, *sorted(whole.group_names)),
            unit or Unit.TAG,
        )
        counts = Counts.CLAIMED
        if "counts" in rule:
            counts = Counts(document.word(rule, "counts", f"{path}.counts", tuple(Counts)))
        return Rule(name, selectors, read_keep(document, rule, path, scope), counts)

    def _untagged(self, policy: Mapping[str, Any], path: str, unit: Unit) -> Clause | None:
        if unit is Unit.IMAGE:
            if policy.get("untagged") is not None:
                text = "with `unit: image` untagged images belong to a rule: `tags: {untagged: true}`"
                self._document.refuse(policy, "untagged", f"{path}.untagged", text)
            return None
        return self._clause_of("untagged", *self._own_or_default(policy, path, "untagged"))

    def _images_outlive_tags(self, policy: Mapping[str, Any], path: str, unit: Unit) -> bool:
        key = "images_outlive_tags"
        outlive = self._document.truth(policy, key, f"{path}.{key}", default=False)
        if outlive and unit is Unit.IMAGE:
            text = "with `unit: image` an image and its tags go together; write `unit: tag`, or leave it out"
            self._document.refuse(policy, key, f"{path}.{key}", text)
        return outlive

    def _platforms(self, node: Mapping[str, Any], path: str) -> Clause | None:
        if node.get("platforms") is None:
            return None
        inner = self._document.mapping(node["platforms"], path, (node, "platforms"), ("of_expired",))
        return self._clause_of("of_expired", inner, f"{path}.of_expired")

    def _referrers(self, node: Mapping[str, Any], path: str) -> Referrers:
        if node.get("referrers") is None:
            return Referrers()
        inner = self._document.mapping(node["referrers"], path, (node, "referrers"), _REFERRERS)
        return Referrers(**{key: self._clause_of(key, inner, f"{path}.{key}") for key in _REFERRERS})

    def _clause_of(self, key: str, node: Mapping[str, Any], path: str) -> Clause | None:
        if node.get(key) is None:
            return None
        inner = self._document.mapping(node[key], path, (node, key), ("keep",))
        return read_keep(self._document, inner, path, Scope())

    def _refuse_deleting_all(self, policy: Policy, root: Mapping[str, Any]) -> None:
        """Refuse a policy under which no tag of a whole registry could ever stay."""
        if policy.protect or policy.in_use or policy.limits.last_image is LastImage.ALLOW:
            return
        for each in policy.policies:
            allowed = each.limits is not None and each.limits.last_image is LastImage.ALLOW
            keeps = not all(keeps_none(rule.keep) for rule in each.rules)
            claims = any(selector.matches_all for rule in each.rules for selector in rule.tags)
            if not each.enabled or allowed or keeps or not claims:
                return
            if each.repositories.matches_all:
                text = "no rule keeps anything, so every tag of the registry would go; if so, say it with"
                self._document.refuse(root, "policies", "policies", f"{text} `limits: {{last_image: allow}}`")
