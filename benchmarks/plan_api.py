"""Plan over the API, 500 repositories x 20 tags on a local 2.8 server, beside a load generator on the same server.

Prints requests per second of `jettison plan` (a first and a repeated one) and of wrk, their ratio, and how many
manifests the repeated plan read again. wrk sends the very requests that the plan sent, shuffled (HEAD as GET, since wrk
waits for a body): a blob costs a 2.8 server several times what a manifest does, so another mix would compare nothing.
Each of them meets a server that has just been started, and wrk stops before it repeats itself: what a server has
answered once is in its cache, and costs it less. They take turns, so that a drifting machine favours neither.

Run with `python -m benchmarks.plan_api [REPOSITORIES TAGS ROUNDS]`.
"""

import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jettison.app.make_plan import make_plan
from jettison.app.registries import ApiRegistry
from jettison.cli.interpreter import run_loop, set_up_interpreter
from jettison.history.store import History
from jettison.oci.media_types import MANIFEST_TYPES
from jettison.policy.model import keep_newest_versions
from jettison.registry.answers import RequestReport
from jettison.registry.client import RegistryClient
from jettison.registry.inventory import RegistryReader
from jettison.registry.settings import Limits
from jettison.testing.images import image, random_layer
from jettison.testing.programs import require, wrk
from jettison.testing.registry_server import RegistryServer
from jettison.testing.storage_tree import StorageTree

CONNECTIONS = Limits().concurrency
# wrk gets this part of the plan's time: it is faster, and is not to come to the end of its requests.
WRK_SHARE = 0.6


def main(repositories: int = 500, tags: int = 20, rounds: int = 3) -> None:
    """Make the data, measure, print."""
    set_up_interpreter()
    with tempfile.TemporaryDirectory(prefix="jettison-bench-") as folder:
        root = Path(folder) / "registry"
        lay_out(root, repositories, tags)
        rounds_made = [measure(root, Path(folder), number) for number in range(1, rounds + 1)]
    for name, index in (("first plan", 0), ("repeated plan", 1)):
        ours = statistics.median(made[index].rate for made in rounds_made)
        ratio = statistics.median(made[index].rate / made[index].wrk for made in rounds_made)
        print(f"{name}: {ours:.0f} requests/s, {ratio:.0%} of wrk (medians of {rounds})")
    print(f"manifests read again by a repeated plan: {max(made[1].manifests for made in rounds_made)}")


@dataclass(frozen=True)
class Planned:
    """One plan: how fast it was, how fast wrk sends the same requests, and how many manifests were read whole."""

    rate: float
    wrk: float
    manifests: int


def measure(root: Path, folder: Path, number: int) -> tuple[Planned, Planned]:
    """Plan twice with a new history, and let wrk send the same after each."""
    history = History.open(folder / f"history-{number}.db")
    made = []
    for name in ("first plan", "repeated plan"):
        requests: list[tuple[str, str]] = []
        with RegistryServer("2.8", root) as server:
            seconds = plan(server.url, history, requests)
        # The one question whether there is a referrers API ends with 404, which wrk would count as an error.
        targets = [target for _, target in requests if "/referrers/" not in target]
        random.Random(number).shuffle(targets)
        with RegistryServer("2.8", root) as server:
            theirs = wrk_rate(server.url, wrk_script(folder, targets), max(1, int(seconds * WRK_SHARE)))
        ours = len(requests) / seconds
        took = f"{len(requests):,} requests in {seconds:.1f} s"
        print(f"round {number}, {name}: {took} = {ours:.0f}/s, wrk {theirs:.0f}/s", flush=True)
        made.append(Planned(ours, theirs, sum(method == "GET" and "/manifests/" in path for method, path in requests)))
    return made[0], made[1]


def lay_out(root: Path, repositories: int, tags: int) -> None:
    """Fill a registry: each image with a config and a layer of its own above a shared one."""
    tree = StorageTree(root)
    base = random_layer("base", 2048)
    for r in range(repositories):
        for t in range(tags):
            built = image(
                [base, random_layer(f"{r}-{t}", 512)], seed=f"{r}-{t}", created=datetime(2026, 1, 1, tzinfo=UTC)
            )
            tree.add(f"team{r % 20}/app{r}", built, tags=[f"1.{t}.0"])


def plan(url: str, history: History, requests: list[tuple[str, str]]) -> float:
    """Plan once; note the method and target of each request, and return the seconds."""

    def observe(report: RequestReport) -> None:
        requests.append((report.method, report.target))

    async def work() -> None:
        async with RegistryClient(url, observe=observe) as client:
            reader = RegistryReader(
                client,
                manifests=history.manifests,
                configs=history.configs,
                first_time=history.manifests.is_empty(),
            )
            now = datetime.now(UTC)
            await make_plan(ApiRegistry(client, reader), keep_newest_versions(10), policy_name="benchmark", now=now)

    began = time.perf_counter()
    run_loop(work())
    return time.perf_counter() - began


def wrk_script(folder: Path, targets: list[str]) -> Path:
    """Write the requests for wrk."""
    path = folder / "requests.lua"
    lines = ",\n".join(f'"{target}"' for target in targets)
    accept = ", ".join(MANIFEST_TYPES)
    path.write_text(
        f"""local targets = {{
{lines}
}}
local n = 0
request = function()
  n = n % #targets + 1
  return wrk.format("GET", targets[n], {{Accept = "{accept}"}})
end
"""
    )
    return path


def wrk_rate(url: str, script: Path, seconds: int) -> float:
    """Return the requests per second that wrk gets, with as many connections as the client uses."""
    command = [str(require(wrk())), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        raise RuntimeError(f"wrk got errors:\n{output}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    assert found is not None, output
    return float(found[1])


def arguments() -> Iterator[int]:
    """Read the command line."""
    yield from map(int, sys.argv[1:])


if __name__ == "__main__":
    main(*arguments())
