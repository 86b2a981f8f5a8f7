"""How many requests a reader has under way, seen by a client that answers once all who may ask at once do."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from jettison.errors import HistoryError, NotFoundError
from jettison.registry.inventory import RegistryReader
from jettison.registry.settings import Limits

TAGS = tuple(f"v{number}" for number in range(40))


class CountingClient:
    """A registry of many repositories with the same tags. `most` is how many tags were asked for at once."""

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
