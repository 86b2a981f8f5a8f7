"""A soak: load on a real registry while a collector works beside it and is killed at random.

python -m tests.soak.soak [--minutes 60] [--collector own|registry] [--settle 0.5] [--seed 1] [--metrics]
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from tests.soak.load import Load, Loss

from jettison.oci.digest import Digest
from jettison.testing.network import LOOPBACK, free_port
from jettison.testing.programs import REGISTRY_VERSIONS, Missing, RegistryVersion, registry_binary
from jettison.testing.registry_server import RegistryServer

_TOP: Final = Path(__file__).parents[2]
_ADDED: Final = ("condemned", "quarantined", "purged", "restored", "given_up", "repaired", "barriers", "barriers_early")
_ENOUGH: Final = {"pushes": 20, "pulls": 20, "deletes": 20, "collections": 1, "kills": 1, "quarantined": 1}
_LONGEST_OVERTIME: Final = 120.0
"""On a slow machine a soak goes on until it has done something worth judging, this many seconds at most."""


@dataclass(frozen=True)
class Outcome:
    """What a soak counted, and what it found missing."""

    counts: dict[str, int]
    losses: tuple[Loss, ...]
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it in one line."""
        return ", ".join(f"{name} {number}" for name, number in sorted(self.counts.items())) + (
            f", losses {len(self.losses)}"
        )


def soak(server: RegistryServer, *, seconds: float, settle: float, seed: int) -> Outcome:
    """Run the load with our own collector beside it, then judge."""
    killer = random.Random(f"{seed} killer")
    with Load(server.url, server.root, seed=seed) as load:
        deadline = time.monotonic() + seconds
        while not load.errors and (
            (rest := deadline - time.monotonic()) > 0 or (rest > -_LONGEST_OVERTIME and not _is_enough(load))
        ):
            with _collector(server, settle, load) as process:
                # Most are killed in their first collections; what they leave is what the next begins with.
                _wait(process, min(max(rest, 10 * settle), 0.8 + killer.expovariate(1 / (10 * settle))))
                load.ledger.count("kills")
    if load.errors:
        raise load.errors[0]
    problems = _finish(server, load.ledger.half_deleted)
    load.judge()
    return Outcome(dict(load.ledger.counts), tuple(load.ledger.losses), problems)


def soak_their_own(server: RegistryServer, *, seconds: float, seed: int) -> Outcome:
    """Run the same load with the registry's own garbage-collect beside it, as people do, then judge."""
    with Load(server.url, server.root, seed=seed) as load:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not load.errors:
            ended = server.garbage_collect(check=False)
            load.ledger.count("collections" if ended.returncode == 0 else "collections that failed")
            time.sleep(0.5)
    if load.errors:
        raise load.errors[0]
    load.judge()
    return Outcome(dict(load.ledger.counts), tuple(load.ledger.losses))


def _is_enough(load: Load) -> bool:
    return all(load.ledger.counts[name] >= number for name, number in _ENOUGH.items())


@contextmanager
def _collector(server: RegistryServer, settle: float, load: Load) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.soak.collecting", str(server.root), server.url, str(settle)]
    command += _metrics(server)
    process = subprocess.Popen(command, cwd=_TOP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    reader = threading.Thread(target=_count, args=(process, load))
    reader.start()
    try:
        yield process
    finally:
        ended = process.poll()
        process.kill()
        process.wait()
        reader.join()
        said = "" if process.stderr is None else process.stderr.read()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    if ended is not None:
        raise AssertionError(f"the collector ended by itself with {ended}:\n{said}")


def _metrics(server: RegistryServer) -> list[str]:
    """Return the URL of the server's metrics, where it shows them."""
    found = server.extra.get("http")
    return [f"http://{found['debug']['addr']}/metrics"] if isinstance(found, dict) else []


def _wait(process: "subprocess.Popen[str]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _count(process: "subprocess.Popen[str]", load: Load) -> None:
    for line in process.stdout or ():
        report = json.loads(line)
        load.ledger.count("collections")
        for name in _ADDED:
            load.ledger.count(name.replace("_", " "), report[name])


def _finish(server: RegistryServer, half_deleted: AbstractSet[Digest]) -> tuple[str, ...]:
    """Collect twice when the load has ended: everything in quarantine comes back or goes. Return what is wrong.

    Tags that a 2.8 server itself left without a manifest are none of our doing: those of `half_deleted`.
    """
    import asyncio

    from tests.app.collecting import AT_ONCE, collect

    problems: list[str] = []
    for days in (2, 4):
        report = asyncio.run(collect(server.root, server.url, later=timedelta(days=days), barriers=AT_ONCE))
        problems += [
            problem.text
            for problem in report.problems
            if problem.code != "dangling-tag" or not any(digest in problem.text for digest in half_deleted)
        ]
    problems += [f"{path.name} is left in quarantine" for path in (server.root / "jettison/quarantine").glob("*")]
    return tuple(problems)


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main() -> int:
    """Run a soak on each version that is installed and print what it counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--collector", choices=("own", "registry"), default="own")
    parser.add_argument("--settle", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--version", choices=REGISTRY_VERSIONS, action="append")
    parser.add_argument("--metrics", action="store_true", help="let the server's metrics end barriers early")
    options = parser.parse_args()
    versions: list[RegistryVersion] = options.version or list(REGISTRY_VERSIONS)
    lost = 0
    for version in versions:
        found = registry_binary(version)
        if isinstance(found, Missing):
            _say(found)
            continue
        debug = {"addr": f"{LOOPBACK}:{free_port()}", "prometheus": {"enabled": True}}
        extra = {"http": {"debug": debug}} if options.metrics else {}
        with (
            tempfile.TemporaryDirectory() as folder,
            RegistryServer(version, Path(folder) / "root", extra=extra) as server,
        ):
            seconds = options.minutes * 60 / len(versions)
            if options.collector == "own":
                outcome = soak(server, seconds=seconds, settle=options.settle, seed=options.seed)
            else:
                outcome = soak_their_own(server, seconds=seconds, seed=options.seed)
        _say(f"registry {version}, {options.collector} collector, seed {options.seed}: {outcome}")
        for loss in outcome.losses[:20]:
            _say(f"  {loss.repository}@{loss.digest}: {loss.reason}")
        for problem in outcome.problems:
            _say(f"  {problem}")
        lost += len(outcome.losses) + len(outcome.problems)
    return 1 if lost and options.collector == "own" else 0


if __name__ == "__main__":
    sys.exit(main())
