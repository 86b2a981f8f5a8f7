"""Quay auto-prune policies: of an organization, of its repositories, or the default of config.yaml.

There the unit is the tag. Policies add up what they delete: first those by age, then those by count in their order,
each of which sees what is left by those before it (quay/quay data/model/autoprune.py, execute_policies_for_repo). A
policy with a pattern sees only the tags that match it (or, with `tagPatternMatches` false, the others).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from jettison.errors import PolicyImportError
from jettison.policy.importers.model import Imported, Options, age_text, imported, read_json, repository_of
from jettison.policy.importers.postgres_regex import RegexError, UntranslatableError, translate
from jettison.policy.importers.yaml_text import Node, Noted

OPTIONS: Final = ("project", "repository", "prefix")

_DEFAULT: Final = "DEFAULT_NAMESPACE_AUTOPRUNE_POLICY"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}
_LONGEST_AGE: Final = 40
"""Characters; Python reads no number of more than 4,300 digits anyway."""
_MOST_COUNTS: Final = 6
"""Counts over different tags in one repository: what is left by those before stands in each anew, twice as long."""


@dataclass(frozen=True, slots=True)
class _Policy:
    """One policy after its checks. `seconds` is an age or `count` a number of tags; the pattern is PostgreSQL's."""

    text: str
    seconds: int | None
    count: int | None
    pattern: str | None
    matches: bool


def convert(text: str, options: Options) -> Imported:
    """Return our policy for what the API answers or takes, for both levels in one object, or for a config.yaml."""
    document = _document(text)
    if isinstance(document, dict) and _DEFAULT in document:
        if options.repository:
            raise PolicyImportError(f"{_DEFAULT} is of every organization: --repository means nothing")
        policies = [_policy(document[_DEFAULT], _DEFAULT, _CONFIG)]
        everywhere = _within_project(options, "**") if options.project else repository_of(options)
        return _written([(everywhere, policies)])
    if not options.project:
        raise PolicyImportError("--project is missing: the organization (or user) that the policies belong to")
    if isinstance(document, dict) and not document.keys().isdisjoint(("organization", "repositories")):
        return _written(_both_levels(document, options))
    repositories = _within_project(options, options.repository or "**")
    return _written([(repositories, _level(document, "the policies"))])


def _document(text: str) -> Any:
    """Read JSON, or the YAML of a config.yaml. That may hold secrets, so no message repeats any of it."""
    if text.lstrip().startswith(("{", "[")):
        return read_json(text, "this is no JSON")
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise PolicyImportError("this is neither JSON nor YAML") from error
    if not isinstance(document, dict) or _DEFAULT not in document:
        raise PolicyImportError(f"this is neither JSON nor a config.yaml with {_DEFAULT}")
    return document


def _within_project(options: Options, name: str) -> list[str]:
    project = Options(repository=options.project, prefix=options.prefix)
    whole = f"{repository_of(project)[0]}/{name}"
    if name != "**":
        repository_of(Options(repository=whole))  # checks the name
    return [whole]


def _both_levels(document: Mapping[str, Any], options: Options) -> list[tuple[list[str], list[_Policy]]]:
    """Return what holds where. A repository with policies of its own has the organization's before them."""
    unknown = set(document) - {"organization", "repositories"}
    if unknown:
        raise PolicyImportError(f"{min(unknown)!r} stands beside organization and repositories")
    general = _level(document["organization"], "organization") if "organization" in document else []
    own = document.get("repositories", {})
    if not isinstance(own, dict):
        raise PolicyImportError("repositories is an object of the policies of each")
    wanted = [name for name in own if options.repository in (None, name)]
    parts = [
        (_within_project(options, name), [*general, *_level(own[name], f"repositories.{name}")]) for name in wanted
    ]
    if options.repository is None:
        parts.append((_within_project(options, "**"), general))
    elif not parts:
        parts.append((_within_project(options, options.repository), general))
    return parts


@dataclass(frozen=True, slots=True)
class _Form:
    """How one kind of document spells a policy. `default`: what an absent `matches` means; None: nobody knows."""

    pattern: str
    matches: str
    nulls: bool
    default: bool | None
    strips: bool = False


_VIEW: Final = _Form("tagPattern", "tagPatternMatches", nulls=True, default=None)
_BODY: Final = _Form("tagPattern", "tagPatternMatches", nulls=False, default=True, strips=True)
_CONFIG: Final = _Form("tag_pattern", "tag_pattern_matches", nulls=True, default=False)


def _level(document: Any, where: str) -> list[_Policy]:
    """Return the policies of an organization or a repository: of an answer, or of one body."""
    if isinstance(document, dict) and "policies" in document:
        if not isinstance(document["policies"], list):
            raise PolicyImportError(f"{where}: `policies` is a list")
        policies = [_policy(each, f"{where}: policies[{i}]", _VIEW) for i, each in enumerate(document["policies"])]
        _check_duplicates(document["policies"], where)
    else:
        is_view = isinstance(document, dict) and "uuid" in document
        policies = [_policy(document, where, _VIEW if is_view else _BODY)]
    return policies


def _check_duplicates(nodes: Sequence[Mapping[str, Any]], where: str) -> None:
    """Values are compared as they are written there: 7d is not 1w, and `matches` counts where it has no meaning."""
    seen: list[tuple[Any, ...]] = []
    for node in nodes:
        matches = node.get("tagPatternMatches", True)
        values = (node["method"], node["value"], node.get("tagPattern"), matches)
        if values in seen:
            raise PolicyImportError(
                f"{where}: Existing policy with same values ({node['method']} {node['value']}), duplicate policies are "
                "not permitted"
            )
        seen.append(values)


def _policy(node: Any, where: str, form: _Form) -> _Policy:
    if not isinstance(node, dict):
        raise PolicyImportError(f"{where} is no object with `method` and `value`")
    for key in ("method", "value"):
        if key not in node:
            raise PolicyImportError(f"{where}: '{key}' is a required property")
    method, value = node["method"], node["value"]
    if method not in ("number_of_tags", "creation_date"):
        raise PolicyImportError(f"{where}: Invalid method provided: {method!r} is not number_of_tags or creation_date")
    seconds = count = None
    if method == "creation_date":
        seconds = _seconds(value, where)
    elif isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
        raise PolicyImportError(f"{where}: Invalid value given for method type: number_of_tags takes 1 and up")
    else:
        count = value
    pattern = _pattern(node, where, form)
    matches = _matches(node, where, form, has_pattern=pattern is not None)
    return _Policy(f"{method} {value}", seconds, count, pattern, matches)


def _seconds(value: Any, where: str) -> int:
    """Read an age as Quay does (util/timedeltastring.py): a number as Python reads it, and one letter."""
    wrong = f"{where}: Invalid value given for method type: creation_date takes a number and one of s, m, h, d, w, y"
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_AGE or value[-1] not in _UNITS:
        raise PolicyImportError(wrong)
    try:
        seconds = int(value[:-1]) * _UNITS[value[-1]]
        timedelta(seconds=seconds)
    except (ValueError, OverflowError) as error:
        raise PolicyImportError(wrong) from error
    return seconds


def _pattern(node: Mapping[str, Any], where: str, form: _Form) -> str | None:
    if form.pattern not in node or (node[form.pattern] is None and form.nulls):
        return None
    pattern = node[form.pattern]
    if not isinstance(pattern, str):
        raise PolicyImportError(f"{where}: {form.pattern} is no text")
    pattern = pattern.strip() if form.strips else pattern
    if not pattern:
        raise PolicyImportError(f"{where}: tag_pattern cannot be empty")
    try:
        translate(pattern)
    except RegexError as error:
        raise PolicyImportError(f"{where}: {error}: {pattern}") from error
    except UntranslatableError:
        pass  # Quay takes it; what we cannot say is told where it is written
    return pattern


def _matches(node: Mapping[str, Any], where: str, form: _Form, *, has_pattern: bool) -> bool:
    """Return what `matches` means. What is stored as null counts as false there (data/text.py, the truth of None)."""
    if form.matches not in node:
        if form.default is None and has_pattern:
            raise PolicyImportError(f"{where}: {form.matches} is missing; write true or false")
        return form.default is not False if has_pattern else True
    value = node[form.matches]
    if value is None and form.nulls:
        return not has_pattern
    if not isinstance(value, bool):
        raise PolicyImportError(f"{where}: {form.matches} must be bool: true or false")
    return value or not has_pattern


def _written(parts: Sequence[tuple[list[str], list[_Policy]]]) -> Imported:
    """Write a policy for each set of repositories; the first that matches a repository holds there."""
    about = ["Imported from auto-prune policies of Quay. They decide by tag, and count tags, not images."]
    policies: list[Node] = [{"repositories": repositories, "rules": [_rule(found)]} for repositories, found in parts]
    return imported({"policies": policies}, about)


def _rule(policies: Sequence[_Policy]) -> Noted:
    """Return one rule for all policies of a repository."""
    said, warnings = _sayable(policies)
    if not said:
        keep_all: dict[str, Node] = {"name": "auto-prune", "tags": "*", "keep": {"everything": True}}
        return Noted(keep_all, ("No policy deletes anything.",), tuple(warnings))
    comments = tuple(_comment(policy) for policy in policies if policy in said)
    steps = _merged([(_condition(policy), policy) for policy in said])
    shared = steps[0][0] if all(condition == steps[0][0] for condition, _ in steps) else None
    clauses: list[tuple[Node | None, Node]] = []
    for condition, policy in steps:
        clauses.append((condition, _step(policy, None if condition == shared else condition, condition, clauses)))
    keep = clauses[0][1] if len(clauses) == 1 else {"all": [clause for _, clause in clauses]}
    rule: dict[str, Node] = {"name": "auto-prune", "tags": "*" if shared is None else shared, "keep": keep}
    return Noted(rule, comments, tuple(warnings))


def _sayable(policies: Sequence[_Policy]) -> tuple[list[_Policy], list[str]]:
    """Return the policies in the order in which they run, without those that ours cannot say.

    A count that runs after one that is left out would find more tags than it does there and so delete others. It is
    left out too: then ours keeps more, never less.
    """
    said: list[_Policy] = []
    warnings: list[str] = []
    counts, broken = 0, False
    for policy in sorted(policies, key=lambda each: each.count is not None):
        if policy.pattern is not None:
            try:
                translate(policy.pattern)
            except UntranslatableError as error:
                broken = True
                warnings.append(f"{_comment(policy)}: left out, since its pattern cannot be said here: {error}")
                continue
        if policy.count is not None:
            counts += 1
            if broken or counts > _MOST_COUNTS:
                why = (
                    "a policy before it is left out" if broken else f"only {_MOST_COUNTS} counts can follow one another"
                )
                warnings.append(f"{_comment(policy)}: left out, since {why}")
                continue
        if policy.seconds is not None and policy.seconds < 0:
            warnings.append(f"{_comment(policy)}: it also takes tags with a date in the future; here those stay")
        said.append(policy)
    return said, warnings


def _comment(policy: _Policy) -> str:
    if policy.pattern is None:
        return policy.text
    return f"{policy.text}, tags that {'match' if policy.matches else 'do not match'} {policy.pattern}"


def _condition(policy: _Policy) -> Node | None:
    """Return the selector of the tags that a policy sees; None: all of them."""
    if policy.pattern is None:
        return None
    search: Node = {"search": translate(policy.pattern)}
    return search if policy.matches else {"not": search}


_Step = tuple[Node | None, _Policy]


def _merged(steps: Sequence[_Step]) -> list[_Step]:
    """Return the steps without those that another one says already: of ages over the same tags the shortest rules.

    So does the smallest of counts over the same tags that follow one another.
    """
    merged: list[_Step] = []
    for condition, policy in steps:
        like = [i for i, (other, each) in enumerate(merged) if other == condition and _is_age(each) == _is_age(policy)]
        at = like[-1] if like else None
        if at is None or not (_is_age(policy) or at == len(merged) - 1):
            merged.append((condition, policy))
        elif _number(policy) < _number(merged[at][1]):
            merged[at] = (condition, policy)
    return merged


def _is_age(policy: _Policy) -> bool:
    return policy.seconds is not None


def _number(policy: _Policy) -> int:
    number = policy.seconds if policy.count is None else policy.count
    assert number is not None  # noqa: S101  (a policy is one or the other)
    return number


def _step(
    policy: _Policy, unclaimed: Node | None, condition: Node | None, earlier: Sequence[tuple[Node | None, Node]]
) -> Node:
    """Return what one policy keeps: what it does not see, and its newest or youngest.

    `unclaimed` is the condition where the rule claims more tags than the policy sees. A count is among what earlier
    steps left. Those that see all tags, or the same, cut off the oldest of them only, and need no mention: the newest
    of the rest are the newest of all that are in the rest.
    """
    if policy.seconds is not None:
        clause: dict[str, Node] = {"within": age_text(max(policy.seconds, 0))}
        if policy.seconds >= 0:
            clause["inclusive"] = True
    else:
        clause = {"newest": _number(policy), "by": "pushed", "of": "tags"}
        among = [node for other, node in earlier if other is not None and other != condition]
        if among and unclaimed is not None:
            among.insert(0, {"tags": unclaimed})
        if among:
            clause["among"] = among[0] if len(among) == 1 else {"all": among}
        elif unclaimed is not None:
            clause["among"] = {"tags": unclaimed}
    return clause | _unseen(unclaimed)


def _unseen(condition: Node | None) -> dict[str, Node]:
    """Return the clause that keeps what does not meet the condition."""
    if condition is None:
        return {}
    if isinstance(condition, Mapping) and "not" in condition:
        return {"tags": condition["not"]}
    return {"not": {"tags": condition}}
