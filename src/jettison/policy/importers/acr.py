"""Command lines of `acr purge`, Azure's clean-up of container registries, however they are run there.

The unit is the tag, then, with --untagged, the manifest without one. A count keeps the newest of those that would go:
young tags take no place in it. Sources, in Azure/acr-cli (as of v0.18): cmd/acr/purge.go (what goes, ages),
cmd/repository/image_functions.go (filters, manifests). Locks are not of this world: no tag is locked here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Final

from jettison.errors import PolicyImportError
from jettison.policy.importers.acr_command import Command, read_commands
from jettison.policy.importers.acr_regex import checked, ours, searched_in_repository
from jettison.policy.importers.expressions import alternates, is_literal, searched
from jettison.policy.importers.go_duration import GoDurationError, parse_go_duration
from jettison.policy.importers.model import FOLLOWERS, Imported, Options, age_text, imported
from jettison.policy.importers.yaml_text import Node

OPTIONS: Final = ()

_LONGEST: Final = Fraction(150 * 365 * 86400)
_MOST_DIGITS: Final = 18
_SEPARATOR: Final = re.compile(r":")
_NOT_BEFORE: Final = re.compile(r"(?:\(\?[imsU-]{0,5}|\[\[|\[\^?)$")


@dataclass(frozen=True, slots=True)
class _Filter:
    """One --filter: an expression for repositories, and those for their tags."""

    repository: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Scope:
    """What one policy of ours is for. `tags` selects what may go; `named`, a clause, says it closer."""

    repositories: list[Node]
    tags: Node
    named: Node | None = None


def convert(text: str, options: Options) -> Imported:
    """Return our policy for one command or several. Raises PolicyImportError with the words of the one that fails."""
    commands = read_commands(text)
    filters = [_filters(command) for command in commands]
    _refuse_mixed(filters)
    policies: list[Node] = []
    warnings: dict[str, None] = {}
    for command, its_filters in zip(commands, filters, strict=True):
        seconds = _ago(command)
        warnings |= dict.fromkeys(_warnings(command, seconds))
        clean_up = _CleanUp(command, age_text(max(ceil(seconds), 0)))
        policies += [clean_up.policy(each) for each in _scopes(its_filters)]
    about = [
        "Imported from `acr purge`. It decides each tag by itself; --keep counts only what is old enough to go, so",
        "young tags take no place in it.",
    ]
    if not all(command.on("untagged-only") for command in commands):
        about.append(FOLLOWERS)
    if any(command.on("dry-run") for command in commands):
        about.append("A dry run there is switched off here: nothing goes before `enabled` is true.")
    return imported({"policies": policies}, about, tuple(warnings))


def _refuse_mixed(filters: Sequence[Sequence[_Filter]]) -> None:
    """Refuse commands that may meet in a repository: the next one counts what the one before left."""
    if len(filters) == 1:
        return
    named = [{each.repository for each in its_filters} for its_filters in filters]
    whole = all(named) and all(_is_whole(each) for names in named for each in names)
    if not whole or len(set[str]().union(*named)) < sum(map(len, named)):
        raise PolicyImportError(
            f"there are {len(filters)} `acr purge` commands that may meet in one repository: import each by itself"
        )


def _is_whole(repository: str) -> bool:
    """Whether a repository expression is a repository's whole name."""
    return is_literal(repository.replace("/", ""))


def _warnings(command: Command, seconds: Fraction) -> Iterator[str]:
    ago = command.texts.get("ago", "")
    if seconds < 0:
        yield f"--ago {ago} also takes what has a date in the future; here that stays"
    elif seconds != ceil(seconds):
        yield f"--ago {ago} is rounded up to whole seconds"
    only = command.on("untagged-only")
    if (only or command.on("untagged")) and command.keep:
        yield "--keep counts the platforms of untagged indexes by themselves; there they take places among the others"
    if command.on("include-locked"):
        yield "--include-locked has no meaning here, where nothing is locked"


@dataclass(frozen=True, slots=True)
class _CleanUp:
    """Writes what a command says of the repositories that filters name."""

    command: Command
    age: str

    def policy(self, scope: _Scope) -> Node:
        """Return the policy of a scope."""
        document: dict[str, Node] = {"repositories": scope.repositories}
        if self.command.on("dry-run"):
            document["enabled"] = False
        only, untagged = self.command.on("untagged-only"), self.command.on("untagged")
        if not only and not (untagged and scope.tags == {"search": "^$"}):  # the way to say: no tag
            document["rules"] = [{"name": "purge", "tags": scope.tags, "keep": self._keep(scope)}]
        if "rules" in document:
            document["images_outlive_tags"] = True
        if only or untagged:  # there each platform is one of them, once no index that stays needs it
            keep = self._counted({"within": self.age})
            document["untagged"] = {"keep": keep}
            document["platforms"] = {"of_expired": {"keep": keep}}
        return document

    def _keep(self, scope: _Scope) -> Node:
        young: dict[str, Node] = {"within": self.age, "inclusive": True}
        if scope.named is None:
            return self._counted(young, of_tags=True)
        parts: list[Node] = [{"not": scope.named}, young]
        if self.command.keep:
            count: dict[str, Node] = {"newest": self.command.keep, "of": "tags", "by": "pushed"}
            parts.append({**count, "among": {"all": [scope.named, {"not": young}]}})
        return {"any": parts}

    def _counted(self, young: dict[str, Node], *, of_tags: bool = False) -> Node:
        """Return what keeps the young ones, and the newest of the others."""
        if not self.command.keep:
            return young
        count: dict[str, Node] = {"newest": self.command.keep, **({"of": "tags"} if of_tags else {}), "by": "pushed"}
        return {**young, **count, "among": {"not": young}}


def _scopes(filters: Sequence[_Filter]) -> list[_Scope]:
    """Return for each policy its repositories and what may go there, the one that is asked first at the front.

    Filters that match the same repository are one union there, with one count.
    """
    if not filters:
        return [_Scope(["**"], "*")]
    exact = [each for each in filters if _is_whole(each.repository)]
    others = [each for each in filters if each not in exact]
    scopes: list[_Scope] = []
    for each in exact:
        tags = [
            tag for other in filters if searched_in_repository(other.repository, each.repository) for tag in other.tags
        ]
        scopes.append(_Scope([each.repository], _selector(tags)))
    if len(others) == 1:
        scopes.append(_Scope([_repository(others[0])], _selector(others[0].tags)))
    elif others:
        parts: list[Node] = [
            {"all": [{"repositories": [_repository(each)]}, {"tags": _selector(each.tags)}]} for each in others
        ]
        scopes.append(_Scope([_repository(each) for each in others], "*", {"any": parts}))
    return scopes


def _repository(each: _Filter) -> Node:
    r"""Return our pattern: the expression is searched as `^` + it + `$`, so an alternation is not anchored as one."""
    expression = ours(each.repository)
    if expression in (".*", ".+"):
        return "**"
    return {"regex": f".*(?:^{expression}$).*" if alternates(expression) else expression}


def _selector(tags: Sequence[str]) -> Node:
    nodes: list[Node] = []
    for tag in tags:
        node = searched(ours(tag))
        if node not in nodes:
            nodes.append(node)
    return nodes[0] if len(nodes) == 1 else nodes


def _filters(command: Command) -> list[_Filter]:
    """Return the filters by repository expression, after the checks of the command."""
    only = command.on("untagged-only")
    if "untagged" in command.switches and "untagged-only" in command.switches:
        raise PolicyImportError(
            "if any flags in the group [untagged untagged-only] are set none of the others can be: both are"
        )
    if not command.filters and "untagged-only" not in command.switches:
        raise PolicyImportError("at least one of the flags in the group [filter untagged-only] is required")
    if not command.filters and not only:
        raise PolicyImportError("--filter is required when not using --untagged-only")
    if not command.texts.get("ago") and not only:
        raise PolicyImportError("--ago is required when not using --untagged-only")
    found: dict[str, list[str]] = {}
    for text in command.filters:
        repository, tag = _split_filter(text)
        found.setdefault(checked(repository), []).append(checked(tag))
    return [_Filter(repository, tuple(tags)) for repository, tags in found.items()]


def _split_filter(text: str) -> tuple[str, str]:
    """Split REPOSITORY:TAG at the one colon that belongs to no expression."""
    places = [
        match.start()
        for match in _SEPARATOR.finditer(text)
        if not _NOT_BEFORE.search(text, 0, match.start()) and text[match.end() : match.end() + 1] != "]"
    ]
    if len(places) != 1:
        raise PolicyImportError(f"unable to correctly parse filter flag {text!r}: it is no REPOSITORY:TAG")
    repository, tag = text[: places[0]], text[places[0] + 1 :]
    if not repository:
        raise PolicyImportError(f"missing repository name/expression in filter {text!r}")
    if not tag:
        raise PolicyImportError(f"missing tag name/expression in filter {text!r}")
    return repository, tag


def _ago(command: Command) -> Fraction:
    """Return --ago in seconds as parseDuration reads it, its oddities included.

    A number of days is read with Sscanf("%dd"), the rest by Go; what Go calls an invalid duration counts as 150 years.
    """
    text = command.texts.get("ago", "")
    days, rest = Fraction(0), ""
    if "d" in text:
        match = re.match(r"\s*([+-]?[0-9]+)(?:d\s*(\S+))?", text)
        if match is None:  # there it would be no day at all, and everything would go
            raise PolicyImportError(f"--ago {text!r} does not begin with a number of days")
        if len(match[1]) > _MOST_DIGITS:
            raise PolicyImportError(f"--ago has a number of days with {len(match[1])} digits")
        days, rest = Fraction(int(match[1])), match[2] or ""
    elif text.split():
        rest = text.split()[0]
    seconds = min(days * 86400, _LONGEST)
    if rest:
        try:
            seconds += parse_go_duration(rest)
        except GoDurationError as error:
            if not error.invalid:
                raise PolicyImportError(str(error)) from error
            seconds = _LONGEST
    return min(seconds, _LONGEST)
