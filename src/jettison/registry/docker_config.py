"""DockerConfig: what Docker's config.json says about credentials, as `docker login` writes it.

Its rules are those of docker/cli, cli/config/configfile and cli/config/credentials: for one registry `credHelpers`
comes first, then `credsStore`, then `auths`; a key of `auths` may be a host or a whole URL.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from jettison.errors import ConfigurationError
from jettison.registry.credential_helper import ask_helper
from jettison.registry.url import DOCKER_HUB, RegistryUrl

# The key under which docker keeps its default registry's credentials, a version 1 URL for historical reasons.
_HUB_KEY: Final = "https://index.docker.io/v1/"
_HUB_HOSTS: Final = ("docker.io", "index.docker.io", DOCKER_HUB)
_LARGEST: Final = 4 * 1024 * 1024


class _Auth(msgspec.Struct):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class _File(msgspec.Struct):
    auths: dict[str, _Auth] | None = None
    credsStore: str = ""  # noqa: N815  (the file's own name)
    credHelpers: dict[str, str] | None = None  # noqa: N815  (the file's own name)


@dataclass(frozen=True, slots=True, repr=False)
class DockerEntry:
    """The credentials that the file, or a helper that it names, has for one registry."""

    source: str
    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return f"DockerEntry({self.source})"


@dataclass(frozen=True, slots=True, repr=False)
class DockerConfig:
    """One config.json."""

    path: Path
    _file: _File

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read `path`; None where there is no such file. Raises ConfigurationError where it cannot be read."""
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigurationError(f"Docker's configuration {path} cannot be read: {error.strerror}") from error
        try:
            return cls(path, msgspec.json.decode(content, type=_File))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # msgspec's message names the place and the kind of the fault, never the value, which may be a secret.
            raise ConfigurationError(f"Docker's configuration {path} is not what docker writes: {error}") from error

    def entry_for(self, url: RegistryUrl, environment: Mapping[str, str]) -> DockerEntry | None:
        """Return what this file has for the registry at `url`, None where it has nothing.

        Raises ConfigurationError where a helper fails or an entry cannot be decoded.
        """
        helper, server = self._helper_for(url)
        if helper:
            answer = ask_helper(helper, server, environment)
            if answer is not None:
                source = f"docker-credential-{helper}"
                # docker-credential-helpers: this user name says that the secret is an identity token.
                if answer.username == "<token>":
                    return DockerEntry(source, identity_token=answer.secret)
                return DockerEntry(source, answer.username, answer.secret)
        return self._from_auths(url)

    def _helper_for(self, url: RegistryUrl) -> tuple[str, str]:
        names = list(_names(url))
        helpers = self._file.credHelpers or {}
        for name in names:
            if helpers.get(name):
                return helpers[name], name
        return self._file.credsStore, names[0]

    def _from_auths(self, url: RegistryUrl) -> DockerEntry | None:
        auths = self._file.auths or {}
        names = list(_names(url))
        keys = [name for name in names if name in auths]
        keys += [key for key in auths if key not in keys and _host_of(key) in names]
        for key in keys:
            entry = self._decode(key, auths[key])
            if entry is not None:
                return entry
        return None

    def _decode(self, key: str, auth: _Auth) -> DockerEntry | None:
        username, password = auth.username, auth.password
        if auth.auth:
            try:
                text = base64.b64decode(auth.auth, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                # Not chained: the error holds what it could not decode.
                raise ConfigurationError(
                    f"the entry {key} in {self.path} has an `auth` that is no base64 text; run `docker login` again"
                ) from None
            username, _, password = text.partition(":")
            # Docker on Windows pads with NUL (docker/cli, configfile.decodeAuth).
            password = password.rstrip("\x00")
        if not (username or auth.identitytoken or auth.registrytoken):
            # `docker login` with a credential store leaves an empty entry behind.
            return None
        return DockerEntry(str(self.path), username, password, auth.identitytoken, auth.registrytoken)


def _names(url: RegistryUrl) -> Iterator[str]:
    """Yield the names under which docker may know the registry at `url`, the likeliest first."""
    if url.host == DOCKER_HUB:
        yield _HUB_KEY
        yield from _HUB_HOSTS
        return
    yield url.authority
    host = f"[{url.host}]" if ":" in url.host else url.host
    if url.authority != f"{host}:{url.port}":
        yield f"{host}:{url.port}"


def _host_of(key: str) -> str:
    """Return the host and port of a key of `auths` (docker/cli, credentials.ConvertToHostname)."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]
