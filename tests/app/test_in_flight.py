"""Barriers end early where servers' metrics show that nothing is under way, and never where that is in doubt."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import pytest
from tests.app.collecting import APP, FAST, assert_settled, collect, delete
from tests.conftest import MakeRegistry, missing_part_skips

from jettison.app import configuration, in_flight
from jettison.app.access import Access
from jettison.app.in_flight import InFlight, barrier, watching
from jettison.collect.safety import Barriers
from jettison.registry.answers import RequestReport
from jettison.registry.credentials import Credentials
from jettison.registry.metrics import Metrics, Reading, read_text
from jettison.registry.settings import TlsSettings
from jettison.registry.url import RegistryUrl
from jettison.storage.lease import take_lease
from jettison.testing.connection import Connection
from jettison.testing.htpasswd import PASSWORD, USER, Htpasswd
from jettison.testing.images import OCI_IMAGE, image, push
from jettison.testing.network import LOOPBACK, free_port
from jettison.testing.nginx import Nginx
from jettison.testing.programs import REGISTRY_VERSIONS
from jettison.testing.registry_server import RegistryServer
from jettison.testing.token_service import TokenService

HOUR = 3600.0
KEPT, GONE = image(seed="kept"), image(seed="gone")


@dataclass(frozen=True)
class Measured:
    """A registry with its endpoint."""

    server: RegistryServer
    metrics: str

    @property
    def url(self) -> str:
        return self.server.url


MakeMeasured = Callable[..., Measured]


@pytest.fixture
def make_measured(make_registry: MakeRegistry) -> MakeMeasured:
    def make(version: str = "3.1", **options: object) -> Measured:
        port = free_port()
        debug = {"addr": f"{LOOPBACK}:{port}", "prometheus": {"enabled": True, "path": "/numbers"}}
        server = make_registry(version, extra={"http": {"debug": debug}}, **options)
        return Measured(server, f"http://{LOOPBACK}:{port}/numbers")

    return make


@pytest.fixture(params=REGISTRY_VERSIONS)
def measured(request: pytest.FixtureRequest, make_measured: MakeMeasured) -> Measured:
    return make_measured(request.param)


@pytest.fixture
def old_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers of a test have run for long enough from the beginning."""
    monkeypatch.setattr(in_flight, "_SLACK_SECONDS", -10 * HOUR)


@asynccontextmanager
async def watched(*pairs: tuple[str, str], credentials: Credentials | None = None) -> AsyncIterator[InFlight]:
    """Watch servers, each given by its URL and the endpoint that is said to be its own."""
    urls = [RegistryUrl.parse(url) for url, _ in pairs]
    here = str(Path(__file__).parent)
    access = Access(urls[0], credentials, TlsSettings(), FAST, configuration.Registry(url=str(urls[0])))
    async with watching(access, urls, [metrics for _, metrics in pairs if metrics], here) as found:
        assert found is not None
        yield found


class Sleep:
    """A barrier's full time, which is over when the test says so, and never otherwise."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        async with asyncio.timeout(30):
            await self.over.wait()


async def doubt(*pairs: tuple[str, str], seconds: float = HOUR, credentials: Credentials | None = None) -> str:
    """Return why there is no evidence. Fails where there is."""
    async with watched(*pairs, credentials=credentials) as found:
        assert not await found.settled(seconds)
        return found.doubt


class Held:
    """A request of which half of the body was sent."""

    def __init__(self, url: str, method: str, path: str, body: bytes, media_type: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._socket = socket.create_connection((host, int(port)))
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {media_type}\r\n"
        self._rest = body[len(body) // 2 :]
        self._socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[: len(body) // 2])

    def finish(self) -> int:
        """Send the rest, and return the answer's status."""
        with self._socket:
            self._socket.sendall(self._rest)
            return int(self._socket.recv(65536).split()[1])


def held_patch(url: str) -> Held:
    """Begin an upload, and send half of its only chunk."""
    with Connection(url) as connection:
        begun = connection.ask("POST", f"/v2/{APP}/blobs/uploads/", b"")
    location = begun.headers["location"].removeprefix(url)
    return Held(url, "PATCH", location, b"x" * 1000, "application/octet-stream")


def held_manifest(url: str) -> Held:
    """Push an image, and put its manifest once more, half of it."""
    push(url, APP, KEPT, "kept")
    return Held(url, "PUT", f"/v2/{APP}/manifests/again", KEPT.body, OCI_IMAGE)


def counted(metrics: str, handler: str) -> int:
    """Return how many requests of a handler the server is working on."""
    with urlopen(metrics) as answer:
        return read_text(answer.read().decode(), 0).in_flight[handler]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  (what is waited for happens in another process)
            await asyncio.sleep(0.005)


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Return a list that grows with each reading."""
    found: list[None] = []
    read = Metrics.read

    async def counting(self: Metrics) -> Reading:
        reading = await read(self)
        found.append(None)
        return reading

    monkeypatch.setattr(Metrics, "read", counting)
    return found


@pytest.mark.usefixtures("old_enough")
async def test_nothing_under_way(measured: Measured) -> None:
    async with watched((measured.url, measured.metrics)) as found:
        for _ in range(3):
            assert await barrier(HOUR, found, Sleep())
        assert not found.doubt


@pytest.mark.usefixtures("old_enough")
@pytest.mark.parametrize(
    ("hold", "handler", "status"), [(held_patch, "blob_upload_chunk", 202), (held_manifest, "manifest", 201)]
)
@pytest.mark.parametrize("ends", [True, False])
async def test_a_request_that_is_held_open(
    measured: Measured, hold: Callable[[str], Held], handler: str, status: int, ends: bool, readings: list[None]
) -> None:
    held = hold(measured.url)
    await until(lambda: counted(measured.metrics, handler) == 1)
    sleep = Sleep()
    async with watched((measured.url, measured.metrics)) as found:
        waiting = asyncio.create_task(barrier(HOUR, found, sleep))
        await until(lambda: len(readings) > 5)
        assert not waiting.done()
        if ends:
            assert held.finish() == status
            assert await waiting
            assert not found.doubt
        else:
            sleep.over.set()
            assert not await waiting
            assert "worked on requests" in found.doubt
            assert held.finish() == status


@pytest.mark.usefixtures("old_enough")
@pytest.mark.parametrize("way", ["password", "token", "proxy"])
async def test_with_credentials(way: str, make_measured: MakeMeasured, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        if way == "password":
            measured = make_measured("2.8", auth=Htpasswd(tmp_path / "users"))
        elif way == "token":
            service = stack.enter_context(TokenService(tmp_path / "service"))
            measured = make_measured("3.1", auth=service)
        else:
            measured = make_measured("3.1")
        url, password = measured.url, PASSWORD
        if way == "proxy":
            with missing_part_skips():
                password = "without a colon"  # which nginx's file of users cannot hold
                url = stack.enter_context(Nginx(measured.url, tmp_path / "nginx", {USER: password})).url
        pair = (url, measured.metrics)
        found = await stack.enter_async_context(watched(pair, credentials=Credentials(USER, password)))
        for _ in range(2):
            assert await found.settled(HOUR), found.doubt


async def test_a_young_server_may_have_a_predecessor(measured: Measured) -> None:
    assert "predecessor" in await doubt((measured.url, measured.metrics))
    assert "predecessor" in await doubt((measured.url, measured.metrics), seconds=3)


@pytest.mark.usefixtures("old_enough")
async def test_the_endpoint_of_another_server(make_measured: MakeMeasured) -> None:
    one, other = make_measured("2.8"), make_measured("3.1")
    assert "counted 0 of" in await doubt((one.url, other.metrics))
    # Even where that one is idle, and its own replica is named as well.
    assert "counted 0 of" in await doubt((one.url, other.metrics), (other.url, one.metrics))
    assert "counted 0 of" in await doubt((one.url, one.metrics), (other.url, one.metrics))
    async with watched((one.url, one.metrics), (other.url, other.metrics)) as found:
        assert await found.settled(HOUR), found.doubt


@pytest.mark.usefixtures("old_enough")
async def test_one_replica_without_an_endpoint(make_measured: MakeMeasured) -> None:
    one, other = make_measured("2.8"), make_measured("2.8")
    assert "1 metrics for 2 servers" in await doubt((one.url, one.metrics), (other.url, ""))
    other.server.extra = {}
    other.server.restart()
    assert other.metrics in await doubt((one.url, one.metrics), (other.url, other.metrics))


@pytest.mark.usefixtures("old_enough")
async def test_a_replica_that_is_busy(make_measured: MakeMeasured) -> None:
    one, other = make_measured("2.8"), make_measured("3.1")
    held = held_patch(other.url)
    await until(lambda: counted(other.metrics, "blob_upload_chunk") == 1)
    sleep = Sleep()
    async with watched((one.url, one.metrics), (other.url, other.metrics)) as found:
        sleep.over.set()
        assert not await barrier(HOUR, found, sleep)
        waiting = asyncio.create_task(barrier(HOUR, found, Sleep()))
        assert held.finish() == 202
        assert await waiting


@pytest.mark.usefixtures("old_enough")
async def test_several_servers_behind_one_address(make_measured: MakeMeasured, tmp_path: Path) -> None:
    one, other = make_measured("2.8"), make_measured("2.8")
    with missing_part_skips():
        proxy = Nginx("http://servers", tmp_path / "nginx", upstream=[one.server.host, other.server.host])
    with proxy:
        async with watched((proxy.url, one.metrics)) as found:
            assert not await found.settled(HOUR)
            assert "several behind one address" in found.doubt
            # By chance all might come to the one that is asked: what was doubtful once stays so.
            assert not await found.settled(HOUR)
    with Nginx(one.url, tmp_path / "alone") as alone:
        async with watched((alone.url, one.metrics)) as found:
            assert await found.settled(HOUR), found.doubt


@pytest.mark.usefixtures("old_enough")
async def test_metrics_of_several_servers_behind_one_address(make_measured: MakeMeasured, tmp_path: Path) -> None:
    one, other = make_measured("2.8"), make_measured("2.8")
    endpoints = [url.removeprefix("http://").removesuffix("/numbers") for url in (one.metrics, other.metrics)]
    with missing_part_skips():
        proxy = Nginx("http://servers", tmp_path / "nginx", upstream=endpoints)
    with proxy:
        assert await doubt((one.url, f"{proxy.url}/numbers"))


@pytest.mark.usefixtures("old_enough")
async def test_the_server_is_restarted_meanwhile(measured: Measured, readings: list[None]) -> None:
    held = held_patch(measured.url)
    await until(lambda: counted(measured.metrics, "blob_upload_chunk") == 1)
    async with watched((measured.url, measured.metrics)) as found:
        waiting = asyncio.create_task(found.settled(HOUR))
        await until(lambda: len(readings) > 3)
        await asyncio.to_thread(measured.server.restart)
        assert not await waiting
        assert found.doubt
    del held


async def test_a_server_restarted_between_barriers(measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    async with watched((measured.url, measured.metrics)) as found:
        monkeypatch.setattr(in_flight, "_SLACK_SECONDS", -10 * HOUR)
        assert await found.settled(HOUR)
        monkeypatch.setattr(in_flight, "_SLACK_SECONDS", 2)
        measured.server.restart()
        assert not await found.settled(HOUR)
        assert "predecessor" in found.doubt
        # It grows old: that doubt is not for ever.
        monkeypatch.setattr(in_flight, "_SLACK_SECONDS", -10 * HOUR)
        assert await found.settled(HOUR)


class Endpoint:
    """An endpoint that hands on another's text, changed."""

    def __init__(self, real: str, change: Callable[[str], str], headers: dict[str, str] | None = None) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with urlopen(real) as answer:
                    body = change(answer.read().decode()).encode()
                self.send_response(200)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self._server.server_address[1]}/metrics"

    def __enter__(self) -> str:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self.url

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def without(*names: str) -> Callable[[str], str]:
    return lambda text: "\n".join(line for line in text.split("\n") if not any(name in line for name in names))


def frozen() -> Callable[[str], str]:
    """Return the text that was seen first, ever after."""
    seen: list[str] = []

    def first(text: str) -> str:
        seen.append(text)
        return seen[0]

    return first


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Measured]:
    port = free_port()
    debug = {"addr": f"{LOOPBACK}:{port}", "prometheus": {"enabled": True}}
    with missing_part_skips():
        server = RegistryServer("3.1", tmp_path_factory.mktemp("idle") / "root", extra={"http": {"debug": debug}})
    with server:
        yield Measured(server, f"http://{LOOPBACK}:{port}/metrics")


@pytest.mark.usefixtures("old_enough")
@pytest.mark.parametrize(
    ("change", "headers", "said"),
    [
        (without("in_flight"), {}, "lacks registry_http_in_flight_requests"),
        (without('in_flight_requests{handler="blob"}'), {}, "does not count requests of blob"),
        (without('in_flight_requests{handler="manifest"}', 'handler="blob_upload"}'), {}, "blob_upload, manifest"),
        (without("process_start_time"), {}, "lacks process_start_time_seconds"),
        (without('method="head"'), {}, "counted 0 of"),
        (frozen(), {}, "counted 0 of"),
        (lambda text: text.replace('handler="base"', 'handler="base",instance="a"'), {}, "has labels"),
        (lambda text: text + text, {}, "twice"),
        (lambda text: text.replace('{handler="blob"} 0', '{handler="blob"} -1'), {}, "no number of requests"),
        (lambda text: text.replace('{handler="blob"} 0', '{handler="blob"} NaN'), {}, "no number of requests"),
        (lambda text: text.replace('{handler="blob"} 0', '{handler="blob"} 0 1700000000000'), {}, "no sample"),
        (lambda text: text.replace("process_start_time_seconds 1", "process_start_time_seconds NaN1"), {}, "could not"),
        (lambda text: "<html>it works</html>", {}, "lacks"),
        (lambda text: text + "# filler\n" * 1_000_000, {}, "at most"),
        (lambda text: text, {"Age": "3"}, "cache answers"),
    ],
)
async def test_what_is_no_endpoint_of_a_registry(
    idle: Measured, change: Callable[[str], str], headers: dict[str, str], said: str
) -> None:
    with Endpoint(idle.metrics, change, headers) as url:
        assert said in await doubt((idle.url, url))
    with Endpoint(idle.metrics, lambda text: text) as url:
        async with watched((idle.url, url)) as found:
            assert await found.settled(HOUR), found.doubt


@pytest.mark.usefixtures("old_enough")
async def test_a_handler_that_nobody_knows_must_come_to_zero(idle: Measured) -> None:
    under_way = [3]

    def change(text: str) -> str:
        return f'{text}registry_http_in_flight_requests{{handler="referrers"}} {under_way[0]}\n'

    with Endpoint(idle.metrics, change) as url:
        async with watched((idle.url, url)) as found:
            waiting = asyncio.create_task(barrier(HOUR, found, Sleep()))
            done, _ = await asyncio.wait({waiting}, timeout=0.5)
            assert not done
            under_way[0] = 0
            assert await waiting


@pytest.mark.usefixtures("old_enough")
async def test_handlers_need_not_be_idle_at_the_same_moment(idle: Measured) -> None:
    turn = [0]

    def change(text: str) -> str:
        turn[0] += 1
        busy = ("blob", "manifest")[turn[0] % 2]
        return text.replace(f'{{handler="{busy}"}} 0', f'{{handler="{busy}"}} 7')

    with Endpoint(idle.metrics, change) as url:
        async with watched((idle.url, url)) as found:
            assert await barrier(HOUR, found, Sleep())


@pytest.mark.usefixtures("old_enough")
async def test_an_endpoint_that_does_not_answer(idle: Measured) -> None:
    assert "takes no connection" in await doubt((idle.url, f"http://{LOOPBACK}:{free_port()}/metrics"))
    assert "HTTP 404" in await doubt((idle.url, idle.metrics.replace("/metrics", "/elsewhere")))
    assert "expected" in await doubt((idle.url, "http://127.0.0.1/metrics?all"))


@pytest.mark.usefixtures("old_enough")
async def test_others_who_ask_the_same_way(idle: Measured) -> None:
    """Somebody who sends HEAD all the time hides our own requests: nothing can be told, but perhaps later."""

    def change(text: str) -> str:
        turn[0] += 1
        return f'{text}registry_http_requests_total{{code="299",handler="base",method="head"}} {turn[0]}\n'

    turn = [0]
    with Endpoint(idle.metrics, change) as url:
        assert "others ask" in await doubt((idle.url, url))


async def test_a_storage_on_the_networks_disk(idle: Measured) -> None:
    access = Access(RegistryUrl.parse(idle.url), None, TlsSettings(), FAST, configuration.Registry(url=idle.url))
    async with watching(access, [access.url], [idle.metrics], "/proc") as found:
        assert found is not None
        assert not await found.settled(HOUR)
        assert found.doubt == "/proc is not on a disk of this machine (proc)"


def ended_long_ago(root: Path) -> None:
    """Leave what a collector leaves that ended regularly, a day ago."""
    with take_lease(str(root), "a test"):
        pass
    os.utime(root / "jettison/lease", (time.time() - 24 * HOUR,) * 2)


@pytest.mark.usefixtures("old_enough")
async def test_a_collection_need_not_wait(measured: Measured) -> None:
    push(measured.url, APP, KEPT, "kept")
    push(measured.url, APP, GONE, "gone")
    delete(measured.url, APP, GONE.digest)
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(watched((measured.url, measured.metrics)))
        ended_long_ago(measured.server.root)
        # An hour each, if they were waited for.
        report = await collect(
            measured.server.root, measured.url, barriers=Barriers(short=HOUR, long=HOUR), in_flight=found
        )
    assert report.purged == 2
    assert report.barriers == report.barriers_early > 3
    assert not report.barriers_doubt
    await assert_settled(measured.server.root, [measured.server], [(APP, KEPT)])


@pytest.mark.usefixtures("old_enough")
@pytest.mark.parametrize("left", ["killed", "just now", "in the future", "never before"])
async def test_requests_of_a_predecessor_that_no_server_has_read(measured: Measured, left: str) -> None:
    """A DELETE that a killed run had sent may still lie in the server's socket, where no gauge counts it."""
    root = measured.server.root
    push(measured.url, APP, GONE, "gone")
    delete(measured.url, APP, GONE.digest)
    if left != "never before":
        ended_long_ago(root)
        lease = root / "jettison/lease"
        if left == "killed":
            lease.write_text("{}")
        moment = time.time() + {"killed": -20, "just now": 0, "in the future": 20}[left] * HOUR
        os.utime(lease, (moment, moment))
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        """Wait for the start barrier for no time at all; an hour for each of the others, if they were waited for."""
        waits.append(seconds)
        if len(waits) > 1:
            await asyncio.sleep(seconds)

    async with watched((measured.url, measured.metrics)) as found:
        barriers = Barriers(short=HOUR, long=HOUR)
        report = await collect(root, measured.url, barriers=barriers, in_flight=found, sleep=sleep)
    assert report.purged == 2
    assert report.barriers_early == report.barriers - 1
    assert "last run" in report.barriers_doubt


@pytest.mark.usefixtures("old_enough")
async def test_requests_of_this_run_that_got_no_answer(idle: Measured) -> None:
    async with watched((idle.url, idle.metrics)) as found:
        found.observe(RequestReport("DELETE", "/v2/", 202, 1, 0.1, 0))
        assert await found.settled(HOUR)
        found.observe(RequestReport("DELETE", "/v2/", None, 1, 0.1, 0))
        found.observe(RequestReport("DELETE", "/v2/", 202, 2, 0.1, 0))
        assert not await found.settled(HOUR)
        assert "no answer" in found.doubt


async def test_a_collection_in_doubt_waits(idle: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_flight, "_SLACK_SECONDS", 10 * HOUR)
    push(idle.url, APP, GONE, "gone")
    delete(idle.url, APP, GONE.digest)
    async with watched((idle.url, idle.metrics)) as found:
        report = await collect(idle.server.root, idle.url, barriers=Barriers(short=0.1, long=0.1), in_flight=found)
    assert report.purged == 2
    assert report.barriers_early == 0
    assert "predecessor" in report.barriers_doubt
