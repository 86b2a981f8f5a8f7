"""The collectors that are compared: the registry's own in two versions, and ours."""

import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from jettison.collect.decide import Condemned
from jettison.collect.safety import AT_ONCE
from jettison.oci.digest import Digest
from jettison.storage.changes import LocalChanges
from jettison.storage.local import LocalStorage
from jettison.storage.survey import survey
from jettison.storage.sweep import sweep
from jettison.testing.programs import RegistryVersion
from jettison.testing.registry_server import RegistryServer

_ELIGIBLE: Final = re.compile(r"^blob eligible for deletion: (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Theirs:
    """What the registry's garbage-collect did: the blobs that it chose, and those that were gone afterwards."""

    chosen: set[Digest]
    removed: set[Digest]
    error: str
    """The end of its output; empty where it succeeded."""


@dataclass(frozen=True)
class Ours:
    """What we did."""

    chosen: set[Digest]
    removed: set[Digest]
    broken: set[str]


def theirs(version: RegistryVersion, root: Path, *, dry_run: bool) -> Theirs:
    """Run the registry's own garbage-collect, without --delete-untagged, in place (dry) or on a copy of the tree."""
    if dry_run:
        return _garbage_collect(version, root, dry_run=True)
    copy = root.with_name(f"{root.name}-{version}")
    shutil.copytree(root, copy)
    try:
        return _garbage_collect(version, copy, dry_run=False)
    finally:
        shutil.rmtree(copy)


def ours(root: Path) -> Ours:
    """Survey and sweep the tree in place; the bytes that we say are those that went."""
    before = sizes_on_disk(root)
    storage = LocalStorage(root)
    surveyed = survey(storage, datetime.now(UTC), AT_ONCE)
    assert isinstance(surveyed.condemned, Condemned), surveyed.problems
    swept = sweep(storage, LocalChanges(storage), surveyed.condemned)
    after = sizes_on_disk(root)
    assert swept.freed == sum(before.values()) - sum(after.values())
    chosen = {blob.digest for blob in surveyed.condemned.blobs}
    return Ours(chosen, before.keys() - after.keys(), {each.repository for each in surveyed.broken})


def sizes_on_disk(root: Path) -> dict[Digest, int]:
    """Return the blobs that have data, and the bytes of each."""
    blobs = root / "docker/registry/v2/blobs/sha256"
    return {Digest(f"sha256:{data.parent.name}"): data.stat().st_size for data in blobs.glob("*/*/data")}


def _garbage_collect(version: RegistryVersion, root: Path, *, dry_run: bool) -> Theirs:
    before = sizes_on_disk(root).keys()
    result = RegistryServer(version, root).garbage_collect(dry_run=dry_run, check=False)
    error = "" if result.returncode == 0 else result.stderr.strip()[-500:] or f"status {result.returncode}"
    chosen = {Digest(text) for text in _ELIGIBLE.findall(result.stdout)}
    return Theirs(chosen, before - sizes_on_disk(root).keys(), error)
