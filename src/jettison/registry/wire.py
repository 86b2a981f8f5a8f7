"""Wire: one HTTP request and its answer, on aiohttp. Foreign errors become ours here; who may try again decides above.

What is sent is spelled out: no cookies, no automatic headers, no redirects, no `.netrc`.
"""

import asyncio
import os
import socket
import ssl
import zlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import aiohttp
from aiohttp import hdrs
from aiohttp.client_exceptions import ClientConnectorDNSError
from multidict import CIMultiDictProxy
from yarl import URL

from jettison.errors import ContentError, RegistryError, UnreachableError, UntrustedError
from jettison.registry.settings import Limits, TlsSettings
from jettison.registry.tls import outside_context, registry_context
from jettison.registry.url import RegistryUrl, origin_of

_CHUNK: Final = 64 * 1024
# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL's x509_vfy.h.
_OTHER_NAME: Final = frozenset({62, 64})
# aiohttp names a type of the body where there is none. The other headers that it would add by itself are always given
# to it; to name them here as well would cost a request a tenth of its time.
_UNWANTED: Final = {"POST": ("Content-Type",), "PUT": ("Content-Type",)}


class Answer(NamedTuple):
    """An answer: status, headers, body (empty for HEAD).

    `attempt` says which one it came on, from 1; `repeated` that the server may have carried out an earlier one.
    """

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    attempt: int = 1
    repeated: bool = False
    method: str = "GET"


class BrokenError(Exception):
    """No answer, for a reason that another attempt may not meet; its text is a sentence's middle."""


class Wire:
    """The connections to one registry and to the hosts that it names. Made and closed inside a running event loop."""

    def __init__(self, url: RegistryUrl, tls: TlsSettings, limits: Limits) -> None:
        self._url = url
        self._origin = url.origin
        self._root = f"{url.origin}/"
        self._base = URL(self._root, encoded=True)
        # Plain HTTP to the registry does not rule out TLS to a token service or a store that it names. Reading what the
        # system trusts takes 20 ms, so it waits until then, unless files are given that may be unusable.
        self._outside: ssl.SSLContext | None = None if tls == TlsSettings() else outside_context(tls)
        self._own_tls: ssl.SSLContext | bool = True if url.is_plain else registry_context(tls)
        self._session = aiohttp.ClientSession(
            # Limited by the semaphore, so that waiting for one's turn is not waiting for the server.
            connector=aiohttp.TCPConnector(limit=0, ssl=self._own_tls, ttl_dns_cache=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            # One deadline below, in place of aiohttp's timers: those are set anew with every packet.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_timeout),
            auto_decompress=False,
        )
        self._turns = asyncio.Semaphore(limits.concurrency)
        self._limits = limits
        self._first_wait = limits.connect_timeout + limits.read_timeout

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    def _outside_tls(self) -> ssl.SSLContext:
        if self._outside is None:
            self._outside = outside_context(TlsSettings())
        return self._outside

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        limit: int,
        what: str,
        content: str | bytes | None = None,
    ) -> Answer:
        """Send one request and read its answer whole, at most `limit` bytes. `what` names the thing in messages.

        `content` is the request's body; its type stands in `headers`, and so do Accept, Accept-Encoding and User-Agent.

        The body of an answer that is no success counts for its first 64 KiB only.
        `url` is sent as it stands. Raises BrokenError where another attempt may help, UntrustedError for certificates,
        ContentError for an answer above the limit, which is not read further.
        """
        own = url.startswith(self._root) or origin_of(url) == self._origin
        try:
            async with self._turns, asyncio.timeout(self._first_wait) as deadline:
                response = await self._session.request(
                    method,
                    self._parsed(url),
                    headers=headers,
                    skip_auto_headers=_UNWANTED.get(method),
                    data=content,
                    allow_redirects=False,
                    ssl=self._own_tls if own else self._outside_tls(),
                    # aiohttp itself sends a request again on a connection that the server had closed. For DELETE the
                    # caller must know that there was a first one, to read a 404 rightly.
                    middlewares=(_send_once,) if method == "DELETE" else None,
                )
                try:
                    if method == "HEAD":
                        body = b""
                    elif response.status >= 300:
                        body = await _read_complaint(response)
                    elif (response.content_length or _CHUNK + 1) <= min(limit, _CHUNK):
                        body = await response.read()
                    else:
                        body = await self._read_at_most(response, limit, what, deadline)
                except BaseException:
                    # Not released: the rest of the body would come first on the next request.
                    response.close()
                    raise
                response.release()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _translated(error, url) from error
        if body and hdrs.CONTENT_ENCODING in response.headers:
            body = _unpacked(body, response, limit if response.status < 300 else _CHUNK, what)
        return Answer(response.status, response.headers, body, method=method)

    def _parsed(self, url: str) -> URL:
        # A path on the registry itself, as most are, needs no taking apart.
        if url.startswith(self._root) and "?" not in url and "#" not in url:
            return self._base.with_path(url[len(self._root) - 1 :], encoded=True)
        return URL(url, encoded=True)

    async def _read_at_most(
        self, response: aiohttp.ClientResponse, limit: int, what: str, deadline: asyncio.Timeout
    ) -> bytes:
        """Read a body that is large or does not say how large it is; `deadline` moves on while data arrives."""
        announced = response.content_length
        if announced is not None and announced > limit:
            raise too_large(what, limit, announced)
        clock = asyncio.get_running_loop().time
        last = clock() + self._limits.total_timeout
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_chunked(_CHUNK):
            size += len(part)
            if size > limit:
                raise too_large(what, limit, None)
            parts.append(part)
            deadline.reschedule(min(last, clock() + self._limits.read_timeout))
        return b"".join(parts)


def _unpacked(body: bytes, response: aiohttp.ClientResponse, limit: int, what: str) -> bytes:
    """Return a body without the compression that a proxy put on it, though none was asked for."""
    coding = response.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
    if coding in {"", "identity"}:
        return body
    if coding not in {"gzip", "x-gzip"}:
        raise ContentError(f"{what} is refused: it comes compressed ({coding[:20]!r}), which was not asked for")
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacking.decompress(body, limit + 1)
    except zlib.error as error:
        raise ContentError(f"{what} is refused: it comes compressed, and damaged") from error
    if len(plain) > limit:
        raise too_large(what, limit, None)
    if not unpacking.eof:
        raise ContentError(f"{what} is refused: it comes compressed, and cut short")
    return plain


async def _read_complaint(response: aiohttp.ClientResponse) -> bytes:
    """Read what an error says; what is longer than any registry's error is a page that nobody needs."""
    body = b""
    async for part in response.content.iter_chunked(_CHUNK):
        body += part
        if len(body) > _CHUNK:
            response.close()
            break
    return body[:_CHUNK]


class _SentOnceError(aiohttp.ClientError):
    """A connection error, in a form that aiohttp does not answer with another attempt."""


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _SentOnceError(str(error)) from error


def too_large(what: str, limit: int, size: int | None) -> ContentError:
    """Return the error for an answer of `size` bytes (None: not announced) above `limit`."""
    said = f"{size:,} bytes" if size is not None else "endless or larger"
    return ContentError(f"{what} is refused: {said}, and at most {limit:,} bytes are read")


def _translated(error: Exception, url: str) -> Exception:
    """Return what one of aiohttp's errors means: BrokenError, or a RegistryError that ends the request."""
    origin = origin_of(url) or "the registry"
    cause: BaseException = error
    while isinstance(cause, _SentOnceError) and cause.__cause__ is not None:
        cause = cause.__cause__
    if (tls := _tls_error(cause)) is not None:
        return _tls_translated(tls, origin)
    if isinstance(cause, TimeoutError):
        return BrokenError(f"{origin} gave no answer in time")
    if isinstance(cause, ClientConnectorDNSError):
        message = f"the name of {origin} cannot be resolved ({_why(cause)})"
        return BrokenError(message) if cause.os_error.errno == socket.EAI_AGAIN else UnreachableError(message)
    if isinstance(cause, aiohttp.ClientConnectorError):
        return BrokenError(f"{origin} takes no connection ({_why(cause)})")
    if isinstance(cause, aiohttp.ClientResponseError | ValueError):
        return ContentError(f"{origin} speaks no HTTP that can be understood; is it the address of a registry?")
    return BrokenError(f"the connection to {origin} broke before the answer was whole")


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    # aiohttp's own classes are SSLErrors too, but without what OpenSSL said.
    for each in (getattr(error, "certificate_error", None), getattr(error, "os_error", None), error, error.__cause__):
        if isinstance(each, ssl.SSLError) and not isinstance(each, aiohttp.ClientError):
            return each
    return None


def _tls_translated(error: ssl.SSLError, origin: str) -> RegistryError | BrokenError:
    if isinstance(error, ssl.SSLCertVerificationError):
        way_out = (
            "Give the registry's URL with a name that stands in it, or let it be issued for this one"
            if error.verify_code in _OTHER_NAME
            else "Where it comes from an authority of your own, name that authority's certificate with --ca-file or "
            "`tls: {ca_file: ...}`"
        )
        return UntrustedError(
            f"the certificate of {origin} is not trusted: {error.verify_message.rstrip('.')}. {way_out}"
        )
    reason = (error.reason or "").upper()
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return UntrustedError(
            f"{origin} does not accept the client's certificate, or wants one and got none ({reason.lower()}): name it "
            "with `tls: {client_certificate: ..., client_key: ...}`"
        )
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE"}:
        plain = "http" + origin.removeprefix("https")
        return UnreachableError(
            f"{origin} does not speak TLS. If it is meant to be plain HTTP, say so in the registry's URL: {plain}"
        )
    if "EOF" in reason or not reason:
        return BrokenError(f"the TLS connection to {origin} broke")
    return UnreachableError(f"no TLS connection to {origin} comes about: {reason.lower().replace('_', ' ')}")


def _why(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if cause.errno and not isinstance(cause, socket.gaierror):
        # asyncio's own words are "Connect call failed (...)".
        return os.strerror(cause.errno)
    return cause.strerror or type(cause).__name__
