"""The faulty server does each thing that it is told, in front of real registries and alone."""

import http.client
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest

from jettison.oci.digest import Digest
from jettison.testing import faults
from jettison.testing.connection import Connection
from jettison.testing.faulty import FaultyServer, Response
from jettison.testing.images import image, index, pull, push
from jettison.testing.programs import Missing, skopeo
from jettison.testing.registry_server import RegistryServer
from jettison.testing.tls import TlsFiles


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


@pytest.fixture
def proxy(registry: RegistryServer) -> Iterator[FaultyServer]:
    with FaultyServer(upstream=registry.url) as running:
        yield running


def _ask(server: FaultyServer, path: str = "/v2/", method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_a_proxy_changes_nothing_by_itself(proxy: FaultyServer, registry: RegistryServer) -> None:
    built = index([image(seed=1), image(seed=2)])
    push(proxy.url, "app", built, "1")
    pull(proxy.url, "app", "1")
    pull(registry.url, "app", "1")
    direct, through = (_ask_manifest(url, method) for method in ("GET",) for url in (registry.url, proxy.url))
    assert direct == through
    assert _ask_manifest(registry.url, "HEAD") == _ask_manifest(proxy.url, "HEAD")
    assert proxy.count("PUT", "/v2/app/manifests/.*") == 3
    assert proxy.count("*") == len(proxy.requests)


def _ask_manifest(url: str, method: str) -> tuple[int, dict[str, str], bytes]:
    with Connection(url) as connection:
        answer = connection.ask(method, "/v2/app/manifests/1", headers={"Accept": index([]).media_type})
    return answer.status, {key: value for key, value in answer.headers.items() if key != "date"}, answer.body


def test_skopeo_works_through_a_proxy(
    proxy: FaultyServer, tmp_path: Path, need: Callable[[Path | Missing], Path]
) -> None:
    program = need(skopeo())
    push(proxy.url, "app", image(), "1")
    host = proxy.url.removeprefix("http://")
    for source, target in (
        (f"docker://{host}/app:1", f"dir:{tmp_path}/out"),
        (f"dir:{tmp_path}/out", f"docker://{host}/b:1"),
    ):
        subprocess.run(
            [program, "copy", "--src-tls-verify=false", "--dest-tls-verify=false", source, target],
            check=True,
            capture_output=True,
        )
    pull(proxy.url, "b", "1")


def test_rules_apply_newest_first_and_so_often_as_they_may(server: FaultyServer) -> None:
    always = server.when("GET", "/v2/", faults.answer(200, b"always", {"X-A": "b"}))
    twice = server.when("*", "/v2/", faults.too_many_requests("3"), times=2)
    assert [_ask(server)[0] for _ in range(4)] == [429, 429, 200, 200]
    assert (always.used, twice.used) == (2, 2)
    status, headers, body = _ask(server)
    assert (status, headers["X-A"], body) == (200, "b", b"always")
    assert _ask(server, "/v2/other")[0] == 404
    server.forget()
    assert server.requests == ()
    server.when("GET", "/v2/", faults.too_many_requests("3"))
    assert _ask(server)[1]["Retry-After"] == "3"


def test_requests_are_recorded(server: FaultyServer) -> None:
    connection = http.client.HTTPConnection(server.host, server.port)
    connection.request("PUT", "/a?b=c", iter([b"one", b"two"]), {"X-Name": "v"}, encode_chunked=True)
    connection.getresponse().read()
    connection.close()
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("PUT", "/a?b=c", b"onetwo")
    assert request.header("x-name") == "v"
    assert request.header("absent") is None


def test_connections_are_dropped(server: FaultyServer) -> None:
    server.when("GET", "/v2/", faults.drop())
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        _ask(server)
    server.when("GET", "/v2/", faults.drop_in_body(3, Response(200, (), b"0123456789")))
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        _ask(server)


def test_a_drop_after_forwarding_leaves_the_work_done(proxy: FaultyServer, registry: RegistryServer) -> None:
    digest = push(registry.url, "app", image(), "1")
    proxy.when("DELETE", ".*", faults.drop_after_forwarding(), times=1)
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        _ask(proxy, f"/v2/app/manifests/{digest}", "DELETE")
    assert _ask(proxy, f"/v2/app/manifests/{digest}", "DELETE")[0] == 404


def test_lies_and_halves(proxy: FaultyServer) -> None:
    digest = push(proxy.url, "app", image(), "1")
    proxy.when("GET", "/v2/app/manifests/1", faults.wrong_digest(str(Digest.of(b"another"))))
    with pytest.raises(AssertionError, match="not what its digest"):
        pull(proxy.url, "app", "1")
    proxy.when("GET", f"/v2/app/manifests/{digest}", faults.wrong_digest(None))
    assert "Docker-Content-Digest" not in _ask(proxy, f"/v2/app/manifests/{digest}")[1]
    proxy.when("GET", "/v2/app/tags/list", faults.truncated(9))
    status, headers, body = _ask(proxy, "/v2/app/tags/list")
    assert (status, headers["Content-Length"], len(body)) == (200, "9", 9)
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    proxy.when("GET", "/v2/app/tags/list", faults.changed(lambda response: response.with_header("Link", "<x>")))
    assert _ask(proxy, "/v2/app/tags/list")[1]["Link"] == "<x>"


def test_redirects_name_another_host(server: FaultyServer) -> None:
    with FaultyServer(host="127.0.0.2") as other:
        server.when("GET", ".*", faults.redirect(other.url))
        status, headers, _ = _ask(server, "/v2/app/blobs/x?y=z")
        assert (status, headers["Location"]) == (307, f"http://127.0.0.2:{other.port}/v2/app/blobs/x?y=z")
    server.when("GET", ".*", faults.redirect("/elsewhere", 302))
    assert _ask(server)[1]["Location"] == "/elsewhere"


def test_slow_and_endless_answers_end_with_the_server() -> None:
    with FaultyServer() as server:
        server.when("GET", "/slow", faults.slow(3600))
        server.when("GET", "/drip", faults.slow_body(3600))
        server.when("GET", "/endless", faults.endless_body())
        clients = []
        for path in ("/slow", "/drip"):
            client = socket.create_connection((server.host, server.port), timeout=10)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            clients.append(client)
        endless = http.client.HTTPConnection(server.host, server.port, timeout=10)
        endless.request("GET", "/endless")
        assert len(endless.getresponse().read(1 << 20)) == 1 << 20
        endless.close()
    for client in clients:
        while client.recv(1 << 16):
            pass
        client.close()


def test_a_gate_holds_a_request_until_it_is_opened(proxy: FaultyServer) -> None:
    gate = faults.Gate()
    proxy.when("GET", "/v2/", gate)
    statuses: list[int] = []
    client = Thread(target=lambda: statuses.append(_ask(proxy)[0]))
    client.start()
    assert gate.reached.wait(10)
    assert statuses == []
    assert _ask(proxy, "/v2/_catalog")[0] == 200
    assert proxy.most_at_once == 2
    gate.open.set()
    client.join(10)
    assert statuses == [200]


def test_over_tls(tls_files: TlsFiles) -> None:
    with FaultyServer(tls=tls_files) as server:
        server.when("GET", "/v2/", faults.answer(200, b"{}"))
        with Connection(server.url, ca=tls_files.ca) as connection:
            assert connection.ask("GET", "/v2/").body == b"{}"


def test_an_upstream_that_is_away_is_a_bad_gateway(proxy: FaultyServer, registry: RegistryServer) -> None:
    with Connection(proxy.url) as connection:
        assert connection.ask("GET", "/v2/").status == 200
        registry.stop()
        assert connection.ask("GET", "/v2/").status == 502
        registry.start()
        assert connection.ask("GET", "/v2/").status == 200
