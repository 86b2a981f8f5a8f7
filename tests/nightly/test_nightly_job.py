"""The whole nightly job, as the copied midnight script did it, on a real registry in a real container."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jettison.testing.built import BuiltManifest
from jettison.testing.docker_engine import DockerEngine, RegistryContainer
from jettison.testing.images import image, index, pull, push, random_layer, signature_of, signature_tag
from jettison.testing.programs import RegistryVersion


def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line as a person does, in a process of its own."""
    command = [sys.executable, "-c", "from jettison.cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL)


def jettison(*arguments: str) -> str:
    """Run a command that must succeed, and return standard output."""
    done = call(*arguments)
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(params=["2.8", "3.1"])
def container(
    request: pytest.FixtureRequest, docker_engine: DockerEngine, tmp_path: Path
) -> Iterator[RegistryContainer]:
    """A registry in a container, started the way people start it: deletion is off. Its data is on a volume."""
    version: RegistryVersion = request.param
    made = docker_engine.run_registry(f"nightly-{version.replace('.', '-')}", version, volume=tmp_path / "data")
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = docker_engine.url
    yield made
    if before is not None:
        os.environ["DOCKER_HOST"] = before
    made.remove()


def blob_bytes(root: Path) -> int:
    """Return the bytes of all blobs on the disk."""
    return sum(path.stat().st_size for path in (root / "docker/registry/v2/blobs").glob("*/*/*/data"))


def fill(url: str) -> dict[str, BuiltManifest]:
    """Push five releases (`latest` on an old one, the newest one and one more signed), and two for two platforms."""
    now = datetime.now(UTC)
    base = random_layer("base", 200_000)
    pushed: dict[str, BuiltManifest] = {}
    for n in range(5):
        built = image([base, random_layer(f"api-{n}", 60_000)], seed=f"api-{n}", created=now - timedelta(days=50 - n))
        pushed[f"api:1.{n + 7}.0"] = built
        if n == 1:
            pushed["api:latest"] = built
        if n in (0, 1, 4):
            pushed[f"api:{signature_tag(built.digest)}"] = signature_of(built.digest)
    for n in range(2):
        platforms = [
            image([random_layer(f"web-{n}-{arch}", 50_000)], seed=f"web-{n}", platform=f"linux/{arch}")
            for arch in ("amd64", "arm64")
        ]
        pushed[f"web:2.{n}.0"] = index(platforms)
    for name, built in pushed.items():
        repository, _, tag = name.partition(":")
        push(url, f"shop/{repository}", built, tag=tag)
    return pushed


def test_the_job_of_the_script_without_its_harm(container: RegistryContainer, tmp_path: Path) -> None:
    url, control = container.url, f"docker:{container.name}"
    pushed = fill(url)

    # Deletion is off: nothing is deleted, and the message says what to do.
    refused = call("run", url, "--keep", "1", "--control", control, "--yes")
    assert refused.returncode == 1
    assert "enable-delete" in refused.stderr
    assert "Traceback" not in refused.stderr
    for name in pushed:
        pull(url, f"shop/{name.partition(':')[0]}", name.partition(":")[2])

    status = json.loads(jettison("registry", "status", url, "--control", "docker", "--json"))
    assert status["configuration"]["delete_enabled"] is False
    enabled = json.loads(jettison("registry", "enable-delete", url, "--control", "docker", "--yes", "--json"))
    assert enabled["enabled"]
    assert enabled["changed"]
    assert json.loads(jettison("registry", "status", url, "--control", control, "--json"))["abilities"][
        "deletes_manifests"
    ]

    plan = json.loads(jettison("plan", url, "--keep", "1", "--control", control, "--json"))
    before = blob_bytes(tmp_path / "data")
    report = json.loads(
        jettison("run", url, "--keep", "1", "--control", control, "--collector", "registry", "--yes", "--json")
    )
    after = blob_bytes(tmp_path / "data")

    assert report["exit_status"] == 0
    assert report["results"]["done"] == len(plan["actions"])
    assert report["collection"]["blobs_deleted"] > 0
    assert before - after == plan["totals"]["frees"] == report["frees"], "the disk gives back what the plan said"

    # 1.8.0 shares its digest with latest. Its tag alone goes on 2.8 as well, in the storage that the volume shows.
    kept = {"api:1.11.0", "api:latest", "web:2.1.0"}
    kept |= {
        name
        for name in pushed
        if name.endswith(".sig") and not name.endswith(signature_tag(pushed["api:1.7.0"].digest))
    }
    for name in pushed:
        repository, _, tag = name.partition(":")
        if name in kept:
            pull(url, f"shop/{repository}", tag)
        else:
            with pytest.raises(AssertionError):
                pull(url, f"shop/{repository}", tag)

    # What was deleted can be pushed again, whole: the server was restarted, so it remembers nothing that is gone.
    for name in pushed:
        repository, _, tag = name.partition(":")
        push(url, f"shop/{repository}", pushed[name], tag=tag)
        pull(url, f"shop/{repository}", tag)

    runs = json.loads(jettison("history", "--json"))["runs"]
    assert [run["outcome"] for run in runs] == ["done", "failed"]


def test_an_empty_registry_is_no_failure(container: RegistryContainer) -> None:
    control = f"docker:{container.name}"
    jettison("registry", "enable-delete", container.url, "--control", control, "--yes")
    arguments = [
        "run",
        container.url,
        "--keep",
        "1",
        "--control",
        control,
        "--collector",
        "registry",
        "--yes",
        "--json",
    ]
    report = json.loads(jettison(*arguments))
    assert report["exit_status"] == 0
    assert report["collection"]["empty"]
