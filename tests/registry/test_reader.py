"""How many requests a reader has under way, and when it asks for what earlier runs kept."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from jettison.errors import HistoryError, NotFoundError
from jettison.oci.digest import Digest
from jettison.registry.client import RegistryClient
from jettison.registry.inventory import RegistryReader
from jettison.registry.settings import Limits
from jettison.testing.images import image, push
from jettison.testing.registry_server import RegistryServer

BUILT = image(seed="one")
TAGS = tuple(f"v{number}" for number in range(40))


class CountingClient:
    """A registry of many repositories with the same tags, which answers once all who may ask at once do.

    `most` is how many tags were asked for at once.
    """

    url = "http://registry.example:5000"

    def __init__(self) -> None:
        self._under_way = 0
        self.most = 0

    async def repositories(self) -> AsyncIterator[str]:
        for number in range(30):
            yield f"team/app{number}"

    async def tags(self, repository: str) -> tuple[str, ...]:
        return TAGS

    async def resolve(self, repository: str, reference: str) -> Any:
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        for _ in range(50):  # until all who may ask at once do
            await asyncio.sleep(0)
        self._under_way -= 1
        raise NotFoundError(reference)


async def asked_at_once(reader: RegistryReader, client: CountingClient) -> int:
    client.most = 0
    await reader.repository("team/app0")
    return client.most


async def test_a_reading_that_failed_gives_its_workers_back() -> None:
    def stop(done: int, total: int | None) -> None:
        if done:
            raise HistoryError("the history is gone")

    client: Any = CountingClient()
    reader = RegistryReader(client, limits=Limits(concurrency=16), progress=stop)
    with pytest.raises(HistoryError):
        await reader.read(lambda name: True, datetime.now(UTC))
    assert await asked_at_once(reader, client) == 16


class NothingKept:
    """What a first run finds: to look into it would be a waste. `kept` is what that run leaves there."""

    def __init__(self) -> None:
        self.kept: list[Digest] = []

    def known(self, digests: Iterable[Digest], /) -> Any:
        raise AssertionError("it was looked for what cannot be there")

    def remember(self, entries: Iterable[Any], /) -> None:
        self.kept += [entry[0] for entry in entries]


async def test_a_first_run_keeps_what_it_reads_and_looks_for_nothing(registry_28: RegistryServer) -> None:
    for name in ("team/app", "team/copy"):
        push(registry_28.url, name, BUILT, "1")
    manifests, configs = NothingKept(), NothingKept()
    async with RegistryClient(registry_28.url) as client:
        reader = RegistryReader(client, manifests=manifests, configs=configs, first_time=True)
        inventory = await reader.read(lambda name: True, datetime.now(UTC))
        assert await reader.repository("team/app") == inventory.repositories[0]
    assert all(each.manifests and each.facts for each in inventory.repositories)
    assert manifests.kept == [BUILT.digest]
    assert configs.kept == list(inventory.repositories[0].facts)
