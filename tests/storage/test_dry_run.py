"""A dry run with a memory: it finds what a look without one finds, whatever happened to the storage in between."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jettison.app.examine import Examined, examine
from jettison.collect.safety import Margins
from jettison.oci.digest import Digest
from jettison.storage import dry_run, files, folder_memory, layout, local, shares
from jettison.storage.dry_run import DryRun
from jettison.storage.folder_memory import FolderMemory
from jettison.storage.local import LocalStorage
from jettison.storage.reference_cache import ReferenceCache
from jettison.testing.built import BuiltManifest
from jettison.testing.images import artifact, image, index, oci_artifact_manifest, signature_of
from jettison.testing.storage_tree import StorageTree

OLD = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime.now(UTC) + timedelta(days=1)
MARGINS = Margins(timedelta(hours=1))
REPOSITORIES = ("app", "team/web")
BASE = image([b"shared"], seed="base")
IMAGES: list[BuiltManifest] = [
    *[image([b"shared", f"layer {number}".encode()], seed=number) for number in range(3)],
    index([image([b"for amd64"], seed="amd64"), image([b"for arm64"], seed="arm64")]),
    signature_of(BASE.digest),
    artifact([b"an attestation"], subject=BASE),
    oci_artifact_manifest([b"another attestation"], subject=BASE),
    image([b"by another algorithm"], seed="sha512", layer_algorithm="sha512"),
]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folder_memory, "SUSPECT", 0)
    monkeypatch.setattr(dry_run, "SUSPECT", 0)
    tree = StorageTree(tmp_path / "registry")
    for repository in REPOSITORIES:
        for number, built in enumerate((BASE, *IMAGES[:3])):
            tree.add(repository, built, [f"{number}"], OLD)
    return tmp_path / "registry"


def _tick(root: Path) -> None:
    """Wait until the file system's clock has moved, which counts in steps of milliseconds."""
    probe = root.parent / "probe"
    probe.touch()
    first = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == first:
        probe.touch()


def _memory(root: Path) -> FolderMemory:
    return FolderMemory(root.parent / "cache", str(root))


def _looked(root: Path, processes: int = 1) -> Examined:
    """Look as a dry run does, with what earlier ones have left in the folder of caches."""
    _tick(root)
    memory, known = _memory(root), ReferenceCache(root.parent / "cache", str(root))
    storage = LocalStorage(root)
    found = examine(
        storage.remembering(memory, processes),
        NOW,
        MARGINS,
        known,
        serving=False,
        dry_run=DryRun(storage, known, memory, processes),
    )
    memory.save()
    return found


Said = tuple[object, ...]


def _said(found: Examined) -> Said:
    """Return all that a report is made from."""
    survey = found.survey
    condemned = None if survey.condemned is None else (survey.condemned.blobs, survey.condemned.young)
    return survey.blobs, condemned, survey.broken, sorted(survey.problems), sorted(found.chores)


def _plain(root: Path) -> Said:
    return _said(examine(LocalStorage(root), NOW, MARGINS, serving=False))


def _push(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    StorageTree(root).add(repository, built, [tag], OLD)


def _retag(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    """Write into the link in place, as registry 2.8 does: neither its folder's time nor its inode tells."""
    link = root / layout.tag_link(repository, tag)
    if link.exists():
        link.write_text(built.digest)


def _truncate(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    link = root / layout.tag_link(repository, tag)
    if link.exists():
        link.write_text("")


def _untag(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    shutil.rmtree(root / layout.tags_folder(repository) / tag, ignore_errors=True)


def _half_untag(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    """Leave the folder, as a server does that was killed in the middle of a push."""
    (root / layout.tag_link(repository, tag)).unlink(missing_ok=True)


def _delete(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    """Delete a manifest as the registry does: tags first, then the link, whose folder stays."""
    for link in (root / layout.tags_folder(repository)).glob("*/current/link"):
        if link.read_text() == built.digest:
            shutil.rmtree(link.parent.parent)
    (root / layout.revision_link(repository, built.digest)).unlink(missing_ok=True)


def _unlink_layer(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    for blob in built.blobs:
        shutil.rmtree((root / layout.layer_link(repository, Digest.of(blob.body))).parent, ignore_errors=True)


def _lose_blobs(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    """Take layers out of the store, as the registry's own collector does, folders and all."""
    for blob in built.blobs:
        shutil.rmtree((root / layout.blob_data(Digest.of(blob.body))).parent, ignore_errors=True)


def _add_blob(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    body = f"nobody needs this {tag}".encode()
    digest = Digest.of(body)
    for path, content in (
        (root / layout.blob_data(digest), body),
        (root / layout.layer_link(repository, digest), digest.encode()),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _foreign(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    for folder in (root / layout.tags_folder(repository), root / layout.BLOBS / "sha256" / "aa"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "notes.txt").write_text("somebody's")


def _empty(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    for folder in (layout.REVISIONS, layout.TAGS):
        shutil.rmtree(root / layout.repository_folder(repository) / folder, ignore_errors=True)


def _look(root: Path, repository: str, built: BuiltManifest, tag: str) -> None:
    """Do nothing: the next look finds everything as it was."""


Step = Callable[[Path, str, BuiltManifest, str], None]
STEPS: list[Step] = [
    _push,
    _retag,
    _truncate,
    _untag,
    _half_untag,
    _delete,
    _unlink_layer,
    _lose_blobs,
    _add_blob,
    _foreign,
    _empty,
    _look,
]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(STEPS),
            st.sampled_from(REPOSITORIES),
            st.sampled_from(IMAGES),
            st.sampled_from(["0", "1", "new"]),
        ),
        max_size=6,
    ),
    processes=st.sampled_from([1, 1, 1, 2]),
)
def test_it_finds_what_a_look_without_memory_finds(
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[Step, str, BuiltManifest, str]],
    processes: int,
) -> None:
    own = tmp_path_factory.mktemp("played") / "registry"
    shutil.copytree(root, own)
    _looked(own)
    for step, repository, built, tag in steps:
        _tick(own)
        step(own, repository, built, tag)
        assert _said(_looked(own, processes)) == _plain(own)
    assert _said(_looked(own, processes)) == _plain(own)


def test_what_has_not_changed_is_neither_listed_nor_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _said(_looked(root))
    opened: list[str] = []
    listed: list[str | int] = []
    read_small, listdir = files.read_small, os.listdir

    def counted_reading(paths: Iterable[str], *rest: Any) -> Iterator[bytes | None]:
        paths = list(paths)
        opened.extend(paths)
        return read_small(paths, *rest)

    def counted_listing(folder: str | int) -> list[str]:
        listed.append(folder)
        return listdir(folder)

    monkeypatch.setattr(local, "read_small", counted_reading)
    monkeypatch.setattr(os, "listdir", counted_listing)

    assert _said(_looked(root)) == first
    assert opened == []
    assert [folder for folder in listed if "/blobs/sha256/" in str(folder) or "_layers" in str(folder)] == []

    _push(root, "app", IMAGES[0], "another")
    assert _said(_looked(root)) == _plain(root)
    assert "another/current/link" in opened


def test_what_was_written_a_moment_ago_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "SUSPECT", 3600 * 10**9)
    _looked(root)
    memory = _memory(root)
    assert memory.entry("/app") is None
    assert memory.entry("unreachable") is None


@pytest.mark.parametrize("processes", [2, 3, 4, 9])
def test_several_processes_find_the_same(root: Path, processes: int) -> None:
    for repository in ("b", "c", "d"):
        _push(root, repository, IMAGES[3], "1")
    _add_blob(root, "d", BASE, "1")
    assert _said(_looked(root, processes)) == _plain(root)
    assert _said(_looked(root, processes)) == _plain(root)


def test_references_are_kept_though_not_all_are_asked_for(root: Path) -> None:
    """What is settled asks for none; writing down what is new must not drop it."""
    _looked(root)
    _push(root, "app", IMAGES[3], "index")
    _looked(root)
    known = ReferenceCache(root.parent / "cache", str(root))
    digests = {BASE.digest, *[built.digest for built in IMAGES[:4]]}
    assert known.known(digests).keys() == digests


class TestShares:
    """Work done by several processes."""

    @pytest.mark.parametrize("processes", [1, 2, 3, 8])
    @pytest.mark.parametrize("count", [0, 1, 2, 7])
    def test_every_item_is_in_one_share(self, processes: int, count: int) -> None:
        found = shares.in_shares(list, list(range(count)), processes)
        assert sorted(number for share in found for number in share) == list(range(count))
        assert all(found)

    def test_another_process_does_its_share(self) -> None:
        assert len(set(shares.in_shares(lambda share: os.getpid(), [1, 2], 2))) == 2

    def test_an_error_is_raised_as_without_other_processes(self) -> None:
        def work(share: object) -> int:
            raise ValueError(f"share {share}")

        with pytest.raises(ValueError, match="share"):
            shares.in_shares(work, [1, 2, 3], 3)

    def test_the_share_of_a_process_that_was_killed_is_done_here(self) -> None:
        here = os.getpid()

        def work(share: object) -> int:
            if os.getpid() != here:
                os.kill(os.getpid(), 9)
            return os.getpid()

        assert shares.in_shares(work, [1, 2, 3], 3) == [here] * 3

    def test_no_process_and_no_descriptor_is_left(self) -> None:
        before = _descriptors()
        found = shares.in_shares(lambda share: (os.getpid(), "x" * 1_000_000), list(range(8)), 4)
        assert _descriptors() == before
        others = [process for process, _ in found if process != os.getpid()]
        assert len(others) == 3
        for process in others:
            with pytest.raises(ChildProcessError):
                os.waitpid(process, os.WNOHANG)

    def test_beside_threads_nothing_is_forked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("threading.active_count", lambda: 2)
        assert set(shares.in_shares(lambda share: os.getpid(), [1, 2, 3], 3)) == {os.getpid()}


def _descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.exists()}
