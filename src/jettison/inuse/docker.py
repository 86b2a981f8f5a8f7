"""Images that a Docker engine needs: those of all its containers, running or not, and of a swarm's services.

A container is asked for by the name that it was made from and by the digests that its image was pulled by: the tag may
have moved on since. Where a tag did, engines show the image's id instead of the name, and the container is inspected.
Engines that speak the same API (Podman) work too. A swarm's manager tells the services of all its nodes, with the
specification that each would be rolled back to.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jettison.errors import InUseError
from jettison.inuse.sources import image_name
from jettison.policy.in_use import UsedImage

if TYPE_CHECKING:
    from docker import DockerClient

    Api = Any
    """The SDK's APIClient, whose methods its stubs leave without types."""

ENGINE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class EngineTls:
    """PEM files for an engine behind TLS: the authority that signed its certificate, our certificate and key."""

    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True, slots=True)
class DockerEngineSource:
    """An engine at `address` (unix://, tcp://, ssh://); None: at $DOCKER_HOST, else the local one."""

    address: str | None = None
    tls: EngineTls | None = None

    def ask(self) -> list[UsedImage]:
        """Return the images of all containers and services. Raises InUseError where the engine does not tell."""
        shown = self.address or "docker"
        with _translated(shown):
            client = _client(self.address, self.tls)
            try:
                images = list(_of_containers(client.api, f" on {self.address}" if self.address else ""))
                return images + list(_of_services(client.api))
            finally:
                client.close()


def _of_containers(api: "Api", at: str) -> Iterator[UsedImage]:
    digests: dict[str, Sequence[str]] = {}
    for container in api.containers(all=True):
        where = f"container {_name(container)}{at}"
        identifier = str(container.get("ImageID", ""))
        names = [str(container.get("Image", ""))]
        if image_name(names[0]) is None or identifier.removeprefix("sha256:").startswith(names[0]):
            names.append(_made_from(api, str(container["Id"])))
        if identifier not in digests:
            digests[identifier] = _pulled_by(api, identifier)
        for text in (*names, *digests[identifier]):
            name = image_name(text)
            if name is not None:
                yield UsedImage(name, where)


def _name(container: Mapping[str, Any]) -> str:
    names = container.get("Names") or []
    return str(names[0]).lstrip("/") if names else str(container["Id"])[:12]


def _made_from(api: "Api", container: str) -> str:
    """Return the image's name as it was given when the container was made; empty where the container is gone."""
    from docker.errors import NotFound

    try:
        return str(api.inspect_container(container)["Config"].get("Image", ""))
    except NotFound:
        return ""


def _pulled_by(api: "Api", image: str) -> Sequence[str]:
    """Return `repository@digest` of each pull or push of an image. None where it was removed by force meanwhile."""
    from docker.errors import NotFound

    try:
        return tuple(api.inspect_image(image).get("RepoDigests") or ()) if image else ()
    except NotFound:
        return ()


def _of_services(api: "Api") -> Iterator[UsedImage]:
    if not ((api.info().get("Swarm") or {}).get("ControlAvailable")):
        return
    for service in api.services():
        for part in ("Spec", "PreviousSpec"):
            specification = service.get(part) or {}
            template = specification.get("TaskTemplate") or {}
            name = image_name(str((template.get("ContainerSpec") or {}).get("Image", "")))
            if name is not None:
                earlier = " (before its last update)" if part == "PreviousSpec" else ""
                yield UsedImage(name, f"service {specification.get('Name', service.get('ID', ''))}{earlier}")


def _client(address: str | None, tls: EngineTls | None) -> "DockerClient":
    try:
        import docker
    except ImportError as error:
        raise InUseError("the docker package is not installed; install jettison[docker]") from error
    if address is None:
        return docker.from_env(timeout=ENGINE_SECONDS)
    given: dict[str, Any] = {}
    if tls is not None:
        pair = (tls.client_certificate, tls.client_key)

        class OwnTrust(docker.tls.TLSConfig):
            """Requests would prefer $REQUESTS_CA_BUNDLE to the authority that was named."""

            def configure_client(self, client: Any) -> None:
                super().configure_client(client)
                client.trust_env = False

        given["tls"] = OwnTrust(
            ca_cert=str(tls.ca_file) if tls.ca_file else None,
            client_cert=(str(pair[0]), str(pair[1])) if pair[0] and pair[1] else None,
            verify=True,
        )
    return docker.DockerClient(
        base_url=address, timeout=ENGINE_SECONDS, use_ssh_client=address.startswith("ssh://"), **given
    )


@contextmanager
def _translated(shown: str) -> Iterator[None]:
    """Turn what the SDK and its HTTP library raise into an InUseError."""
    try:
        from docker.errors import DockerException
        from requests.exceptions import RequestException
    except ImportError as error:
        raise InUseError("the docker package is not installed; install jettison[docker]") from error
    try:
        yield
    except (DockerException, RequestException, OSError) as error:
        raise InUseError(
            f"the docker engine {shown} could not be asked: {' '.join(str(error).split())[:500]}; is it running, "
            "and may this user speak to it?"
        ) from error
