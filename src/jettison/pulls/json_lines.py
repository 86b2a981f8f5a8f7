"""Lines that are JSON objects: the registry's own log in its `json` and `logstash` formats, and Traefik's."""

from typing import Any, Final

import msgspec

from jettison.pulls.accounts import Accounts
from jettison.pulls.moments import iso_moment
from jettison.pulls.request import Client, Line, host_of, manifest_request


class _Fields(msgspec.Struct, frozen=True):
    """The fields of both formats that matter. What has another type than here makes the line one of another format."""

    time: str = ""
    timestamp: str = msgspec.field(default="", name="@timestamp")
    level: str = ""
    msg: Any = None
    message: Any = None
    method: str = msgspec.field(default="", name="http.request.method")
    uri: str = msgspec.field(default="", name="http.request.uri")
    agent: str = msgspec.field(default="", name="http.request.useragent")
    address: str = msgspec.field(default="", name="http.request.remoteaddr")
    identifier: str = msgspec.field(default="", name="http.request.id")
    status: int | None = msgspec.field(default=None, name="http.response.status")
    account: str = msgspec.field(default="", name="auth.user.name")
    start: str = msgspec.field(default="", name="StartUTC")
    start_local: str = msgspec.field(default="", name="StartLocal")
    traefik_method: str | None = msgspec.field(default=None, name="RequestMethod")
    traefik_path: str = msgspec.field(default="", name="RequestPath")
    traefik_status: int | None = msgspec.field(default=None, name="DownstreamStatus")
    origin_status: int | None = msgspec.field(default=None, name="OriginStatus")
    traefik_client: str = msgspec.field(default="", name="ClientHost")
    traefik_account: str = msgspec.field(default="", name="ClientUsername")
    traefik_agent: str = msgspec.field(default="", name="request_User-Agent")


_DECODER: Final = msgspec.json.Decoder(_Fields)


class RegistryJson:
    """Reads lines of logrus' JSON formats. `told` says whether one told of an answered request."""

    def __init__(self) -> None:
        self._accounts = Accounts()
        self.told = False

    def read(self, line: bytes) -> Line | None:
        """Return what `line` tells; None for one of another format."""
        fields = _decode(line)
        if fields is None or fields.traefik_method is not None or not fields.level:
            return None
        moment = iso_moment(fields.time or fields.timestamp)
        if moment is None or (fields.msg is None and fields.message is None):
            return None
        is_answer = fields.status is not None and fields.level == "info"
        self.told |= is_answer
        self._accounts.note(fields.identifier, fields.account)
        if fields.status is None:
            return Line(moment, None, is_answer)
        client = Client(fields.agent, fields.account or self._accounts.of(fields.identifier), host_of(fields.address))
        return Line(moment, manifest_request(moment, fields.method, fields.uri, fields.status, client), is_answer)


class TraefikJson:
    """Reads lines of Traefik's access log with `format: json`."""

    def read(self, line: bytes) -> Line | None:
        """Return what `line` tells; None for one of another format."""
        fields = _decode(line)
        if fields is None or fields.traefik_method is None:
            return None
        moment = iso_moment(fields.start or fields.start_local or fields.time)
        if moment is None:
            return None
        status = fields.traefik_status or fields.origin_status or 0
        account = "" if fields.traefik_account == "-" else fields.traefik_account
        client = Client(fields.traefik_agent, account, host_of(fields.traefik_client))
        request = manifest_request(moment, fields.traefik_method, fields.traefik_path, status, client)
        return Line(moment, request, fields.traefik_path.startswith("/v2/"))


def _decode(line: bytes) -> _Fields | None:
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
