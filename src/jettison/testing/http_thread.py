"""An HTTP/1.1 server in a thread, on loopback: the ground of the token service and of the faulty server."""

import socket
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, Self

from jettison.testing.network import LOOPBACK
from jettison.testing.tls import TlsFiles


class HttpThread:
    """Serves with `handler` between `start` and `stop`, one thread for each connection, on a free port.

    `stopping` is set when it stops, so that a handler that waits can give up. Connections that clients keep open are
    closed then.
    """

    def __init__(
        self, handler: type[BaseHTTPRequestHandler], *, host: str = LOOPBACK, tls: TlsFiles | None = None
    ) -> None:
        self.host = host
        self.tls = tls
        self.stopping = Event()
        self._server = _Server((host, 0), handler)
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            # The handshake is made by the connection's own thread, when it first reads.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its URL, without a slash at its end."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """End serving, and close every connection."""
        self.stopping.set()
        if self._thread.ident is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.close_connections()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._lock = Lock()
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:  # as socketserver declares it
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away in the middle are what these servers are for."""

    def close_connections(self) -> None:
        with self._lock:
            left, self._open = self._open, set()
        for connection in left:
            # The thread that reads it wakes up, sees the end and closes it.
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # its client was faster
                continue
