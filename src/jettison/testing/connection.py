"""One HTTP connection to a registry over http.client, with Basic and Bearer credentials.

It is the tests' own: what the client under test does must not be judged by that client.
"""

import base64
import http.client
import json
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode, urlsplit

_TIMEOUT_SECONDS: Final = 60.0
_ACTIONS = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """A kept-alive connection to the server at `url`; `auth` is a user and a password, `ca` a PEM file."""

    def __init__(self, url: str, *, auth: tuple[str, str] | None = None, ca: Path | None = None) -> None:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        self._auth = auth
        self._ca = ca
        self._tokens: dict[str, str] = {}
        self._basic: str | None = None
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=None if ca is None else str(ca))
            self._connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=context)
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Send one request; a 401 is answered with the credentials that it asks for, once."""
        scope = _scope(method, path)
        answer = self._send(method, path, body, (headers or {}) | self._authorization(scope))
        if answer.status != 401 or self._auth is None:
            return answer
        challenge = answer.headers.get("www-authenticate", "")
        if challenge.lower().startswith("bearer"):
            self._tokens[scope] = self._fetch_token(challenge)
        else:
            user, password = self._auth
            self._basic = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        return self._send(method, path, body, (headers or {}) | self._authorization(scope))

    def _authorization(self, scope: str) -> dict[str, str]:
        if scope in self._tokens:
            return {"Authorization": f"Bearer {self._tokens[scope]}"}
        return {"Authorization": self._basic} if self._basic else {}

    def _fetch_token(self, challenge: str) -> str:
        wanted = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = urlsplit(wanted.pop("realm"))
        with Connection(f"{realm.scheme}://{realm.netloc}", ca=self._ca) as service:
            user, password = self._auth or ("", "")
            credentials = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            query = urlencode({name: wanted[name] for name in ("service", "scope") if name in wanted})
            answer = service.ask("GET", f"{realm.path}?{query}", headers={"Authorization": credentials})
        if answer.status != 200:
            raise AssertionError(f"the token service answered {answer.status}: {answer.body.decode(errors='replace')}")
        token: str = json.loads(answer.body)["token"]
        return token

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # The server closed a connection that was idle, or it was restarted: one new connection is worth trying.
            self._connection.close()
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
        content = response.read()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)


def _scope(method: str, path: str) -> str:
    """Return a name for what a token for this request allows; one token serves all requests of that name."""
    repository = re.match(r"/v2/(.+)/(?:blobs|manifests|tags|referrers)/", path)
    return f"{repository[1] if repository else path.partition('?')[0]} {_ACTIONS.get(method, 'push')}"
