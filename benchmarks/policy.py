"""Decide a policy over 1,000,000 tags in 10,000 repositories, in memory, on one core.

Prints for each size the seconds of CPU that deciding took, those for a tag, and the peak of the process's memory (the
inventory is in it), then the ratio of the largest size to a tenth of it, which is 10 where deciding grows linearly.
Then 100,000 tags in one repository, and one repository of the large registry as `explain` decides it. Each size runs in
a process of its own, and making its inventory is not counted.

Repositories look like those of a team: versions with variants and the tags that move with them (a tenth, which share
another tag's image), builds of branches, a few names, signatures.

Run with `python -m benchmarks.policy [REPOSITORIES TAGS]`.
"""

import random
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

from jettison.cli.interpreter import set_up_interpreter
from jettison.oci.config import ConfigFacts
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository, Tag
from jettison.oci.manifest import Descriptor, Kind, Manifest
from jettison.oci.media_types import OCI_IMAGE
from jettison.policy.evaluate import decide, decide_repository
from jettison.policy.parse import parse_policy

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
POLICY = """
protect: {tags: [latest, stable]}
policies:
  - repositories: ["team/**", "!team/base/**"]
    rules:
      - name: releases
        tags: {version: "*"}
        keep: {newest: 10, per: minor}
      - name: branches
        tags: {regex: '^(?P<branch>.+)-[0-9a-f]{7,40}$'}
        keep: {newest: 3, per: branch, within: 14d}
      - name: the rest
        tags: ["*"]
        keep: {all: [{newest: 20}, {within: 90d}]}
    untagged: {keep: {within: 24h}}
"""


def main(repositories: int = 10_000, tags: int = 100) -> None:
    """Measure each size in a process of its own, and print."""
    tenth = measured(max(repositories // 10, 1), tags)
    whole = measured(repositories, tags)
    print(f"ratio of {repositories * tags:,} tags to a tenth of them: {whole / tenth:.1f}")
    measured(1, min(repositories * tags, 100_000))


def measured(repositories: int, tags: int) -> float:
    """Return the seconds of CPU of one size, and print what its process prints."""
    command = [sys.executable, "-m", "benchmarks.policy", "--once", str(repositories), str(tags)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, _, text = printed.partition("\n")
    print(text, end="", flush=True)
    return float(seconds)


def once(repositories: int, tags: int) -> None:
    """Decide one size in this process, set up as the command is; the first line is the seconds alone."""
    set_up_interpreter()
    policy = parse_policy(POLICY, "benchmark")
    inventory = made(repositories, tags)
    made_with = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    start = time.process_time()
    expired = sum(not each.kept for decided in decide(inventory, policy, NOW) for each in decided.tags)
    seconds = time.process_time() - start
    start = time.process_time()
    decide_repository(inventory.repositories[repositories // 2], policy, NOW)
    one = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    total = inventory.tag_count
    print(seconds)
    print(
        f"{total:,} tags in {repositories:,} repositories: {seconds:.2f} s CPU, {seconds / total * 1e6:.1f} us a tag, "
        f"{expired:,} expire; peak {peak} MiB (inventory {made_with}); one repository: {one * 1000:.1f} ms"
    )


def made(repositories: int, tags: int) -> Inventory:
    """Return an inventory whose images have the layers of their repository's base."""
    chance = random.Random(4)
    return Inventory(
        "http://registry.example",
        "storage",
        NOW,
        tuple(repository(f"team/group-{i // 100:03}/app-{i:05}", tags, chance) for i in range(repositories)),
    )


def repository(name: str, tags: int, chance: random.Random) -> Repository:
    """Return a repository."""
    base = tuple(Descriptor(LAYER, digest(chance), 1 << 20) for _ in range(3))
    manifests: dict[Digest, Manifest] = {}
    facts: dict[Digest, ConfigFacts] = {}
    pushed: dict[Digest, datetime] = {}
    listed: list[Tag] = []
    for number in range(tags):
        if number % 10 == 4:  # 1.2 moves with 1.2.3
            listed.append(Tag(f"{number // 200}.{number // 20 % 10}-{number}", listed[-1].digest, listed[-1].pushed))
            continue
        config = Descriptor(CONFIG, digest(chance), 1500)
        mine = Manifest(digest(chance), OCI_IMAGE, 800, Kind.IMAGE, config, (config, *base))
        when = NOW - timedelta(seconds=chance.randrange(200 * 86400))
        manifests[mine.digest] = mine
        facts[config.digest] = ConfigFacts(when, "linux/amd64")
        pushed[mine.digest] = when
        last = listed[-1].digest if listed else mine.digest
        listed.append(Tag(tag_name(number, tags, last, chance), mine.digest, when))
    return Repository(name, tuple(sorted(listed, key=lambda tag: tag.name)), manifests, facts, pushed=pushed)


def tag_name(number: int, tags: int, last: Digest, chance: random.Random) -> str:
    """Return one of four tenths versions, four tenths builds of branches, a few signatures and other names."""
    match number % 10:
        case 0 | 1 | 2 | 3:
            variant = ("", "", "-alpine", "-slim")[number % 4]
            return f"{number // 200}.{number // 20 % 10}.{number}{variant}"
        case 5 | 6 | 7 | 8:
            return f"{('main', 'develop', 'feature-login')[number % 3]}-{chance.randrange(1 << 40):010x}"
        case _ if number % 20 == 9:
            return f"sha256-{last.hex}.sig"
        case _:
            return "latest" if number == tags - 1 else f"try-{number}"


def digest(chance: random.Random) -> Digest:
    """Return a random digest."""
    return Digest(f"sha256:{chance.randrange(1 << 256):064x}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        once(*map(int, sys.argv[2:]))
    else:
        main(*map(int, sys.argv[1:]))
