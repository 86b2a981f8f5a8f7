"""Harbor's tag retention policies, with the immutable tag rules of the same project.

The unit is the image (Harbor: artifact) with all its tags: what some rule retains stays, and all else in a repository
that a rule names goes. Immutable images stay too, and take places in counts. Sources, in goharbor/harbor:
src/pkg/retention/launcher.go, policy/alg/or/processor.go, policy/action/performer.go, src/lib/selector/selectors/
doublestar/selector.go, src/pkg/immutable/match/rule/match.go. Globs are doublestar 1.3.4's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jettison.errors import PolicyImportError
from jettison.policy.importers.globs import Dialect, our_globs
from jettison.policy.importers.harbor_document import COUNTS, Document, Rule, Selector, read_document
from jettison.policy.importers.model import Imported, Options, age_text, imported, repository_of
from jettison.policy.importers.yaml_text import Node, Noted
from jettison.policy.pattern import Glob

OPTIONS: Final = ("project", "prefix")

_ALL: Final[Mapping[str, Node]] = {"glob": "*", "untagged": True}
_DAY: Final = 86400


@dataclass(frozen=True, slots=True)
class _Scope:
    """Repositories: what each of `wanted` (lists of alternatives) matches, but for what `unwanted` matches."""

    wanted: tuple[tuple[str, ...], ...]
    unwanted: tuple[str, ...] = ()

    @property
    def patterns(self) -> list[Node]:
        """Its patterns as one list, where there is one list of alternatives."""
        return [*self.wanted[0], *(f"!{each}" for each in self.unwanted)]

    @property
    def clauses(self) -> list[Node]:
        """It as clauses that must all hold."""
        first: Node = {"repositories": self.patterns}
        return [first, *({"repositories": list(each)} for each in self.wanted[1:])]


def convert(text: str, options: Options) -> Imported:
    """Return our policy for a project's retention. Raises PolicyImportError with Harbor's words."""
    if options.project is None:
        raise PolicyImportError("Harbor tells a project by its number alone: tell its name with --project NAME")
    document = read_document(text)
    (project,) = repository_of(Options(prefix=options.prefix, repository=options.project))
    writer = _Writer(project, options.project)
    about = [
        f"Imported from the tag retention of Harbor's project {options.project}. It decides each image with all its",
        "tags: what no rule retains goes, in each repository that a rule names.",
    ]
    if any("Pull" in rule.template or rule.template == "latestActiveK" for rule in document.rules):
        about.append("Pulls are known from jettison's history; until that is long enough, images stay.")
    if document.cron:
        about.append(f"It ran there at {document.cron!r} (seconds first); when it runs here, the schedule says.")
    about += document.remarks
    policy = writer.policy(document)
    if "enabled" in policy:
        about.append("No rule of it is in force, so nothing goes.")
    return imported({"policies": [policy]}, about)


class _Writer:
    """Writes a project's rules as one clause; `root` is where the project's repositories are here."""

    def __init__(self, root: str, project: str) -> None:
        self._root = root
        self._project = project

    def policy(self, document: Document) -> dict[str, Node]:
        """Return the policy, one that is switched off where no rule is in force."""
        policy: dict[str, Node] = {"name": f"Harbor project {self._project}"}
        rules = [(rule, scope) for rule in document.rules if rule.tags and (scope := self._scope(rule.repositories))]
        if not rules:
            return {**policy, "repositories": [f"{self._root}/**"], "enabled": False}
        scopes = list(dict.fromkeys(scope for _, scope in rules))
        parts: list[Noted] = []
        repositories, guard = self._reach(scopes)
        if guard:
            untouched: Node = {"not": {"any": [_all(scope.clauses) for scope in scopes]}}
            parts.append(Noted(untouched, ("A repository that no rule names loses nothing.",)))
        implied = [self._whole, *(scopes if len(scopes) == 1 and not guard else [])]
        for rule, scope in rules:
            clause = _clause(rule)
            if clause is not None:
                near = [] if scope in implied else scope.clauses
                parts.append(Noted(_all([*near, *clause]), (f"Rule {rule.number}: {_title(rule)}",)))
        parts += self._immutable(document, implied)
        policy |= {"repositories": repositories, "unit": "image"}
        if not any(part.value != {"nothing": True} for part in parts):
            policy["limits"] = {"last_image": "allow"}
        policy["rules"] = [{"name": "retention", "tags": dict(_ALL), "keep": _keep(parts)}]
        return policy

    @property
    def _whole(self) -> _Scope:
        return _Scope(((f"{self._root}/**",),))

    def _reach(self, scopes: Sequence[_Scope]) -> tuple[list[Node], bool]:
        """Return the repositories that a policy is for, and whether others are among them."""
        if len(scopes) == 1 and len(scopes[0].wanted) == 1:
            return scopes[0].patterns, False
        if self._whole in scopes:
            return self._whole.patterns, False
        if all(len(scope.wanted) == 1 and not scope.unwanted for scope in scopes):
            return list(dict.fromkeys(pattern for scope in scopes for pattern in scope.wanted[0])), False
        return self._whole.patterns, True

    def _scope(self, selectors: Sequence[Selector]) -> _Scope | None:
        """Return the repositories that all selectors take; None where the project's name rules them out."""
        wanted: list[tuple[str, ...]] = []
        unwanted: list[str] = []
        for each in selectors:
            globs = _globs(each)
            if each.decoration in ("nsMatches", "nsExcludes"):
                if any(Glob(glob).matches(self._project) for glob in globs) != (each.decoration == "nsMatches"):
                    return None
            elif each.decoration == "repoMatches":
                wanted.append(tuple(f"{self._root}/{glob}" for glob in globs))
            else:
                unwanted += [f"{self._root}/{glob}" for glob in globs]
        whole = (f"{self._root}/**",)
        wanted = [each for each in dict.fromkeys(wanted) if each != whole] or [whole]
        return _Scope(tuple(wanted), tuple(unwanted))

    def _immutable(self, document: Document, implied: Sequence[_Scope]) -> Iterator[Noted]:
        for rule in document.immutable:
            scope = self._scope([rule.repositories])
            if scope is None:
                continue
            tags = _selected(Selector(rule.tags.decoration, rule.tags.pattern, untagged=False))
            near = [] if scope in implied else scope.clauses
            yield Noted(_all([*near, {"tags": tags}]), (f"Immutable rule {rule.number}",))


def _clause(rule: Rule) -> list[Node] | None:
    """Return the clauses that must all hold for what a rule retains; None where it retains nothing.

    Harbor compares whole seconds, and what is exactly as old as the limit stays.
    """
    selected = [_selected(each) for each in rule.tags]
    wanted = [each for each in selected if each != _ALL]
    each_one: list[Node] = [{"any": each} if isinstance(each, list) else each for each in wanted]
    tags: Node = {"all": each_one} if len(wanted) > 1 else wanted[0] if wanted else {}
    where: list[Node] = [{"tags": tags}] if wanted else []
    if rule.template in COUNTS:
        if rule.value == 0:
            return None
        order = {"latestPushedK": "tagged", "latestPulledN": "pulled", "latestActiveK": "active"}[rule.template]
        unknown: dict[str, Node] = {"unknown": "oldest"} if order == "pulled" else {}
        among: dict[str, Node] = {"among": where[0]} if where else {}
        return [{"newest": rule.value, "by": order, **unknown, **among}]
    match rule.template:
        case "nDaysSinceLastPush":
            return [*where, {"within": age_text(rule.value * _DAY + 1), "by": "tagged"}]
        case "nDaysSinceLastPull":
            return [*where, {"within": age_text(rule.value * _DAY + 1), "by": "pulled", "unknown": "oldest"}]
        case "lastXDays":
            return [*where, {"within": age_text(rule.value * _DAY), "by": "tagged"}] if rule.value else None
        case _:
            return where or [{"everything": True}]


def _selected(selector: Selector) -> Node:
    """Return our selector. An image without a tag is taken by default; for `excludes` the flag says the opposite."""
    globs = ["*" if each == "**" else each for each in _globs(selector)]
    one: Node = globs[0] if len(globs) == 1 else list[Node](globs)
    if selector.decoration == "matches":
        return {"glob": one, "untagged": True} if selector.untagged is not False else one
    return {"not": one, "untagged": True} if not selector.untagged else {"not": one}


def _globs(selector: Selector) -> list[str]:
    """Return our globs; an empty pattern matches everything."""
    return our_globs(selector.pattern, Dialect.V1) if selector.pattern else ["**"]


def _title(rule: Rule) -> str:
    if rule.template == "always":
        return "always"
    exactly = ", exactly that old stays" if rule.template.startswith("nDays") else ""
    return f"{rule.template} {rule.value}{exactly}"


def _all(clauses: Sequence[Node]) -> Node:
    telling = [each for each in clauses if each != {"everything": True}] or list(clauses[:1])
    return telling[0] if len(telling) == 1 else {"all": telling}


def _keep(parts: Sequence[Noted]) -> Node:
    if not parts:
        return {"nothing": True}
    return parts[0].value if len(parts) == 1 else {"any": list(parts)}
