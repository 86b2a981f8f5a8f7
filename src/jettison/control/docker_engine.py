"""A registry in a container of a docker engine, reached through the Docker SDK.

How it is held. SIGSTOP, sent by the engine, freezes the server's threads where they are; `docker exec` works on, as
the container is not "paused". So the server's own collector runs inside, in the same mounts and environment, while no
request moves. Afterwards the container is restarted without grace. The worst interleaving that this forbids: a
manifest's PUT has found all its blobs present and is about to write the manifest, the collector sweeps these blobs, the
PUT goes on: an image was accepted that nobody can pull. Here the PUT never goes on; its client sees a broken connection
and pushes again to a server whose caches are empty (`tests/control/test_collect_docker.py` plays it).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from jettison.control import docker_errors, docker_files, docker_sharing, host_file, server_process
from jettison.control.collector_output import CollectorOutput, OutputReader
from jettison.control.docker_errors import translated
from jettison.control.docker_files import ContainerFile
from jettison.control.docker_server import ServerInContainer
from jettison.control.environment import registry_variables
from jettison.control.guarded import Guard
from jettison.control.probe import Probe
from jettison.control.running import CONFIG_PLACES, ConfigFile, Mount, Permanence, here, is_loopback
from jettison.control.yaml_text import looks_secret
from jettison.errors import ControlError

if TYPE_CHECKING:
    from docker.models.containers import Container

_FROZEN_PROBE_SECONDS: Final = 1.0
_NO_GRACE: Final = 0
_GRACE_SECONDS: Final = 10
_RESTART_TRIES: Final = 4
_RESTART_PAUSE_SECONDS: Final = 0.5
# A collection may say nothing for hours while it marks.
_COLLECT_SECONDS: Final = 7 * 24 * 3600


class ContainerRegistry:
    """The registry in one container. `url` is where clients reach it; without one, nothing waits for its answer."""

    can_hold = True

    def __init__(self, container: "Container", *, url: str | None, base_url: str | None = None) -> None:
        self._container = container
        self._base_url = base_url
        self.url = url
        self._probe = Probe(url) if url else None
        self._server = ServerInContainer(container)

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self._container.name)

    def describe(self) -> str:
        """Name the container and its image."""
        return f"container {self.name} (image {self._attributes()['Config'].get('Image', '?')})"

    def version(self) -> str | None:
        """Ask the server's own program inside; None when the container does not run.

        Raises ControlError where it is paused: nothing can be run in it then.
        """
        state = self._attributes()["State"]
        if not state.get("Running"):
            return None
        if state.get("Paused"):
            raise ControlError(f"container {self.name} is paused; let it go on with: docker unpause {self.name}")
        status, output = docker_files.run(self._container, [self._program(), "--version"])
        return server_process.version_in(output) if status == 0 else None

    def started_at(self) -> datetime | None:
        """Return the container's start."""
        state = self._attributes()["State"]
        if not state.get("Running"):
            return None
        return docker_files.moment(str(state["StartedAt"]))

    def is_running(self) -> bool:
        """Whether the container runs."""
        return bool(self._attributes()["State"].get("Running"))

    def is_frozen(self) -> bool:
        """Whether its server process is stopped by a signal."""
        return self.is_running() and self._server.is_frozen()

    def runs_a_server(self) -> bool:
        """Whether one of its processes is a registry's server."""
        return self.is_running() and bool(self._server.threads())

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Its mounts, as the engine lists them."""
        return tuple(_mount(each) for each in self._attributes().get("Mounts", ()))

    def environment(self) -> Mapping[str, str]:
        """Return the REGISTRY_* variables that the container was made with."""
        variables = dict(each.partition("=")[::2] for each in self._attributes()["Config"].get("Env") or ())
        return registry_variables(variables)

    def reached(self, host: str, port: int) -> str | None:
        """Return the published port, else the container's own address, which reaches what does not listen to itself."""
        attributes = self._attributes()
        if (attributes.get("HostConfig") or {}).get("NetworkMode") == "host":
            return here(host, port)
        networks = attributes.get("NetworkSettings") or {}
        if is_loopback(host):
            return None
        for binding in (networks.get("Ports") or {}).get(f"{port}/tcp") or ():
            if binding.get("HostPort"):
                return here(str(binding.get("HostIp") or ""), int(binding["HostPort"]))
        addresses = [str(each.get("IPAddress") or "") for each in (networks.get("Networks") or {}).values()]
        return next((f"{address}:{port}" for address in addresses if address), None)

    def read_config(self) -> ConfigFile:
        """Read the file that the container's command names, else the one where the images have it."""
        file = self._config()
        return ConfigFile(file.path, host_file.decoded(file.content, file.path), file.modified)

    def permanence(self, variable: str, value: str) -> Permanence:
        """Return the `docker run` and compose lines for this container."""
        attributes = self._attributes()
        labels = attributes["Config"].get("Labels") or {}
        image = attributes["Config"].get("Image", "registry")
        service = labels.get("com.docker.compose.service") or self.name
        return Permanence(
            file_stays=False,
            run_line=f"docker run -d --name {self.name} -e {variable}={value} ... {image}",
            compose_lines=("services:", f"  {service}:", "    environment:", f'      {variable}: "{value}"'),
        )

    def write_config(self, text: str) -> str:
        """Replace the file, a dated copy beside it.

        A file of this machine that is mounted into the container is changed here, which works for read-only mounts too.
        A file that is itself a mount cannot be replaced by another, only written in place; where it is not on this
        machine, by `cp` in the container. What was written is read back and compared.
        """
        old = self._config()
        own_mount = next((mount for mount in self.mounts if mount.destination == old.path), None)
        here = next((path for mount in self.mounts if (path := _path_here(mount, old)) is not None), None)
        if here is not None:
            copy = host_file.write_in_place(here, text) if own_mount is not None else host_file.replace(here, text)
        else:
            copy = host_file.backup_name(old.path)
            self._refuse_read_only(old.path)
            docker_files.put_file(
                self._container, ContainerFile(copy, old.content, old.modified, old.mode, old.uid, old.gid)
            )
            self._put(old, text, in_place=own_mount is not None)
        written = docker_files.read_file(self._container, old.path)
        if written is None or written.content != text.encode():
            raise ControlError(
                f"{old.path} in container {self.name} is not what was written; its old content is in {copy}"
            )
        return copy

    def restart(self) -> float:
        """Restart the container; its processes get the engine's usual time to end, a frozen one gets none."""
        began = monotonic()
        self._bring_back(_NO_GRACE if self.is_frozen() else _GRACE_SECONDS)
        self._wait()
        return monotonic() - began

    @contextmanager
    def hold(self) -> Iterator[float]:
        """Freeze the server while the context lasts; see the module's text."""
        if not self.is_running():
            raise ControlError(f"container {self.name} does not run; start it with: docker start {self.name}")
        with translated("listing the containers"):
            running = docker_errors.client(self._base_url).containers.list()
        beside = docker_sharing.writers_beside(self, (ContainerRegistry(each, url=None) for each in running))
        if beside:
            raise ControlError(
                f"container {beside[0]} takes pushes for the same storage as container {self.name}, and would go on "
                "while the "
                "collector runs; stop it first, or make it read-only"
            )
        with Guard({"container": str(self._container.id), "base_url": self._base_url}) as guard:
            began = monotonic()
            try:
                self._freeze()
            except BaseException:
                self._thaw()
                guard.dismiss()
                raise
            try:
                yield began
            finally:
                self._bring_back(_NO_GRACE)
                guard.dismiss()
                self._wait()

    def garbage_collect(self, *, delete_untagged: bool) -> CollectorOutput:
        """Run `registry garbage-collect` inside the container, where mounts and environment are the server's."""
        flags = ["--delete-untagged"] if delete_untagged else []
        command = [self._program(), "garbage-collect", *flags, self._config().path]
        reader = OutputReader(value for name, value in self.environment().items() if value and looks_secret(name))
        api = docker_errors.client(self._base_url, timeout_seconds=_COLLECT_SECONDS).api
        with translated(f"running garbage-collect in container {self.name}"):
            run = api.exec_create(str(self._container.id), command)["Id"]
            for chunk in api.exec_start(run, stream=True):
                reader.feed(chunk.decode(errors="replace"))
            status = api.exec_inspect(run)["ExitCode"]
            api.close()
        return reader.finish(-1 if status is None else int(status))

    def _attributes(self) -> dict[str, Any]:
        with translated(f"inspecting container {self._container.name}"):
            self._container.reload()
        return dict(self._container.attrs)

    def _program(self) -> str:
        return self._server.program() if self.is_running() else "registry"

    def _config(self) -> ContainerFile:
        attributes = self._attributes()
        folder = attributes["Config"].get("WorkingDir") or "/"
        environment = self.environment()
        command = [attributes.get("Path") or "", *(attributes.get("Args") or ())]
        named = server_process.config_path(command, environment, folder)
        if named is None and self.is_running():
            named = server_process.config_path(self._server.command(), environment, folder)
        for place in [named] if named else CONFIG_PLACES:
            file = docker_files.read_file(self._container, place)
            if file is not None:
                return file
        wanted = named or " or ".join(CONFIG_PLACES)
        raise ControlError(
            f"container {self.name} has no registry configuration at {wanted}; is it the registry's container?"
        )

    def _refuse_read_only(self, path: str) -> None:
        over = [mount for mount in self.mounts if mount.holds(path)]
        deepest = max(over, key=lambda mount: len(mount.destination), default=None)
        if deepest is not None and not deepest.writable:
            raise ControlError(
                f"{path} is mounted read-only into container {self.name}; "
                f"change it on the engine's machine, in {deepest.source}"
            )

    def _put(self, old: ContainerFile, text: str, *, in_place: bool) -> None:
        path = PurePosixPath(old.path)
        temporary = str(path.with_name(f".{path.name}.new"))
        new = ContainerFile(temporary, text.encode(), datetime.now(UTC), old.mode, old.uid, old.gid)
        running = self.is_running()
        if in_place and not running:
            raise ControlError(
                f"{path} is a mount of container {self.name}, which does not run; start it, or edit the file"
            )
        if running:
            docker_files.put_file(self._container, new)
            command = ["cp", temporary, old.path] if in_place else ["mv", "-f", temporary, old.path]
            status, output = docker_files.run(self._container, command)
            if in_place or status != 0:
                docker_files.run(self._container, ["rm", "-f", temporary])
            if status == 0:
                return
            if in_place:
                raise ControlError(f"{path} in container {self.name} could not be written: {output.strip()}")
        # No `mv` inside, or nothing runs: the engine writes the file, in two steps.
        docker_files.put_file(
            self._container, ContainerFile(old.path, new.content, new.modified, new.mode, new.uid, new.gid)
        )

    def _freeze(self) -> None:
        """Stop the server and prove that nothing answers in its place. Raises ControlError."""
        self._server.freeze()
        if self._probe is not None and self._probe.serves(timeout_seconds=_FROZEN_PROBE_SECONDS):
            raise ControlError(
                f"{self._probe.url} still answers while the server in container {self.name} is stopped: another server "
                "answers there, and pushes to it would be damaged; name the right container, or run one server only"
            )

    def _thaw(self) -> None:
        """Let a server run on in which nothing was changed; restart the container where that fails."""
        self._server.thaw()
        if self.is_frozen():
            self._bring_back(_NO_GRACE)

    def _bring_back(self, grace_seconds: int) -> None:
        """Restart the container. An engine that is busy can fail at it: a registry must not stay away for that."""
        for left in reversed(range(_RESTART_TRIES)):
            try:
                with translated(f"restarting container {self.name}"):
                    self._container.restart(timeout=grace_seconds)
            except ControlError:
                if left == 0:
                    raise
                sleep(_RESTART_PAUSE_SECONDS)
            else:
                return

    def _wait(self) -> None:
        if self._probe is not None:
            self._probe.wait_until_serving(hint=f"look at: docker logs {self.name}")


def _mount(raw: Mapping[str, Any]) -> Mount:
    kind = str(raw.get("Type", ""))
    name = str(raw.get("Name", ""))
    return Mount(
        kind="bind" if kind == "bind" else "volume" if kind == "volume" else "tmpfs" if kind == "tmpfs" else "other",
        source=str(raw.get("Source", "")),
        destination=str(raw.get("Destination", "")),
        writable=bool(raw.get("RW", True)),
        anonymous=len(name) == 64 and all(digit in "0123456789abcdef" for digit in name),
    )


def _path_here(mount: Mount, file: ContainerFile) -> str | None:
    """Return the path on this machine of a bind-mounted file, None unless that path holds the same content."""
    if mount.kind != "bind" or not mount.holds(file.path):
        return None
    source = Path(mount.source) / PurePosixPath(file.path).relative_to(mount.destination)
    try:
        return str(source) if source.is_file() and source.read_bytes() == file.content else None
    except OSError:
        return None
