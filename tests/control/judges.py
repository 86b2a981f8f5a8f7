"""What tests of control ask a registry, over plain HTTP."""

import http.client
import json
from pathlib import Path
from urllib.parse import urlsplit


def ask(url: str, method: str, path: str) -> tuple[int, bytes]:
    """Return status and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def deletes(url: str) -> bool:
    """Whether deletion is on: the server answers 405 where it is off."""
    return ask(url, "DELETE", f"/v2/nobody/manifests/sha256:{'0' * 64}")[0] != 405


def delete_manifest(url: str, repository: str, digest: str) -> None:
    """Delete a manifest, with all tags on it."""
    status, body = ask(url, "DELETE", f"/v2/{repository}/manifests/{digest}")
    assert status == 202, body


def tags(url: str, repository: str) -> list[str]:
    """Return the repository's tags."""
    found = json.loads(ask(url, "GET", f"/v2/{repository}/tags/list")[1]).get("tags")
    return sorted(found or [])


def blobs_on_disk(root: Path) -> set[str]:
    """Return the digests of the blobs that the storage holds."""
    folder = root / "docker/registry/v2/blobs"
    return {f"{path.parts[-4]}:{path.parts[-2]}" for path in folder.glob("*/*/*/data")}
