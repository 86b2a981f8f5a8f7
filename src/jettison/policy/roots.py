"""Roots: the verdicts of what is decided by itself, before what it needs and what follows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from jettison.oci.digest import Digest
from jettison.oci.graph import Graph
from jettison.oci.inventory import Repository, Tag
from jettison.oci.manifest import Kind
from jettison.policy.candidate import Candidate, Outcome, Setting
from jettison.policy.claim import Claim, claim_images, claim_tags
from jettison.policy.clauses import weigh
from jettison.policy.decision import Reason, TagDecision
from jettison.policy.model import Policy, RepositoryPolicy, Unit
from jettison.policy.referrers import orphan_reason, orphans, weigh_referrers

_PROTECTED: Final = Reason("protected", "the policy protects this tag")
_PROTECTED_BESIDE: Final = Reason("protected", "the policy protects another tag of this image")
_UNTOLD: Final = Reason("untold", "its manifest could not be seen")
_NO_RULE: Final = Reason("no-rule", "no rule claims this tag")
_NO_RULE_FOR_IMAGE: Final = Reason("no-rule", "no rule claims this image")
_NO_POLICY: Final = Reason("no-policy", "no policy applies to this repository")
_UNTAGGED: Final = Reason("untagged", "untagged, and the policy does not mention untagged manifests")
_UNKNOWN: Final = Reason("unknown-manifest", "nobody knows what it needs")
_LEFT_OVER: Final = Reason("left-over", "an earlier run was interrupted before it deleted this")


def rule_reason(outcome: Outcome, rule: str, policy: str | None) -> Reason:
    """Return the reason that a rule gives."""
    return Reason(outcome.code, outcome.text, rule, policy)


@dataclass(slots=True)
class Roots:
    """The verdict of every tag but the followers', and of every manifest that stands by itself."""

    tags: dict[str, TagDecision] = field(default_factory=dict)
    kept: dict[Digest, Reason] = field(default_factory=dict)
    expired: dict[Digest, Reason] = field(default_factory=dict)

    @classmethod
    def decide(
        cls,
        repository: Repository,
        graph: Graph,
        policy: Policy,
        applying: RepositoryPolicy | None,
        setting: Setting,
        used: Mapping[str, str],
    ) -> "Roots":
        """Decide. `used` tells where the tags and digests in use are so; they are kept, and counted as any other."""
        deciding = _Deciding(repository, graph, policy, applying, setting, used)
        deciding.decide()
        roots = cls(deciding.tags)
        # By name, so that of several tags always the same one gives the manifest's reason; sources list them so anyway.
        for name in sorted([tag.name for tag in repository.tags]):
            decision = deciding.tags.get(name)
            if decision is not None and not deciding.leaves_its_image(decision.tag):
                (roots.kept if decision.kept else roots.expired)[decision.tag.digest] = decision.reason
        for digest, (kept, reason) in deciding.alone.items():
            (roots.kept if kept else roots.expired)[digest] = reason
        for name, where in used.items():
            manifest = repository.manifests.get(name)  # type: ignore[call-overload]  # a tag is no digest, and finds none
            if manifest is not None:
                roots.kept.setdefault(manifest.digest, _in_use(where))
        for tag in repository.tags:
            if tag.name in used:  # a follower's too, which has no verdict of its own
                roots.kept.setdefault(tag.digest, _in_use(used[tag.name]))
        return roots


def claims_of(
    repository: Repository, graph: Graph, policy: Policy, applying: RepositoryPolicy, setting: Setting
) -> list[Claim]:
    """Return what each rule of `applying` claims in the repository, for explaining a decision."""
    return _Deciding(repository, graph, policy, applying, setting, {}).claims(applying)


class _Deciding:
    """The work of `Roots.decide`."""

    def __init__(
        self,
        repository: Repository,
        graph: Graph,
        policy: Policy,
        applying: RepositoryPolicy | None,
        setting: Setting,
        used: Mapping[str, str],
    ) -> None:
        self._repository = repository
        self._graph = graph
        self._policy = policy
        self._applying = applying
        self._setting = setting
        self._used = used
        self._images_outlive_tags = applying is not None and applying.images_outlive_tags
        self.tags: dict[str, TagDecision] = {}
        self.alone: dict[Digest, tuple[bool, Reason]] = {}

    def decide(self) -> None:
        """Fill `tags` and `alone`."""
        self._decide_orphans()
        by_image = self._applying is not None and self._applying.unit is Unit.IMAGE
        free = self._free_tags(by_image=by_image)
        if self._applying is None:
            self.tags.update({tag.name: TagDecision(tag, True, _NO_POLICY) for tag in free})
        elif by_image:
            self._decide_images(self._applying, free)
        else:
            self._decide_tags(self._applying, free)
        self._decide_untagged()
        if self._used:
            self._keep_used(by_image=by_image)

    def claims(self, applying: RepositoryPolicy) -> list[Claim]:
        """Return what each rule claims, without deciding it."""
        self._decide_orphans()
        by_image = applying.unit is Unit.IMAGE
        free = self._free_tags(by_image=by_image)
        if by_image:
            return claim_images(self._repository, applying.rules, self._images(free))[0]
        return claim_tags(self._repository, applying.rules, free)[0]

    def _images(self, free: list[Tag]) -> dict[Digest, list[Tag]]:
        """Return the images that rules decide, each with its tags."""
        images: dict[Digest, list[Tag]] = {}
        for tag in free:
            images.setdefault(tag.digest, []).append(tag)
        return images | {digest: [] for digest in self._untagged() if digest not in self.alone}

    def _free_tags(self, *, by_image: bool) -> list[Tag]:
        """Return the tags that rules decide; give the others but the followers their verdict."""
        free: list[Tag] = []
        verdicts = self.tags
        manifests, followers = self._repository.manifests, self._graph.followers
        protects = self._policy.protects
        protected: set[Digest] = set()
        for tag in self._repository.tags:
            manifest = manifests.get(tag.digest)
            if protects(tag.name):
                verdicts[tag.name] = TagDecision(tag, True, _PROTECTED)
                protected.add(tag.digest)
            elif manifest is None:
                verdicts[tag.name] = TagDecision(tag, True, _UNTOLD)
            elif manifest.kind is Kind.UNKNOWN:
                text = f"its type, {manifest.media_type or 'none'}, is unknown here, and so is what it needs"
                verdicts[tag.name] = TagDecision(tag, True, Reason("unknown-manifest", text))
            elif tag.name not in followers:
                free.append(tag)
        if not by_image or not protected:
            return free
        verdicts.update(
            {tag.name: TagDecision(tag, True, _PROTECTED_BESIDE) for tag in free if tag.digest in protected}
        )
        return [tag for tag in free if tag.digest not in protected]

    def _decide_tags(self, applying: RepositoryPolicy, free: list[Tag]) -> None:
        claims, unclaimed = claim_tags(self._repository, applying.rules, free)
        verdicts, policy = self.tags, applying.name
        for tag in unclaimed:
            verdicts[tag.name] = TagDecision(tag, True, _NO_RULE)
        by_name = {tag.name: tag for tag in free}
        for claim in claims:
            rule = claim.rule.name
            for candidate, outcome in claim.outcomes(self._setting):
                name = candidate.name
                reason = Reason(outcome.code, outcome.text, rule, policy)
                verdicts[name] = TagDecision(by_name[name], outcome.keeps is not False, reason)

    def _decide_images(self, applying: RepositoryPolicy, free: list[Tag]) -> None:
        images = self._images(free)
        claims, unclaimed = claim_images(self._repository, applying.rules, images)
        for digest in unclaimed:
            self._take(digest, images[digest], True, _NO_RULE_FOR_IMAGE if images[digest] else _UNTAGGED)
        for claim in claims:
            for candidate, outcome in claim.outcomes(self._setting):
                reason = rule_reason(outcome, claim.rule.name, applying.name)
                self._take(candidate.digest, images[candidate.digest], outcome.keeps is not False, reason)

    def _take(self, digest: Digest, tags: list[Tag], kept: bool, reason: Reason) -> None:
        if not tags:
            self.alone[digest] = (kept, reason)
        for tag in tags:
            self.tags[tag.name] = TagDecision(tag, kept, reason)

    def _untagged(self) -> list[Digest]:
        """Return every manifest that has no tag, or loses its last one, and belongs to no other manifest."""
        manifests, owners = self._repository.manifests, self._graph.owners
        tagged = {tag.digest for tag in self._repository.tags if not self.leaves_its_image(tag)}
        if len(tagged) >= len(manifests) and manifests.keys() <= tagged:
            return []
        return [
            digest
            for digest in manifests
            if digest not in tagged and not any(need.by in manifests for need in owners.get(digest, ()))
        ]

    def leaves_its_image(self, tag: Tag) -> bool:
        """Whether a tag goes and its image does not go with it. One in use stays after all."""
        if not self._images_outlive_tags or tag.name in self._graph.followers:
            return False
        if tag.name in self._used or tag.digest in self._used:
            return False
        return tag.name in self.tags and not self.tags[tag.name].kept

    def _decide_untagged(self) -> None:
        """Decide what has no tag and belongs to no other manifest, as far as no rule did."""
        repository, applying = self._repository, self._applying
        alone = self._untagged()
        if self._images_outlive_tags:  # a referrer that loses its tag is no matter of `untagged`: the next run knows it
            subjects = {digest: repository.manifests[digest].subject for digest in alone}
            self.alone |= {
                digest: (True, orphan_reason(subject.digest))
                for digest, subject in subjects.items()
                if subject is not None and digest not in self.alone
            }
        open_ = [digest for digest in alone if digest not in self.alone]
        verdicts = dict.fromkeys(open_, (True, _UNTAGGED))
        if applying is not None and applying.untagged is not None:
            candidates = [Candidate.of_image(repository, digest, (), ()) for digest in open_]
            outcomes = weigh(applying.untagged, candidates, self._setting)
            verdicts = {
                digest: (outcome.keeps is not False, rule_reason(outcome, "untagged", applying.name))
                for digest, outcome in zip(open_, outcomes, strict=True)
            }
        self.alone |= verdicts
        for digest in alone:
            if repository.manifests[digest].kind is Kind.UNKNOWN:
                self.alone[digest] = (True, _UNKNOWN)
            elif digest in repository.leftovers:
                self.alone[digest] = (False, _LEFT_OVER)

    def _decide_orphans(self) -> None:
        """Decide the referrers whose subject is not here: they stay, unless the policy says more."""
        repository, applying = self._repository, self._applying
        found = orphans(repository, self._graph)
        if not found:
            return
        verdicts = {digest: (True, orphan_reason(subject)) for digest, subject in found.items()}
        if applying is not None and applying.referrers.orphaned is not None:
            outcomes = weigh_referrers(applying.referrers.orphaned, repository, self._graph, found, self._setting)
            verdicts = {
                digest: (outcome.keeps is not False, rule_reason(outcome, "referrers", applying.name))
                for digest, outcome in outcomes.items()
            }
        tagged = {tag.digest for tag in repository.tags}
        self.alone |= {digest: verdict for digest, verdict in verdicts.items() if digest not in tagged}
        for tag in repository.tags:
            if tag.name in self._graph.followers and tag.digest in verdicts:
                kept, reason = verdicts[tag.digest]
                self.tags[tag.name] = TagDecision(tag, kept, reason)

    def _keep_used(self, *, by_image: bool) -> None:
        """Keep what is in use, whatever was decided; of an image that is decided as one, every tag."""
        used = self._used
        where_of_image: dict[Digest, str] = {}
        if by_image:
            for tag in self._repository.tags:
                if tag.name in used:
                    where_of_image.setdefault(tag.digest, used[tag.name])
        for name, decision in self.tags.items():
            tag = decision.tag
            where = used.get(name) or used.get(tag.digest) or where_of_image.get(tag.digest)
            if where is not None and decision.reason.code != "protected":
                self.tags[name] = TagDecision(tag, True, _in_use(where))
        for digest in self.alone:
            if digest in used:
                self.alone[digest] = (True, _in_use(used[digest]))


def _in_use(where: str) -> Reason:
    return Reason("in-use", f"in use: {where}")
