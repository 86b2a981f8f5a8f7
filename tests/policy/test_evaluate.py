"""Decisions: who stays and who goes, and why. Each case is a repository that somebody has."""

from datetime import timedelta

import pytest

from jettison.oci.inventory import Problem, Repository
from jettison.policy.decision import RepositoryDecisions
from jettison.policy.evaluate import decide_repository
from jettison.policy.model import Policy, keep_newest_versions
from jettison.policy.parse import parse_policy
from jettison.testing.images import artifact, image, index, referrers_tag, signature_of, signature_tag
from jettison.testing.inventories import NOW, repository


def policy(rules: str, more: str = "") -> Policy:
    return parse_policy(f"policies: [{{repositories: ['**'], rules: {rules}}}]\n{more}", "policy")


def decided(repo: Repository, by: Policy) -> RepositoryDecisions:
    return decide_repository(repo, by, NOW)


def gone(decisions: RepositoryDecisions) -> list[str]:
    """Return the tags that expire."""
    return [each.tag.name for each in decisions.tags if not each.kept]


def code(decisions: RepositoryDecisions, tag: str) -> str:
    return next(each.reason.code for each in decisions.tags if each.tag.name == tag)


def images(*tags: str, days_old: dict[str, int] | None = None) -> dict[str, object]:
    ages = days_old or {}
    return {tag: image(seed=tag, created=NOW - timedelta(days=ages[tag]) if tag in ages else None) for tag in tags}


def test_the_newest_versions_stay_and_other_tags_are_left_alone() -> None:
    repo = repository("app", images("1.9.0", "1.10.0", "1.2.3", "latest", "main-1a2b3c4"))  # type: ignore[arg-type]
    decisions = decided(repo, keep_newest_versions(2))
    assert gone(decisions) == ["1.2.3"]
    assert code(decisions, "latest") == "no-rule"
    assert code(decisions, "1.10.0") == "newest"
    assert code(decisions, "1.2.3") == "not-newest"


def test_a_pre_release_comes_before_its_release() -> None:
    repo = repository("app", images("1.10.0-rc.1", "1.10.0", "1.9.0"))  # type: ignore[arg-type]
    assert gone(decided(repo, keep_newest_versions(1))) == ["1.10.0-rc.1", "1.9.0"]


def test_variants_are_lines_of_their_own() -> None:
    repo = repository("app", images("1.0-alpine", "1.1-alpine", "1.0", "2.0", "1.0-slim"))  # type: ignore[arg-type]
    assert gone(decided(repo, keep_newest_versions(1))) == ["1.0", "1.0-alpine"]


def test_newest_counts_digests_not_tags() -> None:
    one, two, three = (image(seed=each) for each in range(3))
    repo = repository("app", {"1.0": one, "2.0": two, "2": two, "2.0.0": two, "3.0": three, "3.0.0": three})
    assert gone(decided(repo, keep_newest_versions(2))) == ["1.0"]


def test_an_old_version_on_a_kept_digest_stays_with_it() -> None:
    shared, other = image(seed="shared"), image(seed="other")
    repo = repository("app", {"1.0": shared, "1.5": other, "2.0": shared})
    assert gone(decided(repo, keep_newest_versions(1))) == ["1.5"]


def test_latest_keeps_the_digest_of_an_old_version() -> None:
    old, new = image(seed="old"), image(seed="new")
    decisions = decided(repository("app", {"1.0": old, "latest": old, "2.0": new}), keep_newest_versions(1))
    assert gone(decisions) == ["1.0"]
    assert decisions.manifests[old.digest].kept
    assert decisions.order == ()


def test_children_of_a_kept_index_stay_though_their_own_tag_expires() -> None:
    child = image(seed="child")
    multi = index([child, image(seed="other", platform="linux/arm64")])
    decisions = decided(repository("app", {"1.0": child, "2.0": multi}), keep_newest_versions(1))
    assert gone(decisions) == ["1.0"]
    assert decisions.manifests[child.digest].kept
    assert decisions.manifests[child.digest].reason.code == "child-of-kept"


def test_an_expired_index_goes_before_its_children() -> None:
    children = [image(seed=each, platform=f"linux/{each}") for each in ("amd64", "arm64")]
    multi, other = index(children), image(seed="new")
    decisions = decided(repository("app", {"1.0": multi, "2.0": other}), keep_newest_versions(1))
    assert decisions.order[0] == multi.digest
    assert set(decisions.order[1:]) == {child.digest for child in children}
    assert decisions.manifests[children[0].digest].reason.code == "child-of-expired"


def test_a_child_shared_with_a_kept_index_stays() -> None:
    shared = image(seed="shared")
    old = index([shared, image(seed="old", platform="linux/arm64")])
    new = index([shared, image(seed="new", platform="linux/arm64")])
    decisions = decided(repository("app", {"1.0": old, "2.0": new}), keep_newest_versions(1))
    assert shared.digest not in decisions.order
    assert len(decisions.order) == 2


def test_signatures_follow_their_subject() -> None:
    old, new = image(seed="old"), image(seed="new")
    tags = {"1.0": old, "2.0": new}
    for each in (old, new):
        tags[signature_tag(each.digest)] = signature_of(each.digest)
    decisions = decided(repository("app", tags), keep_newest_versions(1))
    assert set(gone(decisions)) == {"1.0", signature_tag(old.digest)}
    assert code(decisions, signature_tag(new.digest)) == "referrer-of-kept"
    assert decisions.order == (old.digest, signature_of(old.digest).digest)


def test_referrers_by_subject_follow_too() -> None:
    old, new = image(seed="old"), image(seed="new")
    of_old, of_new = (artifact([b"sbom"], subject=each) for each in (old, new))
    listing = index([of_new])
    tags = {"1.0": old, "2.0": new, referrers_tag(new.digest): listing}
    decisions = decided(repository("app", tags, untagged=(of_old, of_new)), keep_newest_versions(1))
    assert decisions.order == (old.digest, of_old.digest)
    assert decisions.manifests[of_new.digest].kept
    assert decisions.manifests[listing.digest].kept


def test_a_manifest_whose_bytes_are_a_layer_of_what_is_kept_stays() -> None:
    """2.8 unlinks a layer with the manifest of the same digest."""
    old = image(seed="old")
    keeping = image([old.body], seed="keeping")
    decisions = decided(repository("app", {"1.0": old, "2.0": keeping}), keep_newest_versions(1))
    assert decisions.manifests[old.digest].reason.code == "layer-of-kept"
    assert gone(decisions) == ["1.0"]
    decisions = decided(repository("app", {"1.0": old, "2.0": keeping, "3.0": image()}), keep_newest_versions(1))
    assert set(decisions.order) == {old.digest, keeping.digest}


def test_a_kept_referrer_with_a_tag_of_its_own_keeps_its_subject() -> None:
    old, new = image(seed="old"), image(seed="new")
    sbom = artifact([b"sbom"], subject=old)
    decisions = decided(repository("app", {"1.0": old, "2.0": new, "sbom": sbom}), keep_newest_versions(1))
    assert decisions.manifests[old.digest].kept
    assert decisions.manifests[old.digest].reason.code == "subject-of-kept"


def test_a_signature_whose_subject_is_gone_is_left_alone() -> None:
    stranger = image(seed="gone")
    tags = {
        "1.0": image(seed="x"),
        "2.0": image(seed="y"),
        signature_tag(stranger.digest): signature_of(stranger.digest),
    }
    decisions = decided(repository("app", tags), policy("[{tags: '*', keep: {newest: 1, by: name}}]"))
    assert code(decisions, signature_tag(stranger.digest)) == "orphan-referrer"
    assert gone(decisions) == ["1.0"]


def test_an_incomplete_repository_loses_nothing() -> None:
    repo = repository("app", images("1.0", "2.0"), problems=(Problem("unreadable", "500"),))  # type: ignore[arg-type]
    decisions = decided(repo, keep_newest_versions(1))
    assert gone(decisions) == []
    assert code(decisions, "1.0") == "incomplete"


def test_protection_wins_over_every_rule_and_takes_no_place() -> None:
    repo = repository("app", images("1.0", "2.0", "3.0"))  # type: ignore[arg-type]
    by = policy("[{tags: '*', keep: {newest: 1, by: name}}]", "protect: {tags: ['3.0']}")
    decisions = decided(repo, by)
    assert gone(decisions) == ["1.0"]
    assert code(decisions, "3.0") == "protected"


def test_the_first_rule_that_claims_a_tag_decides_alone() -> None:
    by = policy("[{tags: 'dev-*', keep: {newest: 1, by: name}}, {tags: '*', keep: {everything: true}}]")
    repo = repository("app", images("dev-1", "dev-2", "main"))  # type: ignore[arg-type]
    assert gone(decided(repo, by)) == ["dev-1"]


def test_a_tag_that_no_rule_claims_and_a_repository_without_policy_stay() -> None:
    only_team = parse_policy(
        "policies: [{repositories: ['team/*'], rules: [{tags: 'x', keep: {newest: 1}}]}]", "policy"
    )
    decisions = decided(repository("other", images("1.0")), only_team)  # type: ignore[arg-type]
    assert code(decisions, "1.0") == "no-policy"


def test_within_goes_by_the_creation_date_where_no_push_time_is_told() -> None:
    repo = repository("app", images("a", "b", "c", days_old={"a": 1, "b": 20}))  # type: ignore[arg-type]
    decisions = decided(repo, policy("[{tags: '*', keep: {within: 14d}}]"))
    assert gone(decisions) == ["b"]
    assert code(decisions, "c") == "unknown-date"


def test_a_push_time_counts_more_than_a_creation_date() -> None:
    repo = repository("app", images("a", days_old={"a": 1000}), pushed={"a": NOW})  # type: ignore[arg-type]
    assert gone(decided(repo, policy("[{tags: '*', keep: {within: 14d}}]"))) == []


def test_an_unknown_date_keeps_and_takes_no_place() -> None:
    repo = repository("app", images("a", "b", "c", days_old={"a": 1, "b": 2}))  # type: ignore[arg-type]
    decisions = decided(repo, policy("[{tags: '*', keep: {newest: 1}}]"))
    assert gone(decisions) == ["b"]
    assert code(decisions, "c") == "unknown-date"


@pytest.mark.parametrize("created", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "yesterday", "", None])
def test_a_placeholder_is_no_date(created: str | None) -> None:
    odd = image(seed="odd", config_extra={"created": created})
    repo = repository("app", {"odd": odd})
    assert gone(decided(repo, policy("[{tags: '*', keep: {within: 1d}}]"))) == []


def test_an_index_is_as_new_as_its_newest_image() -> None:
    young = image(seed="young", created=NOW - timedelta(days=1))
    old = image(seed="old", created=NOW - timedelta(days=99), platform="linux/arm64")
    repo = repository("app", {"multi": index([old, young])})
    assert gone(decided(repo, policy("[{tags: '*', keep: {within: 14d}}]"))) == []
    assert gone(decided(repo, policy("[{tags: '*', keep: {within: 1h}}]"))) == ["multi"]


def test_clauses_side_by_side_are_alternatives_and_all_wants_each() -> None:
    repo = repository("app", images("1", "2", "3", days_old={"1": 1, "2": 50, "3": 99}))  # type: ignore[arg-type]
    assert gone(decided(repo, policy("[{tags: '*', keep: {newest: 1, by: name, within: 14d}}]"))) == ["2"]
    both = policy("[{tags: '*', keep: {all: [{newest: 2, by: name}, {within: 60d}]}}]")
    assert gone(decided(repo, both)) == ["1", "3"]


def test_not_keeps_the_opposite_and_never_what_is_unknown() -> None:
    repo = repository("app", images("a", "b", "c", days_old={"a": 1, "b": 20}))  # type: ignore[arg-type]
    assert gone(decided(repo, policy("[{tags: '*', keep: {not: {within: 14d}}}]"))) == ["a"]


def test_the_same_version_twice_without_dates_cannot_be_ordered() -> None:
    undated = repository("app", images("1.0-1a2b3c4", "1.0-5d6e7f8", "0.9"))  # type: ignore[arg-type]
    assert gone(decided(undated, keep_newest_versions(1))) == []
    ages = {"1.0-1a2b3c4": 5, "1.0-5d6e7f8": 1}
    dated = repository("app", images("1.0-1a2b3c4", "1.0-5d6e7f8", days_old=ages))  # type: ignore[arg-type]
    assert gone(decided(dated, keep_newest_versions(1))) == ["1.0-1a2b3c4"]


def test_versions_that_share_a_place_go_where_enough_others_are_newer() -> None:
    """1.0 moves on and 1.0.0 does not, and reproducible builds have no date: both stay only while one of them may."""
    undated = repository("app", images("1.0", "1.0.0", "1.2", "0.9"))  # type: ignore[arg-type]
    assert gone(decided(undated, keep_newest_versions(1))) == ["0.9", "1.0", "1.0.0"]
    assert gone(decided(undated, keep_newest_versions(2))) == []


def test_untagged_manifests_stay_unless_the_policy_mentions_them() -> None:
    lonely = image(seed="lonely", created=NOW - timedelta(days=5))
    repo = repository("app", images("1.0"), untagged=(lonely,))  # type: ignore[arg-type]
    assert decided(repo, keep_newest_versions(1)).order == ()
    by = parse_policy("policies: [{repositories: ['**'], untagged: {keep: {within: 24h}}}]", "policy")
    assert decided(repo, by).order == (lonely.digest,)


def test_what_an_interrupted_run_left_goes() -> None:
    child = image(seed="child")
    repo = repository("app", images("1.0"), leftovers=(child,))  # type: ignore[arg-type]
    decisions = decided(repo, keep_newest_versions(1))
    assert decisions.order == (child.digest,)
    assert decisions.manifests[child.digest].reason.code == "left-over"


def test_what_an_interrupted_run_left_stays_where_it_is_needed_again() -> None:
    child = image(seed="child")
    repo = repository("app", {"1.0": index([child])}, leftovers=(child,))
    assert decided(repo, keep_newest_versions(1)).order == ()
