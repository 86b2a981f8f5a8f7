"""Finding a storage: by name, by the registry's configuration, and through what is mounted into a container."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jettison.app.find_storage import (
    engine_is_here,
    open_storage,
    path_here,
    reference_cache,
    root_directory,
    storage_of,
)
from jettison.control.config_file import parse_config
from jettison.control.docker_discovery import named_container
from jettison.control.local_file import LocalFileRegistry
from jettison.control.running import Mount
from jettison.errors import StorageError, UsageError
from jettison.testing.docker_engine import DockerEngine, RegistryContainer
from jettison.testing.images import image, push
from jettison.testing.programs import REGISTRY_VERSIONS
from jettison.testing.storage_tree import StorageTree

ROOT = "/var/lib/registry"


def mount(destination: str, source: str = "/srv/data", kind: str = "bind") -> Mount:
    return Mount(kind, source, destination, writable=True)  # type: ignore[arg-type]  # one of the kinds


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    StorageTree(tmp_path / "data").add("app", image(seed=1), ["1"])
    return tmp_path / "data"


def test_a_folder_is_opened(tree: Path) -> None:
    assert open_storage(str(tree)).root == tree


@pytest.mark.parametrize("location", ["s3://bucket/prefix", "gs://bucket", "s3://bucket?secretkey=hunter2"])
def test_an_object_store_is_refused_for_now(location: str) -> None:
    with pytest.raises(UsageError, match="not yet as an object store") as raised:
        open_storage(location)
    assert "hunter2" not in str(raised.value)


def test_the_configuration_names_it(tree: Path, tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(f"version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {tree}}}\nhttp: {{addr: ':5000'}}\n")
    assert storage_of(LocalFileRegistry(str(file)), in_container=False).root == tree


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        ("s3: {region: r, bucket: b, secretkey: hunter2}", "the s3 driver"),
        ("inmemory: {}", "the inmemory driver"),
        ("filesystem: {rootdirectory: data}", "relative"),
        ("filesystem: {rootdirectory: /no/such/folder}", "no such folder"),
    ],
)
def test_a_configuration_that_leads_nowhere_says_why(driver: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(f"version: 0.1\nstorage:\n  {driver}\nhttp: {{addr: ':5000'}}\n")
    with pytest.raises(StorageError, match=said) as raised:
        storage_of(LocalFileRegistry(str(file)), in_container=False)
    assert "hunter2" not in str(raised.value)


def test_the_default_root_is_that_of_the_server() -> None:
    assert root_directory(parse_config("storage: filesystem\nhttp: {addr: ':5000'}\n"), "it") == ROOT


@pytest.mark.parametrize(
    ("mounts", "path"),
    [
        ([mount(ROOT)], "/srv/data"),
        ([mount("/var/lib")], "/srv/data/registry"),
        ([mount("/"), mount("/var/lib", "/inner")], "/inner/registry"),
        ([mount("/etc/docker", "/conf"), mount(ROOT)], "/srv/data"),
        ([mount(ROOT, "/var/lib/docker/volumes/v/_data", "volume")], "/var/lib/docker/volumes/v/_data"),
        ([mount("/var/lib/registry-other", "/wrong"), mount(ROOT)], "/srv/data"),
    ],
)
def test_the_deepest_mount_that_holds_the_root_counts(mounts: list[Mount], path: str) -> None:
    assert path_here(ROOT, mounts, "it") == Path(path)


@pytest.mark.parametrize(
    "written", [f"{ROOT}/", "//var//lib/registry", "/var/lib/registry/.", "/var/lib/tmp/../registry"]
)
def test_a_root_may_be_written_in_any_way(written: str) -> None:
    configuration = parse_config(f"storage: {{filesystem: {{rootdirectory: {written}}}}}\nhttp: {{addr: ':5000'}}\n")
    assert path_here(root_directory(configuration, "it"), [mount(ROOT)], "it") == Path("/srv/data")


@pytest.mark.parametrize(
    ("mounts", "said"),
    [
        ([], "the container's own layer"),
        ([mount("/etc/docker")], "the container's own layer"),
        ([mount("/var/lib/registry-other")], "the container's own layer"),
        ([mount(ROOT, "", "tmpfs")], "tmpfs"),
        ([mount(ROOT), mount(f"{ROOT}/docker/registry/v2/blobs", "/fast")], "mounted by itself inside"),
    ],
)
def test_what_no_folder_of_this_machine_shows_whole_is_refused(mounts: list[Mount], said: str) -> None:
    with pytest.raises(StorageError, match=said):
        path_here(ROOT, mounts, "it")


@pytest.mark.parametrize(
    ("address", "here"),
    [(None, True), ("unix:///run/docker.sock", True), ("tcp://10.0.0.1:2375", False), ("ssh://host", False)],
)
def test_an_engine_elsewhere_has_other_folders(
    address: str | None, here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    if address is not None:
        monkeypatch.setenv("DOCKER_HOST", address)
    assert engine_is_here() is here


def test_the_cache_of_references_is_the_users(tree: Path) -> None:
    cache = reference_cache(open_storage(str(tree)))
    assert str(cache.path).startswith(os.environ["XDG_CACHE_HOME"])


@pytest.fixture
def engine(docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> DockerEngine:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.url)
    return docker_engine


@pytest.fixture(params=["bind", "volume"])
def container(request: pytest.FixtureRequest, engine: DockerEngine, tmp_path: Path) -> Iterator[RegistryContainer]:
    """A registry whose data is in a folder of this machine, or in an anonymous volume as the image declares it."""
    volume = tmp_path / "bound" if request.param == "bind" else None
    made = engine.run_registry(f"find-{request.param}", REGISTRY_VERSIONS[0], volume=volume)
    yield made
    made.remove()


def test_a_containers_storage_is_found_on_its_mount(container: RegistryContainer) -> None:
    built = image(seed="found")
    push(container.url, "team/app", built, "1")
    storage = storage_of(named_container(container.name, url=container.url), in_container=True)
    assert storage.repositories().names == ("team/app",)
    assert storage.points_to("team/app", "1") == built.digest
