"""The registry's notifications: envelopes of events as it sends them, one after the other or in an array.

They are what an endpoint was sent and kept: JSON documents over several lines, so they are told apart by their braces.
An event has the tag and the digest, which no access log has together.
"""

from collections import OrderedDict
from datetime import datetime
from typing import Final

import msgspec

from jettison.oci.reference import is_repository, is_tag
from jettison.pulls.moments import iso_moment
from jettison.pulls.request import Client, Line, Request, digest_or_none, host_of

_REMEMBERED: Final = 4096


class _Target(msgspec.Struct, frozen=True):
    repository: str = ""
    tag: str = ""
    digest: str = ""
    mediaType: str = ""  # noqa: N815  (the notification's own spelling)
    url: str = ""


class _Asked(msgspec.Struct, frozen=True):
    addr: str = ""
    method: str = "GET"
    useragent: str = ""


class _Actor(msgspec.Struct, frozen=True):
    name: str = ""


class _Event(msgspec.Struct, frozen=True):
    timestamp: str
    action: str
    id: str = ""
    target: _Target = _Target()
    request: _Asked = _Asked()
    actor: _Actor = _Actor()


class _Envelope(msgspec.Struct, frozen=True):
    events: list[_Event]


_DECODERS: Final = (msgspec.json.Decoder(_Envelope), msgspec.json.Decoder(_Event))


class Notifications:
    """Reads documents that are envelopes or single events. An event that was sent twice counts once."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, None] = OrderedDict()

    def read(self, document: bytes) -> list[Line] | None:
        """Return what each event of `document` tells; None for another document."""
        events = _events(document)
        if events is None:
            return None
        lines = []
        for event in events:
            moment = iso_moment(event.timestamp)
            if moment is not None:
                request = None if self._was_seen(event.id) else _request(event, moment)
                lines.append(Line(moment, request, event.action == "pull"))
        return lines or None

    def _was_seen(self, identifier: str) -> bool:
        """Note an event. The registry sends one again when the endpoint did not answer in time."""
        if not identifier:
            return False
        if identifier in self._seen:
            return True
        self._seen[identifier] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return False


def _events(document: bytes) -> list[_Event] | None:
    """Return the events of an envelope, or a document that is one itself; None where it is neither."""
    for decoder in _DECODERS:
        try:
            decoded = decoder.decode(document)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        return decoded.events if isinstance(decoded, _Envelope) else [decoded]
    return None


def _request(event: _Event, moment: datetime) -> Request | None:
    """Return what an event tells of a manifest that was pulled. Blobs are pulled too, as their media type says."""
    target = event.target
    if event.action != "pull" or event.request.method not in ("GET", "HEAD"):
        return None
    digest, tag = digest_or_none(target.digest), target.tag if is_tag(target.tag) else None
    is_blob = "/blobs/" in target.url or target.mediaType == "application/octet-stream"
    if is_blob or not is_repository(target.repository) or (digest is None and tag is None):
        return None
    client = Client(event.request.useragent, event.actor.name, host_of(event.request.addr))
    return Request(moment, event.request.method, target.repository, tag, digest, client)
