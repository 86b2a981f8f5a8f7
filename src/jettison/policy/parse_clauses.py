"""Read clauses: what a rule keeps."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jettison.policy.clause import (
    AllOf,
    AnyOf,
    Clause,
    DigestMatches,
    Everything,
    InRepositories,
    Newest,
    Not,
    Nothing,
    Order,
    Period,
    Periods,
    PulledWithin,
    Tagged,
    TagMatches,
    Unknown,
    Within,
)
from jettison.policy.document import Document
from jettison.policy.model import Unit
from jettison.policy.parse_selectors import read_glob, read_repositories, read_selectors
from jettison.policy.selectors import AnySelector
from jettison.policy.spans import parse_duration

_PERIODS: Final = tuple(period.value for period in Period)
_COUNTS: Final = ("newest", *_PERIODS)
_CLAUSES: Final = (
    *_COUNTS,
    "within",
    "pulled_within",
    "everything",
    "nothing",
    "tags",
    "repositories",
    "tagged",
    "digest",
    "any",
    "all",
    "not",
)
_OPTIONS: Final = {
    "by": (*_COUNTS, "within"),
    "per": _COUNTS,
    "of": ("newest",),
    "among": _COUNTS,
    "unknown": (*_COUNTS, "within"),
    "inclusive": ("within", "pulled_within"),
    "or_pushed": ("pulled_within",),
}
"""Options stand beside the clause that they belong to: the first of these that is there."""
VERSION_KEYS: Final = ("minor", "major", "variant")
_DATES: Final = tuple(order for order in Order if order not in (Order.VERSION, Order.NAME))


@dataclass(frozen=True, slots=True)
class Scope:
    """What a clause depends on: how counts order by default, which keys `per` knows, and what is decided."""

    order: Order = Order.PUSHED
    keys: tuple[str, ...] = ()
    unit: Unit = Unit.TAG


def read_keep(document: Document, node: Mapping[str, Any], path: str, scope: Scope) -> Clause:
    """Read the clause below `keep`."""
    if node.get("keep") is None:
        document.refuse(
            node, "keep", path, "`keep` is missing; write `keep: {newest: 10}` or `keep: {everything: true}`"
        )
    return _Clauses(document, scope).read(node["keep"], f"{path}.keep", (node, "keep"))


class _Clauses:
    def __init__(self, document: Document, scope: Scope) -> None:
        self._document = document
        self._scope = scope

    def read(self, node: Any, path: str, parent: tuple[Any, Any] | None) -> Clause:
        """Read a mapping of clauses that stand side by side: any of them keeps."""
        keep = self._document.mapping(node, path, parent, (*_CLAUSES, *_OPTIONS))
        names = [name for name in keep if name not in _OPTIONS]
        self._check_options(keep, names, path)
        if not names:
            self._document.refuse(keep, None, path, f"no clause is given: write one of {', '.join(_CLAUSES)}")
        clauses = tuple(self._clause(keep, name, f"{path}.{name}") for name in names)
        return clauses[0] if len(clauses) == 1 else AnyOf(clauses)

    def _check_options(self, keep: Mapping[str, Any], names: Sequence[str], path: str) -> None:
        counts = [name for name in names if name in _COUNTS]
        for option in keep:
            owners = _OPTIONS.get(option)
            if owners is None:
                continue
            if not any(owner in names for owner in owners):
                text = f"`{option}` belongs to one of {', '.join(f'`{owner}`' for owner in owners)}, which is missing"
                self._document.refuse(keep, option, f"{path}.{option}", f"{text} beside it")
            if len(counts) > 1 and owners[0] in _COUNTS:
                example = f"any: [{{{counts[0]}: …, {option}: …}}, {{{counts[1]}: …}}]"
                text = f"it is not plain whether it belongs to `{counts[0]}` or `{counts[1]}`; write `{example}`"
                self._document.refuse(keep, option, f"{path}.{option}", text)

    def _clause(self, keep: Mapping[str, Any], name: str, path: str) -> Clause:
        if name in _COUNTS:
            return self._count(keep, name, path)
        match name:
            case "any" | "all":
                entries = self._document.sequence(keep, name, path)
                if not entries:
                    self._document.refuse(keep, name, path, f"`{name}` is empty; list clauses below it")
                inner = tuple(self.read(each.value, each.path, (each.parent, each.key)) for each in entries)
                return AllOf(inner) if name == "all" else AnyOf(inner)
            case "not":
                return Not(self.read(keep[name], path, (keep, name)))
            case _:
                return _LEAVES[name](self, keep, path)

    def _count(self, keep: Mapping[str, Any], name: str, path: str) -> Clause:
        document, above = self._document, path.rpartition(".")[0]
        count = document.count(keep, name, path)
        per = self._per(keep, f"{above}.per")
        among = self.read(keep["among"], f"{above}.among", (keep, "among")) if "among" in keep else None
        unknown = self._unknown(keep, above)
        if name != "newest":
            by = self._by(keep, above, Order.PUSHED, _DATES)
            return Periods(Period(name), count, by, per, among, unknown)
        by = self._by(keep, above, self._scope.order, tuple(Order))
        if unknown is Unknown.NOW and by not in _DATES:
            text = f"`now` is a date, and the count is by {by}; write `keep`, `oldest` or `newest`"
            document.refuse(keep, "unknown", f"{above}.unknown", text)
        of_tags = "of" in keep and document.word(keep, "of", f"{above}.of", ("digests", "tags")) == "tags"
        if of_tags and self._scope.unit is Unit.IMAGE:
            document.refuse(keep, "of", f"{above}.of", "with `unit: image` a count counts images; leave it out")
        return Newest(count, by, per, of_tags, among, unknown)

    def _by(self, keep: Mapping[str, Any], above: str, default: Order, known: Sequence[Order]) -> Order:
        return Order(self._document.word(keep, "by", f"{above}.by", known)) if "by" in keep else default

    def _unknown(self, keep: Mapping[str, Any], above: str) -> Unknown:
        if "unknown" not in keep:
            return Unknown.KEEP
        return Unknown(self._document.word(keep, "unknown", f"{above}.unknown", tuple(Unknown)))

    def _per(self, keep: Mapping[str, Any], path: str) -> tuple[str, ...]:
        keys: list[str] = []
        for entry in self._document.one_or_more(keep, "per", path) if "per" in keep else ():
            key = self._document.text(*entry)
            if key not in self._scope.keys:
                near = difflib.get_close_matches(key, self._scope.keys, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self._scope.keys) or 'none'}"
                text = f"{key!r} is neither a part of versions nor a named group of the rule's expressions; {hint}"
                self._document.refuse(entry.parent, entry.key, entry.path, text)
            keys.append(key)
        return tuple(dict.fromkeys(keys))

    def within(self, keep: Mapping[str, Any], path: str) -> Clause:
        """Read `within` and the options that are its own; beside a count `by` and `unknown` belong to that."""
        above = path.rpartition(".")[0]
        age = self._age(keep, "within", path)
        inclusive = self._document.truth(keep, "inclusive", f"{above}.inclusive", default=False)
        if any(name in keep for name in _COUNTS):
            return Within(age, inclusive=inclusive)
        return Within(age, self._by(keep, above, Order.PUSHED, _DATES), inclusive, self._unknown(keep, above))

    def pulled_within(self, keep: Mapping[str, Any], path: str) -> Clause:
        """Read `pulled_within` and its options."""
        above = path.rpartition(".")[0]
        or_pushed = self._document.truth(keep, "or_pushed", f"{above}.or_pushed", default=False)
        inclusive = self._document.truth(keep, "inclusive", f"{above}.inclusive", default=False)
        return PulledWithin(self._age(keep, "pulled_within", path), or_pushed, inclusive)

    def everything(self, keep: Mapping[str, Any], path: str) -> Clause:
        """Read `everything: true`."""
        self._document.just_true(keep, "everything", path)
        return Everything()

    def nothing(self, keep: Mapping[str, Any], path: str) -> Clause:
        """Read `nothing: true`."""
        self._document.just_true(keep, "nothing", path)
        return Nothing()

    def tags(self, keep: Mapping[str, Any], path: str) -> Clause:
        """Read `tags: SELECTOR`."""
        selectors = read_selectors(self._document, keep, "tags", path)
        return TagMatches(selectors[0] if len(selectors) == 1 else AnySelector(selectors))

    def repositories(self, keep: Mapping[str, Any], path: str) -> Clause:
        """Read `repositories: [PATTERN...]`."""
        return InRepositories(read_repositories(self._document, keep, "repositories", path))

    def tagged(self, keep: Mapping[str, Any], path: str) -> Clause:
        """Read `tagged: true` or `tagged: false`."""
        return Tagged(self._document.truth(keep, "tagged", path, default=True))

    def digest(self, keep: Mapping[str, Any], path: str) -> Clause:
        """Read `digest: GLOB`."""
        return DigestMatches(read_glob(self._document, keep, "digest", path))

    def _age(self, keep: Mapping[str, Any], name: str, path: str) -> Any:
        try:
            return parse_duration(str(keep[name]))
        except ValueError as error:
            self._document.refuse(keep, name, path, str(error))


_LEAVES: Final[Mapping[str, Callable[[_Clauses, Mapping[str, Any], str], Clause]]] = {
    "within": _Clauses.within,
    "pulled_within": _Clauses.pulled_within,
    "everything": _Clauses.everything,
    "nothing": _Clauses.nothing,
    "tags": _Clauses.tags,
    "repositories": _Clauses.repositories,
    "tagged": _Clauses.tagged,
    "digest": _Clauses.digest,
}
