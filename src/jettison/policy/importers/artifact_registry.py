"""Google Artifact Registry cleanup policies, as a policy file of gcloud or as the API's repository resource.

There the unit is a version of a package: a manifest with all its tags, in one of our repositories. It goes when some
Delete policy matches it and no Keep policy does, whatever their order; a count keeps the youngest of all versions of a
package, whatever else is true of them (google/devtools/artifactregistry/v1/repository.proto, CleanupPolicy).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

from jettison.errors import PolicyImportError
from jettison.policy.importers.gcloud_duration import parse_gcloud, parse_seconds
from jettison.policy.importers.model import (
    Imported,
    Options,
    age_text,
    glob_text,
    imported,
    prefix_of,
    read_json,
    repository_of,
)
from jettison.policy.importers.yaml_text import Node, Noted

OPTIONS: Final = ("repository", "prefix", "immutable_tags")

_MOST: Final = 10
_LONGEST_NAME: Final = 127
_LISTS: Final = ("tagPrefixes", "versionNamePrefixes", "packageNamePrefixes")
_AGES: Final = ("olderThan", "newerThan")
_NOTHING: Final[Mapping[str, Node]] = {"nothing": True}


@dataclass(frozen=True, slots=True)
class _Policy:
    """One cleanup policy after its checks: what it matches, or how many versions it keeps."""

    name: str
    deletes: bool
    state: str = "any"
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    older: Decimal | None = None
    newer: Decimal | None = None
    count: int | None = None


def convert(text: str, options: Options) -> Imported:
    """Return our policy for a policy file, or for what `gcloud artifacts repositories describe` prints as JSON."""
    policies, dry_run = _read(read_json(text, "Could not read JSON file"))
    policy: dict[str, Node] = {"repositories": repository_of(options), "unit": "image"}
    about = [
        "Imported from cleanup policies of Google Artifact Registry. They decide by image, with all its tags.",
        "A Keep policy wins over every Delete policy.",
    ]
    if dry_run:
        policy["enabled"] = False
        about.append("They are a dry run there, so they are switched off here: nothing goes before `enabled` is true.")
    keep = _Writer(prefix_of(options)).keep(policies, immutable=options.immutable_tags)
    if keep.value == _NOTHING:
        policy["limits"] = {"last_image": "allow"}
        about.append("All images would go; there nothing stops that, so here `last_image` allows it.")
    rule: dict[str, Node] = {"name": "cleanup", "tags": {"glob": "*", "untagged": True}, "keep": keep.value}
    policy["rules"] = [Noted(rule, keep.comments, keep.warnings)]
    return imported({"policies": [policy]}, about)


class _Writer:
    """Writes policies as one clause. `prefix` is the name space that is the Artifact Registry repository here."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def keep(self, policies: list[_Policy], *, immutable: bool) -> Noted:
        """Return what keeps an image: a Keep policy, or that no Delete policy matches it."""
        doomed = [self._noted(policy) for policy in policies if policy.deletes]
        if not doomed:
            return Noted({"everything": True}, ("There is no Delete policy, so nothing goes.",))
        parts: list[Noted] = []
        if immutable:
            parts.append(Noted({"tagged": True}, ("Tags are immutable there, so what has one cannot be deleted.",)))
        parts += [self._noted(policy) for policy in policies if not policy.deletes]
        if any(each.value == {"everything": True} for each in doomed):
            pass  # nothing stays but what a Keep policy keeps
        elif len(doomed) > 1:
            parts.append(Noted({"not": {"any": doomed}}))
        else:
            parts.append(Noted(_not(doomed[0].value), doomed[0].comments, doomed[0].warnings))
        if all(part.value == _NOTHING for part in parts):
            return Noted(_NOTHING, tuple(comment for part in parts for comment in part.comments))
        return parts[0] if len(parts) == 1 else Noted({"any": parts})

    def _noted(self, policy: _Policy) -> Noted:
        """Return what the policy matches. Ages are compared so that what stands exactly on the limit stays."""
        wanted: list[Node] = []
        warnings: list[str] = []
        if policy.tags:
            wanted.append({"tags": _one_or_all([f"{glob_text(each)}*" for each in policy.tags])})
        elif policy.state != "any":
            wanted.append({"tagged": policy.state == "tagged"})
        if policy.digests:
            digests: list[Node] = [{"digest": f"{glob_text(each)}*"} for each in policy.digests]
            wanted.append({"any": digests} if len(digests) > 1 else digests[0])
        if policy.packages:
            wanted.append({"repositories": [f"{self._prefix}{glob_text(each)}**" for each in policy.packages]})
        if policy.older is not None:
            keeps = policy.deletes
            wanted.append(_not(self._within(policy.older, keeps=keeps, warnings=warnings)))
        if policy.newer is not None:
            keeps = not policy.deletes
            wanted.append(self._within(policy.newer, keeps=keeps, warnings=warnings))
        if policy.count is not None:
            wanted.append({"newest": policy.count, "by": "pushed"})
        if policy.older is not None and policy.newer is not None and policy.newer < policy.older:
            wanted, warnings = [_NOTHING], []  # nothing is both older and younger
        verb = "Delete" if policy.deletes else "Keep"
        value: Node = {"everything": True}
        if wanted:
            value = wanted[0] if len(wanted) == 1 else {"all": wanted}
        return Noted(value, (f"{verb}: {policy.name}",), tuple(f"{policy.name}: {each}" for each in warnings))

    @staticmethod
    def _within(seconds: Decimal, *, keeps: bool, warnings: list[str]) -> Node:
        """Return the clause. `keeps`: what is within stays, so the limit and parts of a second belong to it."""
        whole = int(seconds.to_integral_value(ROUND_CEILING if keeps else ROUND_FLOOR))
        if whole != seconds:
            warnings.append(f"{seconds.normalize():f} seconds are rounded to {whole}")
        return {"within": age_text(whole), "inclusive": True} if keeps else {"within": age_text(whole)}


def _not(node: Node) -> Node:
    if isinstance(node, Mapping) and list(node) == ["not"]:
        return node["not"]
    return {"not": node}


def _one_or_all(texts: list[str]) -> Node:
    return texts[0] if len(texts) == 1 else texts


def _read(document: Any) -> tuple[list[_Policy], bool]:
    """Return the policies of either form, and whether they are a dry run."""
    if isinstance(document, dict) and "cleanupPolicies" in document:
        found = document["cleanupPolicies"]
        dry_run = document.get("cleanupPolicyDryRun", False)
        if not isinstance(found, dict) or not isinstance(dry_run, bool):
            raise PolicyImportError("cleanupPolicies is an object, and cleanupPolicyDryRun true or false")
        policies = [_policy(node, name, is_resource=True) for name, node in found.items()]
    elif isinstance(document, dict) and not document.keys().isdisjoint(_RESOURCE):
        policies, dry_run = [], False  # the API leaves out what is empty
    elif isinstance(document, list):
        policies, dry_run = list(_policies_of_file(document)), False
    else:
        raise PolicyImportError("Policy file must contain a list of policies.")
    if len(policies) > _MOST:
        raise PolicyImportError(f"{len(policies)} cleanup policies; a repository has at most {_MOST}")
    return policies, dry_run


_RESOURCE: Final = frozenset({"format", "createTime", "updateTime", "registryUri", "sizeBytes"})
"""Keys by which a repository resource is known when it has no policies."""


def _policies_of_file(document: list[Any]) -> Iterator[_Policy]:
    seen: set[str] = set()
    for i, node in enumerate(document):
        if not isinstance(node, dict):
            raise PolicyImportError(f"Invalid policy at index {i}.")
        name = node.get("name")
        if name is None:
            raise PolicyImportError(f'Key "name" not found in policy (index {i}).')
        if not isinstance(name, str):
            raise PolicyImportError(f"the name of policy {i} is no text")
        if name in seen:
            raise PolicyImportError(f'Duplicate key "{name}" in policy list.')
        seen.add(name)
        yield _policy(node, name, is_resource=False)


def _policy(node: Any, name: str, *, is_resource: bool) -> _Policy:
    if not isinstance(node, dict):
        raise PolicyImportError(f'policy "{name}" is no object')
    if not name or len(name) > _LONGEST_NAME:
        raise PolicyImportError(
            f"the name of a policy has 1 to {_LONGEST_NAME} characters, {name[:20]!r} has {len(name)}"
        )
    deletes = _deletes(node, name, is_resource=is_resource)
    condition, recent = node.get("condition"), node.get("mostRecentVersions")
    if "condition" not in node and "mostRecentVersions" not in node:
        raise PolicyImportError(f'Key "condition" or "mostRecentVersions" not found in policy "{name}".')
    if "condition" in node and "mostRecentVersions" in node:
        raise PolicyImportError(f'Only one of "condition" or "mostRecentVersions" allowed in policy "{name}".')
    if "condition" in node:
        return _conditioned(condition, name, deletes=deletes, is_resource=is_resource)
    if deletes:
        raise PolicyImportError(f'policy "{name}": mostRecentVersions may only be specified with a Keep action')
    recent = _only(recent, ("packageNamePrefixes", "keepCount"), "mostRecentVersions", name)
    count = recent.get("keepCount")
    if isinstance(count, bool) or not isinstance(count, int) or not 0 < count < 2**31:
        raise PolicyImportError(f'policy "{name}": keepCount is a whole number from 1 on')
    return _Policy(name, deletes=False, packages=_texts(recent, "packageNamePrefixes", name), count=count)


def _deletes(node: Mapping[str, Any], name: str, *, is_resource: bool) -> bool:
    action = node.get("action")
    if action is None:
        raise PolicyImportError(f'Key "action" not found in policy "{name}".')
    if not is_resource:
        if not isinstance(action, dict):
            raise PolicyImportError(f'Invalid action "{action}" in policy "{name}".')
        action = action.get("type")
    if not isinstance(action, str) or action.upper() not in ("DELETE", "KEEP"):
        raise PolicyImportError(f'policy "{name}": the action {action!r} is not Delete or Keep')
    return action.upper() == "DELETE"


def _conditioned(condition: Any, name: str, *, deletes: bool, is_resource: bool) -> _Policy:
    _only(condition, ("tagState", "versionAge", *_LISTS, *_AGES), "condition", name)
    if "versionAge" in condition:
        raise PolicyImportError(f'policy "{name}": versionAge is now called olderThan')
    state = condition.get("tagState", "any")
    if not isinstance(state, str) or state.upper() not in _STATES:
        raise PolicyImportError(f'policy "{name}": tagState {state!r} is not tagged, untagged or any')
    tags, digests, packages = (_texts(condition, key, name) for key in _LISTS)
    if tags and state.upper() != "TAGGED":
        raise PolicyImportError(f'policy "{name}": tagState must be tagged where there are tagPrefixes')
    older, newer = (_age(condition, key, name, is_resource=is_resource) for key in _AGES)
    if not condition:
        raise PolicyImportError(f'policy "{name}": the condition says nothing; write {{"tagState": "any"}} for all')
    return _Policy(name, deletes, _STATES[state.upper()], tags, digests, packages, older, newer)


_STATES: Final = {"ANY": "any", "TAGGED": "tagged", "UNTAGGED": "untagged", "TAG_STATE_UNSPECIFIED": "any"}


def _age(condition: Mapping[str, Any], key: str, name: str, *, is_resource: bool) -> Decimal | None:
    value = condition.get(key)
    if key not in condition:
        return None
    if not isinstance(value, str):
        raise PolicyImportError(f'policy "{name}": {key} is a text such as 30d')
    try:
        return parse_seconds(value) if is_resource else parse_gcloud(value)
    except ValueError as error:
        raise PolicyImportError(f'policy "{name}": {key}: {error}') from error


def _only(node: Any, allowed: tuple[str, ...], key: str, name: str) -> dict[str, Any]:
    """Return an object whose keys are known: a mistyped one would leave a wider condition."""
    if not isinstance(node, dict):
        raise PolicyImportError(f'Invalid value for "{key}" in policy "{name}".')
    for each in node:
        if each not in allowed:
            raise PolicyImportError(f'policy "{name}": {key} has no {each!r}; it has {", ".join(allowed)}')
    return node


def _texts(node: Mapping[str, Any], key: str, name: str) -> tuple[str, ...]:
    value = node.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise PolicyImportError(f'policy "{name}": {key} is a list of texts, none of them empty')
    return tuple(dict.fromkeys(value))
