"""Promise 4 on random repositories: whatever expires, everything that a kept tag needs is kept."""

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository
from jettison.oci.manifest import Manifest
from jettison.oci.reference import subject_of_tag
from jettison.plan.build import build_plan
from jettison.plan.model import ActionKind, DeleteBy, Plan, Server
from jettison.policy.evaluate import decide
from jettison.policy.model import Limits, keep_newest_versions
from jettison.testing.built import BuiltManifest
from jettison.testing.images import artifact, image, index, referrers_tag, signature_of, signature_tag
from jettison.testing.inventories import NOW, inventory, repository

NAMES = ["1.0", "1.1", "1.2", "2.0", "2.0-rc.1", "1.0-alpine", "latest", "main", "v3"]
IMAGES = [image(seed=n, size=256, platform=f"linux/{n}") for n in range(6)]


def _digest(built: BuiltManifest) -> Digest:
    return built.digest


@st.composite
def repositories(draw: st.DrawFn, name: str = "app") -> Repository:
    """Images, indexes over them (and over each other), signatures and artifacts, under tags at random."""
    stock: list[BuiltManifest] = list(
        draw(st.lists(st.sampled_from(IMAGES), min_size=1, max_size=4, unique_by=_digest))
    )
    for _ in range(draw(st.integers(0, 3))):
        children = draw(st.lists(st.sampled_from(stock), min_size=1, max_size=3, unique_by=_digest))
        stock.append(index(children))
    tags: dict[str, BuiltManifest] = {}
    untagged: list[BuiltManifest] = []
    for each in list(stock):
        kind = draw(st.sampled_from(["none", "signature", "artifact", "listed"]))
        if kind == "signature":
            tags[signature_tag(each.digest)] = signature_of(each.digest)
        elif kind == "artifact":
            untagged.append(artifact([b"sbom"], subject=each))
        elif kind == "listed":
            referrer = artifact([b"attestation"], subject=each)
            tags[referrers_tag(each.digest)] = index([referrer])
        if kind == "artifact" and draw(st.booleans()):
            stock.append(untagged[-1])
    for tag in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=8, unique=True)):
        tags[tag] = draw(st.sampled_from(stock))
    return repository(name, tags, untagged=tuple(untagged))


def needs(manifests: Mapping[Digest, Manifest], start: Digest) -> set[Digest]:
    """Return what a pull of `start` fetches: itself, and the children below it. Written apart from the code."""
    found: set[Digest] = set()
    waiting = [start]
    while waiting:
        digest = waiting.pop()
        if digest in found or digest not in manifests:
            continue
        found.add(digest)
        waiting += [child.digest for child in manifests[digest].children]
    return found


def plan_of(stock: Inventory, keep: int, server: Server) -> Plan:
    decisions = decide(stock, keep_newest_versions(keep), NOW)
    return build_plan(stock, decisions, policy="t", limits=Limits(), server=server, now=NOW)


servers = st.builds(Server, deletes_tags=st.sampled_from([True, False, None]), delete_by=st.just(DeleteBy.DIGEST))


@settings(max_examples=300, deadline=None)
@given(repositories(), st.integers(1, 3), servers)
def test_a_kept_tag_never_loses_anything(repo: Repository, keep: int, server: Server) -> None:
    plan = plan_of(inventory(repo), keep, server)
    deleted = {action.digest for action in plan.actions if action.action is ActionKind.DELETE_MANIFEST}
    deleted_tags = {tag for action in plan.actions for tag in action.tags}
    for tag in repo.tags:
        if tag.name not in deleted_tags:
            assert not needs(repo.manifests, tag.digest) & deleted
    # The signature of what stays stays.
    for tag in repo.tags:
        subject = subject_of_tag(tag.name)
        if subject is not None and subject in repo.manifests and subject not in deleted:
            assert tag.name not in deleted_tags
    for manifest in repo.manifests.values():
        if manifest.subject is not None and manifest.subject.digest not in deleted:
            assert manifest.digest not in deleted or manifest.subject.digest not in repo.manifests


@settings(max_examples=200, deadline=None)
@given(repositories("one"), repositories("two"), st.integers(1, 2))
def test_what_is_freed_is_exactly_what_is_left_without_an_owner(one: Repository, two: Repository, keep: int) -> None:
    """Promise 8: the figure equals the difference of what is stored before and after."""
    plan = plan_of(inventory(one, two), keep, Server(deletes_tags=True))
    deleted = {(a.repository, a.digest) for a in plan.actions if a.action is ActionKind.DELETE_MANIFEST}
    before: dict[Digest, int] = {}
    after: dict[Digest, int] = {}
    for repo in (one, two):
        for digest, manifest in repo.manifests.items():
            blobs = {blob.digest: blob.size for blob in manifest.blobs} | {digest: manifest.size}
            before |= blobs
            if (repo.name, digest) not in deleted:
                after |= blobs
    assert plan.totals.size == sum(before.values())
    assert plan.totals.frees == sum(before.values()) - sum(after.values())
    assert sum(action.frees for action in plan.actions) <= plan.totals.frees


@settings(max_examples=200, deadline=None)
@given(repositories(), st.integers(1, 3))
def test_actions_stand_so_that_no_index_outlives_its_child(repo: Repository, keep: int) -> None:
    plan = plan_of(inventory(repo), keep, Server(deletes_tags=True))
    gone: set[Digest] = set()
    for action in plan.actions:
        if action.action is not ActionKind.DELETE_MANIFEST:
            continue
        gone.add(action.digest)
        for digest, manifest in repo.manifests.items():
            if digest not in gone:
                assert not gone & {child.digest for child in manifest.children}
