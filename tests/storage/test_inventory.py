"""The inventory from the storage: what it tells, and what it need not read again."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from jettison.oci.config import ConfigFacts
from jettison.oci.digest import Digest
from jettison.oci.inventory import Tag
from jettison.plan.space import Space
from jettison.storage import layout
from jettison.storage.inventory import read_storage_inventory
from jettison.storage.local import LocalStorage
from jettison.testing.images import image, index
from jettison.testing.storage_tree import StorageTree

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, 12, tzinfo=UTC)
AMD = image(seed="amd", created=MAY)
MULTI = index([AMD, image(seed="arm", created=JUNE, platform="linux/arm64")])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = StorageTree(tmp_path / "registry")
    tree.add("team/app", MULTI, ["1.0", "latest"], MAY)
    tree.add("team/app", image(seed="untagged", media="docker"), [], JUNE)
    tree.add("other", AMD, ["1"], JUNE)
    return tmp_path / "registry"


class Entry(NamedTuple):
    media_type: str
    body: bytes


class Manifests:
    """What is kept between runs, as a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[Digest, Entry] = {}

    def known(self, digests: Iterable[Digest]) -> Mapping[Digest, Entry]:
        return {digest: self.kept[digest] for digest in digests if digest in self.kept}

    def remember(self, entries: Iterable[tuple[Digest, str, bytes]]) -> None:
        self.kept.update((digest, Entry(media_type, body)) for digest, media_type, body in entries)


class Configs:
    """What configs said, as a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[Digest, ConfigFacts] = {}

    def known(self, digests: Iterable[Digest]) -> Mapping[Digest, ConfigFacts]:
        return {digest: self.kept[digest] for digest in digests if digest in self.kept}

    def remember(self, entries: Iterable[tuple[Digest, ConfigFacts]]) -> None:
        self.kept.update(entries)


def test_tags_manifests_and_dates_are_those_of_the_disk(root: Path) -> None:
    inventory = read_storage_inventory(LocalStorage(root), now=NOW)

    assert (inventory.registry, inventory.source, inventory.taken) == (str(root), "storage", NOW)
    other, app = inventory.repositories
    assert app.name == "team/app"
    assert app.tags == (Tag("1.0", MULTI.digest, MAY), Tag("latest", MULTI.digest, MAY))
    untagged = image(seed="untagged", media="docker").digest
    assert set(app.manifests) == {*(each.digest for each in MULTI.walk()), untagged}
    assert (app.pushed[MULTI.digest], app.pushed[untagged]) == (MAY, JUNE)
    assert app.created(MULTI.digest) == JUNE
    assert app.platforms(MULTI.digest) == ("linux/amd64", "linux/arm64")
    assert other.tags == (Tag("1", AMD.digest, JUNE),)
    assert other.created(AMD.digest) == MAY


def test_sizes_are_those_on_the_disk_whatever_descriptors_say(root: Path) -> None:
    layer = root / layout.blob_data(AMD.blobs[1].digest)
    layer.write_bytes(layer.read_bytes() + b"longer than it should be")

    space = Space.of(read_storage_inventory(LocalStorage(root), now=NOW))

    assert space.total == sum(data.stat().st_size for data in root.rglob("data"))


def test_only_what_is_wanted_is_read(root: Path) -> None:
    storage = LocalStorage(root)

    wanted = read_storage_inventory(storage, now=NOW, wanted=lambda name: name.startswith("team/"))
    named = read_storage_inventory(storage, now=NOW, names=["other", "nobody/here"])

    assert [repository.name for repository in wanted.repositories] == ["team/app"]
    assert [(each.name, len(each.tags), each.problems) for each in named.repositories] == [
        ("nobody/here", 0, ()),
        ("other", 1, ()),
    ]


def test_a_second_reading_opens_no_manifest_and_no_config(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests, configs = Manifests(), Configs()
    first = read_storage_inventory(LocalStorage(root), known=manifests, known_configs=configs, now=NOW)
    asked: list[str] = []
    bodies = LocalStorage.bodies

    def counted(self: LocalStorage, digests: Iterable[str], limit: int) -> object:
        listed = list(digests)
        asked.extend(listed)
        return bodies(self, listed, limit)

    monkeypatch.setattr(LocalStorage, "bodies", counted)

    second = read_storage_inventory(LocalStorage(root), known=manifests, known_configs=configs, now=NOW)

    assert second == first
    assert asked == []
    assert set(manifests.kept) == {*first.repositories[1].manifests, AMD.digest}
    assert len(configs.kept) == 3


def test_a_manifest_that_is_known_but_gone_from_the_disk_is_missed(root: Path) -> None:
    manifests = Manifests()
    read_storage_inventory(LocalStorage(root), known=manifests, now=NOW)
    (root / layout.blob_data(MULTI.digest)).unlink()

    app = read_storage_inventory(LocalStorage(root), known=manifests, now=NOW).repositories[1]

    assert [problem.code for problem in app.problems] == ["missing-manifest"]
    assert not app.is_complete


def test_left_overs_are_those_that_are_there_and_have_no_tag(root: Path) -> None:
    untagged = image(seed="untagged", media="docker").digest
    leftovers = {"team/app": [untagged, MULTI.digest, Digest.of(b"gone")]}

    app = read_storage_inventory(LocalStorage(root), now=NOW, leftovers=leftovers).repositories[1]

    assert app.leftovers == {untagged}


def test_unfinished_uploads_tell_when_they_began(root: Path) -> None:
    folder = root / layout.uploads_folder("other")
    (folder / "one" / "hashstates").mkdir(parents=True)
    (folder / "one" / "startedat").write_text("2026-05-01T12:00:00Z")
    (folder / "one" / "data").write_bytes(b"12345")
    (folder / "two").mkdir()

    one, two = LocalStorage(root).uploads("other")

    assert (one.identifier, one.started, one.size) == ("one", MAY, 5)
    assert (two.identifier, two.size) == ("two", 0)
    assert two.started.timestamp() == pytest.approx((folder / "two").stat().st_mtime, abs=0.001)
    assert LocalStorage(root).uploads("team/app") == ()
