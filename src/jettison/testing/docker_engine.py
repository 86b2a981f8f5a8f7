"""A docker engine of the tests' own, with registries in containers."""

import contextlib
import http.client
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from jettison.testing.network import LOOPBACK, free_port
from jettison.testing.programs import RegistryVersion, dockerd, require
from jettison.testing.registry_image import (
    CONFIG_PATH,
    IMAGE,
    ROOT_DIRECTORY,
    image_changes,
    loopback_config,
    one_file_tar,
    write_image,
)
from jettison.testing.registry_server import ServerStartError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
# A mount namespace of its own: what the engine mounts goes with it, and the key that dockerd before 24 writes into
# /etc/docker, whatever its options say, lands on a file system in memory that only it sees.
_APART: Final = (
    *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
    'if test -d /etc/docker; then mount -t tmpfs none /etc/docker || exit; fi; exec "$@"',
    "dockerd",
)
# The kernel takes 107 bytes for a socket's path; the engine's containerd puts one deep below the folder.
_LONGEST_FOLDER = 40


class DockerEngine:
    """A dockerd on a socket of its own, apart from any engine of this machine; only root can start it.

    It makes no bridge and no firewall rules, so containers share the host's network or have none. Everything of it
    is in one temporary folder, which goes when it stops. Raises MissingPartError when dockerd is not here.
    """

    def __init__(self) -> None:
        self._binary = require(dockerd())
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._client: DockerClient | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The engine's address, as `DOCKER_HOST` takes it."""
        return f"unix://{self._folder}/s"

    @property
    def client(self) -> "DockerClient":
        """The SDK's client of this engine. Raises RuntimeError when it is not running."""
        if self._client is None:
            raise RuntimeError("the docker engine is not running")
        return self._client

    def log(self) -> str:
        """Return what the engine wrote."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start the engine and wait until it answers; raises ServerStartError, with its log, when it does not."""
        place = tempfile.gettempdir()
        self._folder = Path(tempfile.mkdtemp(prefix="jt-", dir=place if len(place) < _LONGEST_FOLDER else "/tmp"))
        # Its own file, lest the machine's /etc/docker/daemon.json apply; its own namespaces, in case that a containerd
        # of the machine is running, which dockerd would use.
        (self._folder / "daemon.json").write_text("{}")
        # containerd takes an underscore only between letters or digits, and a random name may begin or end with one.
        namespace = self._folder.name.replace("_", "x")
        options = {
            "storage-driver": "vfs",
            "iptables": "false",
            "bridge": "none",
            "data-root": self._folder / "data",
            "exec-root": self._folder / "exec",
            "pidfile": self._folder / "pid",
            "config-file": self._folder / "daemon.json",
            "host": self.url,
            "containerd-namespace": namespace,
            "containerd-plugins-namespace": f"{namespace}-plugins",
            "shutdown-timeout": "5",
            # Engines that share a parent remove each other's control groups, and a container then fails to start.
            "cgroup-parent": f"/{self._folder.name}",
        }
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*_APART, self._binary, *(f"--{name}={value}" for name, value in options.items())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._client = self._connected()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Remove all containers, end the engine and remove its folder."""
        if self._client is not None:
            for container in self._client.containers.list(all=True):
                container.remove(force=True, v=True)
            self._client.close()
            self._client = None
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._folder != Path():
            _remove_groups(self._folder.name)
            shutil.rmtree(self._folder)
            self._folder = Path()

    def registry_image(self, version: RegistryVersion) -> str:
        """Return the name of the registry's image, `registry:2` or `registry:3`; it is made when first asked for."""
        from docker.errors import ImageNotFound

        name = IMAGE[version]
        try:
            self.client.images.get(name)
        except ImageNotFound:
            with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".tar") as archive:
                write_image(version, archive)
                archive.flush()
                repository, _, tag = name.partition(":")
                self.client.api.import_image_from_file(
                    archive.name, repository=repository, tag=tag, changes=image_changes(version)
                )
        return name

    def run_registry(
        self,
        name: str = "registry",
        version: RegistryVersion = "2.8",
        port: int = 0,
        *,
        environment: Mapping[str, str] | None = None,
        volume: Path | None = None,
        config: str | None = None,
        config_file: Path | None = None,
        restart_policy: str = "no",
        command: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> "RegistryContainer":
        """Run a registry in a container that shares the host's network, and wait until it answers on `port`.

        `volume` is a folder of this machine for the storage; without one it is in an anonymous volume, as the official
        image declares. `config` is written into the container, `config_file` is a file of this machine that is
        mounted there; without either the configuration is `loopback_config(port)`. What is given must listen on `port`,
        which then must not be 0, or `environment` must say so. Raises ServerStartError, with its log, when it does not
        answer.
        """
        port = port or free_port()
        volumes = [f"{volume}:{ROOT_DIRECTORY}"] if volume is not None else []
        if config_file is not None:
            volumes.append(f"{config_file}:{CONFIG_PATH[version]}")
        container = self.client.containers.create(
            self.registry_image(version),
            list(command) if command is not None else None,
            name=name,
            network_mode="host",
            environment=dict(environment or {}),
            volumes=volumes,
            restart_policy={"Name": restart_policy},  # type: ignore[arg-type]  # the stubs want a count too
            labels=dict(labels or {}),
        )
        if config_file is None:
            folder, _, file = CONFIG_PATH[version].rpartition("/")
            container.put_archive(folder, one_file_tar(file, (config or loopback_config(port)).encode()))
        running = RegistryContainer(container, version, port)
        running.start()
        return running

    def _connected(self) -> "DockerClient":
        import docker

        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise ServerStartError(f"the docker engine ended while starting; its log:\n{self.log()}")
            try:
                return docker.DockerClient(base_url=self.url, timeout=60)
            except docker.errors.DockerException:  # it asks for the engine's version at once
                time.sleep(_POLL_SECONDS)
        raise ServerStartError(f"the docker engine did not answer in {_START_SECONDS:.0f} s; its log:\n{self.log()}")


class RegistryContainer:
    """A registry in a container. `container` is the SDK's object."""

    def __init__(self, container: "Container", version: RegistryVersion, port: int) -> None:
        self.container = container
        self.version = version
        self.port = port

    @property
    def id(self) -> str:
        """The container's id."""
        return str(self.container.id)

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.container.name)

    @property
    def url(self) -> str:
        """The registry's URL, without a slash at its end."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def config_path(self) -> str:
        """Where its configuration is inside the container."""
        return CONFIG_PATH[self.version]

    @property
    def started_at(self) -> str:
        """When its process last started, as the engine writes it: it changes at every restart."""
        self.container.reload()
        return str(self.container.attrs["State"]["StartedAt"])

    def exec(self, *command: str) -> tuple[int, str]:
        """Run a command inside and return its status and output, standard error among it."""
        status, output = self.container.exec_run(list(command))
        if status is None or not isinstance(output, bytes):
            raise TypeError("the SDK streams the output, though it was not asked to")
        return status, output.decode(errors="replace")

    def log(self) -> str:
        """Return what the registry wrote."""
        return str(self.container.logs().decode(errors="replace"))

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.container.start()
        self.wait()

    def restart(self) -> None:
        """Restart it and wait until it answers."""
        self.container.restart(timeout=5)
        self.wait()

    def stop(self) -> None:
        """Stop it; the container stays."""
        self.container.stop(timeout=5)

    def remove(self) -> None:
        """Remove the container with its anonymous volume, running or not."""
        self.container.remove(force=True, v=True)

    def wait(self) -> None:
        """Wait until it answers. Raises ServerStartError, with its log, when it ends or does not."""
        self.wait_until(self._answers)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds. Raises ServerStartError, with the log, when the registry ends meanwhile."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if condition():
                return
            self.container.reload()
            if self.container.status in {"exited", "dead"}:
                raise ServerStartError(f"the registry in {self.name} ended; its log:\n{self.log()}")
            time.sleep(_POLL_SECONDS)
        raise ServerStartError(f"the registry in {self.name} did not come up on {self.port}; its log:\n{self.log()}")

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        try:
            connection.request("GET", "/v2/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True


def _remove_groups(name: str) -> None:
    """Remove the engine's control groups, in each hierarchy of version 1 or the one of version 2. They hold nothing."""
    for folder in (*Path("/sys/fs/cgroup").glob(f"*/{name}"), Path("/sys/fs/cgroup") / name):
        with contextlib.suppress(OSError):
            folder.rmdir()
