"""Registries that cache descriptors in Redis, which remembers over their restart what they told it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.app.collecting import APP, assert_settled, collect, data_of, delete
from tests.conftest import MakeRegistry, missing_part_skips

from jettison.app.serving import ServerFacts, server_facts
from jettison.control.local_file import LocalFileRegistry
from jettison.oci.digest import Digest
from jettison.storage.changes import LocalChanges
from jettison.storage.local import LocalStorage
from jettison.testing.images import image, pull, push
from jettison.testing.programs import RegistryVersion
from jettison.testing.redis_server import RedisServer
from jettison.testing.registry_server import RegistryServer

GONE, KEPT = image(seed="gone"), image(seed="kept")


class Running(LocalFileRegistry):
    """The server of a configuration file, of which control also tells version and start."""

    def version(self) -> str | None:
        return "v3.1.1"

    def started_at(self) -> datetime | None:
        return datetime.now(UTC)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with missing_part_skips(), RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture(params=["2.8", "3.1"])
def cached(request: pytest.FixtureRequest, redis: RedisServer, make_registry: MakeRegistry) -> RegistryServer:
    """A registry of each version with its descriptors in Redis, and with two images."""
    version: RegistryVersion = request.param
    made = make_registry(version, cache=None, extra=redis.registry_configuration)
    push(made.url, APP, GONE, "gone")
    push(made.url, APP, KEPT, "kept")
    return made


def facts_of(registry: RegistryServer) -> ServerFacts:
    if registry.version == "2.8":
        # Refused where it is known; here nobody named the configuration.
        return ServerFacts()
    return server_facts(Running(str(registry.config_path)), is_here=True)


async def test_what_was_collected_is_pushed_again_without_a_restart(cached: RegistryServer) -> None:
    for _ in range(2):
        pull(cached.url, APP, str(GONE.digest))
        delete(cached.url, APP, GONE.digest)
        facts = facts_of(cached)
        report = await collect(cached.root, cached.url, started=facts.started, cacheless=facts.cacheless)
        assert (report.purged, report.bodies) == (2, 1)
        push(cached.url, APP, GONE, "gone")
        pull(cached.url, APP, "gone")
    await assert_settled(cached.root, [cached], [(APP, GONE), (APP, KEPT)])


async def test_a_restart_does_not_make_it_forget_a_manifest(cached: RegistryServer) -> None:
    """It was deleted in the storage, so nothing made Redis forget its body."""
    pull(cached.url, APP, "gone")
    cached.stop()
    storage = LocalStorage(cached.root)
    assert LocalChanges(storage).delete_revision(APP, Digest(GONE.digest), ["gone"])
    cached.start()
    for _ in range(2):
        facts = facts_of(cached)
        report = await collect(cached.root, cached.url, started=facts.started, cacheless=facts.cacheless)
        assert report.bodies == 1
        cached.restart()
    assert data_of(cached.root, GONE.digest).exists()
    push(cached.url, APP, GONE, "again")
    await assert_settled(cached.root, [cached], [(APP, GONE), (APP, KEPT)])
