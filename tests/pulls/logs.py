"""Lines as real servers write them: registry 2.8.2 and 3.1.1, nginx 1.22, and Traefik's formats."""

import json
from datetime import UTC, datetime

from jettison.oci.digest import Digest

DOCKER = "docker/20.10.24+dfsg1 go/go1.19.8 os/linux arch/amd64 UpstreamClient(Docker-Client/28.2.2 \\\\(linux\\\\))"
SKOPEO = "skopeo/1.9.3"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ONE, TWO = Digest.of(b"one"), Digest.of(b"two")


def manifest(reference: str, repository: str = "team/app") -> str:
    return f"/v2/{repository}/manifests/{reference}"


def combined(
    uri: str = manifest("1.0"),
    moment: datetime = NOON,
    *,
    method: str = "GET",
    status: int = 200,
    agent: str = SKOPEO,
    account: str = "-",
    address: str = "10.1.2.3",
    more: str = "",
) -> str:
    at = f"{moment:%d/%b/%Y:%H:%M:%S %z}"
    return f'{address} - {account} [{at}] "{method} {uri} HTTP/1.1" {status} 402 "-" "{agent}"{more}\n'


def registry_text(
    uri: str = manifest("1.0"),
    moment: datetime = NOON,
    *,
    method: str = "GET",
    status: int = 200,
    agent: str = SKOPEO,
    request: str = "a",
) -> str:
    level, message = ("info", "response completed") if status < 400 else ("error", "response completed with error")
    return (
        f'time="{moment:%Y-%m-%dT%H:%M:%S.322581501Z}" level={level} msg="{message}" go.version=go1.19.8 '
        f'http.request.host="127.0.0.1:16018" http.request.id={request} http.request.method={method} '
        f'http.request.remoteaddr="10.1.2.3:56540" http.request.uri="{uri}" http.request.useragent="{agent}" '
        f'http.response.contenttype=application/json http.response.duration="718.795µs" '
        f"http.response.status={status} http.response.written=402\n"
    )


def registry_json(
    uri: str = manifest("1.0"), moment: datetime = NOON, *, method: str = "GET", status: int = 200
) -> str:
    document = {
        "go.version": "go1.26.8",
        "http.request.id": "01a20d02-454f-7e8d",
        "http.request.method": method,
        "http.request.remoteaddr": "10.1.2.3:51030",
        "http.request.uri": uri,
        "http.request.useragent": SKOPEO,
        "http.response.status": status,
        "level": "info",
        "msg": "response completed",
        "time": f"{moment:%Y-%m-%dT%H:%M:%S.528884202Z}",
    }
    return json.dumps(document, separators=(",", ":")) + "\n"


def traefik_json(uri: str = manifest("1.0"), moment: datetime = NOON, *, method: str = "GET", status: int = 200) -> str:
    document = {
        "ClientAddr": "10.1.2.3:51234",
        "ClientHost": "10.1.2.3",
        "ClientUsername": "-",
        "DownstreamStatus": status,
        "OriginStatus": status,
        "RequestMethod": method,
        "RequestPath": uri,
        "StartUTC": f"{moment:%Y-%m-%dT%H:%M:%S.123456789Z}",
        "level": "info",
        "msg": "",
        "request_User-Agent": SKOPEO,
        "time": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
    }
    return json.dumps(document) + "\n"


def event(
    tag: str | None = "1.0",
    digest: str = ONE,
    moment: datetime = NOON,
    *,
    identifier: str = "1",
    action: str = "pull",
    method: str = "GET",
    kind: str = "manifests",
) -> dict[str, object]:
    target = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest,
        "repository": "team/app",
        "url": f"http://registry/v2/team/app/{kind}/{digest}",
    }
    return {
        "id": identifier,
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.343121678Z}",
        "action": action,
        "target": target | ({"tag": tag} if tag else {}),
        "request": {"id": "b", "addr": "10.1.2.3:56546", "method": method, "useragent": SKOPEO},
        "actor": {"name": "ci"},
        "source": {"addr": "vm:16018"},
    }


def envelope(*events: dict[str, object]) -> str:
    return json.dumps({"events": events}, indent=3)
