"""Request: one answered request for a manifest, whichever log it was read from."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import unquote

from jettison.oci.digest import Digest
from jettison.oci.reference import is_repository, is_tag

_MARK: Final = "/manifests/"
_SCHEME: Final = re.compile(r"https?://[^/]*")


class Client(NamedTuple):
    """Who asked: the user agent, the account that signed in, and the address, as far as the log tells them."""

    agent: str = ""
    account: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request (GET or HEAD) for a manifest that was answered with it."""

    moment: datetime
    method: str
    repository: str
    tag: str | None
    digest: Digest | None
    client: Client


class Line(NamedTuple):
    """A line that was understood: when it was written, and the request if it tells of one for a manifest.

    `shows_answers`: where this line stands, the registry's pulls would stand too, if there were any. A log that holds
    errors only, one of another service, or the notifications of pushes, does not show that nobody pulled.
    """

    moment: datetime
    request: Request | None
    shows_answers: bool = True


def manifest_request(moment: datetime, method: str, uri: str, status: int, client: Client) -> Request | None:
    """Return the request that a line tells of; None for one that is no pull of a manifest, or was refused.

    An answer 304 tells that the client has the manifest already, and asked whether it is still the one to use.
    """
    if method not in ("GET", "HEAD") or not (200 <= status < 300 or status == 304):
        return None
    path = _SCHEME.sub("", uri, count=1).partition("?")[0]
    if not path.startswith("/v2/") or _MARK not in path:
        return None
    repository, _, reference = unquote(path.removeprefix("/v2/")).rpartition(_MARK)
    if not is_repository(repository):
        return None
    if is_tag(reference):
        return Request(moment, method, repository, reference, None, client)
    digest = digest_or_none(reference)
    return None if digest is None else Request(moment, method, repository, None, digest, client)


def digest_or_none(text: str) -> Digest | None:
    """Return `text` as a digest, None where it is none."""
    try:
        return Digest(text)
    except ValueError:
        return None


def host_of(address: str) -> str:
    """Return an address without its port: `[::1]:5000` is ::1, `10.0.0.1:5000` is 10.0.0.1."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    head, colon, _ = address.rpartition(":")
    return head if colon and ":" not in head else address
