"""Read selectors of tags, and patterns over repositories."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jettison.policy.document import Document, Entry
from jettison.policy.pattern import (
    Glob,
    Pattern,
    PatternError,
    Regex,
    RepositoryPatterns,
    TagPattern,
    VersionPattern,
)
from jettison.policy.selectors import AllSelectors, AnySelector, NotSelector, Untagged

_KINDS: Final = ("glob", "regex", "search", "version", "untagged", "all", "any", "not")


def read_selectors(document: Document, node: Mapping[str, Any], key: str, path: str) -> tuple[TagPattern, ...]:
    """Read the selector below `key`: a glob, a mapping or a list of these; all that it returns are alternatives."""
    if node.get(key) is None or node[key] == []:
        document.refuse(node, key, path, f'`{key}` selects no tags; write `{key}: ["*"]` for all')
    return tuple(selector for each in document.one_or_more(node, key, path) for selector in _selector(document, each))


def read_repositories(document: Document, node: Mapping[str, Any], key: str, path: str) -> RepositoryPatterns:
    """Read the repository patterns below `key`: globs, `!` before those that take out again, and `{regex: ...}`."""
    patterns: list[str | Pattern] = []
    for each in document.one_or_more(node, key, path):
        if isinstance(each.value, Mapping):
            regex = document.mapping(each.value, each.path, (each.parent, each.key), ("regex",))
            patterns += [_regex(document, text) for text in document.one_or_more(regex, "regex", f"{each.path}.regex")]
        else:
            patterns.append(document.text(each.value, each.parent, each.key, each.path))
    try:
        return RepositoryPatterns.parse(patterns)
    except PatternError as error:
        document.refuse(node, key, path, str(error))


def read_glob(document: Document, node: Mapping[str, Any], key: str, path: str) -> Glob:
    """Read the one glob below `key`."""
    return _glob(document, Entry(node[key], node, key, path))


def _selector(document: Document, entry: Entry) -> Iterator[TagPattern]:
    if not isinstance(entry.value, Mapping):
        yield _glob(document, entry)
        return
    selector = document.mapping(entry.value, entry.path, (entry.parent, entry.key), _KINDS)
    if not selector:
        document.refuse(entry.parent, entry.key, entry.path, f"it is empty; write one of {', '.join(_KINDS)}")
    for kind in selector:
        yield from _of_kind(document, selector, kind, f"{entry.path}.{kind}")


def _of_kind(document: Document, selector: Mapping[str, Any], kind: str, path: str) -> Iterator[TagPattern]:
    match kind:
        case "untagged":
            document.just_true(selector, kind, path)
            yield Untagged()
        case "not":
            yield NotSelector(_one(read_selectors(document, selector, kind, path)))
        case "any":
            yield from read_selectors(document, selector, kind, path)
        case "all":
            entries = document.sequence(selector, kind, path)
            if not entries:
                document.refuse(selector, kind, path, "`all` is empty; list selectors below it")
            yield AllSelectors(tuple(_one(tuple(_selector(document, each))) for each in entries))
        case _:
            for each in document.one_or_more(selector, kind, path):
                yield _pattern(document, kind, each)


def _pattern(document: Document, kind: str, entry: Entry) -> TagPattern:
    match kind:
        case "glob":
            return _glob(document, entry)
        case "version":
            return VersionPattern(_glob(document, entry))
        case _:
            return _regex(document, entry, anywhere=kind == "search")


def _one(selectors: tuple[TagPattern, ...]) -> TagPattern:
    return selectors[0] if len(selectors) == 1 else AnySelector(selectors)


def _glob(document: Document, entry: Entry) -> Glob:
    try:
        return Glob(document.text(*entry))
    except PatternError as error:
        document.refuse(entry.parent, entry.key, entry.path, str(error))


def _regex(document: Document, entry: Entry, *, anywhere: bool = False) -> Regex:
    try:
        return Regex(document.text(*entry, may_be_empty=True), anywhere=anywhere)
    except PatternError as error:
        document.refuse(entry.parent, entry.key, entry.path, str(error))
