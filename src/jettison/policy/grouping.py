"""Grouping: of which values each has a count of its own: lines of versions, and the keys of `per`."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from jettison.oci.version import Version, parse_version
from jettison.policy.candidate import Candidate, Outcome, Setting
from jettison.policy.clause import Newest, Order, Periods, Unknown
from jettison.policy.ordering import Entry, Group, in_order
from jettison.policy.pattern import TagPattern

_Part = str | tuple[int, ...]
_Key = tuple[_Part, ...]
"""What the members of a group have in common: the line of versions where that counts, and each key of `per`."""
_Keyer = Callable[[str], tuple[_Key, Version | None] | None]


def groups_of(
    clause: Newest | Periods,
    candidates: Sequence[Candidate],
    counted: Sequence[Outcome] | None,
    setting: Setting,
    outcomes: dict[int, Outcome],
) -> Iterable[Group]:
    """Sort what the clause counts into groups and order each; what it does not count gets its outcome here."""
    numbered: Iterable[tuple[int, Candidate]] = enumerate(candidates)
    if counted is not None:
        for number, outcome in enumerate(counted):
            if outcome.keeps is False:
                text = f"not among what is counted: {outcome.text}"
                outcomes[number] = Outcome(False, "not-among", text)
        numbered = [each for each in numbered if each[0] not in outcomes]
    versions = clause.by is Order.VERSION
    lines = versions or setting.versions_only or "minor" in clause.per or "major" in clause.per
    groups: dict[_Key, list[Entry]] = {}
    if not lines and not clause.per:
        groups[()] = [(number, candidate, None) for number, candidate in numbered]
    else:
        key_of = _keyer(clause.per, setting.selector, lines=lines)
        for number, candidate in numbered:
            keyed = _keys(key_of, candidate.names)
            for key, version in keyed:
                group = groups.get(key)
                if group is None:
                    groups[key] = group = []
                group.append((number, candidate, version))
            if keyed:
                continue
            if clause.unknown is Unknown.KEEP:
                what = "version" if versions else " or ".join(clause.per) or "version"
                code = "unknown-version" if versions else "unknown-key"
                outcomes[number] = Outcome(None, code, f"no {what} is told")
            else:
                groups.setdefault(("",) * (lines + len(clause.per)), []).append((number, candidate, None))
    for key, members in groups.items():
        yield in_order(clause, members, _group_text(key, clause.per, lines=lines), setting)


def _keys(key_of: _Keyer, names: Sequence[str]) -> Collection[tuple[_Key, Version | None]]:
    """Return the groups of a candidate, and its highest version in each. An image may be in several."""
    if len(names) == 1:
        found = key_of(names[0])
        return () if found is None else (found,)
    keyed: dict[_Key, Version | None] = {}
    for found in map(key_of, names):
        if found is not None:
            key, version = found
            before = keyed.get(key)
            keyed[key] = version if before is None or (version is not None and before < version) else before
    return keyed.items()


def _keyer(per: tuple[str, ...], selector: TagPattern | None, *, lines: bool) -> _Keyer:
    """Return what tells the group of a tag, None where the tag lacks one of the keys, and its version if that matters.

    The usual cases have a function of their own: it runs for each tag in each count.
    """

    def by_line(name: str) -> tuple[_Key, Version | None] | None:
        version = parse_version(name)
        return None if version is None else ((version.line,), version)

    def by_line_and_part(name: str) -> tuple[_Key, Version | None] | None:
        version = parse_version(name)
        if version is None:
            return None
        part = version.release[:length]
        return ((version.line, part if len(part) == length else (*part, 0)), version)

    def by_group(name: str) -> tuple[_Key, Version | None] | None:
        value = groups(name).get(only)
        return None if value is None else ((value,), None)

    def by_all(name: str) -> tuple[_Key, Version | None] | None:
        version = parse_version(name)
        if lines and version is None:
            return None
        found = groups(name) if has_groups else {}
        parts = [_part_of_version(part, version) if part in _VERSION_PARTS else found.get(part) for part in per]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return ((version.line, *known) if lines and version is not None else tuple(known)), version

    groups = selector.groups if selector is not None else lambda name: {}
    only = per[0] if per else ""
    length = 2 if only == "minor" else 1
    has_groups = not set(per) <= _VERSION_PARTS
    if lines and not per:
        return by_line
    if lines and per in (("minor",), ("major",)):
        return by_line_and_part
    return by_group if has_groups and len(per) == 1 and not lines else by_all


_VERSION_PARTS: Final = frozenset({"minor", "major", "variant"})


def _part_of_version(part: str, version: Version | None) -> _Part | None:
    if version is None:
        return None
    if part == "variant":
        return version.variant
    return version.release[:1] if part == "major" else (*version.release, 0)[:2]


def _group_text(key: _Key, per: tuple[str, ...], *, lines: bool) -> str:
    if not key:
        return ""
    line = str(key[0]) if lines else ""
    parts = [
        f"{name} {'.'.join(map(str, value)) if isinstance(value, tuple) else value or '(none)'}"
        for name, value in zip(per, key[1:] if lines else key, strict=True)
    ]
    if line.startswith("calendar"):
        parts.append(f"calendar versions{line.removeprefix('calendar').replace(' ', ' -')}")
    elif line and "variant" not in per:
        parts.append(f"-{line}")
    return f" of {', '.join(parts)}" if parts else ""
