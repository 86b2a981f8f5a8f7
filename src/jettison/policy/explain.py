"""Explain: why one tag or manifest stays or goes, with everything that its decision rests on.

One repository is decided, as a plan would decide it, and the rule's clauses are weighed once more, each by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from jettison.oci.digest import Digest
from jettison.oci.graph import Bond, Graph
from jettison.oci.inventory import Repository
from jettison.policy.candidate import Candidate, Outcome, Setting
from jettison.policy.claim import Claim
from jettison.policy.clause import AllOf, AnyOf, Clause, Newest, Not, Periods
from jettison.policy.clauses import combined, weigh
from jettison.policy.decision import Reason
from jettison.policy.evaluate import decide_repository
from jettison.policy.forecast import Expiry, expiry, verdict
from jettison.policy.model import Policy, RepositoryPolicy, Unit
from jettison.policy.roots import claims_of
from jettison.policy.words import clause_text

if TYPE_CHECKING:
    from jettison.policy.in_use import InUse

NEIGHBOURS: Final = 3
"""How many are shown before and after it, in an order that it has a place in."""


@dataclass(frozen=True, slots=True)
class Place:
    """One in the order of a count: its place, its name, and whether the count keeps it."""

    place: int
    name: str
    kept: bool
    is_this: bool


@dataclass(frozen=True, slots=True)
class Weighed:
    """A clause, and what it says of the thing that is explained (`keeps` None: it cannot know).

    `around` are those next to it in the order of a count, `counted` how many have a place there; `room` is how many
    newer ones it takes until this count does not keep it any more.
    """

    clause: str
    keeps: bool | None
    text: str
    parts: tuple["Weighed", ...] = ()
    place: int | None = None
    counted: int | None = None
    around: tuple[Place, ...] = ()
    room: int | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """The rule that decides, how it selects, and what its clauses say."""

    rule: str
    number: int
    selector: str
    claims: int
    weighed: Weighed


@dataclass(frozen=True, slots=True)
class Sharer:
    """Another tag of the same manifest, and whether it stays."""

    tag: str
    kept: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class Relation:
    """Another manifest that this one is bound to: `bond` says what the other one is to it."""

    bond: str
    digest: Digest
    tags: tuple[str, ...]
    is_here: bool
    kept: bool | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one tag or manifest. `tag` is None where a digest was asked for.

    `deletes` are the manifests that would go with it if its digest were deleted, itself first.
    """

    repository: str
    tag: str | None
    digest: Digest
    kind: str
    pushed: datetime | None
    created: datetime | None
    pulled: datetime | None
    kept: bool
    reason: Reason
    manifest_kept: bool
    manifest_reason: Reason
    policy: str | None
    unit: str
    claimed: Claimed | None
    shares: tuple[Sharer, ...]
    relations: tuple[Relation, ...]
    expiry: Expiry
    deletes: tuple[Digest, ...]


def explain(
    repository: Repository, policy: Policy, now: datetime, wanted: str | Digest, in_use: "InUse | None" = None
) -> Explanation:
    """Explain a tag, or a manifest by its digest. Raises KeyError where the repository has none such."""
    digest, tag = _find(repository, wanted)
    decided = decide_repository(repository, policy, now, in_use)
    kept, reason = verdict(decided, wanted)
    manifest = decided.manifests.get(digest)
    applying = policy.for_repository(repository.name)
    graph = Graph(repository)
    setting = Setting(now, policy.timezone, repository.pulls_since)
    candidate = _candidate(repository, digest, tag)
    decided_kept = {each: decision.kept for each, decision in decided.manifests.items()}
    found = repository.manifests.get(digest)
    return Explanation(
        repository=repository.name,
        tag=tag,
        digest=digest,
        kind=found.kind.value if found is not None else "unknown",
        pushed=candidate.pushed,
        created=candidate.created,
        pulled=candidate.pulled,
        kept=kept,
        reason=reason,
        manifest_kept=manifest.kept if manifest is not None else True,
        manifest_reason=manifest.reason if manifest is not None else reason,
        policy=applying.label if applying is not None else None,
        unit=(applying.unit if applying is not None else Unit.TAG).value,
        claimed=_claimed(repository, graph, policy, applying, setting, digest, tag),
        shares=tuple(
            Sharer(each.tag.name, each.kept, each.reason)
            for each in decided.tags
            if each.tag.digest == digest and each.tag.name != tag
        ),
        relations=tuple(_relations(repository, graph, digest, decided_kept)),
        expiry=expiry(repository, policy, now, wanted, in_use, decided),
        deletes=tuple(_deletes(repository, graph, digest)),
    )


def _find(repository: Repository, wanted: str | Digest) -> tuple[Digest, str | None]:
    if isinstance(wanted, Digest):
        if wanted not in repository.manifests:
            raise KeyError(wanted)
        return wanted, None
    for tag in repository.tags:
        if tag.name == wanted:
            return tag.digest, tag.name
    raise KeyError(wanted)


def _candidate(repository: Repository, digest: Digest, tag: str | None) -> Candidate:
    mine = [each for each in repository.tags if (each.name == tag if tag is not None else each.digest == digest)]
    if tag is not None:
        return Candidate.of_tag(repository, mine[0])
    return Candidate.of_image(repository, digest, mine, ())


def _claimed(
    repository: Repository,
    graph: Graph,
    policy: Policy,
    applying: RepositoryPolicy | None,
    setting: Setting,
    digest: Digest,
    tag: str | None,
) -> Claimed | None:
    """Return the rule that claims the thing, and each of its clauses weighed; None where no rule does."""
    if applying is None or not applying.enabled or not repository.is_complete:
        return None
    name = digest if applying.unit is Unit.IMAGE else tag
    for claim in claims_of(repository, graph, policy, applying, setting):
        for position in claim.decides:
            if claim.candidates[position].name == name:
                return _claim(claim, position, applying, setting)
    return None


def _claim(claim: Claim, position: int, applying: RepositoryPolicy, setting: Setting) -> Claimed:
    rule = claim.rule
    whole = replace(setting, selector=rule.selector, versions_only=rule.selects_versions)
    weighed = _weighed(rule.keep, claim.candidates, position, whole)
    number = next(i for i, each in enumerate(applying.rules, 1) if each is rule)
    return Claimed(rule.name, number, str(rule.selector), len(claim.decides), weighed)


def _weighed(clause: Clause, candidates: Sequence[Candidate], position: int, setting: Setting) -> Weighed:
    match clause:
        case AnyOf(clauses) | AllOf(clauses):
            parts = [_part(each, candidates, position, setting) for each in clauses]
        case Not(inner):
            parts = [_part(inner, candidates, position, setting)]
        case Newest() | Periods():
            return _counted(clause, candidates, position, setting)
        case _:
            # What no count is in, each candidate answers by itself.
            (mine,) = weigh(clause, candidates[position : position + 1], setting)
            return Weighed(clause_text(clause), mine.keeps, mine.text)
    mine = combined(clause, [outcome for _, outcome in parts])
    return Weighed(clause_text(clause), mine.keeps, mine.text, tuple(part for part, _ in parts))


def _part(clause: Clause, candidates: Sequence[Candidate], position: int, setting: Setting) -> tuple[Weighed, Outcome]:
    weighed = _weighed(clause, candidates, position, setting)
    return weighed, Outcome(weighed.keeps, "", weighed.text)


def _counted(clause: Newest | Periods, candidates: Sequence[Candidate], position: int, setting: Setting) -> Weighed:
    outcomes = weigh(clause, candidates, setting)
    mine = outcomes[position]
    among = () if clause.among is None else (_weighed(clause.among, candidates, position, setting),)
    if mine.place is None:
        return Weighed(clause_text(clause), mine.keeps, mine.text, among)
    places = _places(candidates, outcomes, mine)
    here = next(i for i, each in enumerate(places) if each.place == mine.place)
    return Weighed(
        clause_text(clause),
        mine.keeps,
        mine.text,
        among,
        mine.place,
        len(places),
        tuple(places[max(here - NEIGHBOURS, 0) : here + NEIGHBOURS + 1]),
        clause.count - mine.place + 1 if mine.keeps else None,
    )


def _places(candidates: Sequence[Candidate], outcomes: Sequence[Outcome], mine: Outcome) -> list[Place]:
    """Return what is counted together, in order; those that share a place (tags of one digest) together."""
    found: dict[int, tuple[list[str], bool]] = {}
    for candidate, outcome in zip(candidates, outcomes, strict=True):
        if outcome.place is not None and outcome.group == mine.group:
            names, kept = found.setdefault(outcome.place, ([], False))
            names.append(", ".join(candidate.tags) or candidate.digest.short)
            found[outcome.place] = (names, kept or outcome.keeps is True)
    return [
        Place(
            place,
            ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else ""),
            kept,
            place == mine.place,
        )
        for place, (names, kept) in sorted(found.items())
    ]


def _relations(repository: Repository, graph: Graph, digest: Digest, kept: dict[Digest, bool]) -> Iterator[Relation]:
    tags: dict[Digest, list[str]] = {}
    for tag in repository.tags:
        tags.setdefault(tag.digest, []).append(tag.name)

    def relation(bond: str, other: Digest) -> Relation:
        return Relation(bond, other, tuple(tags.get(other, ())), other in repository.manifests, kept.get(other))

    for need in graph.owners.get(digest, ()):
        if need.bond is not Bond.REFERRER and need.by in repository.manifests:
            yield relation("index", need.by)
    manifest = repository.manifests.get(digest)
    subjects = [manifest.subject.digest] if manifest is not None and manifest.subject is not None else []
    subjects += [graph.followers[name] for name in tags.get(digest, ()) if name in graph.followers]
    for subject in dict.fromkeys(subjects):
        yield relation("subject", subject)
    for other, bond in graph.bonds(digest):
        if bond is Bond.CHILD:
            yield relation("platform", other)
        elif bond is Bond.REFERRER:
            yield relation("referrer", other)


def _deletes(repository: Repository, graph: Graph, digest: Digest) -> Iterator[Digest]:
    """Yield what would go if this digest were deleted with its tags, and all else stayed: it, and what follows it."""
    following = graph.dependents([digest])
    others = [
        tag.digest
        for tag in repository.tags
        if tag.digest != digest and not (tag.name in graph.followers and tag.digest in following)
    ]
    others += [each for each in repository.manifests if each not in following]
    needed = graph.needed(others)
    for each in following:
        if each == digest or (each in repository.manifests and each not in needed):
            yield each
