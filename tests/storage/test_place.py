"""Finding the storage's root, and saying what was probably meant."""

from pathlib import Path

import pytest

from jettison.errors import StorageError
from jettison.storage import layout
from jettison.storage.local import LocalStorage
from jettison.storage.place import find_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "lib" / "registry" / layout.REPOSITORIES).mkdir(parents=True)
    return tmp_path / "lib" / "registry"


def test_the_root_is_found(root: Path) -> None:
    assert find_root(root) == root
    assert LocalStorage(root).name == str(root)


def test_a_symbolic_link_to_the_root_is_resolved_once(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)

    assert find_root(tmp_path / "link") == root


@pytest.mark.parametrize("inner", ["docker", "docker/registry", layout.BASE, layout.REPOSITORIES])
def test_a_folder_inside_of_it_leads_to_it(root: Path, inner: str) -> None:
    with pytest.raises(StorageError) as caught:
        find_root(root / inner)

    assert f"looked for {layout.BASE} in it" in str(caught.value)
    assert f"did you mean {root}?" in str(caught.value)


@pytest.mark.parametrize("levels", [1, 2])
def test_a_folder_above_leads_to_it(root: Path, levels: int) -> None:
    with pytest.raises(StorageError, match=f"did you mean {root}"):
        find_root(root.parents[levels - 1])


def test_a_folder_that_has_nothing_to_do_with_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="looked for docker/registry/v2 in it; name the storage's root directory"):
        find_root(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no such folder"):
        find_root(tmp_path / "nowhere")


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="is no folder"):
        find_root(tmp_path / "file")


def test_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    with pytest.raises(StorageError, match="cannot be read"):
        find_root(tmp_path / "loop")
