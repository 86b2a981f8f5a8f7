"""Several servers on one storage: each remembers for itself, so each must be told, and each must answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.app.collecting import (
    APP,
    AT_ONCE,
    OTHER,
    Moves,
    assert_settled,
    assert_whole,
    collect,
    data_of,
    delete,
    has_blob,
    link_of,
    put,
)
from tests.conftest import MakeRegistry

from jettison.app.same_storage import show_same_storage
from jettison.errors import UsageError
from jettison.registry.client import RegistryClient
from jettison.storage.local import LocalStorage
from jettison.testing.images import image, push
from jettison.testing.programs import REGISTRY_VERSIONS
from jettison.testing.registry_server import RegistryServer

GONE, KEPT = image(seed="gone"), image(seed="kept")
LAYER = GONE.blobs[1].digest
Pair = tuple[RegistryServer, RegistryServer]


class Second(RegistryServer):
    """A second server on a root that has one; its configuration and log stand apart."""

    def __init__(self, first: RegistryServer) -> None:
        super().__init__(first.version, first.root)
        self.config_path = first.root.with_name(f"{first.root.name}-second-config.yml")
        self.log_path = first.root.with_name(f"{first.root.name}-second.log")


@pytest.fixture(params=REGISTRY_VERSIONS)
def pair(request: pytest.FixtureRequest, make_registry: MakeRegistry) -> Iterator[Pair]:
    """Return two servers on one storage, both of which remember an image that was then deleted at the first."""
    first = make_registry(request.param)
    with Second(first) as second:
        push(first.url, APP, GONE, "gone")
        push(first.url, APP, KEPT, "kept")
        assert_whole([first.url, second.url], [(APP, GONE), (APP, KEPT)])
        assert all(has_blob(server.url, APP, LAYER) for server in (first, second))
        delete(first.url, APP, GONE.digest)
        yield first, second


async def test_all_are_made_to_forget(pair: Pair) -> None:
    first, second = pair
    report = await collect(first.root, [first.url, second.url])
    assert report.purged == 2
    assert not any(has_blob(server.url, APP, LAYER) for server in pair)
    push(second.url, APP, GONE, "again")
    await assert_settled(first.root, pair, [(APP, GONE), (APP, KEPT)])


@pytest.mark.parametrize("step", ["unlinked", "confirmed", "moved", "rescanned-early", "waited-long"])
async def test_a_wrong_yes_of_one_of_them_is_found(pair: Pair, step: str) -> None:
    first, second = pair
    accepted = []

    def move() -> None:
        link = link_of(first.root, APP, LAYER)
        link.write_text(LAYER)
        assert has_blob(second.url, APP, LAYER)
        link.unlink()
        if put(second.url, APP, GONE, "trusting"):
            accepted.append((APP, GONE))

    moves = Moves({step: move})
    await collect(first.root, [first.url, second.url], step=moves)
    moves.assert_made()
    await assert_settled(first.root, pair, [*accepted, (APP, KEPT)])
    push(second.url, APP, GONE, "again")
    push(first.url, OTHER, GONE, "again")
    await assert_settled(first.root, pair, [(APP, GONE), (OTHER, GONE), (APP, KEPT)])


async def test_nothing_is_touched_while_one_is_away(pair: Pair) -> None:
    first, second = pair
    second.stop()
    report = await collect(first.root, [first.url, second.url])
    assert report.given_up == 2
    assert [problem.code for problem in report.problems] == ["server"]
    assert data_of(first.root, LAYER).exists()
    assert link_of(first.root, APP, LAYER).exists()


@pytest.mark.parametrize("step", ["written-down", "unlinked-one", "unlinked", "moved", "waited-long"])
async def test_one_goes_away_in_the_middle(pair: Pair, step: str) -> None:
    first, second = pair
    moves = Moves({step: second.kill})
    report = await collect(first.root, [first.url, second.url], step=moves, barriers=AT_ONCE)
    moves.assert_made()
    assert not report.purged
    assert report.problems
    second.start()
    push(second.url, APP, GONE, "again")
    await assert_settled(first.root, pair, [(APP, GONE), (APP, KEPT)])


async def test_a_replica_that_works_on_another_storage_is_refused(pair: Pair, make_registry: MakeRegistry) -> None:
    first, second = pair
    other = make_registry("2.8")
    storage = LocalStorage(Path(first.root))
    async with (
        RegistryClient(first.url) as one,
        RegistryClient(second.url) as two,
        RegistryClient(other.url) as stranger,
    ):
        await show_same_storage(storage, [one, two])
        with pytest.raises(UsageError, match="does not work on the storage"):
            await show_same_storage(storage, [one, two, stranger])
