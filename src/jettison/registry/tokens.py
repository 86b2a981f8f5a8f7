"""TokenRequest and AccessToken: what is asked of a token service, and what it issues.

distribution, docs/content/spec/auth/token.md and oauth.md.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from jettison.errors import ContentError, UnauthorizedError
from jettison.registry.credentials import Credentials
from jettison.registry.url import RegistryUrl, origin_of

_CLIENT: Final = "jettison"
# Seconds; what an answer without `expires_in` means (token.md).
_DEFAULT_LIFETIME: Final = 60.0


@dataclass(frozen=True, slots=True, repr=False)
class TokenRequest:
    """One request to a token service. `form` is None for GET, and the body of a POST otherwise."""

    url: str
    form: str | None
    basic: tuple[str, str] | None

    def __repr__(self) -> str:
        return f"TokenRequest({origin_of(self.url)})"


@dataclass(frozen=True, slots=True, repr=False)
class AccessToken:
    """What a token service issued; `lifetime` in seconds, from the moment when it was asked."""

    text: str
    lifetime: float

    def __repr__(self) -> str:
        return f"AccessToken(lifetime={self.lifetime})"


class _Wire(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None


def checked_realm(url: RegistryUrl, realm: str) -> str:
    """Return `realm` where credentials may be sent to it.

    Raises UnauthorizedError for one that is no URL, holds credentials, or is plain HTTP while the registry is HTTPS.
    """
    origin = origin_of(realm)
    if origin is None or "@" in urlsplit(realm).netloc or not (realm.isascii() and realm.isprintable()):
        raise UnauthorizedError(
            f"registry {url} asks for a token but names no token service that could be asked (its realm is no http or "
            "https URL); look at `auth: token: realm:` in the registry's configuration"
        )
    if origin.startswith("http://") and not url.is_plain:
        raise UnauthorizedError(
            f"registry {url} names the token service {origin}, which is plain HTTP: credentials and tokens are not "
            "sent there; let `auth: token: realm:` in the registry's configuration be an https:// URL"
        )
    return realm


def token_request(realm: str, service: str, scopes: tuple[str, ...], credentials: Credentials | None) -> TokenRequest:
    """Return the request for a token for `scopes`, each like `repository:NAME:pull,delete`."""
    if credentials and credentials.identity_token:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credentials.identity_token,
            "service": service,
            "client_id": _CLIENT,
            "scope": " ".join(scopes),
        }
        return TokenRequest(realm, urlencode(form), None)
    query = [("service", service)] if service else []
    query += [("scope", scope) for scope in scopes]
    query.append(("client_id", _CLIENT))
    basic = None
    if credentials and credentials.username:
        query.append(("account", credentials.username))
        basic = (credentials.username, credentials.password)
    parts = urlsplit(realm)
    joined = f"{parts.query}&{urlencode(query)}" if parts.query else urlencode(query)
    return TokenRequest(urlunsplit((parts.scheme, parts.netloc, parts.path or "/", joined, "")), None, basic)


def read_token(realm: str, body: bytes) -> AccessToken:
    """Read a token service's answer. Raises ContentError where there is no token in it."""
    service = origin_of(realm)
    try:
        wire = msgspec.json.decode(body, type=_Wire)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Not chained: the answer may hold a token.
        raise ContentError(f"token service {service} answered something that is no token") from None
    text = wire.token or wire.access_token or ""
    if not text or not (text.isascii() and text.isprintable()) or " " in text:
        raise ContentError(f"token service {service} answered without a token that could be sent")
    lifetime = wire.expires_in if wire.expires_in and wire.expires_in > 0 else _DEFAULT_LIFETIME
    return AccessToken(text, lifetime)
