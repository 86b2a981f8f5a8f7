"""File systems mounted inside of a storage, where no rename leads: what is there stays or goes whole, and is told."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.app.undoing import seen
from tests.cli.commands import Command
from tests.conftest import missing_part_skips

from jettison.oci.digest import Digest
from jettison.storage import layout
from jettison.testing.connection import Connection
from jettison.testing.images import image, pull, push
from jettison.testing.mounts import bind, tmpfs
from jettison.testing.registry_server import RegistryServer
from jettison.testing.storage_tree import StorageTree

APP, OTHER = "team/app", "team/other"
LONG_AGO = datetime.now(UTC) - timedelta(days=60)
GONE, KEPT = image(seed="gone"), image(seed="kept")
LAYER = GONE.blobs[1].digest
OFFLINE = ("--offline", "--grace", "0", "--yes")
ONLINE = ("--grace", "0", "--settle", "0.05s", "--yes")
OWN = "jettison"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A storage with an image that is kept, and the blobs and links of one that is not."""
    tree = StorageTree(tmp_path / "registry")
    tree.add(APP, GONE, [], LONG_AGO)
    tree.add(APP, KEPT, ["2.0"], LONG_AGO)
    tree.add(OTHER, KEPT, ["2.0"], LONG_AGO)
    shutil.rmtree(tree.root / layout.revision_link(APP, GONE.digest).rpartition("/")[0])
    return tree.root


@contextmanager
def elsewhere(place: Path, by: str, spare: Path) -> Iterator[None]:
    """Let what is at `place` lie on another file system, or on the same one mounted a second time."""
    place.mkdir(parents=True, exist_ok=True)
    shutil.copytree(place, spare)
    with missing_part_skips(), tmpfs(place) if by == "tmpfs" else bind(spare, place):
        if by == "tmpfs":
            shutil.copytree(spare, place, dirs_exist_ok=True)
        yield


def data(root: Path, digest: Digest) -> Path:
    return root / layout.blob_data(digest)


def prefix_of(root: Path) -> Path:
    return data(root, LAYER).parent.parent


def blob_of(root: Path) -> Path:
    return data(root, LAYER).parent


def own(root: Path) -> Path:
    return root / OWN


def docker(root: Path) -> Path:
    return root / "docker"


def assert_kept(root: Path) -> None:
    for name in (APP, OTHER):
        tags, manifests, blobs = seen(root)[name]
        assert tags == {"2.0": KEPT.digest}
        assert KEPT.digest in manifests
        assert {str(blob.digest) for blob in KEPT.blobs} <= blobs


@pytest.mark.parametrize("by", ["tmpfs", "bind"])
@pytest.mark.parametrize(("place", "stay"), [(prefix_of, 1), (blob_of, 1), (own, 3), (docker, 3)])
def test_what_cannot_be_moved_into_the_quarantine_stays_is_told_once_and_goes_with_now(
    root: Path, tmp_path: Path, command: Command, place: Callable[[Path], Path], stay: int, by: str
) -> None:
    with elsewhere(place(root), by, tmp_path / "spare"):
        for _ in range(2):
            told = command("gc", "--storage", root, *OFFLINE, "--json")
            assert told.status == 4, told
            collection = told.document["collection"]
            assert data(root, LAYER).exists()
            assert collection["given_up"] == stay
            problems = collection["problems"]
            assert 1 <= len(problems) <= (3 if by == "bind" else 1), problems
            assert all("another file system" in each["text"] and "--offline --now" in each["text"] for each in problems)
        told = command("gc", "--storage", root, *OFFLINE, "--now", "--json")
        assert told.status == 0, told
        assert told.document["collection"]["purged"] == stay
        assert not data(root, LAYER).exists()
        assert command("gc", "--storage", root, *OFFLINE, "--now").status == 0
        assert_kept(root)


def test_beside_a_serving_registry_it_stays_and_can_be_pushed_again(
    registry: RegistryServer, tmp_path: Path, command: Command
) -> None:
    push(registry.url, APP, KEPT, "2.0")
    push(registry.url, APP, GONE, "1.0")
    with Connection(registry.url) as connection:
        assert connection.ask("DELETE", f"/v2/{APP}/manifests/{GONE.digest}").status == 202
    with elsewhere(prefix_of(registry.root), "tmpfs", tmp_path / "spare"):
        told = command("gc", registry.url, "--storage", registry.root, "--now", *ONLINE)
        assert told.status == 4, told
        assert told.out.count("another file system") == 1
        push(registry.url, APP, GONE, "again")
        pull(registry.url, APP, "again")
        pull(registry.url, APP, "2.0")
        assert command("gc", registry.url, "--storage", registry.root, "--now", *ONLINE).status == 0
        pull(registry.url, APP, "again")


@pytest.mark.parametrize("inner", ["", "/_layers", "/_layers/sha256", "/_manifests", "/_manifests/tags"])
def test_a_repository_on_another_file_system_is_cleaned_and_taken_back(
    root: Path, tmp_path: Path, command: Command, inner: str
) -> None:
    StorageTree(root).add(APP, GONE, ["1.0"], LONG_AGO)
    before = seen(root)
    with elsewhere(root / f"{layout.repository_folder(APP)}{inner}", "tmpfs", tmp_path / "spare"):
        told = command("run", "--storage", root, "--keep", 1, *OFFLINE)
        if inner == "/_manifests/tags":
            # A tag leaves with one rename, which does not lead out of there.
            assert told.status != 0
            assert "another file system is mounted" in told.out + told.err
            assert seen(root) == before
            return
        assert told.status == 0, told
        assert seen(root) != before
        assert_kept(root)
        assert command("undo", "--storage", root, "--offline", "--yes").status == 0
        assert seen(root) == before


def test_an_empty_repository_on_another_file_system_leaves_its_folder(
    root: Path, tmp_path: Path, command: Command
) -> None:
    folder = root / layout.repository_folder("team/empty")
    (folder / "_layers").mkdir(parents=True)
    with elsewhere(folder, "bind", tmp_path / "spare"):
        for _ in range(2):
            told = command("gc", "--storage", root, *OFFLINE)
            assert told.status == 0, told
            assert folder.exists()
            assert not list(folder.iterdir())
    assert_kept(root)


def test_a_read_only_storage_is_refused_with_the_way_out(root: Path, command: Command) -> None:
    before = seen(root)
    with missing_part_skips(), bind(root, root, read_only=True):
        assert command("plan", "--storage", root, "--offline", "--keep", 1).status == 0
        assert command("gc", "--storage", root, *OFFLINE, "--dry-run").status == 0
        for words in (("gc",), ("gc", "--now"), ("run", "--keep", "1"), ("undo",), ("quarantine", "restore")):
            some = ("--offline", "--yes") if words[0] in ("undo", "quarantine") else OFFLINE
            told = command(*words, "--storage", root, *some)
            assert told.status in (1, 2), told
            assert "Traceback" not in told.err
            if words[0] != "undo":
                assert "ead-only file system" in told.message
                assert "mount it writable" in told.message
    assert seen(root) == before


@pytest.mark.parametrize("now", [(), ("--now",)])
def test_a_repository_that_cannot_be_written_keeps_what_it_links_and_the_others_go(
    root: Path, command: Command, now: tuple[str, ...]
) -> None:
    other = image(seed="other")
    StorageTree(root).add(OTHER, other, [], LONG_AGO)
    shutil.rmtree(root / layout.revision_link(OTHER, other.digest).rpartition("/")[0])
    links = root / layout.layers_folder(APP)
    with missing_part_skips(), bind(links, links, read_only=True):
        for _ in range(2):
            told = command("gc", "--storage", root, *OFFLINE, *now, "--json")
            assert told.status == 4, told
            texts = [each["text"] for each in told.document["collection"]["problems"]]
            assert any(text.startswith(f"{APP}: blobs that are linked there stay") for text in texts), texts
            assert data(root, LAYER).exists()
            assert not data(root, other.blobs[1].digest).exists()
    assert command("gc", "--storage", root, *OFFLINE, *now).status == 0
    assert not data(root, LAYER).exists()
    assert_kept(root)


def test_only_what_was_tidied_up_is_told(root: Path, command: Command) -> None:
    uploads = root / layout.uploads_folder(APP)
    for name in ("a", "b", "c"):
        (uploads / name).mkdir(parents=True)
        (uploads / name / "startedat").write_text("2020-01-01T00:00:00Z")
    with missing_part_skips(), bind(uploads / "b", uploads / "b", read_only=True):
        told = command("gc", "--storage", root, *OFFLINE, "--json")
        assert told.status == 4, told
        collection = told.document["collection"]
        removed = {each["name"] for each in collection["housekeeping"] if each["action"] == "remove-upload"}
        assert removed == {"a", "c"}
        assert [each.name for each in uploads.iterdir()] == ["b"]
        assert any("Read-only file system" in each["text"] for each in collection["problems"])
