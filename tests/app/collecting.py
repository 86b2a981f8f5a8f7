"""What the tests of collecting beside a serving registry share: the collector on a real storage, and its judge."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jettison.app.collect_online import OnlineCollector, Pace, Servers
from jettison.app.collection_report import CollectionReport
from jettison.app.in_flight import InFlight
from jettison.collect.safety import Barriers, Margins
from jettison.oci.digest import Digest
from jettison.registry.client import RegistryClient
from jettison.registry.settings import Limits
from jettison.storage.lease import take_lease
from jettison.storage.local import LocalStorage
from jettison.testing.built import BuiltBlob, BuiltManifest
from jettison.testing.connection import Connection
from jettison.testing.images import OCI_IMAGE, pull
from jettison.testing.registry_server import RegistryServer
from jettison.testing.transfer import PushError, push_over

APP, OTHER = "team/app", "team/other"
FAST = Limits(backoff=0.001, longest_backoff=0.001, retries=2)
# Whoever pushes in a test has its answer before the collector goes on, so no request is in flight at a barrier.
AT_ONCE = Barriers(short=0, long=0)
NO_GRACE = Margins(grace=timedelta(0))

Step = Callable[[str], None]


async def collect(
    root: Path,
    urls: str | Sequence[str],
    *,
    step: Step = lambda name: None,
    purge_now: bool = True,
    later: timedelta = timedelta(0),
    started: datetime | None = None,
    cacheless: bool = False,
    margins: Margins = NO_GRACE,
    barriers: Barriers = AT_ONCE,
    in_flight: InFlight | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> CollectionReport:
    """Collect once beside the servers at `urls`; `later` moves the collector's clock."""
    async with AsyncExitStack() as stack:
        urls = [urls] if isinstance(urls, str) else urls
        clients = [await stack.enter_async_context(RegistryClient(url, limits=FAST)) for url in urls]
        lease = stack.enter_context(take_lease(str(root), "a test"))
        collector = OnlineCollector(
            lease,
            LocalStorage(root),
            # As many at once as there ever were: the tests look for what goes wrong, and meet more of it.
            Servers(clients, started, cacheless, Pace(at_once=16, rest=0.0), in_flight),
            margins=margins,
            barriers=barriers,
            run="a test",
            now=lambda: datetime.now(UTC) + later,
            sleep=sleep,
            step=step,
        )
        return await collector.collect(purge_now=purge_now)


class Moves:
    """A `step` that makes moves of a client, each when a name is told for the first time."""

    def __init__(self, moves: dict[str, Callable[[], None]]) -> None:
        self._moves = dict(moves)
        self.seen: Counter[str] = Counter()

    def __call__(self, name: str) -> None:
        self.seen[name] += 1
        move = self._moves.pop(name, None)
        if move is not None:
            move()

    def assert_made(self) -> None:
        """Fail where a move was never made, since the collector did not come there."""
        assert not self._moves, f"never reached: {sorted(self._moves)}"


def push_or_again(url: str, repository: str, built: BuiltManifest, tag: str | None = None) -> None:
    """Push as clients do: where the manifest is refused since a blob went meanwhile, once more from the beginning."""
    with Connection(url) as connection:
        try:
            push_over(connection, repository, built, tag)
        except PushError as error:
            if "MANIFEST_BLOB_UNKNOWN" not in str(error):
                raise
            push_over(connection, repository, built, tag)


def delete(url: str, repository: str, digest: Digest) -> None:
    """Delete a manifest with all its tags."""
    with Connection(url) as connection:
        assert connection.ask("DELETE", f"/v2/{repository}/manifests/{digest}").status == 202


def has_blob(url: str, repository: str, digest: Digest) -> bool:
    """Ask as a client does before it uploads."""
    with Connection(url) as connection:
        return connection.ask("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200


def put(url: str, repository: str, built: BuiltManifest, tag: str) -> bool:
    """Put a manifest, and nothing that it needs. False where the server misses some of that."""
    with Connection(url) as connection:
        answer = connection.ask("PUT", f"/v2/{repository}/manifests/{tag}", built.body, {"Content-Type": OCI_IMAGE})
    if answer.status == 201:
        return True
    assert answer.status == 400, answer
    assert b"MANIFEST_BLOB_UNKNOWN" in answer.body
    return False


def mount(url: str, repository: str, source: str, blob: BuiltBlob) -> bool:
    """Ask to mount a blob from another repository. False where the server wants it uploaded."""
    with Connection(url) as connection:
        path = f"/v2/{repository}/blobs/uploads/?mount={blob.digest}&from={source}"
        answer = connection.ask("POST", path, b"")
    assert answer.status in {201, 202}, answer
    return answer.status == 201


class Upload:
    """An upload in two steps: everything is sent, and later committed."""

    def __init__(self, url: str, repository: str, blob: BuiltBlob) -> None:
        self._url, self._blob = url, blob
        with Connection(url) as connection:
            begun = connection.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
            assert begun.status == 202
            path = begun.headers["location"].removeprefix(url)
            sent = connection.ask("PATCH", path, blob.body, {"Content-Type": "application/octet-stream"})
            assert sent.status == 202
            self._path = sent.headers["location"].removeprefix(url)

    def commit(self) -> None:
        """Make it a blob of the repository."""
        with Connection(self._url) as connection:
            answer = connection.ask("PUT", f"{self._path}&digest={self._blob.digest}", b"")
        assert answer.status == 201, answer


def data_of(root: Path, digest: Digest) -> Path:
    """Return where a blob's data lies."""
    return root / f"docker/registry/v2/blobs/sha256/{digest.hex[:2]}/{digest.hex}/data"


def link_of(root: Path, repository: str, digest: Digest) -> Path:
    """Return a layer link."""
    return root / f"docker/registry/v2/repositories/{repository}/_layers/{digest.algorithm}/{digest.hex}/link"


def quarantined(root: Path) -> set[str]:
    """Return the names of all blobs in quarantine."""
    return {path.name.replace("-", ":", 1) for path in (root / "jettison/quarantine").glob("*/sha*")}


Accepted = Iterable[tuple[str, BuiltManifest]]


def assert_whole(urls: Iterable[str], accepted: Accepted) -> None:
    """Pull every accepted manifest from every replica."""
    for url in urls:
        for repository, built in accepted:
            pull(url, repository, built.digest)


async def assert_settled(root: Path, servers: Sequence[RegistryServer], accepted: Accepted) -> None:
    """Everything that was accepted is whole, stays so when a later run finishes, and nothing is in quarantine then."""
    urls = [server.url for server in servers]
    accepted = tuple(accepted)
    # A pull may fail between the data's going and its coming back, which the next run sees to at the latest.
    await collect(root, urls, later=timedelta(days=2))
    assert_whole(urls, accepted)
    await collect(root, urls, later=timedelta(days=4))
    assert_whole(urls, accepted)
    assert not quarantined(root)
    assert not list((root / "jettison/quarantine").glob("*"))
