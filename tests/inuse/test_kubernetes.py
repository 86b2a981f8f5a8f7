"""A real Kubernetes API: every kind of object that names images, paging, lists that grow old, and who may not look."""

import itertools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from jettison.errors import InUseError
from jettison.inuse import kubernetes
from jettison.inuse.kubernetes import KINDS, KubernetesSource
from jettison.oci.digest import Digest
from jettison.testing.kubernetes_api import KubernetesApi
from jettison.testing.network import LOOPBACK, free_port

RUNS = Digest.of(b"what runs")
REGISTRY = "registry.example"
_numbers = itertools.count()


@pytest.fixture
def namespace(kubernetes_api: KubernetesApi) -> str:
    name = f"test-{next(_numbers)}"
    kubernetes_api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


def pod_spec(*images: str, **more: object) -> dict[str, object]:
    containers = [{"name": f"c{number}", "image": image} for number, image in enumerate(images)]
    return {"containers": containers, **more}


def template(image: str, restart: str = "Always") -> dict[str, object]:
    return {"metadata": {"labels": {"app": "a"}}, "spec": pod_spec(image, restartPolicy=restart)}


def metadata(namespace: str, name: str) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": namespace, "labels": {"app": "a"}}}


def told(api: KubernetesApi, *namespaces: str, page: int = 500) -> set[tuple[str, str]]:
    source = KubernetesSource("admin", api.kubeconfig, namespaces, page)
    return {(str(image.name), image.where) for image in source.ask()}


def pods(api: KubernetesApi, *objects: Mapping[str, object]) -> None:
    api.create("/api/v1/namespaces/{namespace}/pods", *objects)


def in_phase(phase: str, **statuses: object) -> dict[str, object]:
    return {"status": {"phase": phase, **statuses}}


@pytest.mark.parametrize("phase", ["Pending", "Running", "Succeeded", "Failed", "Unknown"])
def test_pods_of_every_phase(kubernetes_api: KubernetesApi, namespace: str, phase: str) -> None:
    pods(kubernetes_api, {**metadata(namespace, "a"), "spec": pod_spec(f"{REGISTRY}/app:1"), **in_phase(phase)})
    assert told(kubernetes_api, namespace) == {(f"{REGISTRY}/app:1", f"pod {namespace}/a in admin")}


def test_init_and_ephemeral_containers_and_image_volumes(kubernetes_api: KubernetesApi, namespace: str) -> None:
    spec = pod_spec(
        f"{REGISTRY}/app:1",
        "nginx",
        initContainers=[{"name": "i", "image": f"{REGISTRY}/init:1"}],
        volumes=[{"name": "v", "image": {"reference": f"{REGISTRY}/model:1", "pullPolicy": "Always"}}],
    )
    pods(kubernetes_api, {**metadata(namespace, "a"), "spec": spec})
    debugger = {"spec": {"ephemeralContainers": [{"name": "e", "image": f"{REGISTRY}/debug:1"}]}}
    kubernetes_api.request(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/pods/a/ephemeralcontainers",
        debugger,
        "application/strategic-merge-patch+json",
    )
    names = {name for name, _ in told(kubernetes_api, namespace)}
    expected = {f"{REGISTRY}/{name}:1" for name in ("app", "init", "debug", "model")} | {
        "docker.io/library/nginx:latest"
    }
    # A server that does not know image volumes (a gate before 1.35) drops them when the pod is created.
    assert names | {f"{REGISTRY}/model:1"} == expected


def test_an_image_volume_is_found_where_the_server_keeps_it() -> None:
    volumes = [{"name": "v", "image": {"reference": f"{REGISTRY}/model:1"}}, {"name": "w", "emptyDir": {}}]
    page = kubernetes._decode(json.dumps({"items": [{"metadata": {}, "spec": {"volumes": volumes}}]}))
    assert page.items
    assert [str(image.name) for image in kubernetes.images_of("pods", page.items[0], "")] == [f"{REGISTRY}/model:1"]


@pytest.mark.parametrize(
    ("identifier", "found"),
    [
        (f"{REGISTRY}/app@{RUNS}", {f"{REGISTRY}/app@{RUNS}"}),
        (f"docker-pullable://{REGISTRY}/app@{RUNS}", {f"{REGISTRY}/app@{RUNS}"}),
        # A mirror, or another repository that the runtime found the image in.
        (f"mirror.example/app@{RUNS}", {f"mirror.example/app@{RUNS}", f"{REGISTRY}/app@{RUNS}"}),
        (str(RUNS), set()),
        (f"docker://{RUNS}", set()),
        ("", set()),
    ],
)
def test_the_digest_that_the_kubelet_reports(
    kubernetes_api: KubernetesApi, namespace: str, identifier: str, found: set[str]
) -> None:
    status = {"name": "c0", "image": str(RUNS), "imageID": identifier, "ready": True, "restartCount": 0}
    pods(
        kubernetes_api,
        {
            **metadata(namespace, "a"),
            "spec": pod_spec(f"{REGISTRY}/app:latest"),
            **in_phase("Running", containerStatuses=[status]),
        },
    )
    names = {name for name, _ in told(kubernetes_api, namespace)}
    assert names == {f"{REGISTRY}/app:latest", *found}


def test_templates_of_everything_that_makes_pods(kubernetes_api: KubernetesApi, namespace: str) -> None:
    selector = {"matchLabels": {"app": "a"}}
    apps, batch = f"/apis/apps/v1/namespaces/{namespace}", f"/apis/batch/v1/namespaces/{namespace}"

    def made(kind: str) -> dict[str, object]:
        return {"selector": selector, "template": template(f"{REGISTRY}/{kind}:1")}

    create = kubernetes_api.create
    create(f"{apps}/deployments", {**metadata(namespace, "d"), "spec": {**made("deployment"), "replicas": 0}})
    for number in ("1", "2"):  # what a rollback returns to, scaled down
        old = {**metadata(namespace, f"rs-{number}"), "spec": {**made(f"replicaset-{number}"), "replicas": 0}}
        create(f"{apps}/replicasets", old)
    create(f"{apps}/statefulsets", {**metadata(namespace, "s"), "spec": {**made("statefulset"), "serviceName": "s"}})
    create(f"{apps}/daemonsets", {**metadata(namespace, "ds"), "spec": made("daemonset")})
    # As the StatefulSet controller writes its history.
    patch = {"spec": {"template": {"$patch": "replace", **template(f"{REGISTRY}/revision:1")}}}
    create(f"{apps}/controllerrevisions", {**metadata(namespace, "s-1"), "revision": 1, "data": patch})
    once = {"template": template(f"{REGISTRY}/job:1", "Never")}
    create(f"{batch}/jobs", {**metadata(namespace, "j"), "spec": once})
    nightly = {"template": template(f"{REGISTRY}/cronjob:1", "Never")}
    cron = {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": {"spec": nightly}}
    create(f"{batch}/cronjobs", {**metadata(namespace, "c"), "spec": cron})
    replication = {"selector": {"app": "a"}, "replicas": 0, "template": template(f"{REGISTRY}/replicationcontroller:1")}
    create("/api/v1/namespaces/{namespace}/replicationcontrollers", {**metadata(namespace, "rc"), "spec": replication})
    assert told(kubernetes_api, namespace) == {
        (f"{REGISTRY}/deployment:1", f"deployment {namespace}/d in admin"),
        (f"{REGISTRY}/replicaset-1:1", f"replicaset {namespace}/rs-1 in admin"),
        (f"{REGISTRY}/replicaset-2:1", f"replicaset {namespace}/rs-2 in admin"),
        (f"{REGISTRY}/statefulset:1", f"statefulset {namespace}/s in admin"),
        (f"{REGISTRY}/daemonset:1", f"daemonset {namespace}/ds in admin"),
        (f"{REGISTRY}/revision:1", f"controllerrevision {namespace}/s-1 in admin"),
        (f"{REGISTRY}/job:1", f"job {namespace}/j in admin"),
        (f"{REGISTRY}/cronjob:1", f"cronjob {namespace}/c in admin"),
        (f"{REGISTRY}/replicationcontroller:1", f"replicationcontroller {namespace}/rc in admin"),
    }


def test_all_namespaces_are_read_page_after_page(kubernetes_api: KubernetesApi, namespace: str) -> None:
    other = f"{namespace}-other"
    kubernetes_api.create("/api/v1/namespaces", {"metadata": {"name": other}})
    for number in range(7):
        place = namespace if number % 2 else other
        pods(kubernetes_api, {**metadata(place, f"p{number}"), "spec": pod_spec(f"{REGISTRY}/{namespace}:{number}")})
    wanted = {f"{REGISTRY}/{namespace}:{number}" for number in range(7)}
    for page in (1, 3, 500):
        assert wanted <= {name for name, _ in told(kubernetes_api, page=page)}
    assert wanted == {name for name, _ in told(kubernetes_api, namespace, other, page=2)}


def test_a_list_that_grows_old_is_read_anew(
    kubernetes_api: KubernetesApi, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """etcd forgets the state that the first page was read at before the second one is asked for."""
    for number in range(3):
        pods(kubernetes_api, {**metadata(namespace, f"p{number}"), "spec": pod_spec(f"{REGISTRY}/app:{number}")})
    answers: list[str] = []
    forgets = iter((True,))
    lister = kubernetes.Kind.lister

    def forgetful(kind: kubernetes.Kind, client: Any, where: str | None) -> Callable[..., Any]:
        listing = lister(kind, client, where)

        def ask(**options: Any) -> Any:
            if "_continue" in options and next(forgets, False):
                pods(kubernetes_api, {**metadata(namespace, "late"), "spec": pod_spec(f"{REGISTRY}/app:late")})
                kubernetes_api.compact()
            try:
                answer = listing(**options)
            except kubernetes._library().client.ApiException as error:
                answers.append(str(error.status))
                raise
            answers.append(str(answer.status))
            return answer

        return ask

    monkeypatch.setattr(kubernetes.Kind, "lister", forgetful)
    names = {name for name, _ in told(kubernetes_api, namespace, page=1)}
    assert "410" in answers
    assert names == {f"{REGISTRY}/app:{tag}" for tag in ("0", "1", "2", "late")}


def test_a_list_that_always_grows_old_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KubernetesSource, "_pages", lambda self, kind, lister, at: None)
    with pytest.raises(InUseError, match="grew old 5 times"):
        KubernetesSource()._of_kind(KINDS[0], None, "shop", "")


def documented_role() -> dict[str, Any]:
    """The role that docs/in-use.md gives."""
    from ruamel.yaml import YAML

    text = (Path(__file__).parents[2] / "docs/in-use.md").read_text()
    (role,) = [each for each in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "ClusterRole" in each]
    found = YAML(typ="safe").load(role)
    assert isinstance(found, dict)
    return found


def test_the_documented_role_is_what_it_takes(kubernetes_api: KubernetesApi, namespace: str) -> None:
    pods(kubernetes_api, {**metadata(namespace, "a"), "spec": pod_spec(f"{REGISTRY}/app:1")})
    source = KubernetesSource("reader", kubernetes_api.kubeconfig)
    with pytest.raises(InUseError, match=r'403 pods is forbidden: User "reader" .*docs/in-use\.md has the role'):
        source.ask()
    role = documented_role()
    kubernetes_api.create("/apis/rbac.authorization.k8s.io/v1/clusterroles", role)
    binding = {
        "metadata": {"name": "jettison"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}],
    }
    place = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    kubernetes_api.create(place, binding)
    try:
        # The authorizer learns of a new binding in its own time.
        for _ in range(100):
            try:
                found = source.ask()
                break
            except InUseError:
                continue
        assert f"{REGISTRY}/app:1" in {str(image.name) for image in found}
    finally:
        kubernetes_api.request("DELETE", f"{place}/jettison")


def test_who_may_not_look_at_one_kind_learns_which(kubernetes_api: KubernetesApi) -> None:
    with pytest.raises(InUseError, match="the cluster stranger could not be asked for pods in all namespaces: 403"):
        KubernetesSource("stranger", kubernetes_api.kubeconfig).ask()


def test_a_wrong_token_is_an_error_that_does_not_tell_it(kubernetes_api: KubernetesApi, tmp_path: Path) -> None:
    document = json.loads(kubernetes_api.kubeconfig.read_text())
    document["users"][0]["user"]["token"] = "hunter2"
    (tmp_path / "kubeconfig").write_text(json.dumps(document))
    with pytest.raises(InUseError, match="401 Unauthorized") as caught:
        KubernetesSource("admin", tmp_path / "kubeconfig").ask()
    assert "hunter2" not in str(caught.value)


def test_what_cannot_be_reached_or_read_is_an_error(kubernetes_api: KubernetesApi, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("{")
    empty = tmp_path / "empty"
    empty.write_text("")
    listed = tmp_path / "listed"
    listed.write_text("[]")
    with pytest.raises(InUseError, match="listed is no kubeconfig"):
        KubernetesSource("admin", listed).ask()
    document = json.loads(kubernetes_api.kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = f"https://{LOOPBACK}:{free_port()}"
    silent = tmp_path / "silent"
    silent.write_text(json.dumps(document))
    foreign = json.loads(kubernetes_api.kubeconfig.read_text())
    del foreign["clusters"][0]["cluster"]["certificate-authority"]
    untrusted = tmp_path / "untrusted"
    untrusted.write_text(json.dumps(foreign))
    for context, file in (
        ("nobody", kubernetes_api.kubeconfig),
        ("admin", tmp_path / "nowhere"),
        ("admin", broken),
        ("admin", empty),
        ("admin", silent),
        ("admin", untrusted),
    ):
        with pytest.raises(InUseError, match=r"the cluster .* could not be asked"):
            KubernetesSource(context, file).ask()


def test_the_current_context_and_the_environment_are_used(
    kubernetes_api: KubernetesApi, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pods(kubernetes_api, {**metadata(namespace, "a"), "spec": pod_spec(f"{REGISTRY}/app:1")})
    source = KubernetesSource(None, kubernetes_api.kubeconfig, [namespace])
    assert [image.where for image in source.ask()] == [f"pod {namespace}/a"]


def test_a_program_of_the_kubeconfig_gives_the_token(
    kubernetes_api: KubernetesApi, namespace: str, tmp_path: Path
) -> None:
    """As cloud providers' kubeconfigs have it (client-go credential plugins)."""
    pods(kubernetes_api, {**metadata(namespace, "a"), "spec": pod_spec(f"{REGISTRY}/app:1")})
    version = "client.authentication.k8s.io/v1"
    credential = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": "token-of-admin"}}
    (tmp_path / "credential").write_text(json.dumps(credential))
    document = json.loads(kubernetes_api.kubeconfig.read_text())
    program = {
        "apiVersion": version,
        "command": "cat",
        "args": [str(tmp_path / "credential")],
        "interactiveMode": "Never",
    }
    document["users"][0]["user"] = {"exec": program}
    (tmp_path / "kubeconfig").write_text(json.dumps(document))
    source = KubernetesSource("admin", tmp_path / "kubeconfig", [namespace])
    assert [str(image.name) for image in source.ask()] == [f"{REGISTRY}/app:1"]


def test_in_a_pod_the_service_account_is_used(
    kubernetes_api: KubernetesApi, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from kubernetes.config import incluster_config

    pods(kubernetes_api, {**metadata(namespace, "a"), "spec": pod_spec(f"{REGISTRY}/app:1")})
    (tmp_path / "token").write_text("token-of-admin")
    host, _, port = kubernetes_api.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(kubernetes_api.kubeconfig.parent / "tls/ca.pem"))
    assert [image.where for image in KubernetesSource(None, None, [namespace]).ask()] == [f"pod {namespace}/a"]
