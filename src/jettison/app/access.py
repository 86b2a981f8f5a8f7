"""Access: how one registry is reached, from the configuration, the command line and the environment together."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jettison.app import configuration as settings
from jettison.errors import ConfigurationError, UsageError
from jettison.registry.credentials import Credentials, find_credentials
from jettison.registry.settings import Limits, TlsSettings
from jettison.registry.url import RegistryUrl


@dataclass(frozen=True, slots=True)
class Access:
    """A registry's address and everything needed to speak to it. `entry` is its part of the configuration."""

    url: RegistryUrl
    credentials: Credentials | None
    tls: TlsSettings
    limits: Limits
    entry: settings.Registry

    @property
    def name(self) -> str:
        """The registry's URL, by which plans, history and locks know it."""
        return str(self.url)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says over the configuration."""

    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    concurrency: int | None = None
    requests_per_second: float | None = None


def resolve_access(
    configuration: settings.Configuration,
    wanted: str | None,
    overrides: Overrides,
    environment: Mapping[str, str] = os.environ,
) -> Access:
    """Find the registry that is meant: by its name in the configuration, or by URL; without either, the default.

    Raises UsageError where nothing tells which one, ConfigurationError where its credentials cannot be had.
    """
    entry = _entry(configuration, wanted)
    url = RegistryUrl.parse(entry.url)
    tls = entry.tls or settings.Tls()
    given = (
        overrides.ca_file or _path(tls.ca_file),
        overrides.client_certificate or _path(tls.client_certificate),
        overrides.client_key or _path(tls.client_key),
    )
    limits = Limits(
        concurrency=overrides.concurrency or entry.limits.concurrency,
        requests_per_second=overrides.requests_per_second or entry.limits.requests_per_second,
    )
    credentials = _configured(entry.auth, environment) or find_credentials(url, environment=environment)
    return Access(url, credentials, TlsSettings(*given), limits, entry)


def _entry(configuration: settings.Configuration, wanted: str | None) -> settings.Registry:
    registries = configuration.registries
    if wanted is None:
        wanted = configuration.only_name
        if wanted is None:
            known = f"its names are {', '.join(registries)}" if registries else "there is none in the configuration"
            raise UsageError(f"which registry? Give a URL such as http://127.0.0.1:5000, or a name; {known}")
    if wanted in registries:
        return registries[wanted]
    url = RegistryUrl.parse(wanted)
    same = [entry for entry in registries.values() if RegistryUrl.parse(entry.url) == url]
    return same[0] if same else settings.Registry(url=wanted)


def _configured(auth: settings.Auth | None, environment: Mapping[str, str]) -> Credentials | None:
    if auth is None:
        return None
    if auth.token_file is not None:
        return Credentials(access_token=_secret(auth.token_file), source=f"in {auth.token_file}")
    if auth.username is None:
        raise ConfigurationError("auth: give `username` with password_env or password_file, or `token_file`")
    if auth.password_file is not None:
        return Credentials(auth.username, _secret(auth.password_file), source=f"in {auth.password_file}")
    if auth.password_env is not None:
        password = environment.get(auth.password_env)
        if not password:
            raise ConfigurationError(f"auth: the environment variable {auth.password_env} is not set")
        return Credentials(auth.username, password, source=f"in ${auth.password_env}")
    raise ConfigurationError("auth: `username` needs password_env or password_file beside it")


def _secret(file: str) -> str:
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"auth: {file} cannot be read: {error}") from error


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text is not None else None
