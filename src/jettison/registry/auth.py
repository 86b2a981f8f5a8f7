"""Authenticator: which Authorization header a request to the registry carries.

Nothing is sent before the registry has asked for it. After its first challenge the scheme is known, and every request
brings its header along; Bearer tokens are kept per scope, renewed before they expire, and fetched once however many
requests wait for them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from jettison.registry.challenge import Challenge, parse_challenges
from jettison.registry.credentials import Credentials, basic_header
from jettison.registry.tokens import AccessToken, TokenRequest, checked_realm, read_token, token_request
from jettison.registry.url import RegistryUrl

# A token is renewed when a quarter of its life is left, or ten seconds: a request may take that long to be answered.
_RENEW_SHARE: Final = 0.25
_RENEW_SECONDS: Final = 10.0

AskTokenService = Callable[[TokenRequest], Awaitable[bytes]]
"""Sends a request and returns the body of the answer 200; raises a RegistryError for any other."""


@dataclass(frozen=True, slots=True, repr=False)
class _Held:
    header: str
    renew_at: float

    def __repr__(self) -> str:
        return "_Held(...)"


class Authenticator:
    """Answers the challenges of one registry with one set of credentials, or anonymously."""

    def __init__(
        self,
        url: RegistryUrl,
        credentials: Credentials | None,
        ask: AskTokenService,
        clock: Callable[[], float],
    ) -> None:
        """Answer for the registry at `url`; `clock` gives monotonic seconds."""
        self._url = url
        self._credentials = credentials
        self._ask = ask
        self._clock = clock
        self._fixed: str | None = ""
        self._bearer: Challenge | None = None
        self._held: dict[str, _Held] = {}
        self._wider: dict[str, str] = {}
        self._fetching: dict[str, asyncio.Task[str]] = {}

    @property
    def credentials(self) -> Credentials | None:
        """What it answers with."""
        return self._credentials

    def ready(self, scope: str) -> str | None:
        """Return the header for `scope`, empty for none; None where a token must be fetched first."""
        if self._fixed is not None:
            return self._fixed
        held = self._held.get(self._wider.get(scope, scope))
        return held.header if held is not None and self._clock() < held.renew_at else None

    async def fetch(self, scope: str) -> str:
        """Return the header with a token for `scope`, fetching one where none is held.

        Raises UnauthorizedError where the token service refuses, and what any request raises where it fails.
        """
        ready = self.ready(scope)
        if ready is not None:
            return ready
        scope = self._wider.get(scope, scope)
        task = self._fetching.get(scope)
        if task is None:
            task = asyncio.create_task(self._fetch(scope))
            self._fetching[scope] = task
            task.add_done_callback(lambda done: self._fetched(scope, done))
        # Shielded: one request that gives up must not take the token from the others that wait for it.
        return await asyncio.shield(task)

    async def answer(self, headers: Iterable[str], scope: str, sent: str, *, fresh: bool) -> str | None:
        """Return the header to try next after a 401 with these `WWW-Authenticate` headers, None for giving up.

        `sent` is the Authorization header that was refused, empty for none; `fresh` says that its token was fetched for
        this very request, so that asking for the same again is no use.
        """
        challenges = parse_challenges(headers)
        bearer = next((each for each in challenges if each.scheme == "bearer" and each.realm), None)
        given = self._credentials
        if given is not None and given.access_token:
            return self._fix(f"Bearer {given.access_token}", sent)
        if bearer is not None:
            checked_realm(self._url, bearer.realm)
            self._bearer, self._fixed = bearer, None
            widened = self._widen(scope, bearer.parameters.get("scope", ""))
            if fresh and not widened:
                return None
            held = self._held.get(self._wider.get(scope, scope))
            if held is not None and held.header == sent:
                del self._held[self._wider.get(scope, scope)]
            return await self.fetch(scope)
        if given is not None and given.username and any(each.scheme == "basic" for each in challenges):
            return self._fix(basic_header(given.username, given.password), sent)
        return None

    async def close(self) -> None:
        """Stop fetching."""
        tasks = tuple(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fix(self, header: str, sent: str) -> str | None:
        self._fixed = header
        return None if sent == header else header

    def _widen(self, scope: str, asked: str) -> bool:
        """Note what the registry asks for beyond `scope`; whether that is more than was known."""
        known = self._wider.get(scope, scope).split()
        more = [each for each in asked.split() if each not in known and not _covered(each, known)]
        if more:
            self._wider[scope] = " ".join([*known, *more])
        return bool(more)

    async def _fetch(self, scope: str) -> str:
        challenge = self._bearer
        if challenge is None:
            raise RuntimeError("a token was asked for before the registry named its token service")
        started = self._clock()
        service = challenge.parameters.get("service", "")
        request = token_request(challenge.realm, service, tuple(scope.split()), self._credentials)
        token: AccessToken = read_token(challenge.realm, await self._ask(request))
        margin = min(_RENEW_SECONDS, token.lifetime * _RENEW_SHARE)
        header = f"Bearer {token.text}"
        self._held[scope] = _Held(header, started + token.lifetime - margin)
        return header

    def _fetched(self, scope: str, task: asyncio.Task[str]) -> None:
        self._fetching.pop(scope, None)
        if not task.cancelled():
            # Retrieved here as well, since every waiter may have been cancelled meanwhile.
            task.exception()


def _covered(asked: str, known: list[str]) -> bool:
    """Whether one of the `known` scopes allows all that the scope `asked` does."""
    resource, _, actions = asked.rpartition(":")
    for each in known:
        other, _, others = each.rpartition(":")
        if other == resource and set(actions.split(",")) <= set(others.split(",")):
            return True
    return False
