"""Credentials: a user name and password, or a token, and where they come from."""

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jettison.errors import ConfigurationError
from jettison.registry.docker_config import DockerConfig
from jettison.registry.url import RegistryUrl

WAYS_TO_GIVE: Final = (
    "set JETTISON_USERNAME and JETTISON_PASSWORD, run `docker login`, or use `auth:` in the configuration file"
)
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What proves to a registry or its token service who asks. Its repr and str show none of it.

    Either `username` and `password`; or `identity_token`, which the token service turns into access tokens (`docker
    login` stores one where the service issued it); or `access_token`, which goes to the registry as it is. `source`
    says in messages where they came from.

    Raises ConfigurationError for values that cannot be sent.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    access_token: str = ""
    source: str = "given by the caller"

    def __post_init__(self) -> None:
        if not (self.username or self.identity_token or self.access_token):
            raise ConfigurationError(f"the credentials {self.source} are empty")
        if ":" in self.username:
            raise ConfigurationError(f"the user name {self.source} contains a colon, which HTTP does not allow")
        if any(map(_CONTROL_CHARACTER.search, (self.username, self.password, self.identity_token, self.access_token))):
            raise ConfigurationError(
                f"the credentials {self.source} contain a line break or another control character; does the file that "
                "holds them end with an empty line?"
            )

    def __repr__(self) -> str:
        return f"Credentials({self.source})"


def basic_header(username: str, password: str) -> str:
    """Return the Authorization header of the Basic scheme, in UTF-8 (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def find_credentials(
    url: RegistryUrl, *, environment: Mapping[str, str] | None = None, home: Path | None = None
) -> Credentials | None:
    """Look for credentials for the registry at `url`: in the environment, then in Docker's config.json.

    JETTISON_USERNAME with JETTISON_PASSWORD win over Docker's file, which is `$DOCKER_CONFIG/config.json` or
    `~/.docker/config.json`, with its credential helpers. None means that there are none: go on anonymously. Helpers
    are programs that may take seconds: call this before the event loop runs, or in a thread.

    Raises ConfigurationError where one of the two variables is missing, the file cannot be read, or a helper fails.
    """
    environment = os.environ if environment is None else environment
    return _from_environment(environment) or _from_docker(url, environment, home)


def _from_environment(environment: Mapping[str, str]) -> Credentials | None:
    username, password = environment.get("JETTISON_USERNAME", ""), environment.get("JETTISON_PASSWORD", "")
    if bool(username) != bool(password):
        given, missing = ("USERNAME", "PASSWORD") if username else ("PASSWORD", "USERNAME")
        raise ConfigurationError(f"JETTISON_{given} is set, but JETTISON_{missing} is not: set both or neither")
    return Credentials(username, password, source="from JETTISON_USERNAME and JETTISON_PASSWORD") if username else None


def _from_docker(url: RegistryUrl, environment: Mapping[str, str], home: Path | None) -> Credentials | None:
    folder = environment.get("DOCKER_CONFIG", "")
    try:
        path = (Path(folder) if folder else (home or Path.home()) / ".docker") / "config.json"
    except RuntimeError:
        # A container's user without a name and without $HOME has no home folder, so no file in it either.
        return None
    config = DockerConfig.read(path)
    entry = config.entry_for(url, environment) if config else None
    if entry is None:
        return None
    return Credentials(
        entry.username, entry.password, entry.identity_token, entry.registry_token, source=f"from {entry.source}"
    )
