"""Our collector against the registry's own, on hundreds of random trees: the same blobs, or a reason with a name.

`JETTISON_COMPAT_TREES` (or `make compat TREES=1000`) sets how many; a failing tree is made again from its number, which
the message names. `-rP` shows what was counted.
"""

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from tests.compat import damage
from tests.compat.collectors import ours, sizes_on_disk, theirs
from tests.compat.laid_out import Reason
from tests.compat.random_trees import random_tree

from jettison.oci.digest import Digest
from jettison.testing.programs import REGISTRY_VERSIONS, Missing, RegistryVersion, registry_binary

TREES: Final = int(os.environ.get("JETTISON_COMPAT_TREES", "150"))
BATCHES: Final = 6
pytestmark = pytest.mark.real


@pytest.fixture
def fast() -> Iterator[Path]:
    """Return a folder in memory where there is one: thousands of tiny files are made and removed."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(params=REGISTRY_VERSIONS)
def version(request: pytest.FixtureRequest, need: Callable[[Path | Missing], Path]) -> RegistryVersion:
    need(registry_binary(request.param))
    version: RegistryVersion = request.param
    return version


@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_same_blobs_go_and_every_difference_has_a_name(
    fast: Path, version: RegistryVersion, batch: int, request: pytest.FixtureRequest
) -> None:
    counts: Counter[str] = Counter()
    for seed in range(batch, TREES, BATCHES):
        root = fast / f"tree-{seed}"
        laid_out = random_tree(root, seed)
        expected = laid_out.expected()

        dry = theirs(version, root, dry_run=True)
        real = theirs(version, root, dry_run=False)
        assert sizes_on_disk(root).keys() == laid_out.stored, f"tree {seed}: a dry run removed something"
        our = ours(root)

        assert not dry.error, f"tree {seed}: {dry.error}"
        # Documented: test_known_differences.py, the layer under sha512. All blobs are gone by then.
        tripped = "failed to delete layer link" in real.error
        assert tripped or not real.error, f"tree {seed}: {real.error}"
        assert not tripped or (version == "3.1" and laid_out.stored_as), f"tree {seed}: {real.error}"
        assert dry.chosen == real.chosen == real.removed, f"tree {seed}"
        assert our.chosen == our.removed == expected.removed, f"tree {seed}"
        assert not our.broken, f"tree {seed}"
        assert _named(real.removed - our.removed, expected.reasons) == expected.reasons, f"tree {seed}"
        assert our.removed <= real.removed, f"tree {seed}: we remove what the registry keeps"
        counts += Counter(reason.name for reason in expected.reasons.values())
        counts += Counter(trees=1, removed=len(our.removed), kept=len(laid_out.stored) - len(our.removed))
        shutil.rmtree(root)
    request.node.add_report_section("call", f"against {version}", str(dict(counts)))


@pytest.mark.parametrize("batch", range(BATCHES))
def test_damage_stays_in_its_repository(fast: Path, version: RegistryVersion, batch: int) -> None:
    for seed in range(batch, TREES // 2, BATCHES):
        root = fast / f"tree-{seed}"
        laid_out = random_tree(root, seed)
        done = damage.random_damage(laid_out, random.Random(f"damage {seed}"))
        if done is None:
            continue
        what = f"tree {seed}, {done.name}"
        expected = laid_out.expected()

        real = theirs(version, root, dry_run=False)
        our = ours(root)

        assert our.removed == our.chosen == expected.removed, what
        assert our.broken == expected.broken, what
        if done.value.aborts(version):
            # Documented: one damaged file stops the registry's collector, and nothing is collected until it is found.
            assert "failed to mark" in real.error, what
            assert not real.removed, what
        else:
            assert not real.error or "failed to delete layer link" in real.error, f"{what}: {real.error}"
            assert our.removed <= real.removed, what
            lost = real.removed - our.removed
            assert lost <= expected.reasons.keys() | laid_out.contents_of(expected.broken), what
        shutil.rmtree(root)


def _named(difference: set[Digest], reasons: dict[Digest, Reason]) -> dict[Digest, Reason | None]:
    return {digest: reasons.get(digest) for digest in difference}
