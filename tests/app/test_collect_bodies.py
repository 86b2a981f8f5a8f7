"""Manifests' bodies beside a serving registry: they stay until every server has started after they went.

Up to 3.1.1 a server that remembers a body does not write it again, so the manifest would be accepted and lost.
"""

from datetime import UTC, datetime, timedelta

import pytest
from tests.app.collecting import APP, assert_settled, assert_whole, collect, data_of, delete
from tests.conftest import MakeRegistry

from jettison.testing.connection import Connection
from jettison.testing.images import image, push
from jettison.testing.registry_server import RegistryServer

GONE, KEPT = image(seed="gone"), image(seed="kept")


@pytest.fixture
def prepared(registry: RegistryServer) -> RegistryServer:
    """Return a registry with a kept image and one that was deleted."""
    push(registry.url, APP, GONE, "gone")
    push(registry.url, APP, KEPT, "kept")
    delete(registry.url, APP, GONE.digest)
    return registry


def body_is_there(registry: RegistryServer) -> bool:
    return data_of(registry.root, GONE.digest).exists()


def restarted(registry: RegistryServer) -> datetime:
    """Restart, and return a time before that and after all that was before."""
    registry.stop()
    now = datetime.now(UTC)
    registry.start()
    return now


async def test_a_body_stays_while_a_server_may_remember_it(prepared: RegistryServer) -> None:
    for started in (None, datetime.now(UTC) - timedelta(hours=1)):
        report = await collect(prepared.root, prepared.url, started=started)
        assert report.bodies == 1
        assert body_is_there(prepared)
    push(prepared.url, APP, GONE, "again")
    await assert_settled(prepared.root, [prepared], [(APP, GONE), (APP, KEPT)])


async def test_a_body_goes_once_the_server_has_started_after_it_was_seen_unreachable(prepared: RegistryServer) -> None:
    await collect(prepared.root, prepared.url)
    started = restarted(prepared)
    report = await collect(prepared.root, prepared.url, started=started)
    assert report.bodies == 0
    assert report.purged == 1
    assert not body_is_there(prepared)
    push(prepared.url, APP, GONE, "again")
    await assert_settled(prepared.root, [prepared], [(APP, GONE), (APP, KEPT)])


async def test_a_server_without_cache_remembers_nothing(make_registry: MakeRegistry) -> None:
    registry = make_registry("2.8", cache=None)
    push(registry.url, APP, GONE, "gone")
    delete(registry.url, APP, GONE.digest)
    report = await collect(registry.root, registry.url, cacheless=True)
    assert report.purged == 3
    push(registry.url, APP, GONE, "again")
    assert_whole([registry.url], [(APP, GONE)])


async def test_a_body_that_was_pushed_and_deleted_again_since_the_start_stays(prepared: RegistryServer) -> None:
    """It was seen unreachable before the start, and is now, yet the server remembers it."""
    await collect(prepared.root, prepared.url)
    started = restarted(prepared)
    push(prepared.url, APP, GONE, "between")
    delete(prepared.url, APP, GONE.digest)
    report = await collect(prepared.root, prepared.url, started=started)
    assert report.bodies == 1
    assert body_is_there(prepared)
    push(prepared.url, APP, GONE, "again")
    await assert_settled(prepared.root, [prepared], [(APP, GONE), (APP, KEPT)])


@pytest.mark.parametrize("step", ["scanned", "written-down", "confirmed", "moved", "waited-long", "confirmed-again"])
async def test_a_body_that_is_pushed_and_deleted_during_the_run_stays(prepared: RegistryServer, step: str) -> None:
    await collect(prepared.root, prepared.url)
    started = restarted(prepared)
    moves = [step]

    def move(name: str) -> None:
        if moves == [name]:
            moves.clear()
            push(prepared.url, APP, GONE, "between")
            delete(prepared.url, APP, GONE.digest)

    await collect(prepared.root, prepared.url, started=started, step=move)
    assert not moves
    push(prepared.url, APP, GONE, "again")
    assert_whole([prepared.url], [(APP, GONE), (APP, KEPT)])
    await assert_settled(prepared.root, [prepared], [(APP, GONE), (APP, KEPT)])


async def test_a_body_that_a_repository_links_as_a_blob_stays(prepared: RegistryServer) -> None:
    """Any question about it makes the server remember it."""
    with Connection(prepared.url) as connection:
        begun = connection.ask("POST", f"/v2/{APP}/blobs/uploads/", b"")
        path = begun.headers["location"].removeprefix(prepared.url)
        assert connection.ask("PUT", f"{path}&digest={GONE.digest}", GONE.body).status == 201
    await collect(prepared.root, prepared.url)
    started = restarted(prepared)
    with Connection(prepared.url) as connection:
        assert connection.ask("HEAD", f"/v2/{APP}/blobs/{GONE.digest}").status == 200
    await collect(prepared.root, prepared.url, started=started)
    assert body_is_there(prepared)
    push(prepared.url, APP, GONE, "again")
    await assert_settled(prepared.root, [prepared], [(APP, GONE), (APP, KEPT)])


async def test_a_clock_that_was_set_back_makes_bodies_wait(prepared: RegistryServer) -> None:
    """The server started in what is the future now; when that has come, it still remembers the body."""
    started = datetime.now(UTC) + timedelta(hours=1)
    await collect(prepared.root, prepared.url, started=started)
    report = await collect(prepared.root, prepared.url, started=started, later=timedelta(hours=2))
    assert report.bodies == 1
    assert body_is_there(prepared)
