"""Collecting from a registry's storage: our whole process beside the registry's own collectors, `find` and `rm -r`.

    dry run      10,000 manifests / 80,000 blobs: a first run, and a repeated one, which knows all manifests
    untagged     2,000 tagged and 2,000 untagged manifests in one repository, against --delete-untagged
    real         20,000 of the 80,000 blobs removed; the time of the dry run is taken off theirs and ours, so that
                 removing is compared, and `rm -r` removes the same folders (of blobs and of layer links)

Prints seconds (median), processor time and peak memory of each process, and the ratios. The load average of the machine
stands at the end: on a busy one ratios of processor time tell more than those of seconds.

Run with `python -m benchmarks.collect [MANIFESTS UNTAGGED ROUNDS]`; UNTAGGED 0 leaves that part out, which keeps the
registry's collector busy for minutes.
"""

import compileall
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jettison
from jettison.testing.built import BuiltManifest
from jettison.testing.images import image
from jettison.testing.programs import REGISTRY_VERSIONS, Missing, RegistryVersion, registry_binary
from jettison.testing.registry_server import RegistryServer
from jettison.testing.storage_tree import StorageTree

OLD = datetime(2026, 1, 1, tzinfo=UTC)
REPOSITORIES = 100
LAYERS = 6


def main(manifests: int = 10_000, untagged: int = 2_000, rounds: int = 3) -> None:
    """Make the data, measure, print."""
    # As for an installed package, whatever the environment says about keeping what Python compiled.
    compileall.compile_dir(Path(jettison.__file__).parent, quiet=1)
    with working_folder() as folder:
        root = folder / "registry"
        print(f"{manifests:,} manifests, {manifests * (LAYERS + 2):,} blobs, in {folder}", flush=True)
        lay_out(root, manifests)
        dry = dry_runs(folder, root, rounds)
        real_runs(folder, root, manifests, dry)
        if untagged:
            with_untagged(folder, untagged)
    print(f"load average: {' '.join(f'{load:.1f}' for load in os.getloadavg())}")


@dataclass(frozen=True)
class Measured:
    """One process: seconds by the clock, seconds of processor time, peak of resident memory in MiB."""

    seconds: float
    processor: float
    peak: float


@dataclass(frozen=True)
class Program:
    """What is measured. `before` is done before each run and not timed."""

    name: str
    command: Sequence[str | Path]
    before: Callable[[], None] = lambda: None
    environment: Mapping[str, str] | None = None

    def run(self) -> Measured:
        """Run it once. Raises CalledProcessError where it fails."""
        self.before()
        began = time.perf_counter()
        process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, self.command)
        return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(programs: Sequence[Program], rounds: int) -> dict[str, Measured]:
    """Run the programs in turns, so that a machine whose speed drifts favours none; return their medians."""
    made: dict[str, list[Measured]] = {program.name: [] for program in programs}
    for _ in range(rounds):
        for program in programs:
            made[program.name].append(program.run())
    medians = {
        name: Measured(
            statistics.median(each.seconds for each in runs),
            statistics.median(each.processor for each in runs),
            max(each.peak for each in runs),
        )
        for name, runs in made.items()
    }
    for name, median in medians.items():
        print(f"  {name:32} {median.seconds:8.3f} s {median.processor:8.3f} s cpu {median.peak:6.1f} MiB", flush=True)
    return medians


def ratio(what: str, theirs: Measured, ours: Measured, goal: str) -> None:
    """Print how many times as long theirs takes."""
    print(
        f"  => {what}: {theirs.seconds / ours.seconds:.1f}x by the clock, "
        f"{theirs.processor / max(ours.processor, 1e-3):.1f}x by processor time ({goal})",
        flush=True,
    )


def lay_out(root: Path, manifests: int) -> None:
    """Lay out images of six layers, each under a tag."""
    tree = StorageTree(root)
    for number in range(manifests):
        repository, tag, built = one(number)
        tree.add(repository, built, [tag], OLD)


def one(number: int) -> tuple[str, str, BuiltManifest]:
    """Return an image that shares nothing, made anew each time, with its repository and tag.

    None is kept: what this process takes counts into the peak of those that it starts.
    """
    layers = [f"layer {layer} of image {number}".encode() for layer in range(LAYERS)]
    of_repository = number % REPOSITORIES
    built = image(layers, seed=number, created=OLD)
    return f"team{of_repository % 10}/app{of_repository}", f"1.{number // REPOSITORIES}.0", built


def dry_runs(folder: Path, root: Path, rounds: int) -> dict[str, Measured]:
    """Compare runs that only look."""
    print("dry run")
    programs = [
        ours(folder, root, "--dry-run", name="jettison, first run", is_first=True),
        ours(folder, root, "--dry-run", name="jettison, repeated"),
        *(theirs(version, root, "--dry-run") for version in installed()),
        Program("find", ["find", root / "docker/registry/v2/blobs", "-name", "data"]),
    ]
    medians = compare(programs, rounds)
    for version in installed():
        ratio(f"first run against {version}", medians[version], medians["jettison, first run"], "goal for 2.8: 8x")
        ratio(f"repeated against {version}", medians[version], medians["jettison, repeated"], "goal for 2.8: 20x")
        peaks = medians["jettison, first run"].peak, medians[version].peak
        print(f"  => peak memory: {peaks[0]:.0f} MiB, {version} {peaks[1]:.0f} MiB")
    return medians


def real_runs(folder: Path, root: Path, manifests: int, dry: Mapping[str, Measured]) -> None:
    """Compare removing a quarter: each removes the same blobs, which are laid out anew before."""
    going = range(0, manifests, 4)
    print(f"real, {len(going) * (LAYERS + 2):,} blobs")
    tree = StorageTree(root)
    repositories = root / "docker/registry/v2/repositories"
    lists = folder / "folders"

    def delete_manifests() -> None:
        for repository, tag, built in map(one, going):
            tree.add(repository, built, [], OLD)
            shutil.rmtree(repositories / repository / "_manifests/revisions/sha256" / built.digest.hex)
            shutil.rmtree(repositories / repository / "_manifests/tags" / tag, ignore_errors=True)

    def folders() -> Iterator[Path]:
        for repository, _, built in map(one, going):
            for digest in built.sizes():
                yield root / f"docker/registry/v2/blobs/sha256/{digest.hex[:2]}/{digest.hex}"
            for blob in built.blobs:
                yield repositories / repository / "_layers/sha256" / blob.digest.hex

    lists.write_bytes(b"\0".join(os.fsencode(each) for each in folders()))
    programs = [
        ours(folder, root, "--now", "--yes", name="jettison", before=delete_manifests),
        *(theirs(version, root, before=delete_manifests) for version in installed()),
        Program("rm -r", ["xargs", "-0", "-a", lists, "rm", "-r"], before=delete_manifests),
    ]
    medians = compare(programs, 1)
    removing = medians["jettison"].seconds - dry["jettison, repeated"].seconds
    rm = medians["rm -r"].seconds
    print(f"  => removing: {removing:.2f} s, {removing / rm:.2f}x of rm -r (goal: 1.5x at most)")
    for version in installed():
        their_removing = medians[version].seconds - dry[version].seconds
        print(f"  => {version} removing: {their_removing:.2f} s, {their_removing / removing:.1f}x of ours")


def with_untagged(folder: Path, count: int) -> None:
    """Compare on untagged manifests, which the registry's collector compares with every tag."""
    print(f"untagged, {count:,} + {count:,} in one repository")
    root = folder / "untagged"
    tree = StorageTree(root)
    for number in range(2 * count):
        built = image([f"untagged {number}".encode()], seed=f"untagged {number}", created=OLD)
        tree.add("team/app", built, [f"1.{number}"] if number % 2 else [], OLD)
    medians = compare(
        [
            ours(folder, root, "--dry-run", name="jettison gc", is_first=True),
            ours_planning(folder, root),
        ],
        3,
    )
    for version in installed():
        slow = compare([theirs(version, root, "--delete-untagged", "--dry-run")], 1)[version]
        for name in medians:
            ratio(f"{name} against {version}", slow, medians[name], "goal for 2.8: 200x")


def ours(
    folder: Path,
    root: Path,
    *options: str,
    name: str,
    is_first: bool = False,
    before: Callable[[], None] = lambda: None,
) -> Program:
    """Return our collector on a stopped registry; a first run has no cache to begin with."""
    cache = folder / "cache"

    def forget_and_prepare() -> None:
        if is_first:
            shutil.rmtree(cache, ignore_errors=True)
        before()

    command = [sys.executable, "-m", "jettison", "gc", "--storage", str(root), "--offline", "--json", *options]
    return Program(name, command, forget_and_prepare, own_environment(folder))


def ours_planning(folder: Path, root: Path) -> Program:
    """Return a plan that finds the untagged manifests; its manifests come from the history's cache when repeated."""
    command = [sys.executable, "-m", "jettison", "plan", "--storage", str(root), "--offline", "--json"]
    policy = ["--keep", "5000", "--untagged", "1h"]
    return Program("jettison plan", [*command, *policy], environment=own_environment(folder))


def own_environment(folder: Path) -> dict[str, str]:
    """Return an environment in which nothing of the user's own is read or written."""
    return os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}


def theirs(version: RegistryVersion, root: Path, *options: str, before: Callable[[], None] = lambda: None) -> Program:
    """Return the registry's own collector."""
    server = RegistryServer(version, root)
    server._write_configuration()  # noqa: SLF001  # the program runs by itself here, so that only it is measured
    binary = registry_binary(version)
    assert isinstance(binary, Path)
    environment = os.environ | {"OTEL_TRACES_EXPORTER": "none"}
    return Program(version, [binary, "garbage-collect", *options, server.config_path], before, environment)


def installed() -> list[RegistryVersion]:
    """Return the versions of the registry that are on this machine."""
    return [version for version in REGISTRY_VERSIONS if not isinstance(registry_binary(version), Missing)]


@contextmanager
def working_folder() -> Iterator[Path]:
    """Make a folder in memory where there is one: a disk's file system is slow for minutes after mass deletion."""
    memory = Path("/dev/shm")  # made below with a name of its own
    with tempfile.TemporaryDirectory(
        prefix="jettison-bench-", dir=memory if os.access(memory, os.W_OK) else None
    ) as folder:
        yield Path(folder)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
