"""Claim: which rule decides what, and what its counts look at."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository, Tag
from jettison.policy.candidate import Candidate, Outcome, Setting
from jettison.policy.clauses import weigh
from jettison.policy.model import Counts, Rule


@dataclass(slots=True)
class Claim:
    """A rule, the candidates that its counts look at, and the positions of those that it decides.

    They are all of them, unless the rule's counts also look at what an earlier rule claimed.
    """

    rule: Rule
    candidates: list[Candidate] = field(default_factory=list)
    decides: list[int] = field(default_factory=list)

    def weigh(self, setting: Setting) -> list[Outcome]:
        """Return what the rule's clause says of each candidate. `setting` is that of the moment, without a rule's."""
        whole = Setting(
            setting.now, setting.timezone, setting.pulls_since, self.rule.selector, self.rule.selects_versions
        )
        return weigh(self.rule.keep, self.candidates, whole)

    def outcomes(self, setting: Setting) -> Iterable[tuple[Candidate, Outcome]]:
        """Return what the rule decides, and how."""
        outcomes = self.weigh(setting)
        return [(self.candidates[position], outcomes[position]) for position in self.decides]

    def add(self, candidate: Candidate, *, is_claimed: bool) -> None:
        """Let the counts look at a candidate, and decide it where the rule claims it."""
        if is_claimed:
            self.decides.append(len(self.candidates))
        self.candidates.append(candidate)


def claim_tags(repository: Repository, rules: Sequence[Rule], tags: Iterable[Tag]) -> tuple[list[Claim], list[Tag]]:
    """Give each of `tags` to the first rule that claims it; return the rules' claims, and the tags that none claims."""
    claims = [Claim(rule) for rule in rules]
    unclaimed: list[Tag] = []
    see_all = [claim for claim in claims if claim.rule.counts is Counts.MATCHING]
    tests = [(claim, _test(claim.rule)) for claim in claims]
    new = Candidate.of_tag
    for tag in tags:
        name = tag.name
        for claim, test in tests:
            if test(name):
                claim.decides.append(len(claim.candidates))
                claim.candidates.append(new(repository, tag))
                break
        else:
            unclaimed.append(tag)
            continue
        for other in see_all:
            if other is not claim and other.rule.claims(name):
                other.add(new(repository, tag), is_claimed=False)
    return [claim for claim in claims if claim.decides], unclaimed


def _test(rule: Rule) -> Callable[[str], bool]:
    """Return the test whether a rule claims a tag, as short as it can be: each tag of a registry goes through it."""
    if any(pattern.matches_all for pattern in rule.tags):
        return _always
    return rule.tags[0].matches if len(rule.tags) == 1 else rule.claims


def _always(tag: str) -> bool:
    return bool(tag)


def claim_images(
    repository: Repository, rules: Sequence[Rule], images: Mapping[Digest, Sequence[Tag]]
) -> tuple[list[Claim], list[Digest]]:
    """Give each image, with its tags, to the first rule that claims it; return the claims, and what none claims."""
    claims = [Claim(rule) for rule in rules]
    unclaimed: list[Digest] = []
    for digest, tags in images.items():
        names = tuple(tag.name for tag in tags)
        owner: Claim | None = None
        for claim in claims:
            if owner is not None and claim.rule.counts is Counts.CLAIMED:
                continue
            if claim.rule.claims_image(names):
                matched = tuple(name for name in names if claim.rule.claims(name)) or names
                claim.add(Candidate.of_image(repository, digest, tags, matched), is_claimed=owner is None)
                owner = owner or claim
        if owner is None:
            unclaimed.append(digest)
    return [claim for claim in claims if claim.decides], unclaimed
