"""The collector without a server is killed at each step; what is kept is whole at once, and a fresh run finishes."""

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.app.collecting import APP, OTHER, data_of, link_of, quarantined
from tests.crash.dying import Nursery, collect_offline

from jettison.oci.digest import Digest
from jettison.testing.built import BuiltManifest
from jettison.testing.images import image, random_layer
from jettison.testing.storage_tree import StorageTree

GONE = image([random_layer("gone"), random_layer("shared")], seed="gone")
LONG = image(seed="long", layer_algorithm="sha512")
KEPT = image([random_layer("kept"), random_layer("shared")], seed="kept")
LONG_KEPT = image(seed="long kept", layer_algorithm="sha512")
DOOMED = {
    GONE.digest,
    LONG.digest,
    *(Digest.of(blob.body) for blob in (*GONE.blobs[:2], *LONG.blobs)),
}
OLD = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a storage with two kept images, and all that two others left when their manifests went."""
    tree = StorageTree(tmp_path / "root")
    for repository in (APP, OTHER):
        for number, built in enumerate((GONE, LONG, KEPT, LONG_KEPT)):
            tree.add(repository, built, [f"tag-{number}"] if number > 1 else [], OLD)
        for built in (GONE, LONG):
            _revision(tree.root, repository, built).unlink()
    return tree.root


def _revision(root: Path, repository: str, built: BuiltManifest) -> Path:
    folder = root / f"docker/registry/v2/repositories/{repository}/_manifests/revisions"
    return folder / f"sha256/{built.digest.hex}/link"


def assert_whole(root: Path, *accepted: BuiltManifest) -> None:
    """Every link and every byte that a server would need is on the disk."""
    for built in (KEPT, LONG_KEPT, *accepted):
        assert _revision(root, APP, built).exists()
        for digest, body in ((built.digest, built.body), *((blob.digest, blob.body) for blob in built.blobs)):
            stored = Digest.of(body)
            assert data_of(root, stored).read_bytes() == body
            if digest != built.digest:
                assert link_of(root, APP, digest).read_text() == stored
                assert link_of(root, APP, stored).read_text() == stored


def assert_settled(root: Path, *accepted: BuiltManifest) -> None:
    """What was accepted is whole and stays so, what was not is gone, and nothing is left in quarantine."""
    collect_offline(root, purge_now=True, later=timedelta(days=2))
    assert_whole(root, *accepted)
    collect_offline(root, purge_now=True, later=timedelta(days=4))
    assert_whole(root, *accepted)
    needed = {built.digest for built in accepted} | {Digest.of(blob.body) for built in accepted for blob in built.blobs}
    for digest in DOOMED - needed:
        assert not data_of(root, digest).exists()
    assert not list((root / "jettison/quarantine").glob("*"))


def push(root: Path, *images: BuiltManifest) -> None:
    """Push as a server does that was started again meanwhile: what is there already is not written again."""
    for built in images:
        StorageTree(root).add(APP, built, ["again"])


@pytest.mark.parametrize("client", ["nobody", "pushes again"])
@pytest.mark.parametrize(
    ("step", "occurrence"),
    [
        ("recovered", 1),
        ("examined", 1),
        ("written-down", 1),
        ("unlinked-one", 1),
        ("unlinked-one", 2),
        ("unlinked", 1),
        ("moved-one", 1),
        ("moved-one", 3),
        ("moved", 1),
    ],
)
def test_killed_while_setting_aside(nursery: Nursery, root: Path, step: str, occurrence: int, client: str) -> None:
    assert nursery.collect(root, None, step, occurrence, purge_now=False) == -signal.SIGKILL
    assert_whole(root)
    accepted = (GONE, LONG) if client == "pushes again" else ()
    push(root, *accepted)
    collect_offline(root, purge_now=False)
    assert_whole(root, *accepted)
    assert_settled(root, *accepted)


@pytest.mark.parametrize("client", ["nobody", "pushes again"])
@pytest.mark.parametrize("step", ["examined", "swept"])
def test_killed_while_sweeping_at_once(nursery: Nursery, root: Path, step: str, client: str) -> None:
    assert nursery.collect(root, None, step, purge_now=True) == -signal.SIGKILL
    assert_whole(root)
    accepted = (GONE, LONG) if client == "pushes again" else ()
    push(root, *accepted)
    assert_whole(root, *accepted)
    assert_settled(root, *accepted)


@pytest.mark.parametrize(("step", "occurrence"), [("restored-one", 1), ("restored-one", 3)])
def test_killed_while_bringing_back(nursery: Nursery, root: Path, step: str, occurrence: int) -> None:
    collect_offline(root, purge_now=False)
    assert len(quarantined(root)) == len(DOOMED)
    push(root, GONE, LONG)
    assert nursery.collect(root, None, step, occurrence, purge_now=False) == -signal.SIGKILL
    assert_settled(root, GONE, LONG)


@pytest.mark.parametrize("occurrence", [1, 3])
def test_killed_while_repairing_links(nursery: Nursery, root: Path, occurrence: int) -> None:
    """Left-over folders of links tell which repository had what; the record tells what a sha512 link stood for."""
    collect_offline(root, purge_now=False)
    push(root, GONE, LONG)
    for built in (GONE, LONG):
        for blob in built.blobs[:2]:
            link_of(root, APP, blob.digest).unlink()
    assert nursery.collect(root, None, "repaired-one", occurrence, purge_now=False) == -signal.SIGKILL
    assert_settled(root, GONE, LONG)


@pytest.mark.parametrize(("step", "occurrence"), [("purged-one", 1), ("purged-one", 4), ("recovered", 1)])
def test_killed_while_purging_what_was_due(nursery: Nursery, root: Path, step: str, occurrence: int) -> None:
    collect_offline(root, purge_now=False)
    later = timedelta(days=2)
    assert nursery.collect(root, None, step, occurrence, purge_now=False, later=later) == -signal.SIGKILL
    assert_whole(root)
    assert_settled(root)
