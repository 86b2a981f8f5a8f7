"""Promise 5: what is deleted over the API is in the history before that, whoever made the plan."""

from pathlib import Path

import pytest
from tests.app.cleaning import APP, FAST, KEEP_ONE, MemoryJournal, applied, opened, planned

from jettison.app.registries import ApiRegistry
from jettison.history.store import History
from jettison.plan.model import DeleteBy
from jettison.registry.client import RegistryClient
from jettison.registry.inventory import RegistryReader
from jettison.testing.images import image, index, push
from jettison.testing.registry_server import RegistryServer

OLD, NEW = index([image(seed="a"), image(seed="b", platform="linux/arm64")]), image(seed="new")


@pytest.mark.parametrize("delete_by", [DeleteBy.DIGEST, DeleteBy.TAG])
async def test_each_body_is_on_the_disk_before_its_manifest_is_deleted(
    registry_31: RegistryServer, tmp_path: Path, delete_by: DeleteBy
) -> None:
    push(registry_31.url, APP, OLD, "1.0")
    push(registry_31.url, APP, NEW, "2.0")
    async with opened(registry_31.url, delete_by=delete_by) as elsewhere:
        plan = await planned(elsewhere, KEEP_ONE)
    wanted = {action.digest for action in plan.actions}
    assert OLD.digest in wanted
    history = History.open(tmp_path / "history.db")

    class Watched(RegistryClient):
        async def delete_manifest(self, repository: str, digest: str) -> bool:
            assert wanted & set(history.manifests.known(wanted)) >= {digest}
            return await super().delete_manifest(repository, digest)

        async def delete_tag(self, repository: str, tag: str) -> bool:
            assert OLD.digest in history.manifests.known(wanted)
            return await super().delete_tag(repository, tag)

    async with Watched(registry_31.url, limits=FAST) as client:
        registry = ApiRegistry(
            client, RegistryReader(client, limits=FAST), delete_by=delete_by, bodies=history.manifests
        )
        report = await applied(registry, plan, MemoryJournal())
    assert report.is_whole
    kept = history.manifests.known(wanted)
    assert {digest: each.body for digest, each in kept.items()} == {
        each.digest: each.body for each in OLD.walk() if each.digest in wanted
    }
    assert kept[OLD.digest].media_type == OLD.media_type
