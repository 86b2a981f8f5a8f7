"""Telling the id of a run or collection from a registry, where either may be given alone."""

import re
from typing import Final

from jettison.cli.options import Connection

# `20261124-053012-4f2a`, or how that begins; a registry's name or URL looks otherwise.
_IDENTIFIER: Final = re.compile(r"\d{1,8}|\d{8}-\d{0,6}|\d{8}-\d{6}-[0-9a-f]{0,4}")


def told_apart(first: str | None, connection: Connection) -> tuple[str | None, Connection]:
    """Return the identifier and the connection: `first` alone may as well be the registry."""
    if first is not None and connection.registry is None and not _IDENTIFIER.fullmatch(first):
        return None, connection._replace(registry=first)
    return first, connection
