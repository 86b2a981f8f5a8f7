"""Parse: a policy file (YAML) to a Policy. Every error names the file, line, column, path and the way out."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NoReturn

from jettison.errors import ConfigurationError
from jettison.policy.model import (
    AllOf,
    AnyOf,
    Clause,
    Everything,
    LastImage,
    Limits,
    Newest,
    Not,
    Order,
    Policy,
    RepositoryPolicy,
    Rule,
    Share,
    Within,
)
from jettison.policy.pattern import Glob, Pattern, PatternError, Regex, RepositoryPatterns, VersionPattern

_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "mo": timedelta(days=30),
    "y": timedelta(days=365),
}
_DURATION = re.compile(r"(\d+)\s*(s|mo|m|h|d|w|y)")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_CLAUSES: Final = ("newest", "within", "everything", "any", "all", "not")


def parse_duration(text: str) -> timedelta:
    """Read `14d`, `24h`, `90m`, `2w`, `6mo` (30 days each), `1y` (365 days). Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no span of time: write 30m, 24h, 14d, 2w, 6mo or 1y")
    try:
        return int(match[1]) * _UNITS[match[2]]
    except OverflowError as error:
        raise ValueError(f"{text!r} is longer than time itself") from error


def parse_limit(text: str | int) -> Share | int:
    """Read a limit of deletions: `30%` of all tags, or a number of tags. Raises ValueError."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    match = _PERCENT.fullmatch(str(text).strip())
    if match and float(match[1]) <= 100:
        return Share(float(match[1]))
    if str(text).strip().isdecimal():
        return int(str(text))
    raise ValueError(f"{text!r} is no limit: write a share such as 30% or a number of tags such as 200")


def parse_policy(text: str, source: str) -> Policy:
    """Read a policy. `source` is the file's name for messages. Raises ConfigurationError."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        raise ConfigurationError(f"{where}: this is no YAML: {error.problem or error.context}") from error
    except (YAMLError, ValueError) as error:
        raise ConfigurationError(f"{source}: this is no YAML: {error}") from error
    return _Reader(source).policy(document)


class _Reader:
    """Walks the document; every method takes a node, and the path by which a message names it."""

    def __init__(self, source: str) -> None:
        self._source = source

    def policy(self, document: Any) -> Policy:
        if document is None:
            raise ConfigurationError(f"{self._source}: the policy is empty; it needs `policies:`")
        root = self._mapping(document, "policy", None, ("protect", "policies", "limits"))
        entries = self._list(root, "policies", "policies", required=True)
        policies = tuple(self._repository_policy(each, f"policies[{i}]") for i, each in enumerate(entries))
        if not policies:
            self._refuse(root, "policies", "policies", "no policy is given, so nothing would ever happen")
        return Policy(policies, self._protect(root), self._limits(root))

    def _protect(self, root: Mapping[str, Any]) -> tuple[Pattern, ...]:
        if root.get("protect") is None:
            return ()
        protect = self._mapping(root["protect"], "protect", (root, "protect"), ("tags",))
        return self._patterns(protect, "tags", "protect.tags")

    def _limits(self, root: Mapping[str, Any]) -> Limits:
        if root.get("limits") is None:
            return Limits()
        limits = self._mapping(root["limits"], "limits", (root, "limits"), ("deletions", "last_image"))
        deletions: Share | int | None = None
        last_image = LastImage.REFUSE
        if limits.get("deletions") is not None:
            try:
                deletions = parse_limit(limits["deletions"])
            except ValueError as error:
                self._refuse(limits, "deletions", "limits.deletions", str(error))
        if limits.get("last_image") is not None:
            last_image = LastImage(self._word(limits, "last_image", "limits.last_image", tuple(LastImage)))
        return Limits(deletions, last_image)

    def _repository_policy(self, node: Any, path: str) -> RepositoryPolicy:
        policy = self._mapping(node, path, None, ("repositories", "rules", "untagged"))
        texts = [
            self._text(each, policy, "repositories", f"{path}.repositories")
            for each in self._list(policy, "repositories", f"{path}.repositories", required=True)
        ]
        try:
            repositories = RepositoryPatterns.parse(texts)
        except PatternError as error:
            self._refuse(policy, "repositories", f"{path}.repositories", str(error))
        entries = self._list(policy, "rules", f"{path}.rules", required=False)
        rules = tuple(self._rule(each, f"{path}.rules[{i}]", i) for i, each in enumerate(entries))
        names = [rule.name for rule in rules]
        for i, name in enumerate(names):
            if name in names[:i]:
                self._refuse(entries[i], "name", f"{path}.rules[{i}].name", f"{name!r} names an earlier rule already")
        untagged: Clause | None = None
        if policy.get("untagged") is not None:
            inner = self._mapping(policy["untagged"], f"{path}.untagged", (policy, "untagged"), ("keep",))
            untagged = self._keep(inner, f"{path}.untagged", Order.PUSHED)
        if not rules and untagged is None:
            self._refuse(policy, "repositories", path, "it has neither `rules` nor `untagged`, so it would do nothing")
        return RepositoryPolicy(repositories, rules, untagged)

    def _rule(self, node: Any, path: str, index: int) -> Rule:
        rule = self._mapping(node, path, None, ("name", "tags", "keep"))
        name = self._text(rule["name"], rule, "name", f"{path}.name") if "name" in rule else f"rule {index + 1}"
        patterns = self._patterns(rule, "tags", f"{path}.tags")
        versions = all(isinstance(pattern, VersionPattern) for pattern in patterns)
        return Rule(name, patterns, self._keep(rule, path, Order.VERSION if versions else Order.PUSHED))

    def _keep(self, node: Mapping[str, Any], path: str, order: Order) -> Clause:
        if node.get("keep") is None:
            self._refuse(
                node, "keep", path, "`keep` is missing; write `keep: {newest: 10}` or `keep: {everything: true}`"
            )
        return self._clauses(node["keep"], f"{path}.keep", (node, "keep"), order)

    def _clauses(self, node: Any, path: str, parent: tuple[Any, Any] | None, order: Order) -> Clause:
        """Read a mapping of clauses that stand side by side: any of them keeps."""
        keep = self._mapping(node, path, parent, (*_CLAUSES, "by"))
        if "by" in keep:
            if "newest" not in keep:
                self._refuse(keep, "by", f"{path}.by", "`by` orders `newest`, which is missing beside it")
            order = Order(self._word(keep, "by", f"{path}.by", tuple(Order)))
        clauses = tuple(self._clause(keep, name, f"{path}.{name}", order) for name in keep if name != "by")
        if not clauses:
            self._refuse(keep, None, path, f"no clause is given: write one of {', '.join(_CLAUSES)}")
        return clauses[0] if len(clauses) == 1 else AnyOf(clauses)

    def _clause(self, keep: Mapping[str, Any], name: str, path: str, order: Order) -> Clause:
        value = keep[name]
        match name:
            case "newest":
                if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                    self._refuse(keep, name, path, f"{value!r} is no count: write a whole number from 1 on")
                return Newest(value, order)
            case "within":
                try:
                    return Within(parse_duration(str(value)))
                except ValueError as error:
                    self._refuse(keep, name, path, str(error))
            case "everything":
                if value is not True:
                    self._refuse(keep, name, path, "write `everything: true`, or leave it out")
                return Everything()
            case "not":
                return Not(self._clauses(value, path, (keep, name), order))
            case _:
                entries = self._list(keep, name, path, required=True)
                if not entries:
                    self._refuse(keep, name, path, f"`{name}` is empty; list clauses below it")
                inner = tuple(self._clauses(each, f"{path}[{i}]", None, order) for i, each in enumerate(entries))
                return AllOf(inner) if name == "all" else AnyOf(inner)

    def _patterns(self, node: Mapping[str, Any], key: str, path: str) -> tuple[Pattern, ...]:
        """Read a selector: one pattern or a list; a text is a glob, a mapping has `regex`, `version` or `glob`."""
        value = node.get(key)
        entries = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
        if value is None or not entries:
            self._refuse(node, key, path, f'`{key}` selects no tags; write `{key}: ["*"]` for all')
        return tuple(pattern for each in entries for pattern in self._pattern(each, node, key, path))

    def _pattern(self, entry: Any, node: Mapping[str, Any], key: str, path: str) -> Iterator[Pattern]:
        if not isinstance(entry, Mapping):
            yield self._built(Glob, self._text(entry, node, key, path), node, key, path)
            return
        selector = self._mapping(entry, path, (node, key), ("glob", "regex", "version"))
        if not selector:
            self._refuse(node, key, path, "it is empty; write glob, regex or version")
        for kind, value in selector.items():
            for text in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
                where = f"{path}.{kind}"
                words = self._text(text, selector, kind, where)
                pattern = self._built(Regex if kind == "regex" else Glob, words, selector, kind, where)
                yield VersionPattern(pattern) if kind == "version" and isinstance(pattern, Glob) else pattern

    def _built(self, kind: type[Glob] | type[Regex], text: str, node: Any, key: str, path: str) -> Glob | Regex:
        try:
            return kind(text)
        except PatternError as error:
            self._refuse(node, key, path, str(error))

    def _mapping(self, node: Any, path: str, parent: tuple[Any, Any] | None, known: Sequence[str]) -> Mapping[str, Any]:
        if not isinstance(node, Mapping):
            where = self._position(*parent) if parent else self._source
            raise ConfigurationError(
                f"{where}: {path}: expected a mapping with {', '.join(known)}; found {_kind(node)}"
            )
        for key in node:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
                self._refuse(
                    node, key, f"{path}.{key}" if path != "policy" else str(key), f"unknown key {key!r}; {hint}"
                )
        return node

    def _list(self, node: Mapping[str, Any], key: str, path: str, *, required: bool) -> Sequence[Any]:
        value = node.get(key)
        if value is None and not required:
            return ()
        if value is None:
            self._refuse(node, key, path, f"`{key}` is missing")
        if isinstance(value, str) and key == "repositories":
            return [value]
        if not isinstance(value, Sequence) or isinstance(value, str):
            self._refuse(node, key, path, f"expected a list, found {_kind(value)}")
        return value

    def _text(self, value: Any, node: Any, key: Any, path: str) -> str:
        """Take a text; YAML reads an unquoted 1.10 as the number 1.1, so numbers are refused rather than guessed."""
        if not isinstance(value, str):
            self._refuse(node, key, path, f"expected text, found {_kind(value)} {value!r}; put it in quotes")
        return str(value)

    def _word(self, node: Mapping[str, Any], key: str, path: str, known: Sequence[str]) -> str:
        value = str(node[key])
        if value not in known:
            near = difflib.get_close_matches(value, known, n=1)
            hint = f"did you mean {str(near[0])!r}?" if near else f"known: {', '.join(known)}"
            self._refuse(node, key, path, f"{value!r} is not known here; {hint}")
        return value

    def _refuse(self, node: Any, key: Any, path: str, why: str) -> NoReturn:
        raise ConfigurationError(f"{self._position(node, key)}: {path}: {why}")

    def _position(self, node: Any, key: Any) -> str:
        """Return `file:line:column` of a key in a mapping, of the mapping itself where it has no such key."""
        marks = getattr(node, "lc", None)
        if marks is None:
            return self._source
        line, column = marks.line, marks.col
        if marks.data and key in marks.data:
            line, column = marks.data[key][0], marks.data[key][1]
        return f"{self._source}:{line + 1}:{column + 1}"


def _kind(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case _:
            return f"a {type(value).__name__}"
