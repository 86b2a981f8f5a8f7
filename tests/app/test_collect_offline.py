"""Collecting without a server: the quarantine, the housekeeping, dry runs, and kills between any two steps."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jettison.app.collect_offline import OfflineCollector
from jettison.app.collection_report import CollectionReport
from jettison.app.examine import Examined, examine, foretell
from jettison.collect.quarantine import Link
from jettison.collect.safety import Margins
from jettison.errors import LockedError
from jettison.oci.digest import Digest
from jettison.storage import layout
from jettison.storage.changes import LocalChanges
from jettison.storage.chores import Chore, ChoreKind
from jettison.storage.housekeeping import Housekeeper
from jettison.storage.lease import take_lease
from jettison.storage.local import LocalStorage
from jettison.storage.quarantine import QuarantineReader
from jettison.testing.built import BuiltManifest
from jettison.testing.images import image, index, pull, push, random_layer
from jettison.testing.registry_server import RegistryServer
from jettison.testing.storage_tree import StorageTree

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=60)
BASE = random_layer("base", 3000)
KEPT = image([BASE, random_layer("kept", 700)], seed="kept")
OLD = image([BASE, random_layer("old", 900)], seed="old")
MARGINS = Margins(timedelta(hours=1))
APP, OTHER = "team/app", "team/other"


class KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it, and nothing is tidied up."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A storage in which OLD was deleted, and nothing collected."""
    tree = StorageTree(tmp_path / "data")
    tree.add(APP, KEPT, ["2"], LONG_AGO)
    tree.add(APP, OLD, ["1"], LONG_AGO)
    tree.add(OTHER, KEPT, ["2"], LONG_AGO)
    delete(tree.root, APP, OLD, ["1"])
    return tree.root


def delete(root: Path, repository: str, built: BuiltManifest, tags: list[str]) -> None:
    LocalChanges(LocalStorage(root)).delete_revision(repository, built.digest, tags)


def collect(
    root: Path,
    *,
    now: datetime = NOW,
    purge_now: bool = False,
    step: Callable[[str], None] = lambda name: None,
    margins: Margins = MARGINS,
) -> tuple[CollectionReport, Examined]:
    storage = LocalStorage(root)
    with take_lease(storage.name, "test") as lease:
        collector = OfflineCollector(lease, storage, margins=margins, run="run", now=lambda: now, step=step)
        examined = collector.collect(purge_now=purge_now)
        keeper = Housekeeper(lease, storage)
        for chore in examined.chores:
            keeper.do(chore)
    return collector.report, examined


def looked_at(root: Path, now: datetime = NOW, margins: Margins = MARGINS) -> tuple[CollectionReport, Examined]:
    storage = LocalStorage(root)
    examined = examine(storage, now, margins, serving=False)
    return foretell(storage, examined, now, serving=False), examined


def files(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return every path below a folder with its size, time and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(root))] = (status.st_size if content else 0, status.st_mtime_ns, content)
    return found


def blobs(root: Path) -> set[str]:
    return {f"sha256:{path.parent.name}" for path in (root / layout.BLOBS).glob("*/*/*/data")}


def digests(built: BuiltManifest) -> set[str]:
    return {str(built.digest), *(str(blob.digest) for blob in built.blobs)}


ONLY_OLD = digests(OLD) - digests(KEPT)


def whole(root: Path) -> None:
    """KEPT is whole in both repositories: tag, revision, links and data."""
    storage = LocalStorage(root)
    assert digests(KEPT) <= blobs(root)
    for repository in (APP, OTHER):
        assert storage.points_to(repository, "2") == KEPT.digest
        assert storage.has_revision(repository, KEPT.digest)
        for blob in KEPT.blobs:
            assert (root / layout.layer_link(repository, blob.digest)).read_text() == blob.digest


def held(root: Path) -> set[str]:
    reader = QuarantineReader(str(root))
    return {digest for collected in reader.collections() for digest in reader.held(collected)}


def test_a_dry_run_tells_what_a_run_does_and_writes_nothing(root: Path) -> None:
    before = files(root)
    foretold, seen = looked_at(root)
    assert files(root) == before

    report, done = collect(root)
    assert foretold.condemned == report.condemned == report.quarantined == len(ONLY_OLD)
    assert foretold.condemned_bytes == report.quarantined_bytes > 0
    assert [chore.kind for chore in seen.chores] == [chore.kind for chore in done.chores] == []
    assert report.is_whole


def test_what_is_condemned_lies_in_quarantine_with_its_links_until_its_time_is_over(root: Path) -> None:
    report, _ = collect(root)
    assert held(root) == ONLY_OLD
    assert report.purged_bytes == 0
    assert report.waiting_bytes == report.quarantined_bytes
    whole(root)
    (collected,) = QuarantineReader(str(root)).collections()
    assert not collected.online
    layer = OLD.blobs[-1].digest
    (suspect,) = (each for each in collected.suspects if each.digest == layer)
    assert suspect.links == (Link(APP, str(layer), live=True),)
    assert not (root / layout.layer_link(APP, layer)).parent.exists()

    early, _ = collect(root, now=NOW + timedelta(hours=23))
    assert (early.purged, held(root)) == (0, ONLY_OLD)
    late, _ = collect(root, now=NOW + timedelta(hours=25))
    assert late.purged_bytes == report.quarantined_bytes
    assert late.waiting == 0
    assert QuarantineReader(str(root)).collections() == ()
    whole(root)


def test_now_gives_the_bytes_back_at_once(root: Path) -> None:
    before = sum(path.stat().st_size for path in root.rglob("data"))
    report, _ = collect(root, purge_now=True)
    assert report.purged_bytes == before - sum(path.stat().st_size for path in root.rglob("data"))
    assert report.purged == len(ONLY_OLD)
    assert blobs(root) == digests(KEPT)
    assert held(root) == set()
    whole(root)


def test_what_is_needed_again_comes_back_before_anything_else(root: Path) -> None:
    collect(root)
    # Somebody writes the manifest's link back by hand, as undo does.
    link = root / layout.revision_link(APP, OLD.digest)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.write_text(OLD.digest)

    report, _ = collect(root, now=NOW + timedelta(hours=48))
    assert report.restored == len(ONLY_OLD)
    assert report.purged == report.quarantined == 0
    assert digests(OLD) <= blobs(root)
    assert all((root / layout.layer_link(APP, blob.digest)).exists() for blob in OLD.blobs), "its links are repaired"


STEPS = ("recovered", "examined", "written-down", "unlinked-one", "unlinked", "moved-one", "moved")


@pytest.mark.parametrize("name", STEPS)
def test_killed_anywhere_what_is_kept_is_whole_and_the_next_run_finishes(name: str, root: Path) -> None:
    def kill(reached: str) -> None:
        if reached == name:
            raise KilledError

    with pytest.raises(KilledError):
        collect(root, step=kill)
    whole(root)
    assert blobs(root) | held(root) >= ONLY_OLD, "nothing is gone before its time"

    collect(root)
    whole(root)
    assert held(root) == ONLY_OLD
    reader = QuarantineReader(str(root))
    known = {
        (suspect.digest, link.repository)
        for collected in reader.collections()
        for suspect in collected.suspects
        if suspect.digest in reader.held(collected)
        for link in suspect.links
        if link.live
    }
    assert known == {(str(blob.digest), APP) for blob in OLD.blobs if str(blob.digest) in ONLY_OLD}, (
        "undo can write every link back, whichever run removed it"
    )
    collect(root, now=NOW + timedelta(days=2))
    assert blobs(root) == digests(KEPT)
    assert QuarantineReader(str(root)).collections() == ()


def test_every_step_is_killed_at_once(root: Path) -> None:
    reached: list[str] = []
    collect(root, step=reached.append)
    assert set(reached) == set(STEPS)


@pytest.mark.parametrize("name", ["restored-one", "purged-one"])
def test_killed_while_it_settles_the_quarantine(name: str, root: Path) -> None:
    collect(root)
    if name == "restored-one":
        link = root / layout.revision_link(APP, OLD.digest)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.write_text(OLD.digest)

    def kill(reached: str) -> None:
        if reached == name:
            raise KilledError

    late = NOW + timedelta(days=2)
    with pytest.raises(KilledError):
        collect(root, now=late, step=kill)
    whole(root)
    collect(root, now=late)
    whole(root)
    expected = digests(OLD) | digests(KEPT) if name == "restored-one" else digests(KEPT)
    assert blobs(root) == expected
    assert QuarantineReader(str(root)).collections() == ()


def test_a_broken_repository_keeps_what_it_links_and_the_others_are_collected(root: Path) -> None:
    tree = StorageTree(root)
    tree.add("broken", image(seed="torn"), ["1"], LONG_AGO)
    lost = image(seed="lost")
    tree.add("broken", lost, ["2"], LONG_AGO)
    (root / layout.blob_data(lost.digest)).unlink()
    report, _ = collect(root)
    assert report.broken == ("broken",)
    assert not report.is_whole
    assert any("broken: " in problem.text and str(lost.digest) in problem.text for problem in report.problems)
    assert {str(blob.digest) for blob in lost.blobs} <= blobs(root)
    assert report.quarantined == len(ONLY_OLD)


def test_where_a_folder_cannot_be_listed_nothing_is_collected(root: Path) -> None:
    if os.geteuid() == 0:
        shutil.rmtree(root / layout.repository_folder(OTHER) / layout.REVISIONS)
        (root / layout.repository_folder(OTHER) / layout.REVISIONS).write_text("a file where a folder should be")
    else:
        (root / layout.repository_folder(OTHER) / layout.REVISIONS).chmod(0)
    before = blobs(root)
    report, _ = collect(root)
    assert not report.is_whole
    assert (report.quarantined, blobs(root)) == (0, before)


def test_what_a_repository_behind_a_symbolic_link_has_stays(root: Path, tmp_path: Path) -> None:
    elsewhere = StorageTree(tmp_path / "elsewhere")
    elsewhere.add("app", OLD, ["1"], LONG_AGO)
    LocalChanges(LocalStorage(elsewhere.root)).delete_revision("app", OLD.digest, ["1"])
    (root / layout.repository_folder("linked")).symlink_to(elsewhere.root / layout.repository_folder("app"))
    report, _ = collect(root)
    layers = {str(blob.digest) for blob in OLD.blobs}
    assert layers <= blobs(root)
    assert report.given_up == len(layers & ONLY_OLD)
    assert any(problem.code == "symbolic-link" for problem in report.problems)
    assert held(root) == ONLY_OLD - layers


def test_two_collectors_never_work_at_once(root: Path) -> None:
    with take_lease(str(root), "gc"), pytest.raises(LockedError, match="is being collected"):
        collect(root)


# Housekeeping.


def upload(root: Path, repository: str, identifier: str, begun: datetime, size: int = 100) -> Path:
    folder = root / layout.uploads_folder(repository) / identifier
    folder.mkdir(parents=True)
    (folder / "startedat").write_text(begun.strftime("%Y-%m-%dT%H:%M:%SZ"))
    (folder / "data").write_bytes(b"x" * size)
    return folder


def aged(path: Path, when: datetime = LONG_AGO) -> None:
    for each in (path, *path.rglob("*")):
        os.utime(each, (when.timestamp(), when.timestamp()))


def chores(root: Path, now: datetime = NOW) -> list[Chore]:
    return list(looked_at(root, now)[1].chores)


def test_stale_uploads_go_and_young_ones_stay(root: Path) -> None:
    stale = upload(root, APP, "stale", NOW - timedelta(days=8), size=4321)
    young = upload(root, APP, "young", NOW - timedelta(days=6))
    (chore,) = chores(root)
    assert (chore.kind, chore.repository, chore.name, chore.size) == (ChoreKind.UPLOAD, APP, "stale", 4321)
    assert "2026-11-16" in chore.reason
    collect(root)
    assert not stale.exists()
    assert young.exists()


def test_beside_a_serving_registry_only_stale_uploads_go(root: Path) -> None:
    upload(root, "empty", "stale", NOW - timedelta(days=8))
    aged(root / layout.repository_folder("empty"))
    storage = LocalStorage(root)
    found = examine(storage, NOW, MARGINS, serving=True)
    assert [chore.kind for chore in found.chores] == [ChoreKind.UPLOAD]
    offline = examine(storage, NOW, MARGINS, serving=False)
    assert [chore.kind for chore in offline.chores] == [ChoreKind.UPLOAD, ChoreKind.REPOSITORY]


def test_tags_that_point_to_nothing_go(root: Path) -> None:
    tags = root / layout.tags_folder(APP)
    (tags / "torn/index/sha256").mkdir(parents=True)
    aged(tags / "torn")
    (tags / "being-pushed/index").mkdir(parents=True)
    os.utime(tags / "being-pushed", (NOW.timestamp(), NOW.timestamp()))
    assert [(chore.kind, chore.name) for chore in chores(root)] == [(ChoreKind.TAG_FOLDER, "torn")]
    collect(root)
    assert sorted(path.name for path in tags.iterdir()) == ["2", "being-pushed"]
    whole(root)


def test_a_tag_that_was_pushed_meanwhile_stays(root: Path) -> None:
    (root / layout.tags_folder(APP) / "torn/index").mkdir(parents=True)
    aged(root / layout.tags_folder(APP) / "torn")
    (chore,) = chores(root)
    (root / layout.tags_folder(APP) / "torn/current").mkdir()
    (root / layout.tag_link(APP, "torn")).write_text(KEPT.digest)
    storage = LocalStorage(root)
    with take_lease(storage.name, "test") as lease:
        Housekeeper(lease, storage).do(chore)
    assert storage.points_to(APP, "torn") == KEPT.digest


def test_layer_links_that_nothing_needs_go_and_the_data_stays_for_others(root: Path) -> None:
    delete(root, OTHER, KEPT, ["2"])
    tree = StorageTree(root)
    tree.add(OTHER, image(seed="stays"), ["3"], LONG_AGO)
    found = chores(root)
    assert {(chore.kind, chore.repository, chore.name) for chore in found} == {
        (ChoreKind.LINK, OTHER, str(blob.digest)) for blob in KEPT.blobs
    }
    collect(root)
    storage = LocalStorage(root)
    assert storage.layers(OTHER, canonical=True).digests == {str(blob.digest) for blob in image(seed="stays").blobs}
    assert digests(KEPT) <= blobs(root)
    assert storage.layers(APP, canonical=True).digests >= {str(blob.digest) for blob in KEPT.blobs}


def test_links_of_a_push_under_way_stay(root: Path) -> None:
    StorageTree(root).add(OTHER, image([BASE], seed="pushed"), [], NOW - timedelta(minutes=5))
    revision = image([BASE], seed="pushed").digest
    shutil.rmtree((root / layout.revision_link(OTHER, revision)).parent)
    (root / layout.blob_data(revision)).unlink()
    assert [chore for chore in chores(root) if chore.kind is ChoreKind.LINK] == []


def test_links_of_an_index_whose_children_are_linked_nowhere_stay(root: Path) -> None:
    tree = StorageTree(root)
    many = index([image(seed="amd"), image(seed="arm", platform="linux/arm64")])
    tree.add("multi", many, ["1"], LONG_AGO)
    for child in many.children:
        shutil.rmtree((root / layout.revision_link("multi", child.digest)).parent)
    assert chores(root) == []


def test_links_of_sha512_layers_stay(root: Path) -> None:
    StorageTree(root).add("long", image(seed="long", layer_algorithm="sha512"), ["1"], LONG_AGO)
    assert chores(root) == []


def test_empty_repositories_go_with_the_folders_that_lead_to_them(root: Path) -> None:
    tree = StorageTree(root)
    tree.add("gone/deep/app", image(seed="gone"), ["1"], LONG_AGO)
    delete(root, "gone/deep/app", image(seed="gone"), ["1"])
    aged(root / layout.repository_folder("gone"))
    collect(root, purge_now=True)
    later = NOW + timedelta(days=400)  # what the run itself touched is old by then
    collect(root, now=later)
    assert not (root / layout.repository_folder("gone")).exists()
    assert (root / layout.REPOSITORIES).is_dir()
    whole(root)


def test_a_repository_inside_of_an_empty_one_stays(root: Path) -> None:
    (root / layout.repository_folder("team") / layout.LAYERS).mkdir()
    aged(root / layout.repository_folder("team") / layout.LAYERS)
    assert [(chore.kind, chore.repository) for chore in chores(root)] == [(ChoreKind.REPOSITORY, "team")]
    collect(root)
    assert LocalStorage(root).repositories().names == (APP, OTHER)
    whole(root)


@pytest.mark.parametrize("what", ["_uploads/now", "_layers/sha256/foreign", "_manifests/tags/new/current"])
def test_a_repository_in_which_something_is_stays(what: str, root: Path) -> None:
    folder = root / layout.repository_folder("alive")
    (folder / what).mkdir(parents=True)
    aged(folder)
    if what.startswith("_uploads"):
        (folder / what / "startedat").write_text(NOW.strftime("%Y-%m-%dT%H:%M:%SZ"))
    if what.startswith("_manifests"):
        os.utime(folder / "_manifests/tags/new", (NOW.timestamp(), NOW.timestamp()))
    assert [chore for chore in chores(root) if chore.kind is ChoreKind.REPOSITORY] == []


def test_something_pushed_before_an_empty_repository_goes_stays(root: Path) -> None:
    (root / layout.repository_folder("new") / layout.LAYERS).mkdir(parents=True)
    aged(root / layout.repository_folder("new"))
    (chore,) = chores(root)
    StorageTree(root).add("new", KEPT, ["1"])
    storage = LocalStorage(root)
    with take_lease(storage.name, "test") as lease, pytest.raises(Exception, match="pushed to it meanwhile"):
        Housekeeper(lease, storage).do(chore)
    assert storage.points_to("new", "1") == KEPT.digest


def test_empty_blob_folders_go(root: Path) -> None:
    empty = root / layout.blob_folder(Digest.of(b"gone"))
    empty.mkdir(parents=True)
    missing = root / layout.blob_folder(KEPT.digest)
    assert [(chore.kind, chore.digests) for chore in chores(root)] == [
        (ChoreKind.BLOB_FOLDERS, (str(Digest.of(b"gone")),))
    ]
    collect(root)
    assert not empty.exists()
    assert missing.exists()


def test_a_broken_repository_loses_no_link(root: Path) -> None:
    delete(root, OTHER, KEPT, ["2"])
    (root / layout.tags_folder(OTHER) / "bad/current").mkdir(parents=True)
    (root / layout.tag_link(OTHER, "bad")).write_text("")
    assert chores(root) == []


def test_nothing_is_removed_through_a_symbolic_link(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    stale = upload(root, APP, "stale", NOW - timedelta(days=30))
    (chore,) = chores(root)
    shutil.move(stale.parent, outside)
    (root / layout.uploads_folder(APP)).symlink_to(outside)
    storage = LocalStorage(root)
    with take_lease(storage.name, "test") as lease, pytest.raises(Exception, match="cannot remove in it"):
        Housekeeper(lease, storage).do(chore)
    assert (outside / "stale/data").exists()
    # Nothing that every run would fail on.
    assert not chores(root)


# Real servers.


def test_a_real_servers_storage_is_collected_and_serves_on(registry: RegistryServer) -> None:
    for repository in (APP, OTHER):
        push(registry.url, repository, KEPT, "2")
    push(registry.url, APP, OLD, "1")
    registry.stop()
    delete(registry.root, APP, OLD, ["1"])
    delete(registry.root, OTHER, KEPT, ["2"])
    later = datetime.now(UTC) + timedelta(days=30)
    report, _ = collect(registry.root, now=later)
    assert report.quarantined == len(ONLY_OLD)
    collect(registry.root, now=later + timedelta(days=2))
    assert LocalStorage(registry.root).repositories().names == (APP,)

    registry.start()
    pull(registry.url, APP, "2")
    for repository in (APP, OTHER):
        push(registry.url, repository, OLD, "1")
        pull(registry.url, repository, "1")
