"""A token service for Bearer authentication whose tokens registry servers accept.

It follows distribution's "Token Authentication Specification" (GET with Basic credentials) and "OAuth 2.0 Token
Authentication" (POST with a password or a refresh token).
"""

import base64
import json
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock
from typing import Final, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from jettison.testing.http_thread import HttpThread
from jettison.testing.tls import TlsFiles

SERVICE: Final = "registry.jettison.test"
ISSUER: Final = "jettison tests"
USER: Final = "tester"
PASSWORD: Final = "correct horse: battery"

# Registries accept a token for a minute after its `exp` (`Leeway` in registry/auth/token/token.go, 2.8 to 3.1).
_LEEWAY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Account:
    """What one user may do: `actions` in the repositories that a glob of `repositories` matches, and list them all."""

    password: str = field(repr=False)
    actions: frozenset[str] = frozenset({"pull", "push", "delete"})
    repositories: tuple[str, ...] = ("*",)
    catalogue: bool = True


@dataclass(frozen=True, slots=True)
class Issued:
    """One token that was issued: to whom, what was asked for and what was granted, as `type:name:actions`."""

    user: str | None
    method: Literal["GET", "POST"]
    asked: tuple[str, ...]
    granted: tuple[str, ...]


class TokenService:
    """A token service in a thread; pass it to RegistryServer as `auth` after it was started.

    A registry refuses a token after `lifetime` seconds exactly. What the answer says in `expires_in` is
    `announced_lifetime`: the same unless it is given, and left out when it is None. `refused` holds actions that nobody
    is granted whatever their account says. Both lifetimes and `refused` may change while it runs.

    `anonymous` is the account of requests without credentials; without one they are answered with 401.
    """

    def __init__(
        self,
        folder: Path,
        *,
        accounts: Mapping[str, Account] | None = None,
        anonymous: Account | None = None,
        lifetime: float = 300,
        announced_lifetime: int | Literal["same"] | None = "same",
        tls: TlsFiles | None = None,
    ) -> None:
        import trustme

        authority = trustme.CA()
        signer = authority.issue_cert("token-service.jettison.test")
        self.root_certificates = folder / "token-roots.pem"
        folder.mkdir(parents=True, exist_ok=True)
        authority.cert_pem.write_to_path(str(self.root_certificates))
        self.accounts = dict(accounts) if accounts is not None else {USER: Account(PASSWORD)}
        self.anonymous = anonymous
        self.lifetime = lifetime
        self.announced_lifetime = announced_lifetime
        self.refused: set[str] = set()
        self._issued: list[Issued] = []
        self._failures = 0
        self._lock = Lock()
        self._refresh_tokens: dict[str, str] = {}
        self._sign = _Signer(signer.private_key_pem.bytes(), [part.bytes() for part in signer.cert_chain_pems])
        self._http = HttpThread(_handler_of(self), tls=tls)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to answer."""
        self._http.start()

    def stop(self) -> None:
        """End answering; tokens that were issued stay valid."""
        self._http.stop()

    @property
    def realm(self) -> str:
        """The URL that a registry's challenge names."""
        return f"{self._http.url}/token"

    @property
    def credentials(self) -> tuple[str, str]:
        """The first account's user and password, as `push` and `pull` take them."""
        user, account = next(iter(self.accounts.items()))
        return user, account.password

    @property
    def issued(self) -> tuple[Issued, ...]:
        """Every token that was issued, in order."""
        with self._lock:
            return tuple(self._issued)

    @property
    def failures(self) -> int:
        """How many requests were refused for wrong or missing credentials."""
        with self._lock:
            return self._failures

    def auth_section(self) -> dict[str, object]:
        """Return the `auth` section of the registry's configuration."""
        return {
            "token": {
                "realm": self.realm,
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": str(self.root_certificates),
            }
        }

    def answer(
        self, method: Literal["GET", "POST"], form: Iterable[tuple[str, str]], authorization: str | None
    ) -> tuple[int, dict[str, object]]:
        """Return the status and the JSON body that answer one request."""
        fields = list(form)
        single = dict(fields)
        user, account = self._who(method, single, authorization)
        if account is None:
            with self._lock:
                self._failures += 1
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "wrong user, password or refresh token"}]}
        asked = tuple(scope for name, value in fields if name == "scope" for scope in value.split())
        access = [granted for granted in (self._granted(account, scope) for scope in asked) if granted]
        granted = tuple(f"{one['type']}:{one['name']}:{','.join(one['actions'])}" for one in access)
        now = time.time()
        claims = {
            "iss": ISSUER,
            "sub": user or "",
            "aud": single.get("service", SERVICE),
            "exp": int(now + self.lifetime - _LEEWAY_SECONDS),
            "nbf": int(now - _LEEWAY_SECONDS),
            "iat": int(now),
            "jti": secrets.token_hex(8),
            "access": access,
        }
        token = self._sign(claims)
        body: dict[str, object] = {"token": token, "access_token": token}
        expires_in = int(self.lifetime) if self.announced_lifetime == "same" else self.announced_lifetime
        if expires_in is not None:
            body["expires_in"] = expires_in
        offline = single.get("offline_token") == "true" or single.get("access_type") == "offline"
        with self._lock:
            self._issued.append(Issued(user, method, asked, granted))
            if user is not None and (offline or single.get("grant_type") == "refresh_token"):
                body["refresh_token"] = self._refresh_tokens.setdefault(user, secrets.token_hex(16))
        return 200, body

    def refresh_token(self, user: str) -> str:
        """Return the refresh token of a user, as Docker keeps it under `identitytoken`."""
        with self._lock:
            return self._refresh_tokens.setdefault(user, secrets.token_hex(16))

    def _who(
        self, method: str, form: Mapping[str, str], authorization: str | None
    ) -> tuple[str | None, Account | None]:
        if method == "POST" and form.get("grant_type") == "refresh_token":
            with self._lock:
                users = {token: user for user, token in self._refresh_tokens.items()}
            user = users.get(form.get("refresh_token", ""))
            return user, self.accounts.get(user or "")
        if method == "POST":
            name, password = form.get("username", ""), form.get("password", "")
        elif authorization is None:
            return None, self.anonymous
        else:
            scheme, _, encoded = authorization.partition(" ")
            if scheme.lower() != "basic":
                return None, None
            name, _, password = base64.b64decode(encoded).decode().partition(":")
        account = self.accounts.get(name)
        right = account is not None and secrets.compare_digest(account.password.encode(), password.encode())
        return name, account if right else None

    def _granted(self, account: Account, scope: str) -> "_Access | None":
        kind, _, rest = scope.partition(":")
        name, _, wanted = rest.rpartition(":")
        if kind == "registry" and name == "catalog":
            allowed = {"*"} if account.catalogue else set()
        elif kind == "repository" and any(fnmatchcase(name, glob) for glob in account.repositories):
            allowed = set(account.actions)
        else:
            allowed = set()
        actions = [action for action in wanted.split(",") if action in allowed - self.refused]
        return _Access(type=kind, name=name, actions=actions) if actions else None


class _Access(dict[str, "str | list[str]"]):
    """One entry of a token's `access` claim."""


class _Signer:
    """Signs claims as a JSON Web Token with ES256, its certificate chain in the `x5c` header."""

    def __init__(self, key_pem: bytes, chain_pems: list[bytes]) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = serialization.load_pem_private_key(key_pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("ES256 needs a key on an elliptic curve")
        self._key = key
        der = [x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER) for pem in chain_pems]
        self._header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(one).decode() for one in der]}

    def __call__(self, claims: Mapping[str, object]) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        signed = f"{_base64url(json.dumps(self._header).encode())}.{_base64url(json.dumps(claims).encode())}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _handler_of(service: TokenService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("GET", urlsplit(self.path).query)

        def do_POST(self) -> None:
            self._answer("POST", self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the base class gives
            """Say nothing: what was asked is counted."""

        def _answer(self, method: Literal["GET", "POST"], form: str) -> None:
            if urlsplit(self.path).path != "/token":
                self.send_error(404)
                return
            status, document = service.answer(method, parse_qsl(form), self.headers.get("Authorization"))
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="jettison tests"')
            self.end_headers()
            self.wfile.write(body)

    return Handler
