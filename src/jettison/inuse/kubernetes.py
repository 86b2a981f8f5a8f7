"""Images that a Kubernetes cluster needs: those of all pods, and those that controllers would make pods from.

The client library reads the kubeconfig, or the service account inside a cluster, and speaks to the API; the answers are
read here, since a cluster has tens of thousands of objects and the library's own models take a millisecond for each.

Which objects. Pods of every phase, since a finished pod may be started again by its owner and a pending one is about
to pull; with their init and ephemeral containers, image volumes, and the digests that the kubelet reports. The
templates of everything that makes pods. ReplicaSets and ControllerRevisions are the history that a rollback returns to.

The worst that can happen while listing: the list grows old on the server (410 Gone) before its last page; then it is
read anew from its first. A pod that starts after its page was read is seen when `apply` asks again.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from jettison.errors import InUseError
from jettison.inuse.sources import image_name
from jettison.policy.in_use import UsedImage

PAGE: Final = 500
"""Objects in one answer, as kubectl asks for."""
_SECONDS: Final = (10, 60)
"""To connect, and to wait for data."""
_LISTINGS: Final = 5
_OK: Final = 200
_GONE: Final = 410
_NOT_FOUND: Final = 404
_PULLABLE = "docker-pullable://"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object: the client's class and methods that list it, and its name for people and RBAC rules."""

    name: str
    api: str
    method: str

    def lister(self, client: Any, namespace: str | None) -> Callable[..., Any]:
        """Return the client's method that lists it, in all namespaces or one."""
        api = getattr(_library().client, self.api)(client)
        if namespace is None:
            return cast("Callable[..., Any]", getattr(api, f"list_{self.method}_for_all_namespaces"))
        method = getattr(api, f"list_namespaced_{self.method}")
        return lambda **options: method(namespace, **options)


KINDS: Final = (
    Kind("pods", "CoreV1Api", "pod"),
    Kind("replicationcontrollers", "CoreV1Api", "replication_controller"),
    Kind("deployments", "AppsV1Api", "deployment"),
    Kind("replicasets", "AppsV1Api", "replica_set"),
    Kind("statefulsets", "AppsV1Api", "stateful_set"),
    Kind("daemonsets", "AppsV1Api", "daemon_set"),
    Kind("controllerrevisions", "AppsV1Api", "controller_revision"),
    Kind("jobs", "BatchV1Api", "job"),
    Kind("cronjobs", "BatchV1Api", "cron_job"),
)
_SINGULAR: Final = {kind.name: kind.name.removesuffix("s") for kind in KINDS}


class _Struct(msgspec.Struct, rename="camel"):
    """A part of an object: what is not named here is skipped unread, which most of a pod is."""


class _Meta(_Struct):
    name: str = ""
    namespace: str = ""


class _Container(_Struct):
    name: str = ""
    image: str | None = None


class _ImageVolume(_Struct):
    reference: str | None = None


class _Volume(_Struct):
    image: _ImageVolume | None = None


class _Template(_Struct):
    spec: "_Spec | None" = None


class _Spec(_Struct):
    """A pod's specification, or one that holds the template of pods or jobs."""

    init_containers: list[_Container] | None = None
    containers: list[_Container] | None = None
    ephemeral_containers: list[_Container] | None = None
    volumes: list[_Volume] | None = None
    template: _Template | None = None
    job_template: _Template | None = None


class _ContainerStatus(_Struct):
    name: str = ""
    image: str | None = None
    image_id: str | None = msgspec.field(default=None, name="imageID")


class _Status(_Struct):
    init_container_statuses: list[_ContainerStatus] | None = None
    container_statuses: list[_ContainerStatus] | None = None
    ephemeral_container_statuses: list[_ContainerStatus] | None = None


class _Object(_Struct):
    metadata: _Meta
    spec: _Spec | None = None
    status: _Status | None = None
    data: Any = None


class _ListMeta(_Struct):
    continue_: str | None = msgspec.field(default=None, name="continue")


class _Page(_Struct):
    items: list[_Object] | None = None
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)


_decode = msgspec.json.Decoder(_Page).decode


@dataclass(frozen=True, slots=True)
class KubernetesSource:
    """A cluster. `context` is one of the kubeconfig's, None its current one (or the cluster that this runs in, where
    there is no kubeconfig); `namespaces` are all where empty.
    """

    context: str | None = None
    kubeconfig: Path | None = None
    namespaces: Sequence[str] = ()
    page: int = PAGE

    def ask(self) -> list[UsedImage]:
        """Return all images that the cluster names. Raises InUseError where one kind of object cannot be listed."""
        with _translated(f"the cluster {self.context}" if self.context else "the cluster", ""):
            client = self._client()
        at = f" in {self.context}" if self.context else ""
        images: dict[UsedImage, None] = {}
        try:
            for kind in KINDS:
                for namespace in self.namespaces or (None,):
                    images |= self._of_kind(kind, client, namespace, at)
        finally:
            client.close()
        return list(images)

    def _client(self) -> Any:
        library = _library()
        if self.context is None and self.kubeconfig is None and _runs_in_cluster():
            library.config.load_incluster_config(configuration := library.client.Configuration())
            return library.client.ApiClient(configuration)
        kubeconfig = str(self.kubeconfig) if self.kubeconfig is not None else None
        try:
            return library.config.new_client_from_config(kubeconfig, self.context, persist_config=False)
        except (TypeError, KeyError, AttributeError) as error:
            # The library takes the file's form for granted.
            raise InUseError(f"{kubeconfig or 'the kubeconfig'} is no kubeconfig: {error}") from error

    def _of_kind(self, kind: Kind, client: Any, namespace: str | None, at: str) -> dict[UsedImage, None]:
        """Return the images of one kind of object, listed to its end."""
        where = f"namespace {namespace}" if namespace else "all namespaces"
        with _translated(f"the cluster {self.context}" if self.context else "the cluster", f"{kind.name} in {where}"):
            lister = kind.lister(client, namespace)
            for _ in range(_LISTINGS):
                found = self._pages(kind, lister, at)
                if found is not None:
                    return found
        raise InUseError(f"the list of {kind.name} in {where} grew old {_LISTINGS} times before its last page was read")

    def _pages(self, kind: Kind, lister: Callable[..., Any], at: str) -> dict[UsedImage, None] | None:
        """Return the images of all pages; None where the list grew old between two of them."""
        found: dict[UsedImage, None] = {}
        token: str | None = None
        while True:
            options = {"limit": self.page, "_preload_content": False, "_request_timeout": _SECONDS}
            if token:
                options["_continue"] = token
            try:
                page = _decode(_body(lister(**options)))
            except _library().client.ApiException as error:
                if error.status == _GONE and token:
                    return None
                raise
            for each in page.items or ():
                found.update(dict.fromkeys(images_of(kind.name, each, at)))
            token = page.metadata.continue_
            if not token:
                return found


def _body(answer: Any) -> bytes:
    """Return the body of an answer. Raises the client's ApiException, as not all its versions do for a raw answer."""
    body = answer.data
    if answer.status != _OK:
        raise _library().client.ApiException(status=answer.status, reason=answer.reason)
    return cast("bytes", body)


def images_of(kind: str, each: _Object, at: str) -> Iterator[UsedImage]:
    """Return the images that one object names."""
    where = f"{_SINGULAR[kind]} {each.metadata.namespace}/{each.metadata.name}{at}"
    for text in (*_in_spec(each.spec), *_reported(each), *_anywhere(each.data)):
        name = image_name(text.removeprefix(_PULLABLE))
        if name is not None:
            yield UsedImage(name, where)


def _in_spec(spec: _Spec | None) -> Iterator[str]:
    """Return the images in a specification, or in the template that it holds."""
    if spec is None:
        return
    for containers in (spec.init_containers, spec.containers, spec.ephemeral_containers):
        for container in containers or ():
            if container.image:
                yield container.image
    for volume in spec.volumes or ():
        if volume.image is not None and volume.image.reference:
            yield volume.image.reference
    for template in (spec.template, spec.job_template):
        if template is not None:
            yield from _in_spec(template.spec)


def _reported(each: _Object) -> Iterator[str]:
    """Return what the kubelet reports of the images that run.

    The digest may be told under the name of another repository or mirror that the runtime found the same image in, so
    it is taken under the name in the specification too: its tag may point elsewhere by now.
    """
    spec, status = each.spec, each.status
    if spec is None or status is None:
        return
    for containers, statuses in (
        (spec.init_containers, status.init_container_statuses),
        (spec.containers, status.container_statuses),
        (spec.ephemeral_containers, status.ephemeral_container_statuses),
    ):
        wanted = {container.name: container.image or "" for container in containers or ()}
        for reported in statuses or ():
            yield from (reported.image or "", reported.image_id or "")
            _, at, digest = (reported.image_id or "").partition("@")
            name = image_name(wanted.get(reported.name, ""))
            if at and name is not None:
                yield f"{name.registry}/{name.repository}@{digest}"


def _anywhere(data: Any) -> Iterator[str]:
    """Return the images of every pod's specification at any depth of a ControllerRevision's data."""
    waiting = [data]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            if any(isinstance(here.get(field), list) for field in _CONTAINERS):
                yield from _in_spec(msgspec.convert(here, _Spec))
            waiting.extend(here.values())
        elif isinstance(here, list):
            waiting.extend(here)


_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")


def _runs_in_cluster() -> bool:
    """Whether this runs in a pod and no kubeconfig was named: then the pod's service account is meant."""
    if os.environ.get("KUBECONFIG") or Path("~/.kube/config").expanduser().exists():
        return False
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def _library() -> Any:
    try:
        import kubernetes
    except ImportError as error:
        raise InUseError("the kubernetes package is not installed; install jettison[kubernetes]") from error
    return kubernetes


@contextmanager
def _translated(cluster: str, what: str) -> Iterator[None]:
    """Turn what the client and its HTTP library raise into an InUseError."""
    from urllib3.exceptions import HTTPError

    library = _library()
    doing = f"{cluster} could not be asked" + (f" for {what}" if what else "")
    try:
        yield
    except library.client.ApiException as error:
        raise InUseError(f"{doing}: {error.status} {_reason(error)}{_way_out(error.status)}") from error
    except (library.config.ConfigException, library.config.kube_config.yaml.YAMLError) as error:
        raise InUseError(f"{doing}: {' '.join(str(error).split())}") from error
    except msgspec.DecodeError as error:
        raise InUseError(f"{doing}: its answer cannot be read: {error}") from error
    except (HTTPError, OSError, ValueError) as error:
        raise InUseError(f"{doing}: {' '.join(str(error).split())[:500]}") from error


def _reason(error: Any) -> str:
    """Return the server's own sentence (metav1.Status, `message`), else HTTP's."""
    try:
        return str(msgspec.json.decode(error.body or b"")["message"])[:500]
    except (msgspec.DecodeError, KeyError, TypeError):
        return str(error.reason)


def _way_out(status: int) -> str:
    if status in (401, 403):
        return "; docs/in-use.md has the role that allows it"
    return "; this cluster does not know them: is it older than Kubernetes 1.21?" if status == _NOT_FOUND else ""
