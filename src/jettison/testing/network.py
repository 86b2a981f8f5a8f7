"""Loopback ports for servers that tests start."""

import random
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"
_NUMBERS: Final = random.SystemRandom()  # the common generator is seeded anew for tests, alike in every process


def free_port() -> int:
    """Return a port on which nothing listens, below those that the kernel gives to outgoing connections.

    A server that restarts leaves its port for a moment; among the kernel's own, any client of another test may get it.
    """
    for _ in range(200):
        port = _NUMBERS.randrange(15000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise OSError("no free port between 15000 and 30000")


def is_listening(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((LOOPBACK, port)) == 0
