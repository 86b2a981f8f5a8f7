"""RegistryUrl: where a registry is, and whether it is spoken to over TLS."""

import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import SplitResult, urljoin, urlsplit

from jettison.errors import UsageError

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
# Docker Hub's three names are one registry, whose API answers under this one only.
_DOCKER_HUB_NAMES: Final = frozenset({"docker.io", "index.docker.io"})
DOCKER_HUB: Final = "registry-1.docker.io"
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]+")


@dataclass(frozen=True, slots=True)
class RegistryUrl:
    """A registry's address. Plain HTTP is spoken only where the URL says `http://`; everything else is HTTPS.

    `prefix` is empty, or the path below which a reverse proxy serves the registry, with a leading slash and none at
    the end: `/v2/` comes behind it.
    """

    scheme: str
    host: str
    port: int
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `host`, `host:port`, `https://host[:port][/prefix]` or `http://...`.

        Raises UsageError, with the reason, for anything else; for credentials in the URL too, since a URL ends up in
        process lists, plans and logs.
        """
        parts = _split(text)
        if parts.scheme not in _DEFAULT_PORTS:
            raise UsageError(f"registry {_shown(text)}: {parts.scheme}:// is no way to reach a registry; use https://")
        if "@" in parts.netloc:
            raise UsageError(
                f"registry {_shown(text)}: credentials do not belong in the URL, where process lists and logs show "
                "them; set JETTISON_USERNAME and JETTISON_PASSWORD, run `docker login`, or use `auth:` in the "
                "configuration file"
            )
        if parts.query or parts.fragment:
            raise UsageError(f"registry {_shown(text)}: a registry's URL has neither ? nor #")
        try:
            port = parts.port
        except ValueError as error:
            raise UsageError(f"registry {_shown(text)}: the port is no number from 1 to 65535") from error
        host = (parts.hostname or "").lower()
        if not _HOST.fullmatch(host):
            raise UsageError(f"registry {_shown(text)}: no host name in it; expected host, host:port or a URL")
        if port == 0:
            raise UsageError(f"registry {_shown(text)}: the port is no number from 1 to 65535")
        # People paste the address that they tried with curl.
        prefix = re.sub(r"(?:^|/)v2/?$", "", parts.path.rstrip("/"))
        if not _PREFIX.fullmatch(prefix) or any(segment in {".", ".."} for segment in prefix.split("/")):
            raise UsageError(f"registry {_shown(text)}: {parts.path} is no path below which a registry can be")
        if host in _DOCKER_HUB_NAMES:
            host = DOCKER_HUB
        return cls(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], prefix)

    @property
    def is_plain(self) -> bool:
        """Whether this is plain HTTP."""
        return self.scheme == "http"

    @property
    def authority(self) -> str:
        """`host`, or `host:port` where the port is not the scheme's own: the name that images of it carry."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port (RFC 6454): what credentials are bound to."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return self.origin + self.prefix


def origin_of(url: str) -> str | None:
    """Return the origin of an absolute http or https URL as `RegistryUrl.origin` writes it, None for other text."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    return RegistryUrl(parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme]).origin


def joined(base: str, reference: str) -> str:
    """Return the URL that `reference` means in a document at `base` (RFC 3986, 5), empty where it means none."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return ""


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text if "://" in text else f"https://{text}")
    except ValueError as error:
        raise UsageError(f"registry {_shown(text)}: no URL ({error})") from error


def _shown(text: str) -> str:
    """Return `text` without anything that could be a password in it."""
    scheme, separator, rest = text.rpartition("://")
    authority, slash, path = rest.partition("/")
    if "@" in rest:
        # Whatever stands left of the last @ is user information, even where a slash in a password hides it.
        authority, slash, path = f"...@{rest.rpartition('@')[2]}", "", ""
    return repr(f"{scheme}{separator}{authority}{slash}{path.partition('?')[0]}"[:200])
