"""What outlives its tag, its index or its subject, where a policy says so."""

from datetime import datetime, timedelta

import pytest

from jettison.errors import ConfigurationError
from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository
from jettison.policy.decision import RepositoryDecisions
from jettison.policy.evaluate import decide_repository
from jettison.policy.forecast import foretell
from jettison.policy.in_use import InUse
from jettison.policy.parse import parse_policy
from jettison.testing.built import BuiltManifest
from jettison.testing.images import artifact, image, index, signature_of, signature_tag
from jettison.testing.inventories import NOW, repository

RULE = "rules: [{tags: '*', keep: {within: 7d}}]"
YOUNG, OLD = NOW - timedelta(days=1), NOW - timedelta(days=30)


def stored(
    tags: dict[str, BuiltManifest], *untagged: BuiltManifest, young: tuple[BuiltManifest, ...] = ()
) -> Repository:
    """Return a repository in which all is old but what is `young`; tags are as old as what they name."""
    made = repository("team/app", tags, untagged=untagged)
    recent = {each.digest for each in young}
    pushed = {digest: YOUNG if digest in recent else OLD for digest in made.manifests}
    dated = repository("team/app", tags, untagged=untagged, pushed={tag: pushed[tags[tag].digest] for tag in tags})
    return Repository(dated.name, dated.tags, dated.manifests, dated.facts, pushed=pushed)


def decided(repo: Repository, more: str, rule: str = RULE, in_use: InUse | None = None) -> RepositoryDecisions:
    return decide_repository(
        repo, parse_policy(f"policies: [{{repositories: '**', {rule}, {more}}}]", "p"), NOW, in_use
    )


def gone(decisions: RepositoryDecisions) -> set[Digest]:
    return set(decisions.order)


def test_a_young_platform_outlives_its_index() -> None:
    young, old = image(seed="young"), image(seed="old")
    top = index([young, old])
    signature = signature_of(young.digest)
    repo = stored({"1.0": top, signature_tag(young.digest): signature}, young=(young,))
    assert gone(decided(repo, "enabled: true")) == {top.digest, young.digest, old.digest, signature.digest}
    decisions = decided(repo, "platforms: {of_expired: {keep: {within: 7d}}}")
    assert decisions.order == (top.digest, old.digest)
    assert decisions.manifests[young.digest].reason.rule == "platforms"
    assert [each.tag.name for each in decisions.tags if each.kept] == [signature_tag(young.digest)]


def test_what_a_spared_platform_needs_stays_though_it_is_old() -> None:
    leaf = image(seed="leaf")
    inner = index([leaf], annotations={"name": "inner"})
    top = index([inner])
    repo = stored({"1.0": top}, young=(inner,))
    assert gone(decided(repo, "platforms: {of_expired: {keep: {within: 7d}}}")) == {top.digest}


def test_a_platform_of_two_indexes_goes_with_neither_while_one_stays() -> None:
    shared = image(seed="shared")
    going, staying = index([shared]), index([shared], annotations={"name": "staying"})
    repo = stored({"1.0": going, "2.0": staying}, young=(staying,))
    assert gone(decided(repo, "platforms: {of_expired: {keep: {nothing: true}}}")) == {going.digest}


def test_an_index_that_refers_to_its_own_child_keeps_its_other_platforms() -> None:
    child, other = image(seed="child"), image(seed="other")
    top = index([child, other], subject=child)
    repo = stored({"amd64": other}, top)
    decisions = decided(repo, "enabled: true")
    assert [each.tag.name for each in decisions.tags if not each.kept] == ["amd64"]
    assert gone(decisions) == set()
    assert decisions.manifests[other.digest].reason.code == "child-of-kept"


def test_a_referrer_outlives_its_subject_and_does_not_hold_it() -> None:
    subject = image(seed="subject")
    young, old = artifact([b"young"], subject=subject), artifact([b"old"], subject=subject)
    of_young = artifact([b"of the young one"], subject=young)
    repo = stored({"1.0": subject}, young, old, of_young, young=(young,))
    assert gone(decided(repo, "enabled: true")) == {each.digest for each in (subject, young, old, of_young)}
    decisions = decided(repo, "referrers: {of_expired: {keep: {within: 7d}}}")
    assert decisions.order == (subject.digest, old.digest)
    assert decisions.manifests[young.digest].reason.rule == "referrers"
    assert decisions.manifests[of_young.digest].reason.code == "referrer-of-kept"


def test_a_signature_outlives_its_subject_with_its_tag() -> None:
    subject = image(seed="subject")
    signature = signature_of(subject.digest)
    repo = stored({"1.0": subject, signature_tag(subject.digest): signature})
    decisions = decided(repo, "referrers: {of_expired: {keep: {everything: true}}}")
    assert decisions.order == (subject.digest,)
    assert [each.tag.name for each in decisions.tags if each.kept] == [signature_tag(subject.digest)]


def test_what_is_both_platform_and_referrer_stays_where_one_of_them_says_so() -> None:
    subject = image(seed="subject")
    sbom = artifact([b"sbom"], subject=subject)
    listing = index([sbom])
    repo = stored({"1.0": subject, "listing": listing})
    nothing, everything = "{keep: {nothing: true}}", "{keep: {everything: true}}"
    both = "platforms: {{of_expired: {}}}, referrers: {{of_expired: {}}}"
    assert sbom.digest in gone(decided(repo, both.format(nothing, nothing)))
    assert sbom.digest not in gone(decided(repo, both.format(nothing, everything)))
    assert sbom.digest not in gone(decided(repo, both.format(everything, nothing)))


def test_an_image_outlives_its_tags_and_is_untagged_then() -> None:
    young, old, shared = image(seed="young"), image(seed="old"), image(seed="shared")
    repo = stored({"a": young, "b": old, "c": shared, "keep": shared}, young=(young,))
    rule = "rules: [{tags: keep, keep: {everything: true}}, {tags: '*', keep: {nothing: true}}]"
    decisions = decided(repo, "images_outlive_tags: true", rule)
    assert [each.tag.name for each in decisions.tags if not each.kept] == ["a", "b", "c"]
    assert gone(decisions) == set()
    assert decisions.manifests[old.digest].reason.code == "untagged"
    decisions = decided(repo, "images_outlive_tags: true, untagged: {keep: {within: 7d}}", rule)
    assert [each.tag.name for each in decisions.tags if not each.kept] == ["a", "b", "c"]
    assert gone(decisions) == {old.digest}


def test_what_belongs_to_an_image_that_outlives_its_tag_stays() -> None:
    platform = image(seed="platform")
    top = index([platform])
    sbom = artifact([b"sbom"], subject=top)
    repo = stored({"1.0": top, "amd64": platform}, sbom)
    decisions = decided(repo, "images_outlive_tags: true")
    assert [each.tag.name for each in decisions.tags if each.kept] == []
    assert gone(decisions) == set()
    # An old platform whose tag goes is a platform like any other.
    decisions = decided(repo, "images_outlive_tags: true, untagged: {keep: {within: 7d}}")
    assert gone(decisions) == {top.digest, platform.digest, sbom.digest}
    assert gone(
        decided(
            repo,
            "images_outlive_tags: true, untagged: {keep: {within: 7d}}, platforms: {of_expired: {keep: {within: 60d}}}",
        )
    ) == {top.digest, sbom.digest}


def test_a_referrer_without_its_subject_that_loses_its_tag_is_no_matter_of_untagged() -> None:
    stranger = image(seed="stranger")
    sbom, signature = artifact([b"sbom"], subject=stranger), signature_of(stranger.digest)
    repo = stored({"sbom": sbom, signature_tag(stranger.digest): signature})
    more = "images_outlive_tags: true, untagged: {keep: {nothing: true}}"
    decisions = decided(repo, more)
    assert [each.tag.name for each in decisions.tags if not each.kept] == ["sbom"]
    assert gone(decisions) == set()
    assert decisions.manifests[sbom.digest].reason.code == "orphan-referrer"
    orphaned = f"{more}, referrers: {{orphaned: {{keep: {{nothing: true}}}}}}"
    assert gone(decided(repo, orphaned)) == {signature.digest}


def test_use_keeps_an_image_that_would_lose_its_tag() -> None:
    used = image(seed="used")
    repo = stored({"1.0": used})
    more = "images_outlive_tags: true, untagged: {keep: {nothing: true}}"
    assert gone(decided(repo, more)) == {used.digest}
    for name in ("1.0", used.digest):
        decisions = decided(repo, more, in_use=InUse({"team/app": {name: "container web"}}))
        assert (gone(decisions), [each.kept for each in decisions.tags]) == (set(), [True])


def test_forecasts_play_what_is_spared_until_its_time_comes() -> None:
    young = image(seed="young")
    top = index([young])
    repo = stored({"1.0": top}, young=(young,))
    text = f"{RULE}, platforms: {{of_expired: {{keep: {{within: 7d}}}}}}, untagged: {{keep: {{within: 7d}}}}"
    policy = parse_policy(f"policies: [{{repositories: '**', {text}}}]", "p")
    moments: dict[Digest, datetime] = {}
    for going in foretell(repo, policy, NOW, NOW + timedelta(days=30), timedelta(days=1)):
        moments |= dict.fromkeys(going.decisions.order, going.moment)
    assert moments == {top.digest: NOW, young.digest: NOW + timedelta(days=6)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("unit: image, images_outlive_tags: true", "an image and its tags go together"),
        ("images_outlive_tags: perhaps", "true or false"),
        ("platforms: {of_kept: {keep: {nothing: true}}}", "of_kept"),
        ("platforms: {of_expired: {}}", "`keep` is missing"),
    ],
)
def test_mistakes(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        parse_policy(f"policies: [{{repositories: '**', {RULE}, {text}}}]", "p")


def test_what_only_spares_does_nothing() -> None:
    for text in ("platforms: {of_expired: {keep: {within: 1d}}}", "referrers: {of_expired: {keep: {within: 1d}}}"):
        with pytest.raises(ConfigurationError, match="it would do nothing"):
            parse_policy(f"policies: [{{repositories: '**', {text}}}]", "p")


def test_a_platform_whose_subject_is_elsewhere_stays_when_its_index_and_tag_go() -> None:
    lost = artifact(subject=image(seed="elsewhere"))
    plain = image(seed="plain")
    top = index([lost, plain])
    repo = stored({"1.0": lost}, top)
    more = "images_outlive_tags: true, untagged: {keep: {within: 7d}}, platforms: {of_expired: {keep: {within: 7d}}}"
    decisions = decided(repo, more)
    assert (gone(decisions), [each.kept for each in decisions.tags]) == ({top.digest, plain.digest}, [False])
    assert decisions.manifests[lost.digest].reason.code == "orphan-referrer"
