"""Pushing built images to a registry, and pulling them back whole: the tests' judge of what a registry still holds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

from jettison.oci.digest import Digest
from jettison.testing.built import BuiltBlob, BuiltManifest
from jettison.testing.connection import Answer, Connection

_ACCEPT: Final = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.artifact.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)


class PushError(AssertionError):
    """A registry refused what a test pushed."""


def push(
    url: str,
    repository: str,
    built: BuiltManifest,
    tag: str | None = None,
    *,
    auth: tuple[str, str] | None = None,
    ca: Path | None = None,
) -> Digest:
    """Push a manifest with its blobs and children, under `tag` or, without one, by digest; return its digest.

    Each blob is asked for first and pushed where it is missing; nothing is mounted. Raises PushError when the registry
    refuses something.
    """
    with Connection(url, auth=auth, ca=ca) as connection:
        return push_over(connection, repository, built, tag)


def push_over(connection: Connection, repository: str, built: BuiltManifest, tag: str | None = None) -> Digest:
    """Push as `push` does, over a connection that serves many pushes."""
    for manifest in built.walk():
        for blob in manifest.blobs:
            _push_blob(connection, repository, blob)
        reference = tag if manifest is built and tag is not None else manifest.digest
        answer = connection.ask(
            "PUT", f"/v2/{repository}/manifests/{reference}", manifest.body, {"Content-Type": manifest.media_type}
        )
        _expect(answer, 201, f"manifest {reference} of {repository}")
    return built.digest


def pull(
    url: str,
    repository: str,
    reference: str,
    *,
    auth: tuple[str, str] | None = None,
    ca: Path | None = None,
) -> None:
    """Fetch a manifest and everything that it names, and verify each digest.

    Raises AssertionError that lists everything that is missing or is not what its digest says. A `subject` is not
    followed: a referrer may be pulled without it.
    """
    with Connection(url, auth=auth, ca=ca) as connection:
        missing = _Puller(connection, repository).pull(reference)
    if missing:
        raise AssertionError(f"{repository}:{reference} does not pull whole: {'; '.join(missing)}")


class _Puller:
    def __init__(self, connection: Connection, repository: str) -> None:
        self._connection = connection
        self._repository = repository
        self._seen: set[str] = set()

    def pull(self, reference: str) -> list[str]:
        if reference in self._seen:
            return []
        self._seen.add(reference)
        answer = self._connection.ask(
            "GET", f"/v2/{self._repository}/manifests/{reference}", headers={"Accept": _ACCEPT}
        )
        if answer.status != 200:
            return [f"manifest {reference} is answered with {answer.status}"]
        expected = reference if ":" in reference else answer.headers.get("docker-content-digest", "")
        if not Digest(expected).matches(answer.body):
            return [f"manifest {reference} is not what its digest {expected} says"]
        document = json.loads(answer.body)
        missing: list[str] = []
        for child in document.get("manifests") or ():
            missing += self.pull(child["digest"])
        config = document.get("config")
        for blob in [*([config] if config else []), *(document.get("layers") or document.get("blobs") or ())]:
            missing += self._pull_blob(blob)
        return missing

    def _pull_blob(self, descriptor: Mapping[str, object]) -> list[str]:
        digest = str(descriptor["digest"])
        if digest in self._seen:
            return []
        self._seen.add(digest)
        answer = self._connection.ask("GET", f"/v2/{self._repository}/blobs/{digest}")
        if answer.status != 200:
            return [f"blob {digest} is answered with {answer.status}"]
        if len(answer.body) != descriptor["size"] or not Digest(digest).matches(answer.body):
            return [f"blob {digest} is not what its digest says"]
        return []


def _push_blob(connection: Connection, repository: str, blob: BuiltBlob) -> None:
    if connection.ask("HEAD", f"/v2/{repository}/blobs/{blob.digest}").status == 200:
        return
    what = f"blob {blob.digest} of {repository}"
    begun = connection.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
    _expect(begun, 202, what)
    location = urlsplit(begun.headers["location"])
    query = "&".join(filter(None, (location.query, urlencode({"digest": blob.digest}))))
    answer = connection.ask("PUT", f"{location.path}?{query}", blob.body, {"Content-Type": "application/octet-stream"})
    _expect(answer, 201, what)


def _expect(answer: Answer, status: int, what: str) -> None:
    if answer.status != status:
        raise PushError(f"pushing {what} was answered with {answer.status}: {answer.body.decode(errors='replace')}")
