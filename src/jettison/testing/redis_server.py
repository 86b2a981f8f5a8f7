"""A real Redis on loopback, as registries keep their descriptor cache in: it outlives their restart."""

import subprocess
import time
from pathlib import Path
from typing import Final, Self

from jettison.testing.network import LOOPBACK, free_port, is_listening
from jettison.testing.programs import redis_server, require

_SECONDS: Final = 30.0


class RedisServer:
    """Redis in a child process; nothing is written to a disk. Raises MissingPartError where there is no Redis."""

    def __init__(self, folder: Path) -> None:
        self._binary = require(redis_server())
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def registry_configuration(self) -> dict[str, object]:
        """What a registry is told to keep its descriptor cache here: `extra` of RegistryServer, of any version."""
        address = f"{LOOPBACK}:{self.port}"
        # 2.8 reads the one, 3.x the other.
        return {
            "redis": {"addr": address, "addrs": [address]},
            "storage": {"cache": {"blobdescriptor": "redis"}},
        }

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        options = ["--bind", LOOPBACK, "--port", str(self.port), "--dir", str(self._folder), "--save", ""]
        self._process = subprocess.Popen([self._binary, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + _SECONDS
        while not is_listening(self.port):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError(f"Redis does not listen on {LOOPBACK}:{self.port}")
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_SECONDS)
