"""Lists of images: a file, and what a command prints."""

import sys
from pathlib import Path

import pytest

from jettison.errors import InUseError
from jettison.inuse.listed import ListedByCommand, ListedInFile

LIST = b"""\xef\xbb\xbf# what runs at the customer's
registry.example/team/app:1.2   # rack 7
registry.example/team/app:1.3\track 8
registry.example/team/app:1.4 # rack 9,\tleft

nginx
"""


def shown(source: ListedInFile | ListedByCommand) -> list[tuple[str, str]]:
    return [(str(image.name), image.where) for image in source.ask()]


def test_a_file_lists_images_and_where_they_run(tmp_path: Path) -> None:
    file = tmp_path / "images"
    file.write_bytes(LIST.replace(b"\n", b"\r\n"))
    assert shown(ListedInFile(file)) == [
        ("registry.example/team/app:1.2", "rack 7"),
        ("registry.example/team/app:1.3", "rack 8"),
        ("registry.example/team/app:1.4", "rack 9,\tleft"),
        ("docker.io/library/nginx:latest", f"listed in {file}"),
    ]


def test_a_command_lists_images(tmp_path: Path) -> None:
    source = ListedByCommand([sys.executable, "-c", "print('registry.example/app:1 node 3')"])
    assert shown(source) == [("registry.example/app:1", "node 3")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lists no image"),
        (b"# nothing\n\n", "lists no image"),
        (b"registry.example/app:1\nregistry.example/App:1\n", "line 2: .*is no image name"),
        (b"sha256:" + b"0" * 64, "a digest alone tells no repository"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"images": []}', "line 1: .*is no image name"),
    ],
)
def test_what_is_no_list_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "images"
    file.write_bytes(content)
    with pytest.raises(InUseError, match=message):
        ListedInFile(file).ask()


def test_a_list_may_be_empty_where_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "images"
    file.write_bytes(b"")
    assert ListedInFile(file, may_be_empty=True).ask() == []
    assert ListedByCommand([sys.executable, "-c", ""], may_be_empty=True).ask() == []


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InUseError, match="No such file"):
        ListedInFile(tmp_path / "nowhere").ask()
    with pytest.raises(InUseError, match="directory"):
        ListedInFile(tmp_path).ask()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("print('app:1'); raise SystemExit(3)", "ended with status 3$"),
        ("import sys; print('app:1'); sys.exit('no route to the scheduler')", "status 1: no route to the scheduler"),
        ("", "lists no image"),
        ("import time; time.sleep(60)", "took more than 0.5 s"),
    ],
)
def test_a_command_that_fails_is_an_error(program: str, message: str) -> None:
    with pytest.raises(InUseError, match=message):
        ListedByCommand([sys.executable, "-c", program], seconds=0.5 if "sleep" in program else 60).ask()


def test_a_command_that_is_not_there_is_an_error_without_its_arguments(tmp_path: Path) -> None:
    with pytest.raises(InUseError) as caught:
        ListedByCommand([str(tmp_path / "nomad"), "--token", "hunter2"]).ask()
    assert "cannot be run" in str(caught.value)
    assert "hunter2" not in str(caught.value)
