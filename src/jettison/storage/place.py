"""Finding a registry's storage where a person says it is."""

import os
from itertools import islice
from pathlib import Path
from typing import Final

from jettison.errors import StorageError
from jettison.storage import layout

_LOOK_AT_MOST: Final = 200
_PARTS: Final = layout.BASE.split("/")


def find_root(root: Path) -> Path:
    """Return `root`, absolute and without symbolic links, where it is the root directory of a storage driver.

    Raises StorageError where it is not; the message says which folder was probably meant.
    """
    try:
        found = root.resolve(strict=True)
        if stat_is_folder(found / layout.BASE):
            return found
        if not found.is_dir():
            raise StorageError(
                f"{root} is no folder; name the storage's root directory, the one above docker/registry/v2"
            )
        meant = _above(found) or _below(found)
    except FileNotFoundError as error:
        raise StorageError(f"{root}: there is no such folder; name the registry's storage folder") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links, until Python 3.12
        raise StorageError(f"{root} cannot be read: {error}; run as the user that owns it") from error
    way_out = (
        f"did you mean {meant}?"
        if meant
        else "name the storage's root directory (`rootdirectory` in the registry's configuration; in the official "
        "image /var/lib/registry). A registry makes this folder with its first push"
    )
    raise StorageError(f"{root} holds no registry storage: looked for {layout.BASE} in it; {way_out}")


def stat_is_folder(path: Path) -> bool:
    """Whether there is a folder, or a link to one. Raises OSError where that cannot be told, as `is_dir` does not."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return path.is_dir()


def _above(folder: Path) -> Path | None:
    """Return the root where `folder` is inside of it."""
    return next((outer for outer in folder.parents if (outer / layout.BASE).is_dir() and _leads(outer, folder)), None)


def _leads(outer: Path, folder: Path) -> bool:
    inner = folder.relative_to(outer).parts
    return all(mine == expected for mine, expected in zip(inner, _PARTS, strict=False))


def _below(folder: Path) -> Path | None:
    """Return a root that is one or two levels below `folder`."""
    with os.scandir(folder) as entries:
        inner = [Path(entry.path) for entry in islice(entries, _LOOK_AT_MOST) if entry.is_dir()]
    for candidate in sorted(inner):
        if (candidate / layout.BASE).is_dir():
            return candidate
    for candidate in sorted(inner):
        try:
            with os.scandir(candidate) as entries:
                deeper = [Path(entry.path) for entry in islice(entries, _LOOK_AT_MOST) if entry.is_dir()]
        except OSError:  # not everything below a folder like /var may be read
            continue
        for further in sorted(deeper):
            if (further / layout.BASE).is_dir():
                return further
    return None
