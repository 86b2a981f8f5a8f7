"""What a request is about: how repositories and references stand in its path, its scope and in messages."""

import re
from functools import lru_cache
from typing import Final

from jettison.errors import ContentError

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]*")
_PATH: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:-]*(?:/[A-Za-z0-9_][A-Za-z0-9._:-]*)*")


@lru_cache(maxsize=1024)
def repository_path(repository: str) -> str:
    """Return a repository's name as it stands in a path; its grammar has nothing to encode. Raises ContentError."""
    if not _PATH.fullmatch(repository):
        raise ContentError(f"{repository[:200]!r} is no repository name that could stand in a request")
    return repository


def segment(reference: str) -> str:
    """Return a tag or digest as it stands in a path. Raises ContentError."""
    if not is_segment(reference):
        raise ContentError(f"{reference[:200]!r} is no tag or digest that could stand in a request")
    return reference


def is_segment(text: str) -> bool:
    """Whether `text` can stand between two slashes as it is."""
    return _SEGMENT.fullmatch(text) is not None


def pull_scope(repository: str) -> str:
    """Return the scope that reading a repository needs of a token."""
    return f"repository:{repository}:pull"


def shown(repository: str, reference: str) -> str:
    """Return a tag or digest of a repository as messages name it."""
    return f"{repository}{'@' if ':' in reference else ':'}{reference}"
