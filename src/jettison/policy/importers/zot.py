"""zot's retention (`storage.retention` of its configuration).

The unit is the tag; its dates are the digest's. The first policy that matches a repository is the one, and in it the
first entry of keepTags that matches a tag; tags that no entry matches go. Sources, in project-zot/zot:
pkg/retention/retention.go, rules.go, matcher.go (what stays), pkg/storage/gc/gc.go (order, delay, referrers),
pkg/storage/storage_controller.go (sub-paths). Globs are doublestar v4's, expressions are searched.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil
from typing import Final

from jettison.policy.importers.expressions import searched
from jettison.policy.importers.model import Imported, Options, age_text, imported
from jettison.policy.importers.yaml_text import Node, Noted
from jettison.policy.importers.zot_document import KeepTags, Retention, Rules, Store, read_stores

OPTIONS: Final = ("version",)

_NO_RULES: Final = Rules()
_TAGS_GO_ALONE: Final = (2, 1, 2)
"""The first release that leaves an image whose last tag goes to what becomes of untagged ones."""


def convert(text: str, options: Options) -> Imported:
    """Return our policy for a configuration of zot, JSON or YAML. Raises PolicyImportError with zot's words."""
    release, stores = read_stores(text, options.version)
    routes = [store.route.removeprefix("/") for store in stores[1:]]
    about = [
        f"Imported from the retention of zot {'.'.join(map(str, release))}. It decides each tag by itself; its dates",
        "are those of its digest, whichever tag that got since. The first policy that matches a repository is the one.",
    ]
    if any(entry.rules.pulled_count or entry.rules.pulled_within is not None for entry in _entries(stores)):
        about.append("Pulls are known from jettison's history; until that is long enough, tags stay.")
    warnings: tuple[str, ...] = ()
    if release < _TAGS_GO_ALONE and any(True for _ in _entries(stores)):
        warnings = ("an image stays without tags until it is old enough; there it goes with its last tag",)
    policies: list[Node] = []
    for position, store in enumerate(stores):
        route = store.route.removeprefix("/")
        if position and (not route or "/" in route or store.route != f"/{route}"):
            about.append(f"The sub-path {store.route} takes no repository: it is not the first part of a name.")
            continue
        others = [f"!{each}/**" for each in routes[position:] if each and "/" not in each]
        policies += _policies(store, others, last=f"{route}/**" if route else "**", default=release >= (2, 1, 9))
    return imported({"policies": policies or [{"repositories": ["**"], "enabled": False}]}, about, warnings)


def _entries(stores: Sequence[Store]) -> Iterator[KeepTags]:
    for store in stores:
        for policy in store.policies:
            yield from policy.keep_tags


def _policies(store: Store, others: Sequence[str], *, last: str, default: bool) -> Iterator[Node]:
    """Yield the policies of a store, then what is said of its other repositories.

    Each store's come to an end with a policy for the rest of it, so that the next store's see only their own.
    """
    off = _off(store)
    for policy in store.policies:
        if policy.repositories:
            yield _policy(store, policy, others)
    if any("**" in policy.repositories or last in policy.repositories for policy in store.policies):
        return
    rest: dict[str, Node] = {"repositories": [last, *others]}
    if off:
        yield Noted({**rest, "enabled": False}, (off,))
    elif default:
        comment = "The other repositories: their untagged manifests go, as there."
        yield Noted({**rest, **_untagged(Rules(), store)}, (comment,), tuple(_rounded(store.delay)))
    elif others or last != "**":
        yield Noted({**rest, "enabled": False}, ("The other repositories lose nothing.",))


def _off(store: Store) -> str:
    where = f" below {store.route}" if store.route else ""
    if not store.gc:
        return f"Garbage collection is off there{where}, so nothing goes."
    return f"Retention is a dry run there{where}, so nothing goes before `enabled` is true." if store.dry_run else ""


def _policy(store: Store, policy: Retention, others: Sequence[str]) -> Node:
    document: dict[str, Node] = {"repositories": [*policy.repositories, *others]}
    off = _off(store)
    comments = [off] if off else []
    if off:
        document["enabled"] = False
    rules = _rules(policy)
    if rules:
        document["rules"] = rules
        document["images_outlive_tags"] = True
    if policy.delete_untagged:
        document |= _untagged(policy.keep_untagged, store)
    if policy.delete_referrers:
        young: Node = {"keep": {"within": _age(max(store.delay, store.gc_delay))}}
        document["referrers"] = {"of_expired": young, "orphaned": young}
    if len(document) == 1:
        document["enabled"] = False
        comments.append("Nothing of it goes: a later policy never sees these repositories.")
    return Noted(document, tuple(comments), () if off else tuple(dict.fromkeys(_warnings(store, policy))))


def _rules(policy: Retention) -> list[Node]:
    rules: list[Node] = []
    for number, entry in enumerate(policy.keep_tags, 1):
        selectors = [searched(each) for each in entry.patterns]
        tags: Node = "*" if not selectors or "*" in selectors else selectors[0] if len(selectors) == 1 else selectors
        keep: Node = {"everything": True} if entry.rules == _NO_RULES else _any(_kept(entry.rules, of_tags=True))
        rules.append({"name": f"keepTags {number}", "tags": tags, "keep": keep})
        if tags == "*":  # the entries behind it never see a tag
            return rules
    if rules:
        rules.append({"name": "other tags", "tags": "*", "keep": {"nothing": True}})
    return rules


def _untagged(rules: Rules, store: Store) -> dict[str, Node]:
    """Return what becomes of untagged manifests: also of platforms, once their index is gone, but of no referrer."""
    kept = {"keep": _any(_kept(rules, of_tags=False, at_least=store.delay))}
    return {
        "untagged": kept,
        "platforms": {"of_expired": kept},
        "referrers": {"of_expired": {"keep": {"everything": True}}},
    }


def _kept(rules: Rules, *, of_tags: bool, at_least: Fraction | None = None) -> list[dict[str, Node]]:
    """Return clauses, of which any keeps. A push counts as a pull, so that a push within either span keeps."""
    clauses: list[dict[str, Node]] = []
    of: dict[str, Node] = {"of": "tags"} if of_tags else {}
    if rules.pulled_count:
        clauses.append({"newest": rules.pulled_count, **of, "by": "pulled", "unknown": "oldest"})
    if rules.pushed_count:
        clauses.append({"newest": rules.pushed_count, **of, "by": "stored"})
    pushed = [each for each in (rules.pushed_within, rules.pulled_within, at_least) if each is not None]
    pulled: dict[str, Node] = {} if rules.pulled_within is None else {"pulled_within": _age(rules.pulled_within)}
    if pushed:
        clauses.append({**pulled, "within": _age(max(pushed)), **({"by": "stored"} if of_tags else {})})
    return clauses


def _any(clauses: Sequence[dict[str, Node]]) -> Node:
    return clauses[0] if len(clauses) == 1 else {"any": list(clauses)}


def _warnings(store: Store, policy: Retention) -> Iterator[str]:
    if policy.delete_untagged and (policy.keep_untagged.pushed_count or policy.keep_untagged.pulled_count):
        yield "platforms of an index take no place among the untagged; there they do"
    if policy.delete_referrers and store.gc_delay > store.delay:
        yield f"all referrers stay for gcDelay, {_age(store.gc_delay)}; there only those with a tag of cosign's do"
    yield from _rounded(store.delay)
    for rules in (policy.keep_untagged, *(entry.rules for entry in policy.keep_tags)):
        for span in (rules.pushed_within, rules.pulled_within):
            if span is not None:
                yield from _rounded(span)


def _rounded(span: Fraction) -> Iterator[str]:
    if span != ceil(span):
        yield f"{float(span):g} s are rounded up to {_age(span)}"


def _age(span: Fraction) -> str:
    return age_text(max(ceil(span), 0))
