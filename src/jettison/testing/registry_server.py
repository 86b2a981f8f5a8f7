"""A real registry server of CNCF distribution, on loopback, with a storage folder and configuration of its own."""

import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Final, Literal, Protocol, Self

from jettison.errors import JettisonError
from jettison.testing.network import LOOPBACK, free_port, is_listening
from jettison.testing.programs import RegistryVersion, registry_binary, require
from jettison.testing.tls import TlsFiles

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.01
_ATTEMPTS: Final = 5


class RegistryAuth(Protocol):
    """Something that a registry can be told to check credentials with: `Htpasswd` or `TokenService`."""

    def auth_section(self) -> dict[str, object]:
        """Return the `auth` section of the registry's configuration."""


class ServerStartError(JettisonError):
    """A server did not start; the message ends with its log."""


class RegistryServer:
    """A registry server in a child process.

    `root` is the storage's root directory, the one that holds `docker/registry/v2`; configuration and log stand beside
    it. Entering the context starts the server, leaving it stops it. `port` 0 chooses a free one when the server first
    starts, and keeps it over restarts. `extra` is merged into the configuration, mapping by mapping: a value of None
    removes a key. `require_client_certificate` needs `tls`.

    Raises MissingPartError when the server's binary is not on this machine.
    """

    def __init__(
        self,
        version: RegistryVersion,
        root: Path,
        *,
        delete: bool = True,
        readonly: bool = False,
        cache: Literal["inmemory"] | None = "inmemory",
        port: int = 0,
        tls: TlsFiles | None = None,
        require_client_certificate: bool = False,
        auth: RegistryAuth | None = None,
        extra: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.version = version
        self.root = root
        self.config_path = root.with_name(f"{root.name}-config.yml")
        self.log_path = root.with_name(f"{root.name}.log")
        self.delete = delete
        self.readonly = readonly
        self.cache = cache
        self.tls = tls
        self.require_client_certificate = require_client_certificate
        self.auth = auth
        self.extra = dict(extra or {})
        self.environment = dict(environment or {})
        self._binary = require(registry_binary(version))
        self._wanted_port = port
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before a server with a chosen port first started."""
        return self._port

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`, as image references name it."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def url(self) -> str:
        """The registry's URL, without a slash at its end."""
        return f"{'https' if self.tls else 'http'}://{self.host}"

    @property
    def pid(self) -> int:
        """The server's process. Raises RuntimeError when it is not running."""
        if self._process is None:
            raise RuntimeError("the registry server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """Return what the server wrote since it was first started."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> None:
        """Write the configuration, start the server and wait until it answers.

        Attributes that were changed since the last start (`delete`, `readonly`, `cache`, `extra`...) take effect here.
        Raises ServerStartError, with the log, when it does not start.
        """
        if self.running:
            raise RuntimeError("the registry server is already running")
        # A free port can be lost between finding and binding it; then another one will do. A port that a client
        # may know already cannot be changed.
        for attempt in range(_ATTEMPTS):
            chosen = self._port == 0
            self._port = self._port or free_port()
            try:
                self._start_once()
            except ServerStartError as error:
                if not (chosen and "address already in use" in str(error)) or attempt == _ATTEMPTS - 1:
                    raise
                self._port = self._wanted_port
            else:
                return

    def stop(self) -> None:
        """Ask the server to end and wait; a server that does not end in ten seconds is killed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server at once, as a crash of its machine would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start on the same port; what the server cached in memory is gone."""
        self.stop()
        self.start()

    def garbage_collect(
        self, *, delete_untagged: bool = False, dry_run: bool = False, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the registry's own garbage-collect on this root, whether the server runs or not.

        Raises subprocess.CalledProcessError when it fails, unless `check` is off.
        """
        if not self.config_path.exists():
            self._write_configuration()
        flags = [*(["--delete-untagged"] if delete_untagged else []), *(["--dry-run"] if dry_run else [])]
        return subprocess.run(
            [self._binary, "garbage-collect", *flags, self.config_path],
            env=self._child_environment(),
            capture_output=True,
            text=True,
            check=check,
        )

    def configuration(self) -> dict[str, object]:
        """Return the configuration that the next start writes."""
        http: dict[str, object] = {"addr": self.host}
        if self.tls is not None:
            http["tls"] = {"certificate": str(self.tls.certificate), "key": str(self.tls.key)} | (
                {"clientcas": [str(self.tls.ca)]} if self.require_client_certificate else {}
            )
        storage: dict[str, object] = {
            "filesystem": {"rootdirectory": str(self.root)},
            "delete": {"enabled": self.delete},
        }
        if self.readonly:
            storage["maintenance"] = {"readonly": {"enabled": True}}
        if self.cache is not None:
            storage["cache"] = {"blobdescriptor": self.cache}
        made: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": storage,
            "http": http,
        }
        if self.auth is not None:
            made["auth"] = self.auth.auth_section()
        return _merged(made, self.extra)

    def _write_configuration(self) -> None:
        from ruamel.yaml import YAML

        text = StringIO()
        YAML().dump(self.configuration(), text)
        self.config_path.write_text(text.getvalue())

    def _child_environment(self) -> dict[str, str]:
        # REGISTRY_* would override the configuration. 3.x sends traces to a collector unless it is told not to.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
        return inherited | {"OTEL_TRACES_EXPORTER": "none"} | self.environment

    def _start_once(self) -> None:
        if is_listening(self._port):
            raise ServerStartError(f"{self.host} is taken (address already in use); stop its server or choose a port")
        self.root.mkdir(parents=True, exist_ok=True)
        self._write_configuration()
        before = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "serve", self.config_path],
                env=self._child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_it_answers()
        except ServerStartError as error:
            self.kill()
            log_text = self.log_path.read_bytes()[before:].decode(errors="replace")
            raise ServerStartError(f"{error}; its log:\n{log_text}") from error
        except BaseException:
            self.kill()
            raise

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            status = None if self._process is None else self._process.poll()
            if status is not None:
                raise ServerStartError(f"registry {self.version} ended with status {status} while starting")
            try:
                self._ask()
            except OSError:  # not listening yet; ssl.SSLError is one too
                time.sleep(_POLL_SECONDS)
            else:
                return
        raise ServerStartError(f"registry {self.version} did not answer on {self.host} in {_START_SECONDS:.0f} s")

    def _ask(self) -> None:
        """Send one request; any answer will do, since 401 is one too."""
        with socket.create_connection((LOOPBACK, self._port), timeout=5) as plain:
            connection: socket.socket = plain
            if self.tls is not None:
                context = ssl.create_default_context(cafile=str(self.tls.ca))
                context.load_cert_chain(self.tls.client_certificate, self.tls.client_key)
                connection = context.wrap_socket(plain, server_hostname=LOOPBACK)
            with connection:
                connection.sendall(f"GET /v2/ HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode())
                if not connection.recv(12).startswith(b"HTTP/1."):
                    raise ConnectionResetError("no HTTP answer")

    def _end(self, signal_number: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal_number)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _merged(base: Mapping[str, object], extra: Mapping[str, object]) -> dict[str, object]:
    result = dict(base)
    for key, value in extra.items():
        present = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(present, Mapping):
            result[key] = _merged(present, value)
        else:
            result[key] = value
    return result
