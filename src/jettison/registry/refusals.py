"""Refusals: which error an answer that is no success becomes, and its message."""

from collections.abc import Mapping
from typing import Final

import msgspec

from jettison.errors import (
    ContentError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    ServerFaultError,
    UnauthorizedError,
    UnsupportedError,
)
from jettison.registry.credentials import WAYS_TO_GIVE, Credentials
from jettison.registry.url import RegistryUrl
from jettison.registry.wire import Answer

_LONGEST_QUOTE: Final = 200
_WRITING: Final = frozenset({"DELETE", "PUT", "POST"})


class _Error(msgspec.Struct):
    code: str = ""
    message: str | None = None


class _Errors(msgspec.Struct):
    errors: list[_Error] | None = None


def error_codes(body: bytes) -> tuple[str, ...]:
    """Return the codes of an error's body (distribution-spec, "Error Codes"), none where it has another form."""
    return tuple(error.code for error in _errors(body) if error.code)


def refusal(url: RegistryUrl, what: str, answer: Answer, credentials: Credentials | None) -> RegistryError:
    """Return the error for an `answer` that is no success to a request that wanted `what`.

    `what` follows the registry's name in the message: "may not read the tags of team/app".
    """
    codes = error_codes(answer.body)
    said = f"HTTP {answer.status}{_quoted(answer.body)}"
    status = answer.status
    if status == 401:
        if credentials is None:
            way_out = f"it wants credentials, and none were given: {WAYS_TO_GIVE}"
        else:
            way_out = f"it refuses the credentials {credentials.source}, or they do not allow this"
        return UnauthorizedError(f"registry {url}, {what}: {way_out} ({said})", status=status, codes=codes)
    if status == 403:
        whose = f"the credentials {credentials.source} do" if credentials else "anonymous access does"
        return UnauthorizedError(f"registry {url}, {what}: {whose} not allow this ({said})", status=status, codes=codes)
    if status == 404:
        return NotFoundError(f"registry {url}, {what}: not there ({said})", status=status, codes=codes)
    if status == 405 or "UNSUPPORTED" in codes:
        reason = unsupported_reason(answer.headers) if answer.method in _WRITING else "the server does not offer this"
        return UnsupportedError(f"registry {url}, {what}: {reason} ({said})", status=status, codes=codes)
    if status == 429:
        return RateLimitedError(
            f"registry {url}, {what}: too many requests, after {answer.attempt} attempts ({said}); set a lower rate or "
            "try again later",
            status=status,
            codes=codes,
        )
    if status >= 500:
        return ServerFaultError(
            f"registry {url}, {what}: the server failed, after {answer.attempt} attempts ({said}); its log says why",
            status=status,
            codes=codes,
        )
    return ContentError(f"registry {url}, {what}: unexpected answer ({said})", status=status, codes=codes)


def unsupported_reason(headers: Mapping[str, str]) -> str:
    """Return what a 405 to a DELETE means.

    distribution (tried on 2.8.2 and 3.1.1) does not route DELETE at all in read-only mode, and then names the methods
    that remain in `Allow`; with deletion disabled it answers an error of its own, without `Allow`.
    """
    if is_read_only(headers):
        return (
            "the registry is read-only; set `storage: maintenance: readonly: enabled: false` in its configuration and "
            "restart it"
        )
    return (
        "the server does not do this. Where deletion is disabled, `jettison registry enable-delete` enables it, or "
        "`storage: delete: enabled: true` in its configuration and a restart"
    )


def is_read_only(headers: Mapping[str, str]) -> bool:
    """Whether a 405 to a DELETE says that the registry is read-only: it names what it allows, and no DELETE."""
    allowed = {method.strip().upper() for method in headers.get("Allow", "").split(",")} - {""}
    return "GET" in allowed and not allowed & {"DELETE", "PUT"}


def _errors(body: bytes) -> list[_Error]:
    try:
        return msgspec.json.decode(body, type=_Errors).errors or []
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A proxy's page, or nothing: no codes, and the status tells enough.
        return []


def _quoted(body: bytes) -> str:
    """Return the server's own words, harmless for a terminal."""
    text = "; ".join(": ".join(filter(None, (each.code, each.message))) for each in _errors(body))
    shown = "".join(char if char.isprintable() else " " for char in text)
    return f", {shown[:_LONGEST_QUOTE]}" if shown else ""
