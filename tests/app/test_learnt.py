"""What the history adds to an inventory: over the API a tag is dated from the look that found it, and pulls come in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jettison.app.access import Overrides, resolve_access
from jettison.app.configuration import Configuration
from jettison.app.learnt import with_history
from jettison.app.sessions import open_registry, open_served_storage, stored_registry
from jettison.history.pulls import LogPosition
from jettison.history.store import History
from jettison.oci.inventory import Inventory, Problem, Repository, Tag
from jettison.pulls.spans import Span
from jettison.storage.local import LocalStorage
from jettison.testing.images import image, index, push
from jettison.testing.registry_server import RegistryServer

APP = "team/app"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ONE, TWO = image(seed=1), image(seed=2)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History.open(tmp_path / "history.db")


def record(history: History, registry: str) -> None:
    counted = {(APP, "1.0"): (1, NOON - DAY), (APP, ONE.digest): (1, NOON)}
    history.pulls.record(registry, counted, [Span(NOON - 9 * DAY, NOON)], LogPosition("head", "all", 1), None)


async def read(url: str, history: History, now: datetime) -> Repository:
    access = resolve_access(Configuration(), url, Overrides())
    async with open_registry(access, history, warn=pytest.fail) as registry:
        (found,) = (await registry.read(lambda name: True, now)).repositories
    return found


async def test_over_the_api_a_tag_is_as_old_as_the_look_that_found_it(
    registry: RegistryServer, history: History
) -> None:
    push(registry.url, APP, ONE, "1.0")
    record(history, registry.url)
    first = await read(registry.url, history, NOON)
    assert {tag.name: tag.pushed for tag in first.tags} == {"1.0": None}
    assert first.pulled == {"1.0": NOON - DAY, ONE.digest: NOON}
    assert first.pulls_since == NOON - 9 * DAY
    push(registry.url, APP, TWO, "2.0")
    for days in (1, 5):
        again = await read(registry.url, history, NOON + days * DAY)
        assert {tag.name: tag.pushed for tag in again.tags} == {"1.0": None, "2.0": NOON + DAY}
    assert again.pulls_since is None, "the newest log is too old by then"
    assert again.pulled == first.pulled


async def test_the_storage_tells_itself_when_tags_were_pushed(registry_31: RegistryServer, history: History) -> None:
    push(registry_31.url, APP, ONE, "1.0")
    record(history, registry_31.url)
    access = resolve_access(Configuration(), registry_31.url, Overrides())
    storage = LocalStorage(registry_31.root)
    async with open_served_storage(access, storage, history, warn=pytest.fail) as served:
        (found,) = (await served.read(lambda name: True, NOON)).repositories
    assert found.tags[0].pushed is not None
    assert found.pulled == {"1.0": NOON - DAY, ONE.digest: NOON}
    # The same storage by itself has another name, and so a history of its own.
    offline = stored_registry(storage, history, storage.name, warn=pytest.fail)
    (alone,) = (await offline.read(lambda name: True, NOON)).repositories
    assert alone.tags == found.tags
    assert (alone.pulled, alone.pulls_since) == ({}, None)


async def test_a_history_that_cannot_be_used_leaves_everything_unknown(
    registry_28: RegistryServer, tmp_path: Path
) -> None:
    push(registry_28.url, APP, ONE, "1.0")
    (tmp_path / "history.db").write_bytes(b"this is no database, and long enough not to be taken for a new one" * 99)
    warned: list[str] = []
    access = resolve_access(Configuration(), registry_28.url, Overrides())
    async with open_registry(access, History.open(tmp_path / "history.db"), warn=warned.append) as registry:
        (found,) = (await registry.read(lambda name: True, NOON)).repositories
    assert (found.tags[0].pushed, found.pulled, found.pulls_since) == (None, {}, None)
    assert len(warned) == 1


def test_a_repository_that_could_not_be_read_whole_is_no_look_at_it(history: History) -> None:
    tags = (Tag("1.0", ONE.digest), Tag("2.0", TWO.digest))
    whole = Repository(APP, tags)
    cut = Repository(APP, tags[:1], problems=(Problem("bad-listing", "the listing ended half-way"),))
    looks = [(whole, NOON), (cut, NOON + DAY), (whole, NOON + 2 * DAY)]
    for repository, now in looks:
        inventory = Inventory("http://registry.example", "api", now, (repository,))
        (found,) = with_history(history, inventory.registry, inventory).repositories
        assert [tag.pushed for tag in found.tags] == [None] * len(repository.tags)
        assert found.problems == repository.problems


async def test_an_index_was_pulled_when_one_of_its_platforms_was(registry_28: RegistryServer, history: History) -> None:
    inner = index([image(seed="amd"), image(seed="arm", platform="linux/arm64")])
    outer = index([inner])
    push(registry_28.url, APP, outer, "2.0")
    push(registry_28.url, APP, ONE, "1.0")
    counted: dict[tuple[str, str], tuple[int, datetime]] = {
        (APP, inner.children[1].digest): (1, NOON - DAY),
        (APP, outer.digest): (1, NOON - 2 * DAY),
    }
    history.pulls.record(registry_28.url, counted, [Span(NOON - 9 * DAY, NOON)], LogPosition("head", "all", 1), None)
    found = await read(registry_28.url, history, NOON)
    assert found.pulled == {
        outer.digest: NOON - DAY,
        inner.digest: NOON - DAY,
        inner.children[1].digest: NOON - DAY,
    }
