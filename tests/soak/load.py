"""Clients that push, mount, pull and delete all at once, and a ledger of what a registry owes them.

A *unit* is what is pushed and deleted together: an image, an index with its platforms, an image with its signature. The
layers come from a small pool that all units share, so what one push needs is what another deletion has just set free.
"""

import http.client
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jettison.oci.digest import Digest
from jettison.testing.built import BuiltBlob, BuiltManifest
from jettison.testing.connection import Answer, Connection
from jettison.testing.images import image, index, pull, random_layer, signature_of, signature_tag

REPOSITORIES: Final = ("team/app", "team/web", "base", "tools/ci")
_LAYERS: Final = 40
_ALIVE: Final = 30
_ATTEMPTS: Final = 8
_LONGEST_PAUSE: Final = 0.6


@dataclass(frozen=True)
class Unit:
    """Manifests that are put in this order, each with its tag or by digest, and deleted in the reverse one."""

    repository: str
    manifests: tuple[tuple[BuiltManifest, str | None], ...]
    lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def blobs(self) -> dict[Digest, BuiltBlob]:
        """Return all that must be there before the manifests."""
        return {blob.digest: blob for built, _ in self.manifests for blob in built.blobs}


@dataclass(frozen=True)
class Loss:
    """An accepted manifest that does not pull whole, and why."""

    repository: str
    digest: str
    reason: str


class Ledger:
    """What was accepted and not deleted since. A unit's entry changes only under its lock."""

    def __init__(self) -> None:
        self._owed: dict[tuple[str, Digest], Unit] = {}
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.losses: list[Loss] = []
        self.half_deleted: set[Digest] = set()
        """Manifests that a 2.8 server deleted without their tags, answering 500: it leaves tags that dangle."""

    def count(self, what: str, number: int = 1) -> None:
        """Count something that happened."""
        with self._lock:
            self.counts[what] += number

    def accept(self, unit: Unit, digest: Digest) -> None:
        """Note that a manifest's push was answered with 201."""
        with self._lock:
            self._owed[unit.repository, digest] = unit

    def forget(self, unit: Unit, digest: Digest) -> None:
        """Note that a manifest was deleted."""
        with self._lock:
            self._owed.pop((unit.repository, digest), None)

    def owed(self) -> list[tuple[str, Digest, Unit]]:
        """Return all that must pull whole."""
        with self._lock:
            return [(repository, digest, unit) for (repository, digest), unit in self._owed.items()]

    def owes(self, unit: Unit, digest: Digest) -> bool:
        """Whether a manifest must pull whole now."""
        with self._lock:
            return (unit.repository, digest) in self._owed

    def lose(self, loss: Loss) -> None:
        """Note a loss, once for each manifest."""
        with self._lock:
            if all((loss.repository, loss.digest) != (each.repository, each.digest) for each in self.losses):
                self.losses.append(loss)


class Load:
    """Runs the clients in threads against a registry whose storage is `root`, from entering to leaving."""

    def __init__(self, url: str, root: Path, *, seed: int = 0, pushers: int = 4) -> None:
        self._url, self._root = url, root
        self.ledger = Ledger()
        self._stop = threading.Event()
        self._seed = seed
        self._hot = [_unit(number, random.Random(f"{seed} unit {number}")) for number in range(_ALIVE)]
        self._numbers = itertools.count(_ALIVE)
        work: list[Callable[[random.Random], None]] = [*[self._push] * pushers, self._pull, self._delete]
        self._threads = [
            threading.Thread(target=self._repeat, args=(each, random.Random(f"{seed} thread {number}")))
            for number, each in enumerate(work)
        ]
        self.errors: list[BaseException] = []

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, work: Callable[[random.Random], None], chance: random.Random) -> None:
        try:
            while not self._stop.is_set():
                work(chance)
        except BaseException as error:
            self.errors.append(error)
            self._stop.set()

    def judge(self) -> None:
        """Pull everything that is owed, and note what does not come whole: nothing may heal it any more."""
        for repository, digest, _ in self.ledger.owed():
            if (reason := self._why_not_whole(repository, digest)) is not None:
                self.ledger.lose(Loss(repository, digest, reason))

    def _why_not_whole(self, repository: str, digest: Digest) -> str | None:
        """Pull; return why that failed, None where all came whole."""
        try:
            pull(self._url, repository, digest)
        except AssertionError as error:
            return str(error)
        except http.client.IncompleteRead as error:
            # The server remembers the blob's size and announces it, though the data is not there.
            return f"an answer ended too soon: {error}"
        return None

    def _push(self, chance: random.Random) -> None:
        hot = chance.random() < 0.75
        unit = chance.choice(self._hot) if hot else _unit(next(self._numbers), chance)
        with Connection(self._url) as connection:
            for _ in range(_ATTEMPTS):
                if self._push_once(connection, unit, chance):
                    self.ledger.count("pushes")
                    return
                self.ledger.count("pushes refused and repeated")
        self.ledger.count("pushes given up")

    def _push_once(self, connection: Connection, unit: Unit, chance: random.Random) -> bool:
        """Push as some client does; False where the registry wants it all again."""
        way = chance.choice(("ask", "ask", "mount", "blind"))
        for blob in unit.blobs().values():
            path = f"/v2/{unit.repository}/blobs"
            if way == "ask" and connection.ask("HEAD", f"{path}/{blob.digest}").status == 200:
                continue
            query = ""
            if way == "mount":
                source = chance.choice([name for name in REPOSITORIES if name != unit.repository])
                query = f"?mount={blob.digest}&from={source}"
            begun = connection.ask("POST", f"{path}/uploads/{query}", b"")
            if begun.status == 201:
                self.ledger.count("mounts")
                continue
            if begun.status != 202 or _upload(connection, begun, blob).status != 201:
                return False
        # Between the last blob and the manifest everything can happen.
        if chance.random() < 0.5:
            self._stop.wait(chance.random() * _LONGEST_PAUSE)
        with unit.lock:
            for built, tag in unit.manifests:
                path = f"/v2/{unit.repository}/manifests/{tag or built.digest}"
                answer = connection.ask("PUT", path, built.body, {"Content-Type": built.media_type})
                if answer.status != 201:
                    return False
                self.ledger.accept(unit, built.digest)
        return True

    def _pull(self, chance: random.Random) -> None:
        owed = self.ledger.owed()
        if not owed:
            self._stop.wait(0.05)
            return
        repository, digest, unit = chance.choice(owed)
        if self._why_not_whole(repository, digest) is not None:
            self._look_closer(repository, digest, unit)
        self.ledger.count("pulls")

    def _look_closer(self, repository: str, digest: Digest, unit: Unit) -> None:
        """A pull failed: its manifest was deleted meanwhile, or a blob is in quarantine now, or something is lost."""
        with unit.lock:
            reason = None
            for _ in range(3):
                if not self.ledger.owes(unit, digest):
                    return
                reason = self._why_not_whole(repository, digest)
                if reason is None:
                    return
                if any(self._is_nowhere(blob) for blob in self._needs(unit)):
                    # It may have been between the two places; the next look tells.
                    time.sleep(0.1)
                    continue
                self.ledger.count("pulls that failed while a blob was in quarantine")
                return
            if reason is not None:
                self.ledger.lose(Loss(repository, digest, reason))

    def _needs(self, unit: Unit) -> list[Digest]:
        return [*unit.blobs(), *(built.digest for built, _ in unit.manifests if self.ledger.owes(unit, built.digest))]

    def _is_nowhere(self, digest: Digest) -> bool:
        data = self._root / f"docker/registry/v2/blobs/sha256/{digest.hex[:2]}/{digest.hex}/data"
        quarantine = self._root / "jettison/quarantine"
        return not data.exists() and not any(quarantine.glob(f"*/sha256-{digest.hex}")) and not data.exists()

    def _delete(self, chance: random.Random) -> None:
        self._stop.wait(0.02)
        owed = self.ledger.owed()
        if len(owed) < _ALIVE // 2:
            return
        _, _, unit = chance.choice(owed)
        with unit.lock, Connection(self._url) as connection:
            for built, _ in reversed(unit.manifests):
                if self.ledger.owes(unit, built.digest):
                    self.ledger.forget(unit, built.digest)
                    path = f"/v2/{unit.repository}/manifests/{built.digest}"
                    # 2.8 looks at every tag, and fails where another push is just writing one; the manifest is gone.
                    while (answer := connection.ask("DELETE", path)).status == 500:
                        self.ledger.count("deletes answered with 500")
                        self.ledger.half_deleted.add(built.digest)
                    if answer.status not in {202, 404}:
                        raise AssertionError(f"deleting was answered with {answer.status}: {answer.body!r}")
                    self.ledger.count("deletes")


def _upload(connection: Connection, begun: Answer, blob: BuiltBlob) -> Answer:
    location = urlsplit(begun.headers["location"])
    query = "&".join(filter(None, (location.query, f"digest={blob.digest}")))
    return connection.ask("PUT", f"{location.path}?{query}", blob.body, {"Content-Type": "application/octet-stream"})


def _unit(number: int, chance: random.Random) -> Unit:
    """Return an image, an index of two platforms, or a signed image, of layers of the common pool."""

    def one(platform: str = "linux/amd64") -> BuiltManifest:
        layers = [random_layer(f"pool {each}", 600) for each in chance.sample(range(_LAYERS), 3)]
        return image(layers, seed=f"{number} {platform}", platform=platform)

    repository = chance.choice(REPOSITORIES)
    kind = number % 3
    tag = f"tag-{number}"
    first = one()
    if kind == 0:
        return Unit(repository, ((first, tag),))
    if kind == 1:
        second = one("linux/arm64")
        return Unit(repository, ((first, None), (second, None), (index([first, second]), tag)))
    return Unit(repository, ((first, tag), (signature_of(first.digest), signature_tag(first.digest))))
