"""The cache of references: the same findings with it as without it, whatever became of its file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jettison.collect.mark import CompleteMark
from jettison.collect.references import References
from jettison.collect.safety import AT_ONCE
from jettison.oci.digest import Digest
from jettison.storage import layout
from jettison.storage.local import LocalStorage
from jettison.storage.reference_cache import ReferenceCache
from jettison.storage.roots import read_roots
from jettison.storage.survey import survey
from jettison.testing.images import artifact, image, index
from jettison.testing.storage_tree import StorageTree

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OLD = datetime(2026, 1, 1, tzinfo=UTC)
KEPT = index([image(seed=1), image(seed=2)], subject=image(seed=3))
GOING = artifact()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = StorageTree(tmp_path / "registry")
    tree.add("app", KEPT, ["1"], OLD)
    tree.add("app", image(seed=3, layer_algorithm="sha512"), ["2"], OLD)
    tree.add("app", GOING, [], OLD)
    (tmp_path / "registry" / layout.revision_link("app", GOING.digest)).unlink()
    return tmp_path / "registry"


def _condemned(root: Path, cache: ReferenceCache | None) -> set[Digest]:
    condemned = survey(LocalStorage(root), NOW, AT_ONCE, cache).condemned
    assert condemned is not None
    return {blob.digest for blob in condemned.blobs}


def _cache(root: Path) -> ReferenceCache:
    return ReferenceCache(root.parent / "cache", str(root))


def test_a_second_run_reads_no_manifest_and_finds_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = _condemned(root, None)
    assert without == set(GOING.sizes())
    assert _condemned(root, _cache(root)) == without
    read: list[str] = []
    bodies = LocalStorage.bodies

    def counted(self: LocalStorage, digests: set[str], limit: int) -> object:
        read.extend(digests)
        return bodies(self, digests, limit)

    monkeypatch.setattr(LocalStorage, "bodies", counted)

    assert _condemned(root, _cache(root)) == without
    assert read == []


def test_new_manifests_are_read_and_those_that_went_are_dropped(root: Path) -> None:
    _condemned(root, _cache(root))
    (root / layout.revision_link("app", KEPT.digest)).unlink()
    (root / layout.tag_link("app", "1")).unlink()
    StorageTree(root).add("app", image(seed="new"), ["3"], OLD)

    _condemned(root, _cache(root))

    cache = _cache(root)
    assert set(cache.known({KEPT.digest, image(seed="new").digest, KEPT.children[0].digest})) == {
        image(seed="new").digest,
        KEPT.children[0].digest,
    }


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "older", "folder"])
def test_a_damaged_file_counts_as_empty(root: Path, damage: str) -> None:
    without = _condemned(root, None)
    cache = _cache(root)
    _condemned(root, cache)
    content = cache.path.read_bytes()
    if damage == "folder":
        cache.path.unlink()
        cache.path.mkdir()
    else:
        cache.path.write_bytes(
            {
                "truncated": content[:-71],
                "changed": content[:-1] + (b"0" if content[-1:] != b"0" else b"1"),
                "empty": b"",
                "older": content.replace(b"references 4", b"references 3"),
            }[damage]
        )

    again = _cache(root)

    assert again.known({KEPT.digest}) == {}
    assert _condemned(root, again) == without
    assert (again.problem is not None) == (damage == "folder")


def test_all_kinds_of_references_come_back(tmp_path: Path) -> None:
    entries = {
        str(Digest.of(b"1")): References.of((Digest.of(b"a"), Digest.of(b"b", "sha512"))),
        str(Digest.of(b"2")): References.of((), (Digest.of(b"c"),), (Digest.of(b"d"), Digest.of(b"e"))),
        str(Digest.of(b"3")): References(),
    }
    ReferenceCache(tmp_path, "x").remember(entries)

    assert ReferenceCache(tmp_path, "x").known(entries.keys()) == entries
    assert ReferenceCache(tmp_path, "y").known(entries.keys()) == {}


def test_what_a_known_manifest_needs_stays_where_its_data_is_gone(root: Path) -> None:
    _condemned(root, _cache(root))
    (root / layout.blob_data(KEPT.digest)).unlink()
    (root / layout.blob_folder(KEPT.digest)).rmdir()
    storage = LocalStorage(root)

    roots = read_roots(storage, storage.blobs().digests, _cache(root))

    mark = roots.mark()
    assert isinstance(mark, CompleteMark)
    assert set(KEPT.sizes()) <= mark.reachable


def test_damage_at_any_byte_counts_as_an_empty_cache(tmp_path: Path) -> None:
    entries = {
        str(Digest.of(b"1")): References.of((Digest.of(b"a"), Digest.of(b"b"))),
        str(Digest.of(b"2")): References.of((), (Digest.of(b"c"),), (Digest.of(b"d"),)),
        str(Digest.of(b"3", "sha512")): References(),
    }
    cache = ReferenceCache(tmp_path, "x")
    cache.remember(entries)
    content = cache.path.read_bytes()

    for at in range(len(content)):
        for damaged in (content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :], content[:at]):
            cache.path.write_bytes(damaged)
            assert ReferenceCache(tmp_path, "x").known(entries.keys()) == {}, at


BUILT = [
    image([b"shared"], seed=1),
    image([b"shared", b"other"], seed=2, layer_algorithm="sha512"),
    index([image([b"shared"], seed=1), image(seed=4)]),
    index([index([image(seed=5)]), image(seed=6)], subject=image(seed=7)),
    artifact([b"sbom"], subject=image([b"shared"], seed=1)),
]
STEPS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["push", "delete", "look"])), max_size=8)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_marking_finds_the_same_with_and_without_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    root = tmp_path_factory.mktemp("tree") / "registry"
    StorageTree(root).add("app", BUILT[0], ["0"], OLD)
    for number, step in steps:
        built = BUILT[number]
        link = root / layout.revision_link("app", built.digest)
        if step == "push":
            StorageTree(root).add("app", built, [f"{number}"], OLD)
        elif step == "delete" and link.exists():
            link.unlink()
            (root / layout.tag_link("app", f"{number}")).unlink(missing_ok=True)
        assert _condemned(root, _cache(root)) == _condemned(root, None)
