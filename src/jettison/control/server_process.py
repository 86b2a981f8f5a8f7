"""What the command line of a registry server tells: its program, its configuration file, its version.

registry serve /etc/docker/registry/config.yml          distribution's cmd/registry
/entrypoint.sh /etc/docker/registry/config.yml          the 2.x and 3.x images, before the script's exec
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from jettison.control.running import SERVER_NAMES

_VERSION: Final = re.compile(r"\bv?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)")


def is_server(command: Sequence[str]) -> bool:
    """Whether this command line is a registry's server, and not its collector or a shell around it."""
    if not command or "garbage-collect" in command:
        return False
    return PurePosixPath(command[0]).name in SERVER_NAMES and "--version" not in command


def config_path(command: Sequence[str], environment: Mapping[str, str], folder: str = "/") -> str | None:
    """Return the configuration file that this command line, or REGISTRY_CONFIGURATION_PATH, names; None for neither."""
    named = None
    if "serve" in command:
        named = next((part for part in command[command.index("serve") + 1 :] if not part.startswith("-")), None)
    if named is None:
        # A word with a space is a shell's script, not a path.
        paths = [part for part in command if part.endswith((".yml", ".yaml")) and not re.search(r"\s", part)]
        named = paths[-1] if paths else None
    named = named or environment.get("REGISTRY_CONFIGURATION_PATH")
    return str(PurePosixPath(folder or "/") / named) if named else None


def version_in(output: str) -> str | None:
    """Return the version in what `registry --version` prints: `registry github.com/... v3.1.1+unknown` is 3.1.1."""
    found = _VERSION.search(output)
    return found[1] if found else None


def major(version: str | None) -> int | None:
    """Return the version's first number."""
    return int(version.partition(".")[0]) if version else None
