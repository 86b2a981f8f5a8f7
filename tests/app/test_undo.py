"""Undo of runs that were killed, undo that is killed, and what an undo must never do."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs
from tests.app.undoing import Bodies, MemoryRun, cleaned, seen, undone

from jettison.app.undo_look import Selection
from jettison.app.undo_plan import Taken, delete_order, effects_of, restore_order
from jettison.cli.main import run as command_line
from jettison.history.model import PlannedAction, StoredManifest
from jettison.oci.digest import Digest
from jettison.oci.manifest import Manifest, parse_manifest
from jettison.storage import layout
from jettison.storage.changes import LocalChanges
from jettison.storage.inventory import read_storage_inventory
from jettison.storage.local import LocalStorage
from jettison.testing.built import BuiltManifest
from jettison.testing.images import artifact, image, index, signature_of, signature_tag
from jettison.testing.storage_tree import StorageTree

PUSHED = datetime(2026, 11, 1, tzinfo=UTC)
APP, WEB = "team/app", "team/web"
AMD, ARM = image(seed="amd"), image(seed="arm", platform="linux/arm64", layer_algorithm="sha512")
OLD, NEW = index([AMD, ARM]), image(seed="new")
SIGNATURE, SBOM = signature_of(OLD.digest), artifact([b"sbom"], subject=OLD)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "registry"
    tree = StorageTree(found)
    tree.add(APP, OLD, ["1.0"], PUSHED)
    tree.add(APP, SIGNATURE, [signature_tag(OLD.digest)], PUSHED)
    tree.add(APP, SBOM, (), PUSHED)
    tree.add(APP, NEW, ["2.0", "latest"], PUSHED)
    tree.add(WEB, AMD, ["1"], PUSHED)
    return found


def killed_after(run: MemoryRun, number: int) -> MemoryRun:
    """Return the journal that would be there if the run had been killed in the middle of this action."""
    killed = MemoryRun(run.id)
    killed.actions = [
        each
        if each.sequence < number
        else replace(each, result=None, ended_at=None, begun_at=each.begun_at if each.sequence == number else None)
        for each in run.actions
    ]
    return killed


async def test_a_killed_run_is_undone_as_far_as_it_came(root: Path) -> None:
    before = seen(root)
    run = await cleaned(root)
    assert len(run.actions) >= 5
    for number in range(1, len(run.actions) + 1):
        # Everything is gone, and the journal tells of a part only: that part comes back, and nothing else.
        folder = root.with_name(f"killed-{number}")
        shutil.copytree(root, folder)
        _, report = await undone(folder, killed_after(run, number))
        assert report.status in {0, 4}
        told = {each.action.digest for each in run.actions[:number]}
        back = {digest for digest in before[APP][1] if digest in seen(folder)[APP][1]} - seen(root)[APP][1]
        assert back <= {str(digest) for digest in told}
    _, report = await undone(root, run)
    assert report.status == 0
    assert seen(root) == before


async def test_an_action_that_was_begun_and_did_not_happen_is_left_alone(root: Path) -> None:
    before = seen(root)
    copy = root.with_name("copy")
    shutil.copytree(root, copy)
    run = await cleaned(copy)

    undo, report = await undone(root, killed_after(run, 1))
    assert (report.status, undo.actions) == (0, [])
    assert report.there > 0
    assert seen(root) == before


async def test_no_repository_gets_a_blob_that_it_never_had(root: Path) -> None:
    """Somebody pushes, where the server does not look, a manifest that names another repository's layer."""
    secret = image(seed="secret")
    StorageTree(root).add("private", secret, ["1"], PUSHED)
    StorageTree(root).add(WEB, replace(secret, blobs=()), ["0.1"], PUSHED)
    StorageTree(root).add(WEB, image(seed="web"), ["2.0"], PUSHED)
    layer = secret.blobs[1].digest
    assert not (root / layout.layer_link(WEB, layer)).exists()
    run = MemoryRun()
    run.plan([PlannedAction("delete-manifest", WEB, secret.digest, ("0.1",))])
    run.begin(1)
    LocalChanges(LocalStorage(root)).delete_revision(WEB, secret.digest, ["0.1"])
    run.record(1, "done")

    _, report = await undone(root, run)
    assert report.status == 1
    assert {each.code for each in report.lost} == {"purged", "manifest-lost"}
    assert "nothing shows that team/web ever had" in report.lost[0].text
    assert not (root / layout.layer_link(WEB, layer)).exists()
    assert "0.1" not in seen(root)[WEB][0]


async def test_a_body_that_is_gone_from_the_disk_comes_from_the_history(root: Path) -> None:
    before = seen(root)
    run = await cleaned(root)
    for built in (OLD, SIGNATURE):
        (root / layout.blob_data(built.digest)).unlink()
    _, report = await undone(root, run)
    assert report.status == 4
    assert {each.code for each in report.lost} >= {"body-unknown", "manifest-lost"}

    kept = Bodies({built.digest: StoredManifest(built.media_type, built.body) for built in (OLD, SIGNATURE)})
    _, report = await undone(root, run, bodies=kept)
    assert report.status == 0, report.lost
    assert seen(root) == before


async def test_an_index_does_not_come_back_without_its_children(root: Path) -> None:
    run = await cleaned(root)
    layer = ARM.blobs[1].digest
    stored = Digest.of(ARM.blobs[1].body)
    (root / layout.blob_data(stored)).unlink()
    _, report = await undone(root, run)
    assert report.status == 4
    lost = {(each.digest, each.tag): each for each in report.lost}
    assert layer.short in lost[ARM.digest, ""].text or stored in lost[ARM.digest, ""].text
    assert lost[OLD.digest, ""].code == "child-lost"
    assert lost[OLD.digest, "1.0"].code == "manifest-lost"
    tags, manifests, _ = seen(root)[APP]
    assert "1.0" not in tags
    assert OLD.digest not in manifests
    assert AMD.digest in manifests


async def test_a_repository_behind_a_symbolic_link_is_not_written(root: Path, tmp_path: Path) -> None:
    run = await cleaned(root)
    inside = root / layout.repository_folder(APP)
    outside = tmp_path / "outside"
    inside.rename(outside)
    inside.symlink_to(outside)
    before = sorted(str(path) for path in outside.rglob("*"))
    _, report = await undone(root, run)
    assert report.status == 1
    assert {each.code for each in report.lost} == {"refused", "changed"}
    assert sorted(str(path) for path in outside.rglob("*")) == before


async def test_what_somebody_tagged_since_stays_when_an_undo_is_undone(root: Path) -> None:
    run = await cleaned(root)
    undo, _ = await undone(root, run)
    StorageTree(root).add(APP, OLD, ["mine"], PUSHED)
    _, report = await undone(root, undo)
    assert report.status == 4
    assert report.deletions is not None
    assert report.deletions.count("skipped") > 0
    tags, manifests, _ = seen(root)[APP]
    assert tags["mine"] == OLD.digest
    assert {AMD.digest, ARM.digest, OLD.digest} <= manifests


async def test_a_repository_is_undone_by_itself(root: Path) -> None:
    StorageTree(root).add(WEB, NEW, ["2"], PUSHED)
    before = seen(root)
    run = await cleaned(root)
    after = seen(root)
    assert after[WEB] != before[WEB]
    _, report = await undone(root, run, Selection(lambda name: name == WEB, is_whole=False))
    assert report.status == 0
    assert seen(root) == {APP: after[APP], WEB: before[WEB]}


async def test_a_platform_that_had_a_tag_of_its_own_comes_back_without_it(root: Path) -> None:
    StorageTree(root).add(APP, AMD, ["0.9"], PUSHED)
    run = await cleaned(root)
    _, report = await undone(root, run, Selection(tag=lambda name: name == "1.0", is_whole=False))
    assert report.status == 0
    tags, manifests, _ = seen(root)[APP]
    assert set(tags) == {"1.0", signature_tag(OLD.digest), "2.0", "latest"}
    assert AMD.digest in manifests


def test_only_what_a_run_may_have_done_is_taken_back() -> None:
    run = MemoryRun()
    actions = [PlannedAction("delete-manifest", APP, Digest.of(bytes([n])), (f"{n}",)) for n in range(6)]
    run.plan([*actions, PlannedAction("collect"), PlannedAction("remove-upload", APP)])
    run.begin(1, 2, 3, 4, 7, 8)
    run.record(1, "done")
    run.record(2, "failed", "no answer")
    run.record(3, "gone")
    run.record(5, "skipped")
    run.record(7, "done")
    run.record(8, "done")
    effects = effects_of(run.ended())
    assert effects.deleted[APP].manifests == {actions[n].digest for n in (0, 1, 3)}
    assert set(effects.deleted[APP].tags) == {"0", "1", "3"}
    assert effects.others == (f"an unfinished upload of {APP}",)


def test_children_and_subjects_come_first_and_go_last() -> None:
    built: list[BuiltManifest] = [AMD, ARM, OLD, SIGNATURE, SBOM]
    manifests: dict[Digest, Manifest] = {each.digest: parse_manifest(each.digest, each.body) for each in built}
    order = restore_order(manifests, manifests)
    assert sorted(order) == sorted(manifests)
    assert order.index(AMD.digest) < order.index(OLD.digest)
    assert order.index(ARM.digest) < order.index(OLD.digest) < order.index(SBOM.digest)
    taken = Taken(APP, frozenset(manifests), {"1.0": OLD.digest})
    going = delete_order(taken, manifests)
    assert going.index(OLD.digest) < going.index(AMD.digest)
    assert sorted(going) == sorted(manifests)


def test_a_loop_of_manifests_ends() -> None:
    one, two = Digest.of(b"1"), Digest.of(b"2")

    def naming(digest: Digest, child: Digest) -> Manifest:
        base = parse_manifest(OLD.digest, OLD.body)
        child_descriptor = structs.replace(base.children[0], digest=child)
        return structs.replace(base, digest=digest, children=(child_descriptor,))

    assert set(restore_order([one, two], {one: naming(one, two), two: naming(two, one)})) == {one, two}
    assert restore_order([one], {one: naming(one, one)}) == (one,)


_KILLED = """
import os, signal, sys

left = int(sys.argv[1])

def counted(call):
    def counting(*arguments, **options):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return call(*arguments, **options)
    return counting

from jettison.cli.main import run
from jettison.storage import lease, quarantine, restore  # noqa: F401

for name in ("rename", "link", "unlink", "rmdir", "fsync"):
    setattr(os, name, counted(getattr(os, name)))
status = run(sys.argv[2:])
print(int(sys.argv[1]) - left, file=sys.stderr)
sys.exit(status)
"""


def test_an_undo_that_is_killed_anywhere_leaves_no_damage_and_goes_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real processes and files: apply and collect offline, kill the undo before its nth call, undo again."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state/state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "state/cache"))
    before = seen(root)
    storage = ("--storage", str(root), "--offline", "--yes", "--json")
    assert command_line(["run", "--keep", "1", "--grace", "0s", *storage]) == 0
    assert seen(root) != before
    pristine = tmp_path / "pristine"
    shutil.copytree(root, pristine / "registry")
    shutil.copytree(tmp_path / "state", pristine / "state")

    def killed_before(left: int) -> subprocess.CompletedProcess[str]:
        for name in ("registry", "state"):
            shutil.rmtree(tmp_path / name)
            shutil.copytree(pristine / name, tmp_path / name)
        arguments = [sys.executable, "-c", _KILLED, str(left), "undo", *storage]
        return subprocess.run(arguments, capture_output=True, text=True)

    whole = killed_before(100_000)
    assert whole.returncode == 0, whole.stderr
    calls = int(whole.stderr.splitlines()[-1])
    assert calls > 60
    assert seen(root) == before
    for left in range(1, calls, calls // 6):
        killed = killed_before(left)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        for repository in read_storage_inventory(LocalStorage(root), now=PUSHED).repositories:
            assert not [problem for problem in repository.problems if problem.blocks]
            assert {tag.digest for tag in repository.tags} <= repository.manifests.keys()
        assert command_line(["undo", *storage]) == 0
        assert seen(root) == before
