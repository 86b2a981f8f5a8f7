"""What Harbor's API gives of a project's retention: read and checked, as values.

The sources, in goharbor/harbor: src/server/v2.0/handler/retention.go (what is refused when a policy is saved),
src/pkg/retention/policy/models.go and rule/models.go (grammar), src/pkg/retention/policy/rule/ (templates),
src/pkg/immutable/model/rule.go. What Harbor takes and then fails at in each run is refused too: it deletes nothing
there. A disabled rule is never built there, so it may be broken.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jettison.errors import PolicyImportError
from jettison.policy.importers.model import read_json

_MOST_RULES: Final = 15
_MOST_COUNT: Final = 32767
_MOST_DAYS: Final = 106_751
"""More days overflow Go's durations; Harbor would then take everything."""
COUNTS: Final = ("latestPushedK", "latestPulledN", "latestActiveK")
AGES: Final = ("nDaysSinceLastPush", "nDaysSinceLastPull", "lastXDays")
_TEMPLATES: Final = (*COUNTS, *AGES, "always")
_TAG_DECORATIONS: Final = ("matches", "excludes")
_REPOSITORY_DECORATIONS: Final = ("repoMatches", "repoExcludes", "nsMatches", "nsExcludes")
_CRON_FIELD: Final = re.compile(r"[0-9A-Za-z*/,?-]+")


@dataclass(frozen=True, slots=True)
class Selector:
    """A pattern with how it is meant. `untagged` is what the extras say of images without a tag, None for nothing."""

    decoration: str
    pattern: str
    untagged: bool | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """An enabled retention rule. `value` is the template's parameter."""

    number: int
    template: str
    value: int
    tags: tuple[Selector, ...]
    repositories: tuple[Selector, ...]


@dataclass(frozen=True, slots=True)
class Immutable:
    """An enabled immutable rule: the first selector of each kind, since Harbor looks at no other."""

    number: int
    tags: Selector
    repositories: Selector


@dataclass(frozen=True, slots=True)
class Document:
    """A project's retention policy and its immutable rules. `remarks` are for whoever reads the import."""

    rules: tuple[Rule, ...] = ()
    immutable: tuple[Immutable, ...] = ()
    cron: str = ""
    remarks: tuple[str, ...] = ()


def read_document(text: str) -> Document:
    """Read a retention policy, an object with `retention` and `immutabletagrules`, or immutable rules alone.

    Raises PolicyImportError with Harbor's words.
    """
    given = read_json(text, "parsing body failed")
    if isinstance(given, list):
        given = {"immutabletagrules": given}
    if not isinstance(given, dict) or not given.keys() & {"rules", "algorithm", "retention", "immutabletagrules"}:
        raise PolicyImportError(
            "it is no retention policy of Harbor, nor an object with `retention` and `immutabletagrules`"
        )
    reader = _Reader()
    retention = given if given.keys() & {"rules", "algorithm"} else given.get("retention")
    rules, cron = reader.retention(_mapping(retention, "retention")) if retention is not None else ((), "")
    immutable = reader.immutable(_list(given.get("immutabletagrules"), "immutabletagrules"))
    return Document(rules, immutable, cron, tuple(reader.remarks))


class _Reader:
    def __init__(self) -> None:
        self.remarks: list[str] = []

    def retention(self, policy: Mapping[str, Any]) -> tuple[tuple[Rule, ...], str]:
        rules = [_mapping(each, "rule") for each in _list(policy.get("rules"), "rules")]
        if len(rules) > _MOST_RULES:
            raise PolicyImportError(f"only {_MOST_RULES} rules are allowed at most")
        told = [_told(rule) for rule in rules]
        for number, each in enumerate(told):
            if each in told[:number]:
                raise PolicyImportError(f"rule {number} is conflict with rule {told.index(each)}")
        _check_scope(_mapping(policy.get("scope") or {}, "scope"))
        cron = _cron(_mapping(policy.get("trigger") or {}, "trigger"))
        enabled = [(number, rule) for number, rule in enumerate(rules, 1) if self._enabled(rule, f"Rule {number}")]
        if enabled and policy.get("algorithm") != "or":
            raise PolicyImportError(f"no processor registered with algorithm: {policy.get('algorithm', '')}")
        return tuple(_rule(number, rule) for number, rule in enabled), cron

    def immutable(self, rules: Sequence[Any]) -> tuple[Immutable, ...]:
        found: list[Immutable] = []
        for number, each in enumerate(rules, 1):
            rule = _mapping(each, "immutable rule")
            name = f"Immutable rule {number}"
            if not self._enabled(rule, name):
                continue
            tags = _selectors(rule.get("tag_selectors"), _TAG_DECORATIONS, extras=False)
            repositories = _selectors(_repository(rule), _REPOSITORY_DECORATIONS, extras=False)
            if not tags or not repositories:
                self.remarks.append(f"{name} names no {'repositories' if tags else 'tags'}, so it protects nothing.")
                continue
            if len(tags) > 1 or len(repositories) > 1:
                self.remarks.append(f"{name}: Harbor looks at the first selector of tags and of repositories alone.")
            found.append(Immutable(number, tags[0], repositories[0]))
        return tuple(found)

    def _enabled(self, rule: Mapping[str, Any], name: str) -> bool:
        disabled = rule.get("disabled", False)
        if not isinstance(disabled, bool):
            raise PolicyImportError(f"disabled must be true or false, and is {disabled!r}")
        if disabled:
            self.remarks.append(f"{name} is disabled there, and is left out.")
        return not disabled


def _rule(number: int, rule: Mapping[str, Any]) -> Rule:
    action, template = rule.get("action", ""), rule.get("template", "")
    if action != "retain":
        raise PolicyImportError(f"action {action} is not registered")
    if template not in _TEMPLATES:
        raise PolicyImportError(f"rule evaluator {template} is not registered")
    value = 0
    if template != "always":
        parameters = _mapping(rule.get("params") or {}, "params")
        if template not in parameters:
            raise PolicyImportError(f"missing required parameter {template} for rule {template}")
        value = _value(template, parameters[template])
    return Rule(
        number,
        template,
        value,
        _selectors(rule.get("tag_selectors"), _TAG_DECORATIONS, extras=True),
        _selectors(_repository(rule), _REPOSITORY_DECORATIONS, extras=False),
    )


def _value(template: str, value: Any) -> int:
    """Check a parameter as its validator does, and cut its fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PolicyImportError(f"{template} type error: {value!r} is no number")
    if value < 0:
        raise PolicyImportError(f"{template} is less than zero")
    if value >= (_MOST_COUNT if template in COUNTS else _MOST_DAYS + 1):
        raise PolicyImportError(f"{template} is too large")
    return int(value)


def _repository(rule: Mapping[str, Any]) -> Any:
    return _mapping(rule.get("scope_selectors") or {}, "scope_selectors").get("repository")


def _selectors(given: Any, decorations: Sequence[str], *, extras: bool) -> tuple[Selector, ...]:
    found: list[Selector] = []
    for each in _list(given, "selectors"):
        selector = _mapping(each, "selector")
        kind, decoration = selector.get("kind", ""), selector.get("decoration", "")
        if kind != "doublestar":
            raise PolicyImportError(f"selector {kind} is not registered")
        if decoration not in decorations:
            raise PolicyImportError(f"decoration {decoration} of selector {kind} is not supported")
        pattern = selector.get("pattern", "")
        if not isinstance(pattern, str):
            raise PolicyImportError(f"a selector's pattern must be a text, and is {pattern!r}")
        found.append(Selector(decoration, pattern, _untagged(selector.get("extras")) if extras else None))
    return tuple(found)


def _untagged(extras: Any) -> bool | None:
    """Read `{"untagged": ...}` as Go's decoder does; what it cannot read is as if it were not there."""
    if not isinstance(extras, str) or not extras:
        return None
    try:
        told = json.loads(extras)
    except (ValueError, RecursionError):
        return None
    if told is None:
        return False
    if not isinstance(told, dict):
        return None
    value = next((told[key] for key in reversed(told) if key.lower() == "untagged"), None)
    return value if isinstance(value, bool) else None if value is not None else False


def _check_scope(scope: Mapping[str, Any]) -> None:
    if scope.get("level") != "project":
        raise PolicyImportError(f"scope {scope.get('level', '')} is not support")
    ref = scope.get("ref")
    if isinstance(ref, bool) or not isinstance(ref, int) or ref <= 0:
        raise PolicyImportError(f"invalid Project id {ref}")


def _cron(trigger: Mapping[str, Any]) -> str:
    """Return the schedule, "" for none. It has six fields, of which the first, the seconds, is 0."""
    kind = trigger.get("kind", "")
    if kind not in ("", "Schedule"):
        raise PolicyImportError(f"not support Trigger {kind}")
    cron = _mapping(trigger.get("settings") or {}, "settings").get("cron", "")
    if not isinstance(cron, str):
        raise PolicyImportError("cron should be string")
    fields = cron.split()
    if not fields:
        return ""
    if len(fields) != 6 or not all(map(_CRON_FIELD.fullmatch, fields)):
        raise PolicyImportError(f"invalid cron setting {cron!r}: it has six fields, seconds first")
    if fields[0] != "0":
        raise PolicyImportError("the 1st field (indicating Seconds of time) of the cron setting must be 0")
    return cron


def _told(node: Any) -> Any:
    """Return a rule without its number and without what the API leaves out, so that equal ones compare equal."""
    if isinstance(node, dict):
        told = {key: _told(value) for key, value in node.items() if key != "id"}
        return {key: value for key, value in told.items() if value not in ("", 0, None, [], {})}
    return [_told(each) for each in node] if isinstance(node, list) else node


def _mapping(node: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(node, dict):
        raise PolicyImportError(f"{what} must be an object, and is {json.dumps(node)[:60]}")
    return node


def _list(node: Any, what: str) -> Sequence[Any]:
    if node is None:
        return []
    if not isinstance(node, list):
        raise PolicyImportError(f"{what} must be a list, and is {json.dumps(node)[:60]}")
    return node
