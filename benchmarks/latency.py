"""How long pushes and pulls take on a serving registry, alone and with the online collector beside them.

Two clients push and pull images at a fixed rate, each over one connection, as builders do. Meanwhile nothing else runs,
or `jettison gc` collects 5,000 blobs beside the registry, its barriers cut short so that it works all the time. Both
states take turns, so that a drifting machine favours neither. A request that had to wait for the one before counts from
the moment when it was due. Prints median and 99th percentile of each, and the ratios (goal: at most 1.2x).

Run with `python -m benchmarks.latency [VERSION IMAGES ROUNDS]`, VERSION 2.8 or 3.1.
"""

import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.collect import OLD, one, own_environment, working_folder
from jettison.testing.connection import Connection
from jettison.testing.images import image, random_layer
from jettison.testing.programs import REGISTRY_VERSIONS
from jettison.testing.registry_server import RegistryServer
from jettison.testing.storage_tree import StorageTree
from jettison.testing.transfer import pull, push_over

PUSHES_A_SECOND = 10
PULLS_A_SECOND = 20
KEPT = 400
BASE = random_layer("base", 65536)


@dataclass
class Times:
    """Seconds of each push and pull."""

    pushes: list[float] = field(default_factory=list)
    pulls: list[float] = field(default_factory=list)


def main(version: str = "2.8", images: int = 625, rounds: int = 3) -> None:
    """Make the data, measure, print."""
    named = next(each for each in REGISTRY_VERSIONS if each == version)
    alone, beside = Times(), Times()
    with working_folder() as folder:
        root = folder / "registry"
        tree = StorageTree(root)
        for repository, tag, built in map(one, range(images, images + KEPT)):
            tree.add(repository, built, [tag], OLD)
        with RegistryServer(named, root) as server:
            for turn in range(rounds):
                lay_out_garbage(tree, root, images)
                seconds = under_load(server.url, beside, partial(collect, server.url, root, folder), images, turn)
                under_load(server.url, alone, partial(time.sleep, seconds), images, turn)
                print(f"round {turn + 1}: collecting took {seconds:.1f} s", flush=True)
    for name, with_it, without in (("push", beside.pushes, alone.pushes), ("pull", beside.pulls, alone.pulls)):
        for what, at in (("median", 0.5), ("99th percentile", 0.99)):
            a, b = percentile(without, at), percentile(with_it, at)
            print(
                f"{name}, {what}: alone {a * 1000:.1f} ms, beside the collector {b * 1000:.1f} ms, {b / a:.2f}x "
                f"({len(without)} and {len(with_it)})"
            )


def lay_out_garbage(tree: StorageTree, root: Path, images: int) -> None:
    """Lay out images whose manifests are deleted, as the API leaves them: layer links and blobs stay."""
    repositories = root / "docker/registry/v2/repositories"
    for repository, _, built in map(one, range(images)):
        tree.add(repository, built, [], OLD)
        shutil.rmtree(repositories / repository / "_manifests/revisions/sha256" / built.digest.hex)


def collect(url: str, root: Path, folder: Path) -> None:
    """Collect online. Raises CalledProcessError where that fails."""
    command = [sys.executable, "-m", "jettison", "gc", url, "--storage", str(root), "--yes", "--json"]
    subprocess.run(
        [*command, "--grace", "1s", "--settle", "1s", "--now"],
        check=True,
        stdout=subprocess.DEVNULL,
        env=own_environment(folder),
    )


def under_load(url: str, times: Times, work: Callable[[], None], first: int, turn: int) -> float:
    """Do `work` while two clients push and pull; note their times, and return the seconds that the work took."""
    done = threading.Event()
    mine = [
        threading.Thread(target=pusher, args=(url, times.pushes, done, f"{turn} {time.monotonic_ns()}")),
        threading.Thread(target=puller, args=(url, times.pulls, done, first)),
    ]
    for each in mine:
        each.start()
    began = time.perf_counter()
    try:
        work()
    finally:
        seconds = time.perf_counter() - began
        done.set()
        for each in mine:
            each.join()
    return seconds


def pusher(url: str, times: list[float], done: threading.Event, seed: str) -> None:
    """Push new images that share a layer."""
    with Connection(url) as connection:
        for number, due in enumerate(ticks(PUSHES_A_SECOND, done)):
            built = image([BASE, random_layer(f"{seed} {number}", 4096)], seed=f"{seed} {number}", created=OLD)
            push_over(connection, "load/app", built, "latest")
            times.append(time.perf_counter() - due)


def puller(url: str, times: list[float], done: threading.Event, first: int) -> None:
    """Pull images that stay, whole."""
    for number, due in enumerate(ticks(PULLS_A_SECOND, done)):
        repository, tag, _ = one(first + number % KEPT)
        pull(url, repository, tag)
        times.append(time.perf_counter() - due)


def ticks(per_second: float, done: threading.Event) -> Iterator[float]:
    """Yield the moments at which something is due, each when it has come, until `done`."""
    due = time.perf_counter()
    while not done.wait(max(0.0, due - time.perf_counter())):
        yield due
        due += 1 / per_second


def percentile(times: list[float], at: float) -> float:
    """Return the value below which the share `at` of all lies."""
    return statistics.quantiles(times, n=1000, method="inclusive")[round(at * 1000) - 1]


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))  # type: ignore[arg-type]  # the first is the version
