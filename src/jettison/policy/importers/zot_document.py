"""The part of zot's configuration that says what it keeps: read and checked, as values.

Sources, in project-zot/zot (as of v2.1.20): pkg/api/config/config.go (grammar), pkg/cli/server/root.go (defaults, and
what is refused at the start). Keys are read in any case, and what zot does not know is refused as there.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from jettison.errors import PolicyImportError
from jettison.policy.importers.expressions import re2_error
from jettison.policy.importers.globs import Dialect, our_globs
from jettison.policy.importers.go_duration import GoDurationError, parse_go_duration
from jettison.policy.importers.model import read_json

_LATEST: Final = (2, 1, 20)
_HOUR: Final = Fraction(3600)
_ROOT: Final = (
    "distSpecVersion", "goVersion", "commit", "releaseTag", "binaryType", "storage", "http", "log", "extensions",
    "scheduler", "cluster",
)  # fmt: skip
_STORE: Final = (
    "rootDirectory", "maxRepos", "dedupe", "remoteCache", "redirectBlobURL", "gc", "commit", "gcDelay", "gcInterval",
    "gcTimeWindow", "retention", "storageDriver", "cacheDriver", "gcMaxSchedulerDelay",
)  # fmt: skip
_RETENTION: Final = ("dryRun", "delay", "policies")
_POLICY: Final = ("repositories", "deleteReferrers", "deleteUntagged", "keepTags")
_RULES: Final = ("mostRecentlyPushedCount", "mostRecentlyPulledCount", "pushedWithin", "pulledWithin")


@dataclass(frozen=True, slots=True)
class Rules:
    """What keeps tags, or untagged manifests: any of it does. Ages in seconds."""

    pushed_count: int = 0
    pulled_count: int = 0
    pushed_within: Fraction | None = None
    pulled_within: Fraction | None = None


@dataclass(frozen=True, slots=True)
class KeepTags:
    """An entry of keepTags: it claims the tags in which one of the expressions is found; none at all: every tag."""

    patterns: tuple[str, ...]
    rules: Rules


@dataclass(frozen=True, slots=True)
class Retention:
    """A policy; `repositories` are globs of ours. Without `keep_tags` every tag stays."""

    number: int
    repositories: tuple[str, ...]
    delete_referrers: bool
    delete_untagged: bool
    keep_tags: tuple[KeepTags, ...]
    keep_untagged: Rules


@dataclass(frozen=True, slots=True)
class Store:
    """A store, the main one or a sub-path's. `route` is the first part of its repositories' names.

    What is younger than `delay` stays, and a referrer that a tag of cosign's names, if it is younger than `gc_delay`.
    """

    route: str
    gc: bool
    dry_run: bool
    delay: Fraction
    gc_delay: Fraction
    policies: tuple[Retention, ...]


def read_stores(text: str, version: str | None) -> tuple[tuple[int, ...], list[Store]]:
    """Return zot's version and its stores, the main one first. Raises PolicyImportError with zot's words."""
    release = _version(version)
    document = _Keys(_load(text), "configuration", _ROOT)
    storage = document.section("storage", (*_STORE, "subPaths", "fastRestart"))
    if storage is None:
        raise PolicyImportError("it has no `storage`: it is no configuration of zot")
    reader = _Reader(release)
    stores = [reader.store("", storage)]
    paths = storage.get("subPaths")
    if paths is not None and not isinstance(paths, dict):
        raise PolicyImportError("storage.subPaths must be a mapping")
    for route, store in (paths or {}).items():
        if not isinstance(route, str):
            raise PolicyImportError(f"{route!r} is no path in storage.subPaths")
        stores.append(reader.store(route.lower(), _Keys(store, f"storage.subPaths.{route}", _STORE)))
    return release, stores


class _Reader:
    def __init__(self, release: tuple[int, ...]) -> None:
        self._release = release

    def store(self, route: str, keys: "_Keys") -> Store:
        gc = keys.truth("gc", default=not route)
        gc_delay = keys.span("gcDelay")
        interval = keys.span("gcInterval")
        if (gc_delay is not None and gc_delay < 0) or (route and gc and gc_delay is not None and gc_delay <= 0):
            raise PolicyImportError(f"invalid garbage-collect delay specified in {keys.path}")
        if interval is not None and interval < 0:
            raise PolicyImportError(f"invalid garbage-collect interval specified in {keys.path}")
        if gc_delay is None:
            gc_delay = _HOUR if gc else Fraction(0)
        retention = keys.section("retention", _RETENTION)
        if retention is None:
            return Store(route, gc, dry_run=False, delay=self._delay(route, gc_delay), gc_delay=gc_delay, policies=())
        delay = retention.span("delay")
        policies = [
            self._policy(number, _Keys(each, f"{retention.path}.policies[{number - 1}]", self._policy_keys))
            for number, each in enumerate(retention.items("policies"), 1)
        ]
        dry_run = retention.truth("dryRun", default=False)
        if delay is None:
            delay = self._delay(route, gc_delay)
        return Store(route, gc, dry_run, delay, gc_delay, tuple(policies))

    @property
    def _policy_keys(self) -> tuple[str, ...]:
        return (*_POLICY, "keepUntagged") if self._release >= (2, 1, 20) else _POLICY

    def _delay(self, route: str, gc_delay: Fraction) -> Fraction:
        if self._release >= (2, 1, 9):
            return gc_delay
        return 24 * _HOUR if route else Fraction(0)

    def _policy(self, number: int, keys: "_Keys") -> Retention:
        globs = [glob for each in keys.texts("repositories") for glob in our_globs(each, Dialect.V4)]
        entries = []
        for position, each in enumerate(keys.items("keepTags")):
            entry = _Keys(each, f"{keys.path}.keepTags[{position}]", ("patterns", *_RULES))
            patterns = entry.texts("patterns")
            for pattern in patterns:
                reason = re2_error(pattern)
                if reason is not None:
                    raise PolicyImportError(f"retention tag regex could not be compiled: {pattern!r}: {reason}")
            entries.append(KeepTags(patterns, _rules(entry)))
        untagged = keys.section("keepUntagged", _RULES) if "keepUntagged" in self._policy_keys else None
        return Retention(
            number,
            tuple(dict.fromkeys(globs)),
            keys.truth("deleteReferrers", default=False),
            keys.truth("deleteUntagged", default=True),
            tuple(entries),
            Rules() if untagged is None else _rules(untagged),
        )


def _rules(keys: "_Keys") -> Rules:
    return Rules(
        keys.count("mostRecentlyPushedCount"),
        keys.count("mostRecentlyPulledCount"),
        keys.span("pushedWithin"),
        keys.span("pulledWithin"),
    )


class _Keys:
    """A mapping of the configuration, whose keys are read in any case."""

    def __init__(self, node: Any, path: str, known: tuple[str, ...]) -> None:
        if node is None:
            node = {}
        if not isinstance(node, dict):
            raise PolicyImportError(f"{path} must be a mapping")
        names = {name.lower(): name for name in known}
        self.path = path
        self._values: dict[str, Any] = {}
        for key, value in node.items():
            name = names.get(str(key).lower())
            if name is None:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise PolicyImportError(f"failed to load config due to unknown keys: {key} in {path}{hint}")
            if name in self._values:
                raise PolicyImportError(f"{path} has {name} twice")
            self._values[name] = value

    def get(self, name: str) -> Any:
        return self._values.get(name)

    def section(self, name: str, known: tuple[str, ...]) -> "_Keys | None":
        return _Keys(self._values[name], f"{self.path}.{name}", known) if name in self._values else None

    def items(self, name: str) -> list[Any]:
        return self._taken(name, lambda value: isinstance(value, list), "a list") or []

    def texts(self, name: str) -> tuple[str, ...]:
        texts = self.items(name)
        if not all(isinstance(each, str) for each in texts):
            raise PolicyImportError(f"{self.path}.{name} must be a list of texts")
        return tuple(texts)

    def truth(self, name: str, *, default: bool) -> bool:
        value = self._taken(name, lambda value: isinstance(value, bool), "true or false")
        return default if value is None else bool(value)

    def count(self, name: str) -> int:
        value = self._taken(
            name, lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0, "a whole number"
        )
        return value or 0

    def span(self, name: str) -> Fraction | None:
        value = self._taken(
            name, lambda value: isinstance(value, str | int) and not isinstance(value, bool), "a duration"
        )
        if value is None:
            return None
        if isinstance(value, int):  # Go takes a bare number for nanoseconds
            return Fraction(value, 10**9)
        try:
            return parse_go_duration(value)
        except GoDurationError as error:
            raise PolicyImportError(f"{self.path}.{name}: {error}") from error

    def _taken(self, name: str, fits: Callable[[Any], bool], what: str) -> Any:
        value = self._values.get(name)
        if value is not None and not fits(value):
            raise PolicyImportError(f"{self.path}.{name} must be {what}, and is {value!r:.60}")
        return value


def _load(text: str) -> Mapping[str, Any]:
    """Read JSON or YAML."""
    if text.lstrip().startswith("{"):
        document = read_json(text, "failed to read configuration")
    else:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            document = YAML(typ="safe", pure=True).load(text)
        except (YAMLError, ValueError, RecursionError) as error:
            first = str(error).strip().splitlines() or ["it is no YAML"]
            raise PolicyImportError(f"failed to read configuration: {first[-1].strip()}") from error
    if not isinstance(document, dict):
        raise PolicyImportError("it is no configuration of zot: a mapping with `storage` in it")
    return document


def _version(text: str | None) -> tuple[int, ...]:
    if text is None:
        return _LATEST
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    if match is None:
        raise PolicyImportError(f"{text!r} is no release of zot: write one such as 2.1.8")
    return tuple(map(int, match.groups()))
