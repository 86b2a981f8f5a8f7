"""What the registry's HTTP interface shows of its process: does it answer, and does it call itself read-only?

The probes carry no credentials and change nothing, and use the standard library alone.
"""

import http.client
import ssl
import time
from typing import Final
from urllib.parse import urlsplit

from jettison.errors import ControlError

SERVING_LIMIT_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_ANSWER_SECONDS: Final = 5.0
# 401 and 403: it serves, but not us.
_NOT_US: Final = 401
_SERVING: Final = frozenset({200, _NOT_US, 403})


class Probe:
    """Asks one registry, named by its URL. `context` is for client certificates; certificates are not verified."""

    def __init__(self, url: str, *, context: ssl.SSLContext | None = None) -> None:
        self._parts = urlsplit(url)
        if self._parts.scheme not in {"http", "https"} or not self._parts.hostname:
            raise ControlError(f"{url}: this is no http or https URL of a registry; correct it")
        self.url = url
        self._context = context

    def status(self, *, timeout_seconds: float = _ANSWER_SECONDS) -> int | None:
        """Return the HTTP status of `GET /v2/`, None when there is no answer in time."""
        return self._ask("GET", "/v2/", timeout_seconds)

    def serves(self, *, timeout_seconds: float = _ANSWER_SECONDS) -> bool:
        """Whether a registry answers (a proxy's 502 is no registry)."""
        return self.status(timeout_seconds=timeout_seconds) in _SERVING

    def says_read_only(self) -> bool:
        """Whether the running server refuses every push.

        Its configuration file tells what a server started now would do; this asks the one that runs. A manifest that is
        no manifest is refused by a read-only server with 405, and with 400 by one that would have read it: nothing is
        written either way (handlers/manifests.go; tried on 2.8.2 and 3.1.1). With authentication nobody knows: False.
        """
        return self._ask("PUT", "/v2/jettison/probe/manifests/read-only", _ANSWER_SECONDS, body=b"no manifest") == 405

    def wait_until_serving(self, *, limit_seconds: float = SERVING_LIMIT_SECONDS, hint: str = "") -> None:
        """Return when the registry answers; raise ControlError, ending with `hint`, when it does not in time."""
        deadline = time.monotonic() + limit_seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.serves(timeout_seconds=min(left, _ANSWER_SECONDS)):
                return
            time.sleep(_POLL_SECONDS)
        raise ControlError(
            f"{self.url} does not answer {limit_seconds:.0f} s after its server was started; {hint}".rstrip("; ")
        )

    def _ask(self, method: str, path: str, timeout_seconds: float, body: bytes | None = None) -> int | None:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=timeout_seconds, context=self._context or _unverified()
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
        headers = {"Connection": "close", "Content-Type": "application/vnd.oci.image.manifest.v1+json"}
        try:
            connection.request(method, self._parts.path.rstrip("/") + path, body=body, headers=headers)
            return connection.getresponse().status
        except ssl.SSLEOFError:  # it went away
            return None
        except ssl.SSLError:  # a server that wants a certificate of us has answered: it serves, but not us
            return _NOT_US
        except (OSError, http.client.HTTPException):  # no connection, no answer in time, or no HTTP
            return None
        finally:
            connection.close()


def _unverified() -> ssl.SSLContext:
    """Return a context that takes any certificate: the probe sends no secret, and learns only that somebody answers."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
