"""The online collector is killed at each step, on real servers; a fresh run finishes, and every promise holds.

Each row of docs/crash-table.md about collecting beside a serving registry is played here: once while nobody moves, once
with a client that pushes the same image again before the next run, and once with a client whose manifest the server
accepts after the links went, as it does when it had been asked just before.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

import pytest
from tests.app.collecting import (
    APP,
    OTHER,
    assert_settled,
    assert_whole,
    collect,
    data_of,
    delete,
    link_of,
    mount,
    push_or_again,
    put,
    quarantined,
)
from tests.crash.dying import Nursery

from jettison.oci.digest import Digest
from jettison.testing.built import BuiltManifest
from jettison.testing.images import image, push, random_layer
from jettison.testing.programs import REGISTRY_VERSIONS, Missing, registry_binary
from jettison.testing.registry_server import RegistryServer

Client = Literal["nobody", "pushes again", "was just before"]
CLIENTS: Final[tuple[Client, ...]] = ("nobody", "pushes again", "was just before")

# Every step that a run with something to collect comes by, with which time it is reached.
COLLECTING: Final = (
    ("started", 1),
    ("repaired", 1),
    ("scanned", 1),
    ("written-down", 1),
    ("unlinked-one", 1),
    ("unlinked-one", 3),
    ("unlinked", 1),
    ("confirmed", 1),
    ("moved-one", 1),
    ("moved-one", 2),
    ("moved", 1),
    ("rescanned-early", 1),
    ("waited-long", 1),
    ("confirmed-again", 1),
    ("purged-one", 1),
    ("purged-one", 2),
    ("finished", 1),
)
# Those of a run that finds something in quarantine which is needed again.
RECOVERING: Final = (("restored-one", 1), ("restored-one", 2), ("repaired-one", 1), ("repaired-one", 3))
_numbers = iter(range(1_000_000))


class Scene:
    """Two kept images, and the blobs of two that were deleted; one layer is named by its sha512 digest."""

    def __init__(self, server: RegistryServer) -> None:
        self.server, self.root, self.url = server, server.root, server.url
        name = f"{server.version} {next(_numbers)}"
        shared = random_layer(f"shared {name}")
        self.gone = image([random_layer(f"gone {name}"), shared], seed=f"gone {name}")
        self.long = image(seed=f"long {name}", layer_algorithm="sha512")
        self.kept = image([random_layer(f"kept {name}"), shared], seed=f"kept {name}")
        for number, built in enumerate((self.gone, self.long, self.kept)):
            push(self.url, APP, built, f"tag-{number}-{built.digest.short}")
        assert all(mount(self.url, OTHER, APP, blob) for blob in self.gone.blobs[:2])
        assert_whole([self.url], [(APP, self.gone), (APP, self.long)])
        for built in (self.gone, self.long):
            delete(self.url, APP, built.digest)
        self.doomed = {blob.digest for blob in self.gone.blobs[:2]} | {Digest.of(blob.body) for blob in self.long.blobs}

    def trust(self, built: BuiltManifest) -> bool:
        """Put a manifest as if the server had looked for its blobs just before their links went.

        Where the data is gone for good, which is after everything that could have looked has ended, there is no such
        client, and False is returned.
        """
        if not all(
            data_of(self.root, digest).exists() or digest in quarantined(self.root)
            for digest in (Digest.of(blob.body) for blob in built.blobs)
        ):
            return False
        written = []
        for blob in built.blobs:
            link = link_of(self.root, APP, blob.digest)
            if not link.exists():
                link.write_text(Digest.of(blob.body))
                written.append(link)
        accepted = put(self.url, APP, built, f"trusting-{built.digest.short}")
        for link in written:
            link.unlink()
        return accepted

    async def assert_settled(self, *accepted: BuiltManifest) -> None:
        """All promises: what was accepted is whole with cold caches too, what was not is gone, nothing is left over."""
        whole = [(APP, built) for built in (*accepted, self.kept)]
        await assert_settled(self.root, [self.server], whole)
        needed = {Digest.of(blob.body) for built in accepted for blob in built.blobs}
        for digest in self.doomed - needed:
            assert not data_of(self.root, digest).exists()
        for _, built in whole:
            for blob in built.blobs:
                assert link_of(self.root, APP, blob.digest).read_text() == Digest.of(blob.body)
        self.server.restart()
        assert_whole([self.url], whole)


@pytest.fixture(scope="module", params=REGISTRY_VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, need: Callable[[Path | Missing], Path]
) -> Iterator[RegistryServer]:
    """Return a server that all tests of this file share: each has images of its own."""
    need(registry_binary(request.param))
    with RegistryServer(request.param, tmp_path_factory.mktemp("registry") / "root") as server:
        yield server


@pytest.fixture
def scene(server: RegistryServer) -> Scene:
    """Return a scene with images of its own."""
    return Scene(server)


def _move(scene: Scene, client: Client) -> list[BuiltManifest]:
    """Let the client move; return what was accepted."""
    if client == "nobody":
        return []
    accepted = []
    for built in (scene.gone, scene.long):
        if client == "pushes again":
            push_or_again(scene.url, APP, built, f"again-{built.digest.short}")
            accepted.append(built)
        elif scene.trust(built):
            accepted.append(built)
    return accepted


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("step", "occurrence"), COLLECTING)
async def test_killed_while_collecting(
    nursery: Nursery, scene: Scene, step: str, occurrence: int, client: Client
) -> None:
    assert nursery.collect(scene.root, scene.url, step, occurrence) == -signal.SIGKILL
    if step == "unlinked-one":
        # Other requests to unlink were under way. The start barrier waits for those, and tests have it at nothing.
        await asyncio.sleep(0.5)
    assert_whole([scene.url], [(APP, scene.kept)])
    accepted = _move(scene, client)
    await collect(scene.root, scene.url)
    assert_whole([scene.url], [(APP, built) for built in (*accepted, scene.kept)])
    await scene.assert_settled(*accepted)


@pytest.mark.parametrize("client", CLIENTS[1:])
@pytest.mark.parametrize(("step", "occurrence"), RECOVERING)
async def test_killed_while_bringing_back(
    nursery: Nursery, scene: Scene, step: str, occurrence: int, client: Client
) -> None:
    """What is needed again comes back, link after link, whenever the run is killed."""
    await collect(scene.root, scene.url, purge_now=False)
    accepted = _move(scene, client)
    assert accepted
    ended = nursery.collect(scene.root, scene.url, step, occurrence, purge_now=False)
    if step == "repaired-one" and client == "pushes again":
        assert ended == 0, "a push writes its links itself"
    else:
        assert ended == -signal.SIGKILL
    await collect(scene.root, scene.url, purge_now=False)
    assert_whole([scene.url], [(APP, built) for built in (*accepted, scene.kept)])
    await scene.assert_settled(*accepted)


@pytest.mark.parametrize("step", ["waited-long", "confirmed-again", "purged-one", "finished"])
async def test_killed_while_purging_what_was_due(nursery: Nursery, scene: Scene, step: str) -> None:
    await collect(scene.root, scene.url, purge_now=False)
    assert nursery.collect(scene.root, scene.url, step, purge_now=False, later=timedelta(days=2)) == -signal.SIGKILL
    await scene.assert_settled()


async def test_killed_again_and_again(nursery: Nursery, scene: Scene) -> None:
    """Each run finds what the one before it left, and is killed itself."""
    accepted: list[BuiltManifest] = []
    for step, occurrence in COLLECTING:
        ended = nursery.collect(scene.root, scene.url, step, occurrence)
        assert ended in {0, -signal.SIGKILL}
        if step == "moved-one" and not accepted:
            accepted = _move(scene, "pushes again")
    await scene.assert_settled(*accepted)
