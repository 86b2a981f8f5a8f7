"""Loopback ports for servers that tests start."""

import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"


def free_port() -> int:
    """Return a loopback port that nobody listens on.

    Linux gives `bind` to port 0 and `connect` ports of different parity while there are enough of both, so an outgoing
    connection does not take the port before the server binds it, nor while the server is restarted.
    """
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        port: int = listener.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((LOOPBACK, port)) == 0
