"""Finds the container that serves a registry's URL on a docker engine."""

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from jettison.control import docker_errors
from jettison.control.config_file import parse_config
from jettison.control.docker_engine import ContainerRegistry
from jettison.control.docker_errors import translated
from jettison.errors import ControlError, JettisonError

if TYPE_CHECKING:
    from docker import DockerClient

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_ANY: Final = frozenset({"", "0.0.0.0", "::", "[::]"})  # noqa: S104  # compared with, not bound to


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a URL leads: a port, and all addresses of its host."""

    port: int
    addresses: frozenset[str]

    def reaches(self, address: str) -> bool:
        """Whether a listener bound to `address` (empty or a wildcard: all of them) answers there."""
        bound = address.strip("[]")
        return address in _ANY or bound in self.addresses or bound == "localhost"


def endpoint_of(url: str) -> Endpoint:
    """Resolve a registry's URL. Raises ControlError for a host that has no address."""
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    if not parts.hostname or port is None:
        raise ControlError(f"{url}: this is no http or https URL of a registry; correct it")
    return Endpoint(port, _addresses(parts.hostname))


def named_container(name: str, *, url: str | None, base_url: str | None = None) -> ContainerRegistry:
    """Return the container of this name or id. Raises ControlError that names similar ones where there is none."""
    from docker.errors import NotFound

    engine = docker_errors.client(base_url)
    with translated(f"looking for container {name}"):
        try:
            return ContainerRegistry(engine.containers.get(name), url=url, base_url=base_url)
        except NotFound:
            names = [str(container.name) for container in engine.containers.list(all=True)]
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there is {', '.join(names[:20]) or 'none at all'}"
    raise ControlError(f"the docker engine has no container {name}; {hint}")


def serving_container(url: str, *, base_url: str | None = None) -> ContainerRegistry:
    """Return the one running container whose registry server answers at `url`.

    It publishes the URL's port, or shares the host's network and has that port in its configuration in force. Raises
    ControlError, naming the candidates, where there is none or more than one, and where the URL leads to another
    machine than the engine's, since a container there has nothing to do with it.
    """
    endpoint = endpoint_of(url)
    _refuse_other_machine(url, endpoint, base_url)
    engine = docker_errors.client(base_url)
    registries: list[ContainerRegistry] = []
    found: list[ContainerRegistry] = []
    in_front: list[str] = []
    for container in _running(engine):
        registry = ContainerRegistry(container, url=url, base_url=base_url)
        published = publishes(container.attrs, endpoint)
        if not _runs_a_server(registry):
            in_front += [registry.name] if published else []
            continue
        registries.append(registry)
        if published or (_shares_host_network(container.attrs) and _listens(registry, endpoint)):
            found.append(registry)
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"docker:{registry.name}" for registry in found or registries)
    if found:
        raise ControlError(f"several containers serve port {endpoint.port}; name one of them: {names}")
    proxy = f" {', '.join(in_front)} publishes it but runs no registry server, so it is a proxy;" if in_front else ""
    candidates = f"name the registry's container: {names}" if names else "no container there runs a registry server"
    raise ControlError(f"no container serves port {endpoint.port} of {url};{proxy} {candidates}")


def publishes(attributes: Mapping[str, Any], endpoint: Endpoint) -> bool:
    """Whether the engine forwards the endpoint's port to this container."""
    ports = (attributes.get("NetworkSettings") or {}).get("Ports") or {}
    bindings = [binding for name, bound in ports.items() if str(name).endswith("/tcp") for binding in bound or ()]
    return any(
        str(binding.get("HostPort")) == str(endpoint.port) and endpoint.reaches(str(binding.get("HostIp", "")))
        for binding in bindings
    )


def _running(engine: "DockerClient") -> Iterable[Any]:
    with translated("listing the containers"):
        return list(engine.containers.list())


def _shares_host_network(attributes: Mapping[str, Any]) -> bool:
    return (attributes.get("HostConfig") or {}).get("NetworkMode") == "host"


def _runs_a_server(registry: ContainerRegistry) -> bool:
    try:
        return registry.runs_a_server()
    except ControlError:  # it ended since the engine listed it
        return False


def _listens(registry: ContainerRegistry, endpoint: Endpoint) -> bool:
    try:
        file = registry.read_config()
        configuration = parse_config(file.text, registry.environment(), name=file.path)
    except JettisonError:  # its configuration cannot be read, so it cannot be shown to be the one
        return False
    return configuration.port == endpoint.port and endpoint.reaches(configuration.address.rpartition(":")[0])


def _refuse_other_machine(url: str, endpoint: Endpoint, base_url: str | None) -> None:
    engine = docker_errors.engine_address(base_url)
    parts = urlsplit(engine)
    if parts.scheme in {"tcp", "http", "https", "ssh"} and parts.hostname:
        here = bool(endpoint.addresses & _addresses(parts.hostname)) or (
            any(map(_is_local, endpoint.addresses)) and any(map(_is_local, _addresses(parts.hostname)))
        )
    else:
        here = any(map(_is_local, endpoint.addresses))
    if not here:
        raise ControlError(
            f"{url} is not on the machine of the docker engine ({engine or 'this one'}); "
            "set DOCKER_HOST to the registry's engine, or name the container: docker:NAME"
        )


def _addresses(host: str) -> frozenset[str]:
    try:
        return frozenset(str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except OSError as error:
        raise ControlError(f"{host} has no address ({error.strerror}); correct the URL") from error


def _is_local(address: str) -> bool:
    """Whether this is an address of this machine: then, and only then, a socket can be bound to it."""
    family = socket.AF_INET6 if ipaddress.ip_address(address.partition("%")[0]).version == 6 else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True
