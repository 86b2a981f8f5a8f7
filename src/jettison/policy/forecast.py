"""Forecast: what a policy will let go when time passes and nothing is pushed or pulled.

Only ages change then, so a repository need be decided again only when something in it comes to an age that the policy
names. Each time it is decided as a run at that moment would, and what went is gone for the next time: it frees no place
in a count that does not look at it, but it does in others (`all: [{newest: 20}, {within: 90d}]`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository
from jettison.policy.clause import AllOf, Clause, Newest, Not, Periods, PulledWithin, Within, with_inner
from jettison.policy.decision import Reason, RepositoryDecisions
from jettison.policy.evaluate import decide_repository
from jettison.policy.model import Policy, RepositoryPolicy

if TYPE_CHECKING:
    from jettison.policy.in_use import InUse

_JUST_AFTER: Final = timedelta(seconds=1)
"""What is kept at an age, too, goes right after it."""
_LONGEST: Final = timedelta(days=200 * 365)
"""No expiry is foretold that lies further ahead."""
MOST_DECIDED: Final = 5_000_000
"""How many tags the search for one expiry may decide in all: about a minute."""


@dataclass(frozen=True, slots=True)
class Going:
    """What a run at `moment` would delete in a repository: `decisions` has it, with the reasons."""

    moment: datetime
    decisions: RepositoryDecisions


@dataclass(frozen=True, slots=True)
class Expiry:
    """When something expires. `moment` is None where it never does by time alone, and `reason` then why it stays.

    `is_known`: False where that took too long to find out, or hangs on what others do at each run.
    """

    moment: datetime | None
    reason: Reason
    is_known: bool = True


def clauses_of(policy: RepositoryPolicy) -> Iterator[Clause]:
    """Yield every clause of a policy, and all that are inside of them."""
    tops = [rule.keep for rule in policy.rules]
    for top in (*tops, *policy.clauses_beside_rules):
        yield from with_inner(top)


def ages_of(clauses: Iterable[Clause]) -> frozenset[timedelta]:
    """Return the ages at which what these clauses say may change."""
    found: set[timedelta] = set()
    for each in clauses:
        if isinstance(each, Within | PulledWithin):
            found.add(each.age + _JUST_AFTER if each.inclusive else each.age)
    return frozenset(found)


def _dates(repository: Repository, digests: Iterable[Digest], names: Iterable[str]) -> Iterator[datetime]:
    """Yield every date of these manifests and tags that a clause may ask for."""
    for digest in digests:
        for date in (repository.pushed.get(digest), repository.created(digest), repository.pulled.get(digest)):
            if date is not None:
                yield date
    wanted = set(names)
    for tag in repository.tags:
        if tag.name in wanted:
            for date in (tag.pushed, repository.pulled.get(tag.name)):
                if date is not None:
                    yield date
    if repository.pulls_since is not None:
        yield repository.pulls_since


def _turns(dates: Iterable[datetime], ages: Iterable[timedelta], now: datetime, until: datetime) -> set[datetime]:
    """Return the moments from `now` to `until` at which one of the dates comes to one of the ages."""
    spans = tuple(ages)
    return {date + span for date in set(dates) for span in spans if now - date < span <= until - date}


def foretell(
    repository: Repository,
    policy: Policy,
    now: datetime,
    until: datetime,
    step: timedelta,
    in_use: "InUse | None" = None,
) -> Iterator[Going]:
    """Yield what runs at `now`, then every `step`, and at `until` would delete; a run without work is left out."""
    steps = _steps(repository, policy, now, until, step)
    left = repository
    for number in steps:
        moment = min(now + number * step, until)
        decided = decide_repository(left, policy, moment, in_use)
        if decided.order or any(not each.kept for each in decided.tags):
            yield Going(moment, decided)
            left = without(decided)


def _steps(repository: Repository, policy: Policy, now: datetime, until: datetime, step: timedelta) -> list[int]:
    """Return the runs, by their numbers, at which something may have changed; the one at `now` is among them."""
    applying = policy.for_repository(repository.name)
    steps = {0}
    if applying is not None and applying.enabled:
        dates = _dates(repository, repository.manifests, (tag.name for tag in repository.tags))
        steps |= {-((now - turn) // step) for turn in _turns(dates, ages_of(clauses_of(applying)), now, until)}
    return sorted(number for number in steps if not number or now + (number - 1) * step < until)


def without(decided: RepositoryDecisions) -> Repository:
    """Return the repository as it is when all that was decided to go is gone."""
    repository = decided.repository
    return replace(
        repository,
        tags=tuple(each.tag for each in decided.tags if each.kept),
        manifests={
            digest: manifest
            for digest, manifest in repository.manifests.items()
            if (decision := decided.manifests.get(digest)) is None or decision.kept
        },
        leftovers=frozenset(),
    )


def expiry(
    repository: Repository,
    policy: Policy,
    now: datetime,
    wanted: str | Digest,
    in_use: "InUse | None" = None,
    decided: RepositoryDecisions | None = None,
) -> Expiry:
    """Return when a tag, or a manifest by its digest, expires if nothing is pushed, pulled or deleted by hand.

    Where a policy's clauses stand side by side only the dates of the thing itself matter. Where they are composed
    (`all`, `not`, `among`) what others do matters too, and every day is played.
    """
    decided = decided or decide_repository(repository, policy, now, in_use)
    kept, reason = verdict(decided, wanted)
    if not kept:
        return Expiry(now, reason)
    applying = policy.for_repository(repository.name)
    if applying is None or not applying.enabled:
        return Expiry(None, reason)
    clauses = list(_clauses_for(wanted, reason, applying))
    ages = ages_of(clauses)
    if not ages:
        return Expiry(None, reason, is_known=not any(map(_hangs_on_others, clauses)))
    composed = any(
        isinstance(each, AllOf | Not) or (isinstance(each, Newest | Periods) and each.among is not None)
        for each in clauses
    )
    if composed:
        return _played(repository, policy, now, wanted, in_use, reason)
    digest = next((tag.digest for tag in repository.tags if tag.name == wanted), None)
    related = _related(repository, digest if digest is not None else Digest(wanted))
    names = [tag.name for tag in repository.tags if tag.name == wanted or tag.digest in related]
    dates = list(_dates(repository, related, names))
    for moment in sorted(_turns(dates, ages, now, _latest(dates, ages, now))):
        kept, why = verdict(decide_repository(repository, policy, moment, in_use), wanted)
        if not kept:
            return Expiry(moment, why)
    return Expiry(None, reason)


def _hangs_on_others(clause: Clause) -> bool:
    """Whether a clause may cease to keep something because others go: it keeps those beyond a count, or among them."""
    match clause:
        case Not(inner) | Newest(among=inner) | Periods(among=inner) if inner is not None:
            return any(isinstance(each, Newest | Periods) for each in with_inner(inner))
    return False


def _clauses_for(wanted: str | Digest, reason: Reason, applying: RepositoryPolicy) -> Iterator[Clause]:
    """Yield the clauses on which the fate of a thing depends: those of the rule that decides a tag, else all."""
    for rule in applying.rules:
        if rule.name == reason.rule and not isinstance(wanted, Digest):
            yield from with_inner(rule.keep)
            return
    yield from clauses_of(applying)


def _latest(dates: Iterable[datetime], ages: Iterable[timedelta], now: datetime) -> datetime:
    """Return when the last of these dates has come to the last of these ages."""
    return max((now, *dates)) + min(max(ages), _LONGEST) + timedelta(days=2)


def _played(
    repository: Repository,
    policy: Policy,
    now: datetime,
    wanted: str | Digest,
    in_use: "InUse | None",
    reason: Reason,
) -> Expiry:
    applying = policy.for_repository(repository.name)
    ages = ages_of(clauses_of(applying)) if applying is not None else frozenset()
    dates = _dates(repository, repository.manifests, (tag.name for tag in repository.tags))
    latest = _latest(dates, ages, now)
    day = timedelta(days=1)
    if len(_steps(repository, policy, now, latest, day)) * len(repository.tags) > MOST_DECIDED:
        return Expiry(None, reason, is_known=False)
    for going in foretell(repository, policy, now, latest, day, in_use):
        kept, why = verdict(going.decisions, wanted)
        if not kept:
            return Expiry(going.moment, why)
    return Expiry(None, reason)


def _related(repository: Repository, digest: Digest) -> set[Digest]:
    """Return a manifest, and those around it on which its own fate may depend."""
    from jettison.oci.graph import Graph

    graph = Graph(repository)
    found = {digest}
    waiting = [digest]
    while waiting:
        each = waiting.pop()
        around = [need.by for need in graph.owners.get(each, ())] + [other for other, _ in graph.bonds(each)]
        fresh = [other for other in around if other not in found]
        found.update(fresh)
        waiting.extend(fresh)
    return found


def verdict(decided: RepositoryDecisions, wanted: str | Digest) -> tuple[bool, Reason]:
    """Return whether a tag (by its name) or a manifest (by its digest) stays, and why."""
    if isinstance(wanted, Digest):
        decision = decided.manifests[wanted]
        return decision.kept, decision.reason
    found = next(each for each in decided.tags if each.tag.name == wanted)
    return found.kept, found.reason
