"""Transport: requests to one registry with authorisation, retries, pacing and redirects."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from jettison import __version__
from jettison.errors import ContentError, RegistryError, UnauthorizedError, UnreachableError
from jettison.registry.answers import RequestReport
from jettison.registry.auth import Authenticator
from jettison.registry.credentials import Credentials, basic_header
from jettison.registry.pacing import Pacer, retry_after
from jettison.registry.refusals import refusal
from jettison.registry.settings import Limits, TlsSettings
from jettison.registry.tokens import TokenRequest
from jettison.registry.url import RegistryUrl, joined, origin_of
from jettison.registry.wire import Answer, BrokenError, Wire

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# 501 and 505 say that the server will never do this.
_PASSING: Final = frozenset({429, 500, 502, 503, 504}) | frozenset(range(506, 600))
_MOST_REDIRECTS: Final = 5
_CHANGING: Final = {"DELETE": "a deletion", "PUT": "a manifest that was sent"}
_TOKEN_BYTES: Final = 1024 * 1024
_CHALLENGES: Final = 2

Observe = Callable[[RequestReport], None]
Sleep = Callable[[float], Awaitable[None]]


class Transport:
    """Sends requests that may be repeated: GET, HEAD, DELETE and PUT to the registry, and those to token services."""

    def __init__(
        self,
        url: RegistryUrl,
        credentials: Credentials | None,
        tls: TlsSettings,
        limits: Limits,
        *,
        observe: Observe | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Reach the registry at `url`. Made inside a running event loop; `close` it there.

        `observe` is called once for every HTTP request that ended; `sleep` waits for seconds.
        """
        self._url = url
        self._origin = url.origin
        self._limits = limits
        self._observe = observe
        self._sleep = sleep
        self._pacer = Pacer(limits.requests_per_second)
        self._wire = Wire(url, tls, limits)
        self._auth = Authenticator(url, credentials, self._ask_token_service, time.monotonic)
        self._agent = f"jettison/{__version__}"

    async def close(self) -> None:
        """Close all connections."""
        await self._auth.close()
        await self._wire.close()

    def refusal(self, what: str, answer: Answer) -> RegistryError:
        """Return the error for an answer that is no success."""
        return refusal(self._url, what, answer, self._auth.credentials)

    async def request(
        self,
        method: str,
        target: str,
        *,
        scope: str,
        what: str,
        limit: int,
        accept: str = "*/*",
        retries: int = -1,
        content: bytes | None = None,
        media_type: str = "",
    ) -> Answer:
        """Send a request to the registry and return its last answer, whatever its status.

        `target` is path and query, sent as it stands; `scope` is what a Bearer token must allow; `what` names the
        thing in messages; `limit` is the most bytes that a body may have. Retries, challenges and redirects are done
        with when this returns: a 401 is final. `retries` other than -1 replaces the limits' own. `content` is the body
        to send, of `media_type`.

        Raises UnreachableError, UntrustedError, UnauthorizedError (by the token service), ContentError.
        """
        headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": self._agent}
        if content is not None:
            headers["Content-Type"] = media_type
        url = self._origin + target
        fresh = False
        challenges = 0
        authorization = self._auth.ready(scope)
        if authorization is None:
            authorization = await self._auth.fetch(scope)
            fresh = True
        while True:
            if authorization:
                headers["Authorization"] = authorization
            answer = await self._repeat(method, url, headers, limit=limit, what=what, retries=retries, content=content)
            if answer.status in _REDIRECTS:
                return await self._redirected(method, url, headers, answer, limit=limit, what=what, content=content)
            if answer.status != 401 or challenges == _CHALLENGES:
                return answer
            challenges += 1
            offers = answer.headers.getall("WWW-Authenticate", ())
            following = await self._auth.answer(offers, scope, authorization, fresh=fresh)
            if following is None:
                return answer
            authorization, fresh = following, True

    async def _repeat(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        limit: int,
        what: str,
        content: str | bytes | None = None,
        retries: int = -1,
    ) -> Answer:
        """Send until an answer comes that another attempt would not better, or the attempts are used up."""
        last = 1 + (self._limits.retries if retries < 0 else retries)
        attempt = 1
        repeated = False
        while True:
            wait = self._pacer.wait(time.monotonic())
            if wait > 0:
                await self._sleep(wait)
            try:
                if self._observe is None:
                    answer = await self._wire.send(method, url, headers, limit=limit, what=what, content=content)
                else:
                    answer = await self._observed(
                        method, url, headers, attempt, limit=limit, what=what, content=content
                    )
            except BrokenError as error:
                if attempt >= last:
                    tries = "" if attempt == 1 else f", after {attempt} attempts"
                    raise UnreachableError(f"{what}: {error}{tries}") from error
                pause = 0.0
                repeated = True
            else:
                if answer.status not in _PASSING or attempt >= last:
                    return answer if attempt == 1 else answer._replace(attempt=attempt, repeated=repeated)
                repeated = repeated or answer.status != 429
                pause = self._asked_pause(answer)
            # Full jitter: clients that failed together must not come back together.
            ceiling = min(self._limits.longest_backoff, self._limits.backoff * 2 ** (attempt - 1))
            await self._sleep(max(pause, random.uniform(0, ceiling)))  # noqa: S311  (no secret depends on it)
            attempt += 1

    def _asked_pause(self, answer: Answer) -> float:
        asked = retry_after(answer.headers.get("Retry-After"), datetime.now(UTC))
        pause = min(asked or 0.0, self._limits.longest_retry_after)
        if pause and answer.status == 429:
            self._pacer.pause(time.monotonic(), pause)
        return pause

    async def _observed(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        attempt: int,
        *,
        limit: int,
        what: str,
        content: str | bytes | None,
    ) -> Answer:
        observe = self._observe or (lambda _: None)
        started = time.perf_counter()
        answer = None
        try:
            answer = await self._wire.send(method, url, headers, limit=limit, what=what, content=content)
        finally:
            observe(
                RequestReport(
                    method,
                    self._shown(url),
                    answer.status if answer else None,
                    attempt,
                    time.perf_counter() - started,
                    len(answer.body) if answer else 0,
                )
            )
        return answer

    async def _redirected(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        answer: Answer,
        *,
        limit: int,
        what: str,
        content: bytes | None,
    ) -> Answer:
        """Follow redirects by hand: the Authorization header stays on the registry's scheme, host and port."""
        for _ in range(_MOST_REDIRECTS):
            if answer.status not in _REDIRECTS:
                break
            url = self._redirect_target(method, url, answer, what)
            if origin_of(url) != self._origin:
                headers = {name: value for name, value in headers.items() if name != "Authorization"}
            answer = await self._repeat(method, url, headers, limit=limit, what=what, content=content)
        else:
            raise ContentError(f"registry {self._url}, {what}: redirected more than {_MOST_REDIRECTS} times")
        origin = origin_of(url)
        if answer.status == 401 and origin != self._origin:
            raise UnauthorizedError(
                f"registry {self._url}, {what}: it redirects to {origin}, which wants credentials; they are never sent "
                "to another address. If that is the registry's real address, give it as the registry's URL",
                status=401,
            )
        return answer

    def _redirect_target(self, method: str, url: str, answer: Answer, what: str) -> str:
        location = answer.headers.get("Location", "")
        target = joined(url, location).partition("#")[0]
        origin = origin_of(target)
        if not location or origin is None or "@" in urlsplit(target).netloc or not _is_sendable(target):
            raise ContentError(f"registry {self._url}, {what}: redirected (HTTP {answer.status}) to no usable address")
        if url.startswith("https://") and origin.startswith("http://"):
            raise ContentError(
                f"registry {self._url}, {what}: redirected from HTTPS to plain HTTP ({origin}), which is not followed"
            )
        if method in _CHANGING and (origin != self._origin or answer.status not in {307, 308}):
            # 301 to 303 turn other methods into GET; and a change must happen where it was decided.
            raise ContentError(
                f"registry {self._url}, {what}: {_CHANGING[method]} was redirected to {origin} (HTTP {answer.status}), "
                "which is not followed; give the registry's real address"
            )
        return target

    async def _ask_token_service(self, request: TokenRequest) -> bytes:
        service = origin_of(request.url)
        what = f"token service {service} of registry {self._url}"
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": self._agent}
        if request.basic is not None:
            headers["Authorization"] = basic_header(*request.basic)
        if request.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        method = "GET" if request.form is None else "POST"
        answer = await self._repeat(method, request.url, headers, limit=_TOKEN_BYTES, what=what, content=request.form)
        if answer.status == 200:
            return answer.body
        if answer.status in _REDIRECTS:
            raise ContentError(f"{what}: it redirects, which is not followed with credentials; correct its realm")
        # Nothing of the body is quoted: what a token service says about credentials may repeat them.
        if answer.status in {400, 401, 403}:
            credentials = self._auth.credentials
            whose = f"the credentials {credentials.source}" if credentials else "anonymous access"
            raise UnauthorizedError(f"{what} refuses {whose} (HTTP {answer.status})", status=answer.status)
        raise self.refusal(f"asking {what}", answer._replace(body=b""))

    def _shown(self, url: str) -> str:
        """Return `url` as reports may show it: queries of other hosts may be pre-signed, so secret."""
        if url.startswith(f"{self._origin}/"):
            return url[len(self._origin) :]
        return f"{origin_of(url)}{urlsplit(url).path}"


def _is_sendable(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url
