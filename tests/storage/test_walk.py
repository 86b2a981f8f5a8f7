"""Listing repositories: nested names, what is none, and symbolic links."""

from pathlib import Path

import pytest

from jettison.storage.walk import list_repositories


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "repositories"
    for name in ("app/_manifests", "app/inner/_layers", "a/b/c/_uploads", "empty/folder"):
        (folder / name).mkdir(parents=True)
    return folder


def test_names_nest_and_folders_between_are_no_repositories(top: Path) -> None:
    listing = list_repositories(str(top))

    assert listing.names == ("a/b/c", "app", "app/inner")
    assert (listing.problems, listing.linked, listing.is_complete) == ((), frozenset(), True)


def test_nothing_is_listed_where_nothing_was_pushed(tmp_path: Path) -> None:
    listing = list_repositories(str(tmp_path / "repositories"))

    assert listing.names == ()
    assert listing.is_complete


def test_what_begins_with_an_underscore_is_no_part_of_a_name(top: Path) -> None:
    (top / "app" / "_manifests" / "tags" / "x" / "_layers").mkdir(parents=True)
    (top / "app" / "_trash" / "old" / "_manifests").mkdir(parents=True)

    assert list_repositories(str(top)).names == ("a/b/c", "app", "app/inner")


def test_a_link_is_followed_to_what_has_no_other_name(top: Path, tmp_path: Path) -> None:
    (tmp_path / "disk2" / "x" / "_manifests").mkdir(parents=True)
    (top / "moved").symlink_to(tmp_path / "disk2")

    listing = list_repositories(str(top))

    assert listing.names == ("a/b/c", "app", "app/inner", "moved/x")
    assert listing.linked == {"moved/x"}


def test_a_link_to_a_repository_is_no_second_one(top: Path) -> None:
    (top / "alias").symlink_to(top / "app")

    listing = list_repositories(str(top))

    assert listing.names == ("a/b/c", "app", "app/inner")
    assert [(problem.code, problem.blocks) for problem in listing.problems] == [("symbolic-link", False)]


@pytest.mark.parametrize("target", [".", "..", "../a", "loop"])
def test_loops_of_links_end(top: Path, target: str) -> None:
    (top / "a" / "loop").symlink_to(target)

    listing = list_repositories(str(top))

    assert listing.names[-3:] == ("a/b/c", "app", "app/inner")
    assert listing.is_complete


def test_two_links_to_the_same_place_are_one_repository(top: Path, tmp_path: Path) -> None:
    (tmp_path / "disk2" / "_manifests").mkdir(parents=True)
    (top / "one").symlink_to(tmp_path / "disk2")
    (top / "two").symlink_to(tmp_path / "disk2")

    assert len(list_repositories(str(top)).linked) == 1


def test_files_and_dangling_links_are_foreign(top: Path) -> None:
    (top / "note.txt").write_text("")
    (top / "a" / "gone").symlink_to("nowhere")

    listing = list_repositories(str(top))

    assert [problem.text for problem in listing.problems] == [
        "repositories/a/gone is none of the registry's",
        "repositories/note.txt is none of the registry's",
    ]
    assert not any(problem.blocks for problem in listing.problems)
