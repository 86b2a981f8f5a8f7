"""Clients move at every step of collecting beside a serving registry: what was accepted stays whole.

The interleavings are those of docs/protocol.md, played on real servers: the collector tells each step that it reached,
and the client moves there.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.app.collecting import (
    APP,
    OTHER,
    Moves,
    Upload,
    assert_settled,
    assert_whole,
    collect,
    data_of,
    delete,
    has_blob,
    link_of,
    mount,
    push_or_again,
    put,
    quarantined,
)

from jettison.testing.built import BuiltManifest
from jettison.testing.images import image, index, push, random_layer
from jettison.testing.programs import REGISTRY_VERSIONS, Missing, registry_binary
from jettison.testing.registry_server import RegistryServer

_numbers = itertools.count()
# What a run that has something to collect, and may purge it at once, comes by.
STEPS = (
    "started",
    "repaired",
    "scanned",
    "written-down",
    "unlinked-one",
    "unlinked",
    "confirmed",
    "moved-one",
    "moved",
    "rescanned-early",
    "waited-long",
    "confirmed-again",
    "purged-one",
    "finished",
)


class Scene:
    """A registry with two kept images and the layers of one that was deleted; the server remembers all of them."""

    def __init__(self, server: RegistryServer) -> None:
        self.server, self.root = server, server.root
        name = f"{server.version} {next(_numbers)}"
        shared = random_layer(f"shared {name}")
        self.gone = image([random_layer(f"gone {name}"), shared], seed=f"gone {name}")
        self.kept = image([random_layer(f"kept {name}"), shared], seed=f"kept {name}")
        self.more = image(seed=f"more {name}")
        self.layer = self.gone.blobs[1].digest
        for built in (self.gone, self.kept, self.more):
            push(self.url, APP, built, f"tag-{built.digest.short}")
        assert_whole([self.url], [(APP, self.gone)])
        delete(self.url, APP, self.gone.digest)

    @property
    def url(self) -> str:
        return self.server.url

    async def play(self, moves: dict[str, Callable[[], None]]) -> Moves:
        """Collect, and make each move at its step."""
        step = Moves(moves)
        await collect(self.root, self.url, step=step)
        step.assert_made()
        return step

    async def assert_settled(self, *accepted: tuple[str, BuiltManifest]) -> None:
        """What was accepted is whole, with the two kept images."""
        await assert_settled(self.root, [self.server], [*accepted, (APP, self.kept), (APP, self.more)])


@pytest.fixture(scope="module", params=REGISTRY_VERSIONS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, need: Callable[[Path | Missing], Path]
) -> Iterator[RegistryServer]:
    """Return a server that all tests of this file share: each has images of its own."""
    need(registry_binary(request.param))
    with RegistryServer(request.param, tmp_path_factory.mktemp("registry") / "root") as server:
        yield server


@pytest.fixture
def prepared(server: RegistryServer) -> Scene:
    """Return a scene with images of its own."""
    if not server.running:
        server.start()
    return Scene(server)


async def test_what_is_collected_can_be_pushed_again_without_restart(prepared: Scene) -> None:
    report = await collect(prepared.root, prepared.url)
    assert (report.condemned, report.quarantined, report.purged) == (2, 2, 2)
    assert not data_of(prepared.root, prepared.layer).exists()
    assert not has_blob(prepared.url, APP, prepared.layer)
    push(prepared.url, APP, prepared.gone, "again")
    assert_whole([prepared.url], [(APP, prepared.gone), (APP, prepared.kept)])
    await prepared.assert_settled((APP, prepared.gone))


@pytest.mark.parametrize("step", STEPS)
async def test_the_same_image_is_pushed(prepared: Scene, step: str) -> None:
    await prepared.play({step: lambda: push_or_again(prepared.url, APP, prepared.gone, "again")})
    await prepared.assert_settled((APP, prepared.gone))


@pytest.mark.parametrize("step", STEPS[4:])
async def test_a_client_that_saw_the_blobs_puts_its_manifest(prepared: Scene, step: str) -> None:
    """HEAD says yes, the links go, then the manifest comes: refused, or whole."""
    accepted = []

    def see() -> None:
        assert all(has_blob(prepared.url, APP, blob.digest) for blob in prepared.gone.blobs)

    def finish() -> None:
        if put(prepared.url, APP, prepared.gone, "again"):
            accepted.append((APP, prepared.gone))

    await prepared.play({"written-down": see, step: finish})
    await prepared.assert_settled(*accepted)
    push_or_again(prepared.url, APP, prepared.gone, "again")
    await prepared.assert_settled((APP, prepared.gone))


@pytest.mark.parametrize("step", STEPS)
async def test_a_client_mounts_what_is_collected(prepared: Scene, step: str) -> None:
    mounted: list[bool] = []

    def move() -> None:
        mounted.extend(mount(prepared.url, OTHER, APP, blob) for blob in prepared.gone.blobs[:2])
        push_or_again(prepared.url, OTHER, prepared.gone, "mounted")

    await prepared.play({step: move})
    if step in STEPS[:4]:
        assert all(mounted), "before the links go, a mount works"
    if step in STEPS[5:]:
        assert not any(mounted), "an unlinked blob cannot be mounted"
    await prepared.assert_settled((OTHER, prepared.gone))


@pytest.mark.parametrize("step", STEPS[2:])
async def test_an_upload_is_committed(prepared: Scene, step: str) -> None:
    """The bytes are there before the run begins; the commit comes before, in or after the rename."""
    uploads = [Upload(prepared.url, OTHER, blob) for blob in prepared.gone.blobs]
    accepted = []

    def move() -> None:
        for upload in uploads:
            upload.commit()
        if put(prepared.url, OTHER, prepared.gone, "uploaded"):
            accepted.append((OTHER, prepared.gone))

    await prepared.play({step: move})
    assert accepted
    await prepared.assert_settled(*accepted)


@pytest.mark.parametrize("step", STEPS)
async def test_another_image_is_deleted(prepared: Scene, step: str) -> None:
    await prepared.play({step: lambda: delete(prepared.url, APP, prepared.more.digest)})
    assert_whole([prepared.url], [(APP, prepared.kept)])
    await collect(prepared.root, prepared.url)
    assert not data_of(prepared.root, prepared.more.blobs[1].digest).exists()
    await assert_settled(prepared.root, [prepared.server], [(APP, prepared.kept)])


@pytest.mark.parametrize("step", ["repaired", "unlinked", "moved", "rescanned-early", "confirmed-again"])
async def test_an_index_of_several_platforms_is_pushed_over_the_collected_layers(prepared: Scene, step: str) -> None:
    both = index(
        [prepared.gone, image([random_layer("gone"), random_layer("arm")], seed="arm", platform="linux/arm64")]
    )
    await prepared.play({step: lambda: push_or_again(prepared.url, APP, both, "both")})
    await prepared.assert_settled((APP, both))


@pytest.mark.parametrize("step", [name for name in STEPS if name not in {"purged-one", "finished"}])
async def test_the_server_restarts(prepared: Scene, step: str) -> None:
    await prepared.play({step: prepared.server.restart})
    push(prepared.url, APP, prepared.gone, "again")
    await prepared.assert_settled((APP, prepared.gone))


@pytest.mark.parametrize("step", ["scanned", "unlinked-one", "unlinked", "moved", "waited-long"])
async def test_the_server_is_killed_and_stays_away(prepared: Scene, step: str) -> None:
    """What it did not confirm stays, or stays in quarantine, and the next run goes on."""
    moves = Moves({step: prepared.server.kill})
    report = await collect(prepared.root, prepared.url, step=moves)
    moves.assert_made()
    assert report.problems
    assert not report.purged
    prepared.server.start()
    push(prepared.url, APP, prepared.gone, "again")
    await prepared.assert_settled((APP, prepared.gone))


def _remember_wrongly(registry: Scene) -> None:
    """Bring the server to say yes to a blob whose link is gone, as a HEAD does that a deletion overtakes.

    The link is there for the HEAD alone. Up to 3.1.1 the data need not be: the server remembers that too.
    """
    link = link_of(registry.root, APP, registry.layer)
    link.write_text(registry.layer)
    assert has_blob(registry.url, APP, registry.layer)
    link.unlink()
    assert has_blob(registry.url, APP, registry.layer), "the server does not remember what it should"


@pytest.mark.parametrize("step", ["written-down", "unlinked", "confirmed", "moved", "rescanned-early", "waited-long"])
async def test_a_wrong_yes_is_found_and_cleared(prepared: Scene, step: str) -> None:
    await prepared.play({step: lambda: _remember_wrongly(prepared)})
    await prepared.assert_settled()
    assert not has_blob(prepared.url, APP, prepared.layer)
    assert not data_of(prepared.root, prepared.layer).exists()
    push(prepared.url, APP, prepared.gone, "again")
    assert_whole([prepared.url], [(APP, prepared.gone), (APP, prepared.kept)])


@pytest.mark.parametrize("step", ["unlinked", "confirmed", "moved", "rescanned-early", "waited-long"])
async def test_a_manifest_that_was_accepted_on_a_wrong_yes_is_whole(prepared: Scene, step: str) -> None:
    """The worst of all: the client hears yes, skips the upload, and the manifest is accepted without the data."""

    def move() -> None:
        _remember_wrongly(prepared)
        with_config = prepared.gone.blobs[0]
        upload = Upload(prepared.url, APP, with_config)
        upload.commit()
        upload_shared = Upload(prepared.url, APP, prepared.gone.blobs[2])
        upload_shared.commit()
        assert put(prepared.url, APP, prepared.gone, "trusting")

    await prepared.play({step: move})
    await prepared.assert_settled((APP, prepared.gone))


async def test_a_link_that_was_removed_behind_the_servers_back_is_no_obstacle(prepared: Scene) -> None:
    """It remembers a blob of which only the link's folder is left: 2.8 answers the deletion with 202, 3.x with 500."""
    assert has_blob(prepared.url, APP, prepared.layer)
    link_of(prepared.root, APP, prepared.layer).unlink()
    report = await collect(prepared.root, prepared.url)
    assert report.purged == 2
    push(prepared.url, APP, prepared.gone, "again")
    await prepared.assert_settled((APP, prepared.gone))


async def test_what_waits_in_quarantine_comes_back_when_it_is_needed(prepared: Scene) -> None:
    report = await collect(prepared.root, prepared.url, purge_now=False)
    assert (report.quarantined, report.purged, report.waiting) == (2, 0, 2)
    assert prepared.layer in quarantined(prepared.root)
    push(prepared.url, APP, prepared.gone, "again")
    assert_whole([prepared.url], [(APP, prepared.gone)])
    report = await collect(prepared.root, prepared.url, purge_now=False)
    assert (report.restored, report.waiting) == (2, 0)
    await prepared.assert_settled((APP, prepared.gone))
