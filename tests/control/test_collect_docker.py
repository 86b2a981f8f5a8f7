"""The registry's own garbage-collect in real containers: what goes, what stays, what happens to pushes meanwhile."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.control.conftest import Control, RunRegistry
from tests.control.judges import ask, blobs_on_disk, delete_manifest, tags

from jettison.control import docker_server, open_files
from jettison.control.collector import CollectorReport, collect_with_registry
from jettison.control.config_file import parse_config
from jettison.control.docker_discovery import named_container
from jettison.control.docker_engine import ContainerRegistry
from jettison.control.probe import Probe
from jettison.control.status import read_status
from jettison.errors import ControlError, UsageError
from jettison.testing.connection import Connection
from jettison.testing.docker_engine import DockerEngine
from jettison.testing.images import image, index
from jettison.testing.layers import random_layer
from jettison.testing.programs import REGISTRY_VERSIONS
from jettison.testing.transfer import PushError, _push_blob, pull, push

versions = pytest.mark.parametrize("version", REGISTRY_VERSIONS)
ON = {"REGISTRY_STORAGE_DELETE_ENABLED": "true"}


def collect(running: ContainerRegistry, *, delete_untagged: bool = False) -> CollectorReport:
    status = read_status(running)
    return collect_with_registry(running, status.configuration, status.version, delete_untagged=delete_untagged)


@versions
def test_unreferenced_blobs_go_and_kept_images_stay(
    version: str, run_registry: RunRegistry, control: Control, tmp_path: Path
) -> None:
    registry = run_registry(version, environment=ON, volume=tmp_path)
    shared = random_layer("shared")
    old, new = image([shared, random_layer("old")], seed=1), image([shared, random_layer("new")], seed=2)
    both = index([image(seed=3, platform="linux/amd64"), image(seed=4, platform="linux/arm64")])
    for tag, built in (("1.0", old), ("1.1", new), ("multi", both)):
        push(registry.url, "team/app", built, tag)
    delete_manifest(registry.url, "team/app", old.digest)
    before = registry.started_at

    report = collect(control(registry))

    # The manifest, its config and the layer that nobody else has.
    gone = {str(old.digest), *(str(blob.digest) for blob in old.blobs)} - {str(blob.digest) for blob in new.blobs}
    assert report.blobs_deleted == len(gone) == 3
    assert not gone & blobs_on_disk(tmp_path)
    assert (report.held, report.restarted, report.empty) == (True, True, False)
    assert report.outage_seconds > 0
    assert report.warnings == ()
    assert registry.started_at != before
    assert tags(registry.url, "team/app") == ["1.1", "multi"]
    pull(registry.url, "team/app", "1.1")
    pull(registry.url, "team/app", "multi")
    # A server with its old caches would take these blobs for present.
    push(registry.url, "team/app", old, "1.0")
    pull(registry.url, "team/app", "1.0")


@versions
def test_an_empty_registry_is_no_failure(version: str, run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry(version)
    report = collect(control(registry))
    assert (report.empty, report.blobs_deleted) == (True, 0)
    assert Probe(registry.url).serves()


@versions
def test_a_push_in_flight_fails_cleanly(
    version: str, run_registry: RunRegistry, control: Control, tmp_path: Path
) -> None:
    """The blobs are there, half of the manifest is sent: then the collector sweeps the blobs."""
    registry = run_registry(version, environment=ON, volume=tmp_path)
    push(registry.url, "team/app", image(seed="kept"), "kept")
    built = image(seed="in flight")
    with Connection(registry.url) as connection:
        for blob in built.blobs:
            _push_blob(connection, "team/app", blob)
    half = len(built.body) // 2
    with socket.create_connection(("127.0.0.1", registry.port), timeout=60) as client:
        client.sendall(
            f"PUT /v2/team/app/manifests/late HTTP/1.1\r\nHost: x\r\nContent-Type: {built.media_type}\r\n"
            f"Content-Length: {len(built.body)}\r\n\r\n".encode()
            + built.body[:half]
        )
        running = control(registry)
        report = collect(running)
        assert report.blobs_deleted == len(built.blobs)
        try:
            client.sendall(built.body[half:])
            answer = client.recv(1000)
        except OSError:
            answer = b""
    assert b" 201 " not in answer
    assert tags(registry.url, "team/app") == ["kept"]
    push(registry.url, "team/app", built, "late")
    pull(registry.url, "team/app", "late")
    pull(registry.url, "team/app", "kept")


@versions
def test_every_push_that_was_accepted_while_it_collects_is_whole(
    version: str, run_registry: RunRegistry, control: Control, tmp_path: Path
) -> None:
    registry = run_registry(version, environment=ON, volume=tmp_path)
    for number in range(20):
        garbage = image(seed=f"garbage {number}")
        push(registry.url, "team/app", garbage, "garbage")
        delete_manifest(registry.url, "team/app", garbage.digest)
    accepted: list[str] = []
    done = threading.Event()

    def pusher(name: str) -> None:
        # Shared and new layers, and the garbage once more: what is swept and pushed again at the same time.
        number = 0
        while not done.is_set():
            layers = [random_layer(f"garbage {number % 20}"), random_layer(f"{name} {number}")]
            try:
                push(registry.url, "team/app", image(layers, seed=f"{name} {number}"), f"{name}-{number}")
            except (PushError, OSError, http.client.HTTPException):
                pass  # a client whose connection broke pushes again; nothing was promised to it
            else:
                accepted.append(f"{name}-{number}")
            number += 1

    pushers = [threading.Thread(target=pusher, args=(name,)) for name in ("a", "b")]
    for thread in pushers:
        thread.start()
    try:
        reports = [collect(control(registry)) for _ in range(2)]
    finally:
        done.set()
        for thread in pushers:
            thread.join()
    assert reports[0].blobs_deleted > 0
    assert accepted
    for tag in accepted:
        pull(registry.url, "team/app", tag)
    # Nothing was killed in the middle of a write, either.
    assert not [path for path in tmp_path.rglob("link") if path.stat().st_size == 0]


@versions
def test_a_read_only_server_is_not_held(
    version: str, run_registry: RunRegistry, control: Control, tmp_path: Path
) -> None:
    readonly = {"REGISTRY_STORAGE_MAINTENANCE_READONLY": "{enabled: true}"}
    writable = run_registry(version, environment=ON, volume=tmp_path)
    built = image(seed=1)
    push(writable.url, "team/app", built, "1")
    push(writable.url, "team/app", image(seed=2), "2")
    writable.stop()
    registry = run_registry(version, environment=ON | readonly, volume=tmp_path)
    running = control(registry)
    before = registry.started_at
    report = collect(running)
    assert (report.held, report.restarted, report.outage_seconds, report.blobs_deleted) == (False, False, 0, 0)
    assert registry.started_at == before

    registry.stop()
    writable.start()
    delete_manifest(writable.url, "team/app", built.digest)
    writable.stop()
    registry.start()
    before = registry.started_at
    report = collect(running)
    assert (report.held, report.restarted, report.blobs_deleted) == (False, True, 3)
    assert registry.started_at != before
    pull(registry.url, "team/app", "2")


def test_a_server_that_was_made_read_only_but_not_restarted_is_held(
    run_registry: RunRegistry, control: Control
) -> None:
    registry = run_registry("2.8", environment=ON)
    running = control(registry)
    text = running.read_config().text
    running.write_config(text.replace("storage:\n", "storage:\n  maintenance: {readonly: {enabled: true}}\n"))
    push(registry.url, "team/app", image(), "1")
    assert collect(running).held


def test_the_server_below_an_init_is_held(
    docker_engine: DockerEngine, run_registry: RunRegistry, control: Control
) -> None:
    """With `docker run --init` the first process is the init, which passes no SIGSTOP on."""
    plain = run_registry("2.8", environment=ON)
    plain.stop()
    container = docker_engine.client.containers.run(
        docker_engine.registry_image("2.8"),
        detach=True,
        init=True,
        network_mode="host",
        environment=ON | {"REGISTRY_HTTP_ADDR": f"127.0.0.1:{plain.port}"},
    )
    try:
        assert control(plain)
        running = named_container(str(container.name), url=plain.url)
        Probe(plain.url).wait_until_serving()
        built = image()
        push(plain.url, "team/app", built, "1")
        delete_manifest(plain.url, "team/app", built.digest)
        with running.hold():
            assert running.is_frozen()
            assert not Probe(plain.url).serves(timeout_seconds=0.5)
        assert collect(running).blobs_deleted == 3
    finally:
        container.remove(force=True, v=True)


def test_another_container_that_writes_into_the_same_storage_is_refused(
    run_registry: RunRegistry, control: Control, tmp_path: Path
) -> None:
    registry = run_registry("2.8", environment=ON, volume=tmp_path)
    other = run_registry("3.1", environment=ON, volume=tmp_path, name="the-other")
    push(other.url, "team/app", image(), "1")
    before = registry.started_at
    with pytest.raises(ControlError, match="container the-other takes pushes for the same storage"):
        collect(control(registry))
    assert registry.started_at == before
    other.stop()
    readonly = {"REGISTRY_STORAGE_MAINTENANCE_READONLY": "{enabled: true}"}
    run_registry("3.1", environment=readonly, volume=tmp_path)
    assert collect(control(registry)).held


def test_a_container_that_does_not_run_is_not_collected(run_registry: RunRegistry, control: Control) -> None:
    registry = run_registry("2.8")
    registry.stop()
    with pytest.raises(ControlError, match=f"does not run; start it with: docker start {registry.name}"):
        collect(control(registry))


def test_a_moment_at_which_a_link_is_half_written_is_left_again(
    run_registry: RunRegistry, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2.8 writes links in place: killed in the middle it would leave an empty one, and its collector fails for ever."""
    registry = run_registry("2.8", environment=ON)
    running = control(registry)
    moments = iter([["/data/docker/registry/v2/repositories/a/_layers/sha256/aa/link"]] * 3)
    looked = []
    original = open_files.being_written

    def being_written(listing: str) -> list[str]:
        looked.append(running.is_frozen())
        return next(moments, None) or original(listing)

    monkeypatch.setattr(open_files, "being_written", being_written)
    with running.hold():
        assert running.is_frozen()
    assert looked == [True] * 4


def test_a_server_that_never_rests_is_left_alone(
    run_registry: RunRegistry, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = run_registry("2.8", environment=ON)
    running = control(registry)
    before = registry.started_at
    monkeypatch.setattr(docker_server, "_QUIET_SECONDS", 0.2)
    monkeypatch.setattr(docker_server.ServerInContainer, "_being_written", lambda _: ["link"])
    with pytest.raises(ControlError, match="writes without a pause"), running.hold():
        pytest.fail("held a server in the middle of a write")
    assert Probe(registry.url).serves()
    assert registry.started_at == before


def test_another_server_at_the_url_is_refused_and_nothing_is_restarted(
    run_registry: RunRegistry, control: Control
) -> None:
    registry, other = run_registry("2.8"), run_registry("2.8")
    assert control(registry)
    running = named_container(registry.name, url=other.url)
    before = registry.started_at
    with pytest.raises(ControlError, match="another server answers there"):
        collect(running)
    assert registry.started_at == before
    assert not running.is_frozen()
    assert Probe(registry.url).serves()


def test_a_collector_that_fails_says_why_and_the_registry_runs(
    run_registry: RunRegistry, control: Control, tmp_path: Path
) -> None:
    registry = run_registry("2.8", environment=ON, volume=tmp_path)
    built = image()
    push(registry.url, "team/app", built, "1")
    link = tmp_path / f"docker/registry/v2/repositories/team/app/_manifests/revisions/sha256/{built.digest.hex}/link"
    link.write_bytes(b"")
    with pytest.raises(ControlError, match=r"(?s)ended with status 1.*invalid checksum digest format") as caught:
        collect(control(registry))
    assert "failed to garbage collect" in str(caught.value)
    assert Probe(registry.url).serves()
    assert str(built.digest) in blobs_on_disk(tmp_path)


def test_delete_untagged_is_for_three_only(run_registry: RunRegistry, control: Control, tmp_path: Path) -> None:
    registry = run_registry("3.1", environment=ON, volume=tmp_path)
    both = index([image(seed=1, platform="linux/amd64"), image(seed=2, platform="linux/arm64")])
    push(registry.url, "team/app", both, "multi")
    push(registry.url, "team/app", image(seed=3), "moved")
    push(registry.url, "team/app", image(seed=4), "moved")
    running = control(registry)
    report = collect(running, delete_untagged=True)
    assert (report.manifests_deleted, report.blobs_deleted) == (1, 3)
    assert report.warnings
    pull(registry.url, "team/app", "multi")
    pull(registry.url, "team/app", "moved")
    for version in ("2.8.3", None):
        with pytest.raises(UsageError, match="platform images"):
            collect_with_registry(running, read_status(running).configuration, version, delete_untagged=True)


@pytest.mark.parametrize(
    ("storage", "expected"),
    [("{filesystem: {}, cache: {blobdescriptor: redis}}", "Redis"), ("inmemory", "in memory only")],
)
def test_what_a_restart_does_not_mend_is_refused(
    storage: str, expected: str, run_registry: RunRegistry, control: Control
) -> None:
    registry = run_registry("2.8")
    before = registry.started_at
    with pytest.raises(ControlError, match=expected):
        collect_with_registry(control(registry), parse_config(f"storage: {storage}\n"), "2.8.2")
    assert registry.started_at == before


HOLD = """
import signal
import sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started under, as nohup
from jettison.control.docker_discovery import named_container
with named_container(sys.argv[1], url=sys.argv[2]).hold():
    print("held", flush=True)
    sys.stdin.read()
print("released", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_registry_comes_back_when_the_run_is_killed(
    number: signal.Signals, run_registry: RunRegistry, control: Control
) -> None:
    registry = run_registry("2.8", environment=ON)
    running = control(registry)
    before = registry.started_at
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, registry.name, registry.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert running.is_frozen()
        assert not Probe(registry.url).serves(timeout_seconds=0.5)
        process.send_signal(number)
        Probe(registry.url).wait_until_serving()
        process.wait()
    # A fresh server, not the frozen one that went on.
    assert registry.started_at != before
    assert not running.is_frozen()


def test_a_killed_run_takes_its_collector_along(run_registry: RunRegistry, control: Control, tmp_path: Path) -> None:
    """The collector inside must not sweep beside the server that the guardian brings back."""
    registry = run_registry("2.8", environment=ON, volume=tmp_path)
    # A named pipe in the place of a link: the collector waits there for as long as nobody writes.
    push(registry.url, "team/app", image(), "1")
    link = next(tmp_path.glob("docker/registry/v2/repositories/team/app/_manifests/revisions/sha256/*/link"))
    link.unlink()
    os.mkfifo(link)
    script = HOLD.replace(
        '    print("held", flush=True)\n    sys.stdin.read()\n', "    x.garbage_collect(delete_untagged=False)\n"
    )
    script = script.replace("with named_container", "x = named_container").replace(".hold():", "\nwith x.hold():")
    running = control(registry)
    with subprocess.Popen([sys.executable, "-c", script, registry.name, registry.url], env=os.environ) as process:
        while not _collects(running):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
        Probe(registry.url).wait_until_serving()
        registry.wait_until(lambda: not running.is_frozen())
    assert not _collects(running)
    assert ask(registry.url, "GET", "/v2/")[0] == 200


def _collects(running: ContainerRegistry) -> bool:
    return any("garbage-collect" in thread.command for thread in running._server._all())
