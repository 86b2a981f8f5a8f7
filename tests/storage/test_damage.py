"""Damage in a storage: what cannot be read blocks its repository, and that one keeps all that it links."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jettison.collect.safety import AT_ONCE
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Problem, Repository
from jettison.storage import layout
from jettison.storage.inventory import read_storage_inventory
from jettison.storage.local import LocalStorage
from jettison.storage.survey import Survey, survey
from jettison.testing.images import image, index
from jettison.testing.storage_tree import StorageTree

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=100)
HURT = image(seed="hurt")
LOOSE = image(seed="loose: linked as layers, of no manifest")
OTHER = image(seed="other")
GARBAGE = image(seed="garbage")
NOWHERE = Digest.of(b"nowhere")


class Tree:
    """A storage with `team/hurt`, to be damaged, `other`, and an image's blobs that nothing refers to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tree = StorageTree(root)
        self.tree.add("team/hurt", HURT, ["1"], OLD)
        self.tree.add("team/hurt", LOOSE, [], OLD)
        self.path(layout.revision_link("team/hurt", LOOSE.digest)).unlink()
        self.tree.add("other", OTHER, ["1"], OLD)
        self.tree.add("other", GARBAGE, [], OLD)
        self.path(layout.revision_link("other", GARBAGE.digest)).unlink()

    def path(self, relative: str) -> Path:
        return self.root / relative

    def inventory(self) -> Inventory:
        return read_storage_inventory(LocalStorage(self.root), now=NOW)

    def repository(self, name: str = "team/hurt") -> Repository:
        return next(each for each in self.inventory().repositories if each.name == name)

    def survey(self) -> Survey:
        return survey(LocalStorage(self.root), NOW, AT_ONCE)

    def condemned(self) -> set[Digest]:
        condemned = self.survey().condemned
        assert condemned is not None
        return {blob.digest for blob in condemned.blobs}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "registry")


def _everything(built: object) -> set[Digest]:
    return set(built.sizes())  # type: ignore[attr-defined]  # a BuiltManifest


def _zero_byte_tag(tree: Tree) -> None:
    tree.path(layout.tag_link("team/hurt", "1")).write_bytes(b"")


def _truncated_tag(tree: Tree) -> None:
    tree.path(layout.tag_link("team/hurt", "1")).write_text(HURT.digest[:40])


def _malformed_tag(tree: Tree) -> None:
    tree.path(layout.tag_link("team/hurt", "1")).write_text(f"{HURT.digest}\n")


def _endless_tag(tree: Tree) -> None:
    tree.path(layout.tag_link("team/hurt", "1")).write_text("x" * 100_000)


def _tag_link_is_a_folder(tree: Tree) -> None:
    link = tree.path(layout.tag_link("team/hurt", "1"))
    link.unlink()
    link.mkdir()


def _zero_byte_revision(tree: Tree) -> None:
    tree.path(layout.revision_link("team/hurt", HURT.digest)).write_bytes(b"")


def _truncated_revision(tree: Tree) -> None:
    tree.path(layout.revision_link("team/hurt", HURT.digest)).write_text(HURT.digest[:30])


def _missing_manifest(tree: Tree) -> None:
    tree.path(layout.blob_data(HURT.digest)).unlink()


def _empty_manifest(tree: Tree) -> None:
    tree.path(layout.blob_data(HURT.digest)).write_bytes(b"")


def _truncated_manifest(tree: Tree) -> None:
    tree.path(layout.blob_data(HURT.digest)).write_bytes(HURT.body[:-20])


def _other_manifest(tree: Tree) -> None:
    tree.path(layout.blob_data(HURT.digest)).write_bytes(OTHER.body)


def _huge_manifest(tree: Tree) -> None:
    with tree.path(layout.blob_data(HURT.digest)).open("r+b") as data:
        data.truncate(5 * 1024 * 1024)


def _manifest_is_a_pipe(tree: Tree) -> None:
    data = tree.path(layout.blob_data(HURT.digest))
    data.unlink()
    os.mkfifo(data)


def _dangling_tag(tree: Tree) -> None:
    tree.path(layout.revision_link("team/hurt", HURT.digest)).unlink()


def _tag_of_nothing(tree: Tree) -> None:
    tree.path(layout.tag_link("team/hurt", "1")).write_text(NOWHERE)


def _tag_with_strange_name(tree: Tree) -> None:
    tags = os.fsencode(tree.path(layout.tags_folder("team/hurt")))
    os.makedirs(tags + b"/\xff\xfe/current")  # noqa: PTH103  (Path takes no bytes)
    with open(tags + b"/\xff\xfe/current/link", "w") as link:  # noqa: PTH123  (Path takes no bytes)
        link.write(HURT.digest)


def _looping_tag(tree: Tree) -> None:
    link = tree.path(layout.tag_link("team/hurt", "1"))
    link.unlink()
    link.symlink_to(link)


DAMAGE: dict[str, tuple[Callable[[Tree], None], str]] = {
    "zero-byte tag": (_zero_byte_tag, "damaged-link"),
    "truncated tag": (_truncated_tag, "damaged-link"),
    "malformed tag": (_malformed_tag, "damaged-link"),
    "endless tag": (_endless_tag, "unreadable-link"),
    "tag link is a folder": (_tag_link_is_a_folder, "unreadable-link"),
    "looping tag": (_looping_tag, "unreadable-link"),
    "strange tag": (_tag_with_strange_name, "bad-name"),
    "zero-byte revision": (_zero_byte_revision, "damaged-link"),
    "truncated revision": (_truncated_revision, "damaged-link"),
    "missing manifest": (_missing_manifest, "missing-manifest"),
    "empty manifest": (_empty_manifest, "wrong-hash"),
    "truncated manifest": (_truncated_manifest, "wrong-hash"),
    "another manifest": (_other_manifest, "wrong-hash"),
    "huge manifest": (_huge_manifest, "unreadable-data"),
    "pipe instead of a manifest": (_manifest_is_a_pipe, "wrong-hash"),
    "dangling tag": (_dangling_tag, "dangling-tag"),
    "tag of nothing": (_tag_of_nothing, "dangling-tag"),
}


def test_without_damage_everything_is_complete_and_garbage_is_condemned(tree: Tree) -> None:
    assert all(repository.is_complete for repository in tree.inventory().repositories)
    assert tree.condemned() == _everything(GARBAGE) | _everything(LOOSE)


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_blocks_its_repository_alone(tree: Tree, name: str) -> None:
    hurt, code = DAMAGE[name]
    hurt(tree)

    repository = tree.repository()

    assert code in [problem.code for problem in repository.problems if problem.blocks]
    assert tree.repository("other").problems == ()


# A tag whose name is none can be read, so all that it needs is known.
@pytest.mark.parametrize("name", [name for name in DAMAGE if name != "strange tag"])
def test_a_damaged_repository_keeps_all_that_it_links(tree: Tree, name: str) -> None:
    hurt, code = DAMAGE[name]
    hurt(tree)

    surveyed = tree.survey()

    assert [broken.repository for broken in surveyed.broken] == ["team/hurt"]
    assert code in [problem.code for problem in surveyed.broken[0].problems]
    # The body of LOOSE is linked by nothing and goes; its layers are linked, and nobody knows which manifest is theirs.
    assert tree.condemned() == _everything(GARBAGE) | {LOOSE.digest}


def test_a_revision_link_that_names_another_digest_blocks(tree: Tree) -> None:
    tree.path(layout.revision_link("team/hurt", HURT.digest)).write_text(OTHER.digest)

    assert [problem.code for problem in tree.repository().problems] == ["misleading-link"]
    assert not tree.condemned() & _everything(HURT)


def test_a_damaged_sha512_layer_link_blocks(tree: Tree) -> None:
    built = image(seed="sha512", layer_algorithm="sha512")
    tree.tree.add("team/hurt", built, ["2"], OLD)
    tree.path(layout.layer_link("team/hurt", built.blobs[1].digest)).write_bytes(b"")

    assert [problem.code for problem in tree.repository().problems] == ["damaged-link"]
    assert Digest.of(built.blobs[1].body) not in tree.condemned()


def test_a_sha512_layer_is_kept_by_what_its_link_says(tree: Tree) -> None:
    built = image(seed="sha512", layer_algorithm="sha512")
    tree.tree.add("team/hurt", built, ["2"], OLD)

    assert tree.condemned() == _everything(GARBAGE) | _everything(LOOSE)


def test_a_child_whose_link_is_gone_is_kept_below_a_kept_index(tree: Tree) -> None:
    child = image(seed="child")
    tree.tree.add("other", index([child, OTHER]), ["multi"], OLD)
    tree.path(layout.revision_link("other", child.digest)).unlink()

    assert not tree.condemned() & _everything(child)


def test_an_index_may_name_what_was_never_pushed(tree: Tree) -> None:
    tree.tree.add("other", index([OTHER], absent=[image(seed="absent")]), ["sparse"], OLD)

    assert tree.survey().broken == ()
    assert tree.repository("other").is_complete


def test_indexes_that_share_children_are_followed_once(tree: Tree) -> None:
    inner = index([OTHER])
    outer = index([inner, OTHER])
    tree.tree.add("other", index([outer, inner, outer]), ["loop"], OLD)

    assert tree.survey().broken == ()


def test_a_missing_config_hides_only_a_date(tree: Tree) -> None:
    tree.path(layout.blob_data(HURT.blobs[0].digest)).unlink()

    repository = tree.repository()

    assert repository.is_complete
    assert [problem.code for problem in repository.problems] == ["missing-config"]
    assert repository.created(HURT.digest) is None


def test_foreign_files_are_told_and_block_nothing(tree: Tree) -> None:
    for place in (
        layout.REPOSITORIES,
        layout.BLOBS,
        f"{layout.BLOBS}/sha256",
        layout.blob_folder(HURT.digest),
        f"{layout.BLOBS}/sha256/{HURT.digest.hex[:2]}",
        layout.tags_folder("team/hurt"),
        layout.revisions_folder("team/hurt"),
        f"{layout.revisions_folder('team/hurt')}/sha256",
        f"{layout.layers_folder('team/hurt')}/sha256",
    ):
        (tree.path(place) / "README.txt").write_text("somebody was here")
    tree.path(f"{layout.BLOBS}/sha256/{HURT.digest.hex[:2]}/{'0' * 64}").mkdir()
    tree.path(f"{layout.tags_folder('team/hurt')}/.snapshot").mkdir()

    inventory = tree.inventory()
    surveyed = tree.survey()

    assert all(repository.is_complete for repository in inventory.repositories)
    assert "foreign" in {problem.code for problem in inventory.problems}
    assert {"foreign", "tag-without-target"} == {problem.code for problem in tree.repository().problems}
    assert surveyed.broken == ()
    assert len([problem for problem in surveyed.problems if problem.code == "foreign"]) >= 8
    assert tree.condemned() == _everything(GARBAGE) | _everything(LOOSE)


def test_a_repository_whose_name_is_no_utf8_keeps_everything(tree: Tree) -> None:
    folder = os.fsencode(tree.path(layout.REPOSITORIES))
    os.rename(folder + b"/team/hurt", folder + b"/team/h\xfcrt")  # noqa: PTH104  (Path takes no bytes)

    repository = tree.repository("team/h\\xfcrt")

    assert [problem.code for problem in repository.problems] == ["bad-name"]
    assert HURT.digest in repository.manifests
    assert not tree.condemned() & _everything(HURT)


def test_an_empty_registry_is_empty(tmp_path: Path) -> None:
    (tmp_path / layout.BASE).mkdir(parents=True)
    storage = LocalStorage(tmp_path)

    assert read_storage_inventory(storage, now=NOW).repositories == ()
    condemned = survey(storage, NOW, AT_ONCE).condemned
    assert condemned is not None
    assert condemned.blobs == ()


def _without_rights(root: Path) -> list[str]:
    """Survey the storage in a process that has no more rights than files give it, and return what it says."""
    script = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from jettison.storage.local import LocalStorage\n"
        "from jettison.storage.inventory import read_storage_inventory\n"
        "from jettison.storage.survey import survey\n"
        "from jettison.collect.safety import AT_ONCE\n"
        "now = datetime(2026, 11, 1, tzinfo=UTC); storage = LocalStorage(Path(sys.argv[1]))\n"
        "for each in read_storage_inventory(storage, now=now).repositories:\n"
        "    print(each.name, [problem.code for problem in each.problems if problem.blocks])\n"
        "found = survey(storage, now, AT_ONCE)\n"
        "print([each.repository for each in found.broken], found.condemned and len(found.condemned.blobs))\n"
    )
    done = subprocess.run(
        [*_dropping_rights(), sys.executable, "-c", script, root], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _dropping_rights() -> list[str]:
    """Return the command that takes from root what makes it disregard permissions."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv (util-linux) is missing, and root reads everything")
    return [setpriv, "--bounding-set=-all"]


def test_a_manifest_that_may_not_be_read_blocks_its_repository_alone(tree: Tree) -> None:
    tree.path(layout.blob_data(HURT.digest)).chmod(0)

    assert _without_rights(tree.root) == ["other []", "team/hurt ['unreadable-data']", "['team/hurt'] 4"]


def test_where_revisions_cannot_be_listed_nothing_is_collected(tree: Tree) -> None:
    folder = tree.path(layout.revisions_folder("team/hurt"))
    folder.chmod(0)
    try:
        said = _without_rights(tree.root)
    finally:
        folder.chmod(0o755)

    assert said == ["other []", "team/hurt ['unlisted', 'dangling-tag']", "['team/hurt'] None"]


def test_where_a_repository_cannot_be_entered_nothing_is_collected(tree: Tree) -> None:
    folder = tree.path(layout.repository_folder("team"))
    folder.chmod(0)
    try:
        said = _without_rights(tree.root)
    finally:
        folder.chmod(0o755)

    assert said == ["other []", "[] None"]


def test_problems_are_sentences_that_name_the_thing(tree: Tree) -> None:
    _zero_byte_tag(tree)

    assert tree.repository().problems == (
        Problem("damaged-link", "what tag 1 points to is damaged: it is empty", blocks=True),
    )


def test_a_dry_run_says_that_the_quarantine_cannot_be_read(tree: Tree) -> None:
    ours = tree.root / "jettison"
    (ours / "quarantine").mkdir(parents=True)
    ours.chmod(0)
    command = [sys.executable, "-m", "jettison", "gc", "--storage", str(tree.root), "--offline", "--dry-run"]
    try:
        done = subprocess.run([*_dropping_rights(), *command], capture_output=True, text=True, check=False)
    finally:
        ours.chmod(0o755)

    assert done.returncode == 1
    assert "cannot be listed" in done.stderr


def test_it_is_told_where_blobs_cannot_be_listed(tree: Tree) -> None:
    """They stay for ever, and nobody would know why."""
    blobs = tree.root / f"{layout.BLOBS}/sha256"
    folder = next(blobs / f"{number:02x}" for number in range(256) if not (blobs / f"{number:02x}").exists())
    folder.mkdir()
    folder.chmod(0)
    command = [sys.executable, "-m", "jettison", "gc", "--storage", str(tree.root), "--offline", "--dry-run", "--json"]
    try:
        done = subprocess.run([*_dropping_rights(), *command], capture_output=True, text=True, check=False)
    finally:
        folder.chmod(0o755)

    assert done.returncode == 4, done.stderr
    problems = json.loads(done.stdout)["collection"]["problems"]
    assert [problem["code"] for problem in problems] == ["unlisted"]
