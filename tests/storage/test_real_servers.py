"""Trees that real servers made: read, delete, collect, and let the server pull everything that is kept."""

from datetime import UTC, datetime

import pytest

from jettison.collect.safety import AT_ONCE
from jettison.oci.digest import Digest
from jettison.plan.space import Space
from jettison.storage.changes import LocalChanges
from jettison.storage.local import LocalStorage
from jettison.storage.registry import StorageRegistry
from jettison.storage.survey import survey
from jettison.storage.sweep import Swept, sweep
from jettison.testing.connection import Connection
from jettison.testing.images import image, index, pull, push, random_layer, signature_of, signature_tag
from jettison.testing.registry_server import RegistryServer

SHARED = random_layer("shared", 5000)
OLD = image([SHARED, random_layer("old", 700)], seed="old")
KEPT = image([SHARED, random_layer("kept", 900)], seed="kept")
ARM = image(seed="arm", platform="linux/arm64")
MULTI = index([KEPT, ARM])
OLD_MULTI = index([image(seed="old amd"), image(seed="old arm", platform="linux/arm64")])
NAMED_OTHERWISE = image(seed="sha512", layer_algorithm="sha512")
OLD_NAMED_OTHERWISE = image(seed="old sha512", layer_algorithm="sha512")
SIGNATURE = signature_of(KEPT.digest)
GOING = {
    "team/app": [(OLD, ["1.0"])],
    "team/deep/er": [(OLD_MULTI, ["1"]), (OLD_MULTI.children[0], []), (OLD_MULTI.children[1], [])],
    "other": [(OLD_NAMED_OTHERWISE, ["1"])],
}


@pytest.fixture
def stopped(registry: RegistryServer) -> RegistryServer:
    """Return a server that everything was pushed to, and that was stopped."""
    push(registry.url, "team/app", OLD, "1.0")
    push(registry.url, "team/app", KEPT, "2.0")
    push(registry.url, "team/app", KEPT, "latest")
    push(registry.url, "team/app", SIGNATURE, signature_tag(KEPT.digest))
    push(registry.url, "team/deep/er", MULTI, "2")
    push(registry.url, "team/deep/er", OLD_MULTI, "1")
    push(registry.url, "other", NAMED_OTHERWISE, "2")
    push(registry.url, "other", OLD_NAMED_OTHERWISE, "1")
    registry.stop()
    return registry


def _opened(server: RegistryServer) -> tuple[LocalStorage, LocalChanges, StorageRegistry]:
    storage = LocalStorage(server.root)
    changes = LocalChanges(storage)
    return storage, changes, StorageRegistry(storage, changes)


def _collect(server: RegistryServer) -> Swept:
    storage, changes, _ = _opened(server)
    condemned = survey(storage, datetime.now(UTC), AT_ONCE).condemned
    assert condemned is not None
    return sweep(storage, changes, condemned)


def _pull_all_that_is_kept(url: str) -> None:
    for repository, reference in (
        ("team/app", "2.0"),
        ("team/app", "latest"),
        ("team/app", signature_tag(KEPT.digest)),
        ("team/deep/er", "2"),
        ("team/deep/er", str(ARM.digest)),
        ("other", "2"),
    ):
        pull(url, repository, reference)


def _bytes_on_disk(server: RegistryServer) -> int:
    return sum(path.stat().st_size for path in server.root.rglob("data"))


async def test_the_inventory_is_what_was_pushed(stopped: RegistryServer) -> None:
    inventory = await _opened(stopped)[2].read()

    assert inventory.source == "storage"
    assert [repository.name for repository in inventory.repositories] == ["other", "team/app", "team/deep/er"]
    assert all(not repository.problems for repository in inventory.repositories)
    app = inventory.repositories[1]
    assert {tag.name: tag.digest for tag in app.tags} == {
        "1.0": OLD.digest,
        "2.0": KEPT.digest,
        "latest": KEPT.digest,
        signature_tag(KEPT.digest): SIGNATURE.digest,
    }
    assert app.platforms(KEPT.digest) == ("linux/amd64",)
    deep = inventory.repositories[2]
    assert set(deep.manifests) == {each.digest for tree in (MULTI, OLD_MULTI) for each in tree.walk()}
    now = datetime.now(UTC)
    assert all(abs((now - when).total_seconds()) < 600 for when in deep.pushed.values())
    assert Space.of(inventory).total == _bytes_on_disk(stopped)


async def test_what_is_deleted_comes_back_as_bytes_and_what_is_kept_pulls_whole(stopped: RegistryServer) -> None:
    registry = _opened(stopped)[2]
    inventory = await registry.read()
    promised = Space.of(inventory).freed_by(
        [(repository, built.digest) for repository, going in GOING.items() for built, _ in going]
    )
    before = _bytes_on_disk(stopped)

    for repository, going in GOING.items():
        for built, tags in going:
            assert await registry.delete_manifest(repository, built.digest, tags)
    swept = _collect(stopped)

    assert swept.problems == ()
    assert swept.freed == promised == before - _bytes_on_disk(stopped)
    stopped.start()
    _pull_all_that_is_kept(stopped.url)
    with Connection(stopped.url) as connection:
        for repository, going in GOING.items():
            for built, tags in going:
                for reference in (*tags, built.digest):
                    assert connection.ask("GET", f"/v2/{repository}/manifests/{reference}").status == 404


async def test_what_was_collected_can_be_pushed_again(stopped: RegistryServer) -> None:
    registry = _opened(stopped)[2]
    for repository, going in GOING.items():
        for built, tags in going:
            await registry.delete_manifest(repository, built.digest, tags)
    _collect(stopped)
    stopped.start()

    for repository, going in GOING.items():
        push(stopped.url, repository, going[0][0], "again")
        pull(stopped.url, repository, "again")
    _pull_all_that_is_kept(stopped.url)


def test_what_the_server_deleted_is_collected(stopped: RegistryServer) -> None:
    stopped.start()
    with Connection(stopped.url) as connection:
        assert connection.ask("DELETE", f"/v2/team/app/manifests/{OLD.digest}").status == 202
    stopped.stop()

    swept = _collect(stopped)

    assert swept.freed == len(OLD.body) + len(OLD.blobs[0].body) + 700
    stopped.start()
    _pull_all_that_is_kept(stopped.url)


async def test_a_single_tag_goes_on_either_version(stopped: RegistryServer) -> None:
    registry = _opened(stopped)[2]

    assert await registry.delete_tag("team/app", "latest", KEPT.digest)
    assert _collect(stopped).freed == 0

    stopped.start()
    with Connection(stopped.url) as connection:
        assert connection.ask("GET", "/v2/team/app/manifests/latest").status == 404
        assert b"latest" not in connection.ask("GET", "/v2/team/app/tags/list").body
    pull(stopped.url, "team/app", "2.0")


def test_untagged_manifests_keep_all_that_they_need(stopped: RegistryServer) -> None:
    stopped.start()
    push(stopped.url, "team/app", image(seed="newer"), "2.0")
    push(stopped.url, "team/app", image(seed="newer"), "latest")
    stopped.stop()

    assert _collect(stopped).blobs == 0

    stopped.start()
    pull(stopped.url, "team/app", str(KEPT.digest))


def test_the_same_is_collected_as_by_the_registrys_own_collector(stopped: RegistryServer) -> None:
    stopped.start()
    with Connection(stopped.url) as connection:
        for repository, going in GOING.items():
            if repository == "other":  # theirs loses sha512 layers that are kept; tested below for ours
                continue
            for built, _ in going:
                assert connection.ask("DELETE", f"/v2/{repository}/manifests/{built.digest}").status == 202
    stopped.stop()
    theirs = {
        Digest(line.split("blob eligible for deletion: ")[1].strip())
        for line in stopped.garbage_collect(dry_run=True).stdout.splitlines()
        if "blob eligible for deletion: " in line
    }

    condemned = survey(LocalStorage(stopped.root), datetime.now(UTC), AT_ONCE).condemned

    assert condemned is not None
    kept_for_sha512 = {Digest.of(each.blobs[1].body) for each in (NAMED_OTHERWISE, OLD_NAMED_OTHERWISE)}
    assert {blob.digest for blob in condemned.blobs} == theirs - kept_for_sha512
    assert len(condemned.blobs) >= 8
