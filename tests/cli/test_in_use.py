"""What runs stays: from a real engine's containers to a real registry's manifests, through plan, run and apply."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.commands import Command
from tests.conftest import missing_part_skips

from jettison.testing.connection import Connection
from jettison.testing.docker_engine import DockerEngine
from jettison.testing.images import image, index, pull, push
from jettison.testing.kubernetes_api import KubernetesApi
from jettison.testing.network import LOOPBACK, free_port
from jettison.testing.registry_server import RegistryServer
from jettison.testing.runnable import sleeping_image

if TYPE_CHECKING:
    from docker.models.containers import Container

APP = "team/app"
POLICY = """
protect: {in_use: [docker]}
policies:
  - repositories: ["**"]
    rules: [{name: releases, tags: {version: "*"}, keep: {newest: 1}}]
    untagged: {keep: {nothing: true}}
limits: {last_image: allow}
"""
RunContainer = Callable[[str, str], "Container"]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


@pytest.fixture
def run_container(docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunContainer]:
    """Return a function that pulls and runs: `run_container("host/app:1", "web")`; DOCKER_HOST is the engine."""
    monkeypatch.setenv("DOCKER_HOST", docker_engine.url)
    client = docker_engine.client
    before = {each.id for each in client.images.list()}

    def run(name: str, container: str) -> "Container":
        client.images.pull(name)
        return client.containers.run(name, name=container, network_mode="none", detach=True)

    yield run
    for container in client.containers.list(all=True):
        if str(container.name).startswith("in-use-"):
            container.remove(force=True)
    for each in client.images.list(all=True):
        if each.id not in before:
            client.images.remove(str(each.id), force=True)


def fill(server: RegistryServer, *versions: str) -> None:
    with missing_part_skips():
        for version in versions:
            push(server.url, APP, sleeping_image(version), version)


def tags(server: RegistryServer) -> set[str]:
    with Connection(server.url) as connection:
        answer = connection.ask("GET", f"/v2/{APP}/tags/list")
    return set(json.loads(answer.body).get("tags") or ())


def test_the_image_of_a_running_container_survives_a_policy_that_expires_it(
    registry: RegistryServer, docker_engine: DockerEngine, run_container: RunContainer, command: Command, policy: Path
) -> None:
    fill(registry, "1.0", "2.0", "3.0")
    name = f"{registry.host}/{APP}:1.0"
    container = run_container(name, "in-use-survivor")
    planned = command("plan", registry.url, "--policy", policy, "--kept", "--json").document
    reasons = {each["tag"]: each["reason"] for each in planned["kept"]}
    assert reasons["1.0"] == {"code": "in-use", "text": "in use: container in-use-survivor"}
    assert reasons["3.0"]["code"] == "newest"
    assert planned["in_use"]["images"]["docker"] >= 2
    assert planned["in_use"]["kept"] == 2
    done = command("run", registry.url, "--policy", policy, "--yes")
    assert done.status == 0, done.err
    assert "In use here: 2 tags and digests" in done.out
    assert tags(registry) & {"1.0", "2.0", "3.0"} == {"1.0", "3.0"}
    pull(registry.url, APP, "1.0")
    container.remove(force=True)
    docker_engine.client.images.remove(name, force=True)
    assert run_container(name, "in-use-again").status in ("created", "running"), "a node that lost it pulls it anew"


def test_without_in_use_the_same_image_goes(
    registry_28: RegistryServer, run_container: RunContainer, command: Command, policy: Path
) -> None:
    """So that the test above cannot pass for another reason."""
    fill(registry_28, "1.0", "2.0", "3.0")
    run_container(f"{registry_28.host}/{APP}:1.0", "in-use-unasked")
    policy.write_text(POLICY.replace("protect: {in_use: [docker]}\n", ""))
    assert command("run", registry_28.url, "--policy", policy, "--yes").status == 0
    assert tags(registry_28) == {"3.0"}


def test_what_came_into_use_since_the_plan_is_skipped_and_listed(
    registry: RegistryServer, run_container: RunContainer, command: Command, policy: Path, tmp_path: Path
) -> None:
    fill(registry, "1.0", "2.0", "3.0")
    plan = tmp_path / "plan.json"
    planned = command("plan", registry.url, "--policy", policy, "--delete-by", "digest", "-o", plan, "--json").document
    assert {tag for action in planned["actions"] for tag in action["tags"]} == {"1.0", "2.0"}
    run_container(f"{registry.host}/{APP}:2.0", "in-use-late")
    applied = command("apply", plan, "--yes", "--json")
    assert applied.status == 4
    (skipped,) = applied.document["not_done"]
    assert (skipped["tags"], skipped["result"]) == (["2.0"], "skipped")
    assert skipped["detail"] == "in use now: container in-use-late"
    assert tags(registry) == {"2.0", "3.0"}
    pull(registry.url, APP, "2.0")


def test_a_plan_made_without_sources_asks_those_of_apply(
    registry_28: RegistryServer, run_container: RunContainer, command: Command, tmp_path: Path
) -> None:
    fill(registry_28, "1.0", "2.0")
    plan = tmp_path / "plan.json"
    command("plan", registry_28.url, "--keep", 1, "-o", plan)
    run_container(f"{registry_28.host}/{APP}:1.0", "in-use-late")
    applied = command("apply", plan, "--in-use", "docker", "--yes", "--json")
    assert [each["detail"] for each in applied.document["not_done"]] == ["in use now: container in-use-late"]
    assert tags(registry_28) == {"1.0", "2.0"}


def test_an_index_in_use_by_digest_alone_stays_with_its_platforms(
    registry: RegistryServer, run_container: RunContainer, command: Command, policy: Path
) -> None:
    """The tag moved on, so nothing but the container's digest holds the old index."""
    with missing_part_skips():
        old = index([sleeping_image("amd"), image(seed="arm", platform="linux/arm64")], media="docker")
    push(registry.url, APP, old, "1.0")
    run_container(f"{registry.host}/{APP}:1.0", "in-use-index")
    push(registry.url, APP, image(seed="new"), "1.0")
    push(registry.url, APP, image(seed="unused"), "0.9")
    done = command("run", registry.url, "--storage", registry.root, "--policy", policy, "--collector", "none", "--yes")
    assert done.status == 0, done.err
    assert tags(registry) - {"0.9"} == {"1.0"}
    pull(registry.url, APP, str(old.digest))


def test_what_a_rollback_in_a_cluster_would_return_to_stays(
    registry: RegistryServer, kubernetes_api: KubernetesApi, command: Command, tmp_path: Path
) -> None:
    """A Deployment runs 3.0 and keeps its ReplicaSet of 1.0, under the name that the cluster has for the registry."""
    for version in ("1.0", "2.0", "3.0", "4.0"):
        push(registry.url, APP, image(seed=version), version)
    namespace = f"rollback-{registry.port}"
    kubernetes_api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    for kind, name, version in (("deployments", "web", "3.0"), ("replicasets", "web-1", "1.0")):
        spec = {"containers": [{"name": "web", "image": f"registry.registry.svc:5000/{APP}:{version}"}]}
        template = {"metadata": {"labels": {"app": "web"}}, "spec": spec}
        kubernetes_api.create(
            "/apis/apps/v1/namespaces/{namespace}/" + kind,
            {
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template},
            },
        )
    config = tmp_path / "jettison.yaml"
    config.write_text(f"""
in_use:
  production: {{kubernetes: {{contexts: [admin], kubeconfig: {kubernetes_api.kubeconfig}, namespaces: [{namespace}]}}}}
registries:
  team: {{url: "{registry.url}", keep: 1, in_use: [production], aliases: ["registry.registry.svc:5000"]}}
""")
    planned = command("plan", "team", "--config", config, "--kept", "--json").document
    reasons = {each["tag"]: each["reason"]["text"] for each in planned["kept"]}
    assert reasons["1.0"] == f"in use: replicaset {namespace}/web-1 in admin"
    assert reasons["3.0"] == f"in use: deployment {namespace}/web in admin"
    assert command("run", "team", "--config", config, "--yes").status == 0
    assert tags(registry) & {"1.0", "2.0", "3.0", "4.0"} == {"1.0", "3.0", "4.0"}
    config.write_text(config.read_text().replace("[admin]", "[stranger]"))
    assert command("run", "team", "--config", config, "--yes").status == 3
    assert tags(registry) & {"1.0", "3.0", "4.0"} == {"1.0", "3.0", "4.0"}


def test_the_name_that_containers_have_for_the_registry_is_an_alias(
    registry_28: RegistryServer, run_container: RunContainer, command: Command, tmp_path: Path
) -> None:
    fill(registry_28, "1.0", "2.0")
    listed = tmp_path / "images"
    listed.write_text(f"registry.svc:5000/{APP}:1.0\n")
    arguments = ("plan", registry_28.url, "--keep", 1, "--in-use", f"file:{listed}")
    doubtful = command(*arguments)
    assert "To delete: 1 tag" in doubtful.out
    assert f"images of registry.svc:5000 run, and repositories of theirs are here too ({APP})" in doubtful.out
    config = tmp_path / "jettison.yaml"
    config.write_text(f"registries: {{lab: {{url: '{registry_28.url}', aliases: ['registry.svc:5000']}}}}")
    for known in (command(*arguments, "--alias", "registry.svc:5000"), command(*arguments, "--config", config)):
        assert known.status == 0
        assert "Nothing to delete" in known.out
        assert "repositories of theirs" not in known.out


def test_a_source_that_cannot_be_asked_stops_the_run_unless_it_is_optional(
    registry_28: RegistryServer, command: Command, tmp_path: Path
) -> None:
    for version in ("1.0", "2.0"):
        push(registry_28.url, APP, image(seed=version), version)
    config = tmp_path / "jettison.yaml"
    config.write_text(f"""
in_use:
  engine: {{docker: "tcp://{LOOPBACK}:{free_port()}"}}
  lost: {{file: {tmp_path}/nowhere, optional: true}}
registries: {{lab: {{url: "{registry_28.url}", keep: 1, in_use: [lost]}}}}
""")
    for verb in ("plan", "run"):
        options = ("--yes",) if verb == "run" else ()
        stopped = command(verb, "lab", "--config", config, "--in-use", "engine", *options)
        assert stopped.status == 3
        assert "engine: the docker engine tcp://" in stopped.message
        assert "optional: true" in stopped.message
        assert tags(registry_28) == {"1.0", "2.0"}
    plan = tmp_path / "plan.json"
    planned = command("plan", "lab", "--config", config, "-o", plan)
    assert planned.status == 0
    assert "not asked: lost: " in planned.out
    stopped = command("apply", plan, "--config", config, "--in-use", "engine", "--yes")
    assert stopped.status == 3
    assert tags(registry_28) == {"1.0", "2.0"}
    assert command("run", "lab", "--config", config, "--yes").status == 0
    assert tags(registry_28) == {"2.0"}


def test_a_source_that_falls_silent_after_the_plan_stops_apply(
    registry_28: RegistryServer, command: Command, tmp_path: Path
) -> None:
    for version in ("1.0", "2.0"):
        push(registry_28.url, APP, image(seed=version), version)
    listed, plan = tmp_path / "images", tmp_path / "plan.json"
    listed.write_text("nginx\n")
    assert command("plan", registry_28.url, "--keep", 1, "--in-use", f"file:{listed}", "-o", plan).status == 0
    listed.unlink()
    assert command("apply", plan, "--yes").status == 3
    assert tags(registry_28) == {"1.0", "2.0"}
    listed.write_text("nginx\n")
    assert command("apply", plan, "--yes").status == 0
    assert tags(registry_28) == {"2.0"}


def test_a_storage_without_any_name_of_a_registry_keeps_every_image_that_runs(
    registry_28: RegistryServer, command: Command, tmp_path: Path
) -> None:
    for version in ("1.0", "2.0"):
        push(registry_28.url, APP, image(seed=version), version)
    registry_28.stop()
    listed = tmp_path / "images"
    listed.write_text(f"who.knows:5000/{APP}:1.0\n")
    arguments = ("plan", "--storage", registry_28.root, "--offline", "--keep", 1, "--in-use", f"file:{listed}")
    assert "Nobody knows the registry's name" in command(*arguments).out
    assert command(*arguments, "--json").document["actions"] == []
    named = command(*arguments, "--alias", "registry.example", "--json").document
    assert [action["tags"] for action in named["actions"]] == [["1.0"]]


def test_what_runs_is_shown_without_asking_the_registry(command: Command, tmp_path: Path) -> None:
    listed, policy, config = tmp_path / "images", tmp_path / "policy.yaml", tmp_path / "jettison.yaml"
    listed.write_text("registry.example/app:1 rack 7\nregistry.svc:5000/app:2\nnginx\n")
    policy.write_text(POLICY.replace("docker", "machines"))
    config.write_text(f"""
in_use: {{machines: {{file: {listed}}}, lost: {{file: {tmp_path}/nowhere, optional: true}}}}
registries: {{team: {{url: "https://registry.example", policy: {policy}, in_use: [lost]}}}}
""")
    shown = command("in-use", "team", "--config", config)
    assert shown.status == 0
    assert "1 tag or digest of this registry in use (machines 3 images)" in shown.out
    assert "of registry.svc:5000, which is not among its names: app" in shown.out
    assert "not asked: lost" in shown.out
    document = command("in-use", "team", "--config", config, "--alias", "registry.svc:5000", "--json").document
    assert document["in_use"] == [
        {"repository": "app", "reference": "1", "where": "rack 7"},
        {"repository": "app", "reference": "2", "where": f"listed in {listed}"},
    ]
    assert document["elsewhere"] == {"docker.io": ["library/nginx"]}
    assert command("in-use", "https://registry.example").message.startswith("nothing says what to ask")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("dockre", "did you mean 'docker'?"),
        ("file", "is no source of images in use"),
        ("prod", "there are: docker, compose, kubernetes, file, command"),
        ("command: ", "no program is named"),
        ("command:'", "No closing quotation"),
    ],
)
def test_a_source_that_is_none_is_told(command: Command, source: str, message: str) -> None:
    ended = command("plan", "http://127.0.0.1:1", "--keep", 1, "--in-use", source)
    assert ended.status == 2
    assert message in ended.message


def test_an_alias_that_is_none_is_told(command: Command) -> None:
    source = f"command:{sys.executable} --version"
    ended = command("plan", "http://127.0.0.1:1", "--keep", 1, "--in-use", source, "--alias", "a b")
    assert ended.status == 2
    assert "'a b' is no name of a registry" in ended.message
