"""Collecting beside a serving registry on storages that are damaged, strange, or were tampered with."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from tests.app.collecting import (
    APP,
    OTHER,
    Moves,
    assert_settled,
    assert_whole,
    collect,
    data_of,
    delete,
    has_blob,
    link_of,
    push_or_again,
    put,
    quarantined,
)

from jettison.app.same_storage import show_same_storage
from jettison.collect.quarantine import Collected
from jettison.collect.safety import Margins
from jettison.errors import LockedError, StorageError
from jettison.registry.client import RegistryClient
from jettison.storage.files import open_folder
from jettison.storage.lease import take_lease
from jettison.storage.links import write_layer_link
from jettison.storage.local import LocalStorage
from jettison.storage.quarantine import Quarantine
from jettison.testing import faults
from jettison.testing.faulty import FaultyServer
from jettison.testing.images import image, push
from jettison.testing.registry_server import RegistryServer
from jettison.testing.storage_tree import StorageTree

GONE, KEPT = image(seed="gone"), image(seed="kept")
LAYER = GONE.blobs[1].digest
LONG = image(seed="long", layer_algorithm="sha512")
REPOSITORIES = "docker/registry/v2/repositories"


@pytest.fixture
def prepared(registry: RegistryServer) -> RegistryServer:
    """Return a registry with a kept image and one that was deleted."""
    push(registry.url, APP, GONE, "gone")
    push(registry.url, APP, KEPT, "kept")
    delete(registry.url, APP, GONE.digest)
    return registry


@pytest.mark.parametrize("name", ["Upper/Case", "bad name", os.fsdecode(b"not\xffutf8"), "a" * 200 + "/" + "b" * 60])
async def test_what_a_repository_links_that_no_server_can_be_asked_about_stays(
    registry_28: RegistryServer, name: str
) -> None:
    tree = StorageTree(registry_28.root)
    tree.add(name, GONE)
    revision = registry_28.root / REPOSITORIES / name / f"_manifests/revisions/sha256/{GONE.digest.hex}/link"
    revision.unlink()
    push(registry_28.url, APP, KEPT, "kept")
    other = image(seed="other")
    push(registry_28.url, APP, other, "other")
    delete(registry_28.url, APP, other.digest)
    report = await collect(registry_28.root, registry_28.url)
    assert (report.condemned, report.purged, report.given_up) == (4, 2, 2)
    assert data_of(registry_28.root, LAYER).exists()
    assert link_of(registry_28.root, name, LAYER).exists()
    await assert_settled(registry_28.root, [registry_28], [(APP, KEPT)])


@pytest.mark.parametrize("step", ["written-down", "unlinked", "confirmed", "moved", "waited-long", "confirmed-again"])
async def test_a_layer_that_only_its_sha512_digest_names_is_as_safe_as_any(registry: RegistryServer, step: str) -> None:
    """Its links are gone when the manifest comes, so nothing but our record says which blob the manifest means."""
    push(registry.url, APP, LONG, "long")
    push(registry.url, APP, KEPT, "kept")
    delete(registry.url, APP, LONG.digest)
    named = LONG.blobs[1].digest
    stored = next(path.read_text() for path in (registry.root / REPOSITORIES / APP / "_layers/sha512").glob("*/link"))

    def move() -> None:
        # The server was asked just before the links went, and wrote the manifest just after.
        link = link_of(registry.root, APP, named)
        before = link.read_text() if link.exists() else None
        link.write_text(stored)
        config = link_of(registry.root, APP, LONG.blobs[0].digest)
        config_before = config.exists()
        config.write_text(LONG.blobs[0].digest)
        assert put(registry.url, APP, LONG, "trusting")
        if before is None:
            link.unlink()
        if not config_before:
            config.unlink()

    moves = Moves({step: move})
    await collect(registry.root, registry.url, step=moves)
    moves.assert_made()
    await assert_settled(registry.root, [registry], [(APP, LONG), (APP, KEPT)])


async def test_a_link_that_could_not_be_written_back_is_written_by_the_next_run(
    registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full. Nothing but our record says that the link was there, and which blob it names."""
    push(registry.url, APP, LONG, "long")
    delete(registry.url, APP, LONG.digest)
    links = {blob.digest: link_of(registry.root, APP, blob.digest) for blob in LONG.blobs}
    contents = {digest: link.read_text() for digest, link in links.items()}

    def move() -> None:
        for digest, link in links.items():
            link.write_text(contents[digest])
        assert put(registry.url, APP, LONG, "trusting")
        for link in links.values():
            link.unlink()

    def refuse(*arguments: object) -> None:
        raise StorageError("No space left on device")

    moves = Moves({"confirmed": move})
    with monkeypatch.context() as full:
        full.setattr("jettison.app.reexamine.write_layer_link", refuse)
        report = await collect(registry.root, registry.url, step=moves)
    moves.assert_made()
    assert any("No space left" in problem.text for problem in report.problems)
    await collect(registry.root, registry.url, purge_now=False)
    await assert_settled(registry.root, [registry], [(APP, LONG)])


async def test_a_collected_sha512_layer_can_be_pushed_again(registry: RegistryServer) -> None:
    push(registry.url, APP, LONG, "long")
    delete(registry.url, APP, LONG.digest)
    report = await collect(registry.root, registry.url)
    assert report.purged == 2
    # Its left-over folder does not say which blob it stood for; the next runs go on all the same.
    push(registry.url, APP, GONE, "gone")
    delete(registry.url, APP, GONE.digest)
    report = await collect(registry.root, registry.url)
    assert report.purged == 2
    push(registry.url, APP, LONG, "again")
    await assert_settled(registry.root, [registry], [(APP, LONG)])


async def test_a_folder_of_blobs_behind_a_symbolic_link_stays_and_the_others_go(prepared: RegistryServer) -> None:
    prefix = data_of(prepared.root, LAYER).parent.parent
    outside = prepared.root.with_name("outside")
    shutil.move(prefix, outside)
    prefix.symlink_to(outside)
    report = await collect(prepared.root, prepared.url)
    assert (report.purged, report.given_up) == (1, 1)
    assert data_of(prepared.root, LAYER).exists()
    assert any("symbolic" in problem.text or "Not a directory" in problem.text for problem in report.problems)
    push_or_again(prepared.url, APP, GONE, "again")
    await assert_settled(prepared.root, [prepared], [(APP, GONE), (APP, KEPT)])


async def test_a_blob_on_another_file_system_stays_and_the_others_go(
    prepared: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.rename

    def rename(source: str, target: str, **folders: int) -> None:
        if target.endswith(LAYER.hex):
            raise OSError(18, "Invalid cross-device link")
        real(source, target, **folders)

    monkeypatch.setattr(os, "rename", rename)
    report = await collect(prepared.root, prepared.url)
    monkeypatch.undo()
    assert (report.purged, report.given_up) == (1, 1)
    assert any("another file system" in problem.text for problem in report.problems)
    assert data_of(prepared.root, LAYER).exists()
    push_or_again(prepared.url, APP, GONE, "again")
    await assert_settled(prepared.root, [prepared], [(APP, GONE), (APP, KEPT)])


def test_no_link_is_written_through_a_symbolic_link(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / REPOSITORIES).mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (root / REPOSITORIES / "team").symlink_to(tmp_path / "outside")
    with take_lease(str(root), "a test") as lease:
        with pytest.raises(StorageError, match="cannot be written"):
            write_layer_link(lease, "team/app", LAYER, LAYER)
        write_layer_link(lease, "other/app", LAYER, LAYER)
    assert not list((tmp_path / "outside").iterdir())
    assert link_of(root, "other/app", LAYER).read_text() == LAYER


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated"])
async def test_a_collection_whose_record_is_lost_comes_back(prepared: RegistryServer, damage: str) -> None:
    await collect(prepared.root, prepared.url, purge_now=False)
    assert LAYER in quarantined(prepared.root)
    (record,) = (prepared.root / "jettison/quarantine").glob("*/record.json")
    if damage == "missing":
        record.unlink()
    else:
        record.write_bytes(b"" if damage == "empty" else record.read_bytes()[:-20])
    report = await collect(prepared.root, prepared.url, purge_now=False, margins=Margins(grace=timedelta(days=1)))
    assert report.restored == 2
    assert data_of(prepared.root, LAYER).exists()
    assert not list((prepared.root / "jettison/quarantine").iterdir())


async def test_a_clock_that_was_set_back_purges_nothing_early(prepared: RegistryServer) -> None:
    await collect(prepared.root, prepared.url, purge_now=False)
    report = await collect(prepared.root, prepared.url, purge_now=False, later=timedelta(days=-3))
    assert (report.purged, report.waiting) == (0, 2)
    # What was written in the future is younger than any grace period.
    push(prepared.url, OTHER, image(seed="young"), "young")
    delete(prepared.url, OTHER, image(seed="young").digest)
    report = await collect(prepared.root, prepared.url, later=timedelta(days=-3))
    assert report.condemned == 0


async def test_a_collection_of_the_future_is_told_of(prepared: RegistryServer) -> None:
    """The clock was wrong when it began, and would keep its space for years without a word."""
    await collect(prepared.root, prepared.url, purge_now=False, later=timedelta(days=3000))
    report = await collect(prepared.root, prepared.url, purge_now=False)
    assert (report.purged, report.waiting) == (0, 2)
    (text,) = [problem.text for problem in report.problems]
    assert "the clock was set back" in text
    assert "quarantine purge" in text


async def test_a_second_collection_begins_while_the_first_still_holds_the_same_blob(prepared: RegistryServer) -> None:
    """The blob was uploaded anew, into another repository, after its copy in quarantine had been looked at."""

    def move() -> None:
        push(prepared.url, OTHER, GONE, "anew")
        delete(prepared.url, OTHER, GONE.digest)

    await collect(prepared.root, prepared.url, purge_now=False)
    moves = Moves({"repaired": move})
    await collect(prepared.root, prepared.url, purge_now=False, step=moves)
    held = [path.parent.name for path in (prepared.root / "jettison/quarantine").glob(f"*/sha256-{LAYER.hex}")]
    assert len(held) == 2
    push(prepared.url, APP, GONE, "again")
    await assert_settled(prepared.root, [prepared], [(APP, GONE), (APP, KEPT)])


def _refuse(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """Let no folder be opened whose path ends so, as missing rights do for those who are not root."""

    def refuse(path: str, folder: int | None = None) -> int:
        if path.endswith(ending):
            raise PermissionError(13, "Permission denied")
        return open_folder(path, folder)

    monkeypatch.setattr("jettison.storage.link_folder.open_folder", refuse)


async def test_links_of_a_repository_that_cannot_be_listed_make_everything_stay(
    prepared: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(prepared.url, OTHER, KEPT, "kept")
    _refuse(monkeypatch, f"{OTHER}/_layers/sha256")
    report = await collect(prepared.root, prepared.url)
    assert report.quarantined == 0
    assert report.problems
    monkeypatch.undo()
    assert has_blob(prepared.url, APP, LAYER)


async def test_what_is_in_quarantine_comes_back_while_a_repository_cannot_be_listed(
    prepared: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cannot be looked at may need it."""
    await collect(prepared.root, prepared.url, purge_now=False)
    _refuse(monkeypatch, f"{APP}/_layers/sha256")
    report = await collect(prepared.root, prepared.url, later=timedelta(days=2))
    monkeypatch.undo()
    assert (report.purged, report.restored) == (0, 2)
    assert data_of(prepared.root, LAYER).exists()


async def test_two_collectors_are_kept_apart(prepared: RegistryServer) -> None:
    with take_lease(str(prepared.root), "the first"), pytest.raises(LockedError, match="the first"):
        await collect(prepared.root, prepared.url)
    assert (await collect(prepared.root, prepared.url)).purged == 2


def test_a_blob_that_nobody_wrote_down_is_never_purged_by_its_collection(tmp_path: Path) -> None:
    """A collection is asked only for what its folder holds."""
    (tmp_path / "docker/registry/v2/blobs").mkdir(parents=True)
    with take_lease(str(tmp_path), "a test") as lease:
        quarantine = Quarantine(lease)
        (collected,) = _lost(tmp_path, quarantine)
        assert collected.suspects == ()
        assert quarantine.held(collected) == {LAYER: 4}
        assert quarantine.bring_back(collected, LAYER) == "restored"
        quarantine.finish(collected)
        assert quarantine.collections() == ()
    assert data_of(tmp_path, LAYER).read_bytes() == b"data"


def _lost(root: Path, quarantine: Quarantine) -> tuple[Collected, ...]:
    folder = root / "jettison/quarantine/20261124-120000-abcd"
    folder.mkdir(parents=True)
    (folder / f"sha256-{LAYER.hex}").write_bytes(b"data")
    return quarantine.collections()


async def test_nothing_is_moved_where_the_server_deletes_nothing(prepared: RegistryServer) -> None:
    prepared.stop()
    prepared.delete = False
    prepared.start()
    report = await collect(prepared.root, prepared.url)
    assert (report.quarantined, report.given_up) == (0, 2)
    assert report.problems
    assert_whole([prepared.url], [(APP, KEPT)])


@pytest.mark.parametrize("methods", ["HEAD", "DELETE", "(HEAD|DELETE)"])
async def test_a_no_of_something_that_is_not_the_server_proves_nothing(prepared: RegistryServer, methods: str) -> None:
    """A proxy in front of a replica knows only some paths, and says 404 for all others."""
    push(prepared.url, OTHER, image(seed="other"), "other")
    delete(prepared.url, OTHER, image(seed="other").digest)
    with FaultyServer(upstream=prepared.url) as proxy:
        for method in methods.strip("()").split("|"):
            proxy.when(method, f"/v2/{APP}/blobs/.*", faults.answer(404))
        report = await collect(prepared.root, proxy.url)
    assert (report.purged, report.given_up) == (2, 2)
    assert data_of(prepared.root, LAYER).exists()
    assert not data_of(prepared.root, image(seed="other").blobs[1].digest).exists()
    push(prepared.url, APP, GONE, "again")
    await assert_settled(prepared.root, [prepared], [(APP, GONE), (APP, KEPT)])


async def test_storage_and_registry_are_compared_under_a_name_that_the_registry_takes(
    prepared: RegistryServer,
) -> None:
    StorageTree(prepared.root).add("AAA/not legal", KEPT)
    async with RegistryClient(prepared.url) as client:
        await show_same_storage(LocalStorage(prepared.root), [client])
