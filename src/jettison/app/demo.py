"""Demo: a sample registry laid out on disk, and the main job done on it, with no server at all."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from jettison.app.apply_plan import ApplyReport, Result, apply_plan
from jettison.app.make_plan import make_plan
from jettison.app.usage import Usage, measure
from jettison.collect.safety import AT_ONCE
from jettison.oci.digest import Digest
from jettison.plan.model import Plan
from jettison.policy.parse import parse_policy
from jettison.storage.changes import LocalChanges
from jettison.storage.local import LocalStorage
from jettison.storage.registry import StorageRegistry
from jettison.storage.survey import survey
from jettison.storage.sweep import Swept, sweep
from jettison.testing.built import BuiltManifest
from jettison.testing.images import image, index, random_layer, signature_of, signature_tag
from jettison.testing.storage_tree import StorageTree

POLICY: Final = """\
protect:
  tags: [latest]
policies:
  - repositories: ["**"]
    rules:
      - name: releases
        tags: {version: "*"}
        keep: {newest: 3}
      - name: branches
        tags: ["main-*", "feature-*"]
        keep: {newest: 2, within: 14d}
"""
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What the folder takes: files and their bytes."""

    files: int
    bytes: int

    @classmethod
    def of(cls, root: Path) -> "DiskUsage":
        """Count every file below `root`."""
        sizes = [path.stat().st_size for path in root.rglob("*") if path.is_file()]
        return cls(len(sizes), sum(sizes))


class Nobody:
    """A journal for a registry that nobody will ask about again."""

    def begin(self, *sequences: int) -> None:
        """Forget it."""

    def record(self, sequence: int, result: Result, detail: str = "") -> None:
        """Forget it."""


class Demo:
    """The sample registry below `root`, and the steps of the job."""

    def __init__(self, root: Path, now: datetime) -> None:
        self.root = root
        self._now = now
        self._storage: LocalStorage | None = None

    def lay_out(self) -> None:
        """Fill the folder as a year of CI would: releases, branches, two platforms, signatures, shared layers."""
        tree = StorageTree(self.root)
        for repository, built, tags, pushed in _sample(self._now):
            tree.add(repository, built, tags=tags, pushed=pushed)
        self._storage = LocalStorage(self.root)

    def disk_usage(self) -> DiskUsage:
        """Count the files on the disk."""
        return DiskUsage.of(self.root)

    async def usage(self) -> Usage:
        """Weigh the repositories."""
        return measure(await self._registry().read(lambda name: True, self._now))

    async def plan(self) -> Plan:
        """Plan by POLICY."""
        policy = parse_policy(POLICY, "the demo's policy")
        return await make_plan(self._registry(), policy, policy_name="the demo's policy", now=self._now)

    async def apply(self, plan: Plan) -> ApplyReport:
        """Do what the plan says."""
        return await apply_plan(self._registry(), plan, Nobody())

    def collect(self) -> Swept | None:
        """Give the space back; None where something could not be read, so that nothing may be collected."""
        storage = self._opened()
        found = survey(storage, self._now, AT_ONCE)
        if found.condemned is None:
            return None
        return sweep(storage, LocalChanges(storage), found.condemned)

    def _registry(self) -> StorageRegistry:
        storage = self._opened()
        return StorageRegistry(storage, LocalChanges(storage))

    def _opened(self) -> LocalStorage:
        if self._storage is None:
            raise RuntimeError("lay_out comes first")
        return self._storage


def _sample(now: datetime) -> Iterator[tuple[str, BuiltManifest, list[str], datetime]]:
    """Yield repository, image, tags and push time."""
    numbers = random.Random(2026)  # noqa: S311  (the same sample every time, nothing secret)
    bases = [random_layer(f"base-{n}", 3 * _MIB) for n in range(2)]
    for repository in ("shop/api", "shop/web", "tools/builder"):
        for release in range(8):
            pushed = now - timedelta(days=300 - 40 * release)
            built = _multi_platform(repository, release, bases, pushed, numbers)
            tags = [f"1.{release}.0"] + (["latest"] if release == 6 else [])
            yield repository, built, tags, pushed
            yield repository, signature_of(built.digest), [signature_tag(built.digest)], pushed
        for build in range(10):
            pushed = now - timedelta(days=30 - 3 * build)
            layer = random_layer(f"{repository}-main-{build}", numbers.randrange(_MIB // 4, _MIB))
            built = image([bases[0], layer], seed=f"{repository}-main-{build}", created=pushed)
            yield repository, built, [f"main-{Digest.of(built.body).short[:8]}"], pushed


def _multi_platform(
    repository: str, release: int, bases: list[bytes], created: datetime, numbers: random.Random
) -> BuiltManifest:
    platforms = []
    for base, platform in zip(bases, ("linux/amd64", "linux/arm64"), strict=True):
        seed = f"{repository}-{release}-{platform}"
        layer = random_layer(seed, numbers.randrange(_MIB // 2, 2 * _MIB))
        platforms.append(image([base, layer], seed=seed, created=created, platform=platform))
    return index(platforms)
