"""AWS ECR lifecycle policies (userguide, "Lifecycle policy properties", "Lifecycle policy evaluation rules").

There the unit is the image with all its tags. Rules are sorted by priority; an image belongs to the first whose tags it
matches, and a count looks at all that a rule matches, also at what an earlier rule claimed. The patterns of one rule
must each match some tag of the image. What no rule matches stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NoReturn

from jettison.errors import PolicyImportError
from jettison.policy.importers.model import (
    Imported,
    Options,
    age_text,
    glob_text,
    imported,
    read_json,
    repository_of,
)
from jettison.policy.importers.yaml_text import Node, Noted

OPTIONS: Final = ("repository", "prefix")

_LARGEST: Final = 30_720
"""Characters of a policy (API reference, PutLifecyclePolicy)."""
_MOST_RULES: Final = 50
_SINCE: Final = ("sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned")
_STARS: Final = 4
_LEAST_ARCHIVED: Final = 90
"""Days; what was archived later cannot be deleted (userguide, "Archiving an image")."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule as ECR has it, after all its checks."""

    priority: int
    description: str
    status: str
    patterns: tuple[str, ...]
    prefixes: tuple[str, ...]
    archive: bool
    count_type: str
    number: int
    transition: bool


def convert(text: str, options: Options) -> Imported:
    """Return our policy for a lifecycle policy, or for the answer of `aws ecr get-lifecycle-policy`."""
    document = read_json(text, "Could not map policyString into LifecyclePolicy")
    name = None
    if isinstance(document, dict) and isinstance(document.get("lifecyclePolicyText"), str):
        name = document.get("repositoryName")
        text = document["lifecyclePolicyText"]
        document = read_json(text, "Could not map policyString into LifecyclePolicy")
    rules = _rules(document, text)
    repositories = repository_of(options, name=name if isinstance(name, str) else None)
    standard = [rule for rule in rules if not rule.archive]
    entries = [_entry(rule, first=rule is standard[0]) for rule in standard]
    warnings = [
        f"rule {rule.priority} deletes what was archived {rule.number} days ago. There is no archive here, so it would "
        "match nothing, and is left out."
        for rule in rules
        if rule.archive
    ]
    if not entries:
        entries = [Noted({"name": "nothing", "tags": _SELECTORS["any"], "keep": {"everything": True}})]
    policy: dict[str, Node] = {"repositories": repositories, "unit": "image", "rules": entries}
    about = (
        "Imported from an AWS ECR lifecycle policy. It decides by image: one that expires loses all its tags.",
        "ECR would also take the last image of a repository; here a run stops before that, see its `limits`.",
    )
    return imported({"policies": [policy]}, about, warnings)


_SELECTORS: Final[dict[str, Node]] = {"any": {"glob": "*", "untagged": True}, "untagged": {"untagged": True}}


def _entry(rule: _Rule, *, first: bool) -> Noted:
    """Return our rule. Claiming is by tags only, so one that deletes nothing still shields what it claims."""
    if rule.status in _SELECTORS:
        selector = _SELECTORS[rule.status]
    else:
        globs = [_glob(each) for each in rule.patterns] or [f"{glob_text(each)}*" for each in rule.prefixes]
        globs = list(dict.fromkeys(globs))
        selector = globs[0] if len(globs) == 1 else {"all": globs}
    entry: dict[str, Node] = {"name": f"priority {rule.priority}", "tags": selector}
    warnings: tuple[str, ...] = ()
    if rule.transition:
        entry["keep"] = {"everything": True}
        warnings = (f"rule {rule.priority} moves images to an archive; there is none here, so what it claims stays.",)
    elif rule.count_type == "imageCountMoreThan":
        if not first:
            entry["counts"] = "matching"
        entry["keep"] = {"newest": rule.number, "by": "pushed"}
    else:
        entry["keep"] = {"within": age_text(rule.number * 86400), "inclusive": True}
    return Noted(entry, (rule.description,) if rule.description.strip() else (), warnings)


def _glob(pattern: str) -> str:
    """Return our glob: there `*` is the only wildcard."""
    return "*".join(glob_text(part) for part in pattern.split("*"))


def _rules(document: Any, text: str) -> list[_Rule]:
    if not isinstance(document, dict):
        raise PolicyImportError("Could not map policyString into LifecyclePolicy: an object with `rules` is needed")
    _only(document, ("rules",), ("rules",), "the policy")
    if not isinstance(document["rules"], list) or not document["rules"]:
        raise PolicyImportError("the policy: `rules` is a list of at least one rule")
    if len(text) > _LARGEST:
        raise PolicyImportError(f"the policy has {len(text):,} characters; ECR takes {_LARGEST:,}")
    if len(document["rules"]) > _MOST_RULES:
        raise PolicyImportError(f"the policy has {len(document['rules'])} rules; ECR takes {_MOST_RULES}")
    rules = sorted((_rule(each, i) for i, each in enumerate(document["rules"])), key=lambda rule: rule.priority)
    _check_together(rules)
    return rules


def _only(node: Any, allowed: tuple[str, ...], required: tuple[str, ...], where: str) -> None:
    """Check an object's keys. An optional key that is null is not the same as absent."""
    if not isinstance(node, dict):
        raise PolicyImportError(f"{where} is no object")
    for key in required:
        if key not in node:
            raise PolicyImportError(f'{where}: object has missing required properties (["{key}"])')
    for key, value in node.items():
        if key not in allowed:
            raise PolicyImportError(f'{where}: properties which are not allowed by the schema (["{key}"])')
        if value is None:
            raise PolicyImportError(f"{where}: instance failed to match the schema: {key} is null; leave it out")


def _rule(node: Any, index: int) -> _Rule:
    where = f"rules[{index}]"
    _only(node, ("rulePriority", "description", "selection", "action"), ("rulePriority", "selection", "action"), where)
    priority = _number(node, "rulePriority", where)
    description = node.get("description", "")
    if not isinstance(description, str):
        raise PolicyImportError(f"{where}: description is no text")
    selection, action = node["selection"], node["action"]
    _only(action, ("type", "targetStorageClass"), ("type",), f"{where}.action")
    keys = ("tagStatus", "tagPatternList", "tagPrefixList", "storageClass", "countType", "countUnit", "countNumber")
    where = f"{where}.selection"
    _only(selection, keys, ("tagStatus", "countType", "countNumber"), where)
    transition = _word(action, "type", ("expire", "transition"), where) == "transition"
    if transition and "targetStorageClass" not in action:
        raise PolicyImportError(f"{where}: targetStorageClass is required with transition")
    if "targetStorageClass" in action:
        _word(action, "targetStorageClass", ("archive",), where)
        if not transition:
            raise PolicyImportError(f"{where}: targetStorageClass belongs to the action transition")
    status = _word(selection, "tagStatus", ("any", "tagged", "untagged"), where)
    rule = _Rule(
        priority,
        description,
        status,
        _texts(selection, "tagPatternList", where),
        _texts(selection, "tagPrefixList", where),
        _word(selection, "storageClass", ("standard", "archive"), where, default="standard") == "archive",
        _word(selection, "countType", ("imageCountMoreThan", *_SINCE), where),
        _number(selection, "countNumber", where),
        transition,
    )
    _check_tags(rule, where)
    _check_count(rule, selection, where)
    return rule


def _check_tags(rule: _Rule, where: str) -> None:
    if rule.patterns and rule.prefixes:
        raise PolicyImportError(f"{where}: tagPatternList and tagPrefixList in one rule; it takes one of them")
    if rule.status == "tagged" and not (rule.patterns or rule.prefixes):
        raise PolicyImportError(f"{where}: Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.")
    if rule.status != "tagged" and (rule.patterns or rule.prefixes):
        raise PolicyImportError(f"{where}: tagStatus {rule.status} takes neither tagPrefixList nor tagPatternList")
    for pattern in rule.patterns:
        if pattern.count("*") > _STARS:
            raise PolicyImportError(f"{where}: {pattern!r} has more than four wildcards (*)")


def _check_count(rule: _Rule, selection: Mapping[str, Any], where: str) -> None:
    if rule.count_type == "imageCountMoreThan":
        if "countUnit" in selection:
            raise PolicyImportError(f"{where}: imageCountMoreThan takes no countUnit")
    elif "countUnit" not in selection:
        raise PolicyImportError(f'{where}: countUnit is required with {rule.count_type}: "days"')
    else:
        _word(selection, "countUnit", ("days",), where)
    if rule.count_type == "sinceImagePulled" and not rule.transition:
        raise PolicyImportError(f"{where}: sinceImagePulled must be used with the transition action")
    transitioned = rule.count_type == "sinceImageTransitioned"
    if transitioned and rule.transition:
        raise PolicyImportError(f"{where}: sinceImageTransitioned must be used with the expire action")
    if transitioned and not rule.archive:
        raise PolicyImportError(f"{where}: storageClass archive is required with sinceImageTransitioned")
    if rule.archive and not transitioned:
        raise PolicyImportError(f"{where}: storageClass archive takes sinceImageTransitioned only")
    if transitioned and rule.number < _LEAST_ARCHIVED:
        raise PolicyImportError(
            f"{where}: You cannot configure lifecycle policies that delete images that have been in archive for less "
            f"than {_LEAST_ARCHIVED} days"
        )


def _check_together(rules: list[_Rule]) -> None:
    """Check what must hold among the rules; they come sorted by priority."""
    for earlier, rule in pairwise(rules):
        if earlier.priority == rule.priority:
            raise PolicyImportError(f"rulePriority {rule.priority} stands twice; each rule has its own")
    for archive in (False, True):
        group = [rule for rule in rules if rule.archive is archive]
        if any(rule.status == "any" for rule in group[:-1]):
            raise PolicyImportError("Rule for tagStatus=ANY must have the lowest priority per storage class")
        if sum(rule.status == "untagged" for rule in group) > 1:
            raise PolicyImportError("Only one rule can select Untagged images per storage class")
        prefixes = [frozenset(rule.prefixes) for rule in group if rule.prefixes]
        for i, each in enumerate(prefixes):
            if each in prefixes[:i]:
                named = ", ".join(sorted(each))
                raise PolicyImportError(f"the prefix {named} stands in two rules of one storage class")


def _word(node: Mapping[str, Any], key: str, words: tuple[str, ...], where: str, default: str | None = None) -> str:
    value = node.get(key, default)
    if value not in words:
        named = ",".join(f'"{word}"' for word in words)
        raise PolicyImportError(
            f"{where}: {key}: instance value ({value}) not found in enum (possible values: [{named}])"
        )
    return str(value)


def _number(node: Mapping[str, Any], key: str, where: str) -> int:
    value = node[key]
    if isinstance(value, bool) or not isinstance(value, int):
        _wrong(where, key, "is no whole number")
    if value < 1:
        _wrong(where, key, f"is lower than the required minimum (minimum: 1, found: {value})")
    if value > 2**31 - 1:
        _wrong(where, key, f"is larger than any number that ECR takes ({value})")
    return int(value)


def _wrong(where: str, key: str, why: str) -> NoReturn:
    raise PolicyImportError(f"{where}: {key} {why}")


def _texts(node: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = node.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
        _wrong(where, key, "is a list of at least one text, none of them empty")
    return tuple(value)
