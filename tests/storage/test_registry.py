"""The storage as the use cases see a registry."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from jettison.app.registries import AnyRegistry
from jettison.errors import StorageError
from jettison.oci.inventory import Repository
from jettison.storage import layout
from jettison.storage.changes import LocalChanges
from jettison.storage.contract import ChangedError
from jettison.storage.local import LocalStorage
from jettison.storage.registry import StorageRegistry
from jettison.testing.images import image
from jettison.testing.storage_tree import StorageTree

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FIRST, SECOND = image(seed=1), image(seed=2)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = StorageTree(tmp_path / "registry")
    tree.add("team/app", FIRST, ["1", "latest"], NOW)
    tree.add("team/app", SECOND, ["2"], NOW)
    tree.add("other", FIRST, ["1"], NOW)
    return tmp_path / "registry"


@pytest.fixture
def registry(root: Path) -> AnyRegistry:
    """Return the storage by the type that the use cases ask for: mypy holds that it fits."""
    storage = LocalStorage(root)
    return StorageRegistry(storage, LocalChanges(storage))


async def test_reading_and_reading_again(registry: AnyRegistry, root: Path) -> None:
    inventory = await registry.read(lambda name: True, NOW)

    assert registry.name == inventory.registry == str(root)
    assert inventory.taken == NOW
    assert await registry.reread("team/app") == inventory.repositories[1]
    assert await registry.reread("nobody/here") == Repository("nobody/here")


async def test_looking_things_up(registry: AnyRegistry) -> None:
    assert await registry.points_to("team/app", "latest") == FIRST.digest
    assert await registry.points_to("team/app", "3") is None
    assert await registry.points_to("nobody/here", "1") is None
    assert await registry.exists("team/app", SECOND.digest)
    assert not await registry.exists("other", SECOND.digest)


async def test_deleting(registry: AnyRegistry) -> None:
    assert await registry.delete_tag("team/app", "latest", FIRST.digest)
    assert not await registry.delete_tag("team/app", "latest", FIRST.digest)
    assert await registry.delete_manifest("team/app", FIRST.digest, ["1"])
    assert not await registry.delete_manifest("team/app", FIRST.digest, ["1"])

    left = await registry.reread("team/app")
    assert [tag.name for tag in left.tags] == ["2"]
    assert set(left.manifests) == {SECOND.digest}
    assert await registry.points_to("other", "1") == FIRST.digest


async def test_what_changed_meanwhile_stays(registry: AnyRegistry) -> None:
    with pytest.raises(ChangedError):
        await registry.delete_tag("team/app", "2", FIRST.digest)
    with pytest.raises(ChangedError):
        await registry.delete_manifest("team/app", FIRST.digest, ["1", "2"])

    assert await registry.exists("team/app", FIRST.digest)
    assert await registry.points_to("team/app", "2") == SECOND.digest


async def test_a_damaged_tag_is_no_missing_tag(registry: AnyRegistry, root: Path) -> None:
    (root / layout.tag_link("team/app", "1")).write_bytes(b"")

    with pytest.raises(StorageError, match="it is empty; push the tag again to repair it"):
        await registry.points_to("team/app", "1")


@pytest.mark.parametrize("name", ["../other", "team/app/../../x", "/etc", "", "_uploads", "team//app", "Team"])
async def test_no_name_leaves_its_place(registry: AnyRegistry, name: str) -> None:
    with pytest.raises(StorageError, match="is no repository name"):
        await registry.reread(name)
    with pytest.raises(StorageError, match="is no repository name"):
        await registry.delete_manifest(name, FIRST.digest, [])


@pytest.mark.parametrize("tag", ["..", ".", "../2", "a/b", ""])
async def test_no_tag_leaves_its_place(registry: AnyRegistry, tag: str) -> None:
    with pytest.raises(StorageError, match="is no tag"):
        await registry.delete_tag("team/app", tag, FIRST.digest)
    with pytest.raises(StorageError, match="is no tag"):
        await registry.delete_manifest("team/app", FIRST.digest, ["1", tag])

    assert await registry.points_to("team/app", "1") == FIRST.digest


async def test_preflight_finds_a_storage_that_cannot_be_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(root)
    registry = StorageRegistry(storage, LocalChanges(storage))
    ability = await registry.preflight()
    assert (ability.deletes_manifests, ability.deletes_tags) == (True, True)

    def refuse(self: LocalChanges) -> None:
        raise StorageError("read-only")

    monkeypatch.setattr(LocalChanges, "check", refuse)
    with pytest.raises(StorageError, match="read-only"):
        await registry.preflight()
