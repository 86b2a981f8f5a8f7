"""Read selectors of tags, and patterns over repositories."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from jettison.policy.document import Document
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
    value = node.get(key)
    entries = value if _is_list(value) else [value]
    if value is None or not entries:
        document.refuse(node, key, path, f'`{key}` selects no tags; write `{key}: ["*"]` for all')
    return tuple(selector for each in entries for selector in _selector(document, each, node, key, path))


def read_repositories(document: Document, node: Mapping[str, Any], key: str, path: str) -> RepositoryPatterns:
    """Read the repository patterns below `key`: globs, `!` before those that take out again, and `{regex: ...}`."""
    patterns: list[str | Pattern] = []
    for each in document.one_or_more(node, key, path):
        if isinstance(each, Mapping):
            regex = document.mapping(each, path, (node, key), ("regex",))
            texts = document.one_or_more(regex, "regex", f"{path}.regex")
            patterns += [_built(document, Regex, text, regex, "regex", f"{path}.regex") for text in texts]
        else:
            patterns.append(document.text(each, node, key, path))
    try:
        return RepositoryPatterns.parse(patterns)
    except PatternError as error:
        document.refuse(node, key, path, str(error))


def read_glob(document: Document, node: Mapping[str, Any], key: str, path: str) -> Glob:
    """Read the one glob below `key`."""
    pattern = _built(document, Glob, node[key], node, key, path)
    assert isinstance(pattern, Glob)  # noqa: S101  (for the type checker)
    return pattern


def _selector(document: Document, entry: Any, node: Mapping[str, Any], key: str, path: str) -> Iterator[TagPattern]:
    if not isinstance(entry, Mapping):
        yield _built(document, Glob, entry, node, key, path)
        return
    selector = document.mapping(entry, path, (node, key), _KINDS)
    if not selector:
        document.refuse(node, key, path, f"it is empty; write one of {', '.join(_KINDS)}")
    for kind in selector:
        yield from _of_kind(document, selector, kind, f"{path}.{kind}")


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
            yield AllSelectors(
                tuple(
                    _one(tuple(_selector(document, each, selector, kind, f"{path}[{i}]")))
                    for i, each in enumerate(entries)
                )
            )
        case "version":
            for text in _texts(selector, kind):
                glob = _built(document, Glob, text, selector, kind, path)
                yield VersionPattern(glob) if isinstance(glob, Glob) else glob
        case _:
            for text in _texts(selector, kind):
                yield _built(document, Glob if kind == "glob" else Regex, text, selector, kind, path)


def _texts(selector: Mapping[str, Any], kind: str) -> Sequence[Any]:
    value = selector[kind]
    return value if _is_list(value) else [value]


def _one(selectors: tuple[TagPattern, ...]) -> TagPattern:
    return selectors[0] if len(selectors) == 1 else AnySelector(selectors)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _built(
    document: Document, kind: type[Glob] | type[Regex], text: Any, node: Any, key: str, path: str
) -> Glob | Regex:
    words = document.text(text, node, key, path)
    try:
        return Regex(words, anywhere=key == "search") if kind is Regex else Glob(words)
    except PatternError as error:
        document.refuse(node, key, path, str(error))
