"""What an importer takes and gives, and what all of them share: reading JSON strictly, names that stay unique."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from jettison.errors import PolicyImportError
from jettison.policy.importers.yaml_text import Node, Noted, dump

FOLLOWERS: Final = (
    "Tags `sha256-<hex>...` of signatures and the like go with their image; there they are tags like any other."
)
"""A comment for systems that decide each tag by itself and know no referrers."""
_DEEPEST: Final = 60
"""Levels of a JSON document; a policy has a handful."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the policy's text does not say itself; each system reads some of them (its module's OPTIONS).

    `project` is what the policy belongs to (Harbor's project, GitLab's project path, Quay's organization),
    `repository` the one repository that it is for, `prefix` the name space under which the source's repositories are
    found here. `immutable_tags`: tags cannot be deleted there. `registry` and `version` name a kind of server and its
    release where these decide otherwise.
    """

    project: str | None = None
    repository: str | None = None
    prefix: str | None = None
    immutable_tags: bool = False
    registry: str | None = None
    version: str | None = None

    def given(self) -> Iterator[str]:
        """Yield the names of the options that were given."""
        for each in fields(self):
            if getattr(self, each.name) != each.default:
                yield each.name


@dataclass(frozen=True, slots=True)
class Imported:
    """Our policy as YAML, and what in it is not exactly what the source means (also written there as comments)."""

    yaml: str
    warnings: tuple[str, ...] = ()


def imported(document: Mapping[str, Node], about: Sequence[str], warnings: Sequence[str] = ()) -> Imported:
    """Write the document. `about` are the comment lines at its top; `warnings` are those about the whole of it.

    The warnings of each Noted in the document are written above it, and gathered.
    """
    lines = [*about, *(f"NOT EXACT: {warning}" for warning in warnings)]
    return Imported(dump(document, lines), (*warnings, *_warnings(document)))


def _warnings(node: Node) -> Iterator[str]:
    if isinstance(node, Noted):
        yield from node.warnings
        node = node.value
    if isinstance(node, Mapping):
        for each in node.values():
            yield from _warnings(each)
    elif isinstance(node, list | tuple):
        for each in node:
            yield from _warnings(each)


def read_json(text: str, refusal: str) -> Any:
    """Read strict JSON: no NaN, no key twice in one object, not nested without end.

    Raises PolicyImportError that begins with `refusal`, the source's own words for text that is no JSON.
    """
    try:
        document = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise PolicyImportError(f"{refusal}: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise PolicyImportError(f"{refusal}: {reason}") from error
    if _depth(document) > _DEEPEST:
        raise PolicyImportError(f"{refusal}: it is nested too deeply")
    return document


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key twice in one object has no one meaning: readers differ in which they take."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return made


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _depth(document: Any) -> int:
    """Return the levels of a document, without recursion."""
    deepest, waiting = 0, [(document, 1)]
    while waiting:
        node, level = waiting.pop()
        deepest = max(deepest, level)
        children: Iterable[Any] = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        waiting.extend((child, level + 1) for child in children)
    return deepest


def unique_name(wanted: str, taken: set[str]) -> str:
    """Return `wanted`, or `wanted (2)` and so on where it is taken already, and take it."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted} ({number})"
    taken.add(name)
    return name


def glob_text(literal: str) -> str:
    """Return a glob of ours that matches `literal`, a piece of a tag or repository name, and nothing else."""
    return "".join(f"[{char}]" if char in "*?[{" else char for char in literal)


def age_text(seconds: int) -> str:
    """Return a span as our policies write it: `30d`, `1d12h`, `90m`, `0s`. A century stands for all that is longer.

    No image is that old: dates before 1990 count as unknown (jettison.oci.config, EARLIEST_DATE).
    """
    parts = []
    seconds = min(seconds, _CENTURY)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def prefix_of(options: Options) -> str:
    """Return the name space with its slash, empty where none is given."""
    prefix = (options.prefix or "").strip("/")
    return f"{prefix}/" if prefix else ""


_CENTURY: Final = 36_525 * 86_400


def repository_of(options: Options, *, name: str | None = None) -> list[str]:
    """Return our patterns for the one repository, or the name space, that the options tell; else all of them.

    Raises PolicyImportError for what is no repository's name.
    """
    prefix = prefix_of(options)
    repository = options.repository or name
    whole = prefix + (repository or "")
    if whole and not _NAME.fullmatch(whole.rstrip("/")):
        raise PolicyImportError(f"{whole!r} is no repository name")
    return [whole if repository else f"{prefix}**"]


_NAME: Final = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
"""A repository's name (distribution-spec, "Pulling manifests")."""
