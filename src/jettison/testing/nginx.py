"""A real nginx in front of a registry, as many run one, with an access log in its own `combined` format."""

import gzip
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

from jettison.testing.network import LOOPBACK, free_port, is_listening
from jettison.testing.programs import nginx, require

_SECONDS: Final = 30.0
_CONFIGURATION: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log {log} combined;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  {upstream}
  server {{
    listen {host};
    location / {{
      {auth}
      proxy_pass {url};
      proxy_set_header Host $http_host;
    }}
  }}
}}
"""


class Nginx:
    """nginx in front of the registry at `url`, in a child process with a `folder` of its own.

    `users` are names with passwords; without any, nobody need sign in. `upstream` are the hosts that the name `servers`
    in `url` stands for, in turn. Raises MissingPartError where there is no nginx.
    """

    def __init__(
        self, url: str, folder: Path, users: dict[str, str] | None = None, *, upstream: Sequence[str] = ()
    ) -> None:
        self._binary = require(nginx())
        self._folder = folder
        self._users = users or {}
        self._to = url
        self._upstream = upstream
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.log = folder / "access.log"

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`, as image references name it."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """Its URL, without a slash at its end."""
        return f"http://{self.host}"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        passwords = self._folder / "users"
        passwords.write_text("".join(f"{user}:{{PLAIN}}{password}\n" for user, password in self._users.items()))
        auth = f'auth_basic "registry"; auth_basic_user_file {passwords};' if self._users else ""
        configuration = self._folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        servers = "".join(f"server {host}; " for host in self._upstream)
        text = _CONFIGURATION.format(
            folder=self._folder,
            log=self.log,
            host=self.host,
            auth=auth,
            url=self._to,
            upstream=f"upstream servers {{ {servers}}}" if servers else "",
        )
        configuration.write_text(user + text)
        self._process = subprocess.Popen(
            [self._binary, "-p", self._folder, "-c", configuration], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait(lambda: is_listening(self.port), "does not listen")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_SECONDS)

    def rotate(self, name: str, *, compress: bool = False) -> Path:
        """Rename the log, have a new one begun, as logrotate does, and return the old one, compressed if asked."""
        old = self._folder / name
        self.log.rename(old)
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)
        self._wait(self.log.exists, "does not reopen its log")
        if not compress:
            return old
        compressed = old.with_name(f"{name}.gz")
        compressed.write_bytes(gzip.compress(old.read_bytes()))
        old.unlink()
        return compressed

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _SECONDS
        while not condition():
            if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
                errors = self._folder / "error.log"
                raise AssertionError(f"nginx {what}: {errors.read_text() if errors.exists() else 'it logged nothing'}")
            time.sleep(0.01)
