"""File systems that tests mount: small ones that are soon full, and others that lie inside a registry's storage."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from jettison.testing.programs import Missing, MissingPartError

_PIECE: Final = b"\0" * 65536


@contextmanager
def tmpfs(place: Path, *, size: str = "16m", inodes: int = 4096) -> Iterator[Path]:
    """Mount a new file system in memory at `place` while the block runs.

    Raises MissingPartError where this process may not mount.
    """
    with _mounted("-t", "tmpfs", "-o", f"size={size},nr_inodes={inodes},mode=0755", "tmpfs", place=place):
        yield place


@contextmanager
def bind(folder: Path, place: Path, *, read_only: bool = False) -> Iterator[Path]:
    """Show `folder` at `place` too while the block runs: the same file system, and yet nothing is renamed across.

    Raises MissingPartError where this process may not mount.
    """
    with _mounted("--bind", str(folder), place=place):
        if read_only:
            # A bind mount takes its options from the other one until it is mounted again.
            _mount("-o", "remount,bind,ro", str(place))
        yield place


def fill_bytes(folder: Path) -> Path:
    """Fill the file system of `folder` to the last byte with one file, and return it: removing it makes space."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for piece in (_PIECE, b"\0"):
            with suppress(OSError):
                while True:
                    file.write(piece)
    return filler


def fill_inodes(folder: Path) -> Path:
    """Make empty files until the file system of `folder` takes no more, and return their folder."""
    place = folder / "filler"
    place.mkdir()
    number = 0
    with suppress(OSError):
        while True:
            (place / str(number)).touch()
            number += 1
    return place


@contextmanager
def _mounted(*arguments: str, place: Path) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    _mount(*arguments, str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def _mount(*arguments: str) -> None:
    if os.geteuid() != 0:
        raise MissingPartError(Missing("the right to mount", "run the tests as root", obtainable=False))
    ended = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if ended.returncode:
        remedy = f"run the tests where mounting is allowed ({ended.stderr.strip()})"
        raise MissingPartError(Missing("the right to mount", remedy, obtainable=False))
