"""A laid out tree is what a server would have stored, and servers serve it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jettison.testing.connection import Connection
from jettison.testing.images import image, index, pull, push, random_layer
from jettison.testing.registry_server import RegistryServer
from jettison.testing.storage_tree import StorageTree

MakeRegistry = Callable[..., RegistryServer]

VERSIONS = pytest.mark.parametrize("version", ["2.8", "3.1"])


def _files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_it_is_byte_for_byte_what_a_server_stores(registry: RegistryServer, tmp_path: Path) -> None:
    shared = random_layer("shared", 5000)
    single = image([shared, random_layer(1)], seed=1)
    multi = index([image([shared], seed=2), image(seed=3, platform="linux/arm64")])
    tree = StorageTree(tmp_path / "laid-out")
    for repository, built, tag in (
        ("team/app", single, "1.0"),
        ("team/app", multi, "1.1"),
        ("team/app", multi, "latest"),
        ("team/app", single, "1.1"),
        ("other", image(layer_algorithm="sha512"), "1"),
        ("team/app", image(seed="untagged"), None),
    ):
        push(registry.url, repository, built, tag)
        tree.add(repository, built, [] if tag is None else [tag])
    pushed = {path: content for path, content in _files(registry.root).items() if "/_uploads/" not in path}
    assert _files(tree.root) == pushed


@VERSIONS
def test_a_server_serves_it(make_registry: MakeRegistry, tmp_path: Path, version: str) -> None:
    tree = StorageTree(tmp_path / "root")
    tree.add("team/app", index([image(seed=1), image(seed=2)]), ["1.0", "latest"])
    untagged = tree.add("team/app", image(seed=3))
    tree.add("other", image(seed=4, layer_algorithm="sha512"), ["1"])
    server = make_registry(version, tree.root)
    for repository, reference in (("team/app", "1.0"), ("team/app", "latest"), ("team/app", untagged), ("other", "1")):
        pull(server.url, repository, reference)
    with Connection(server.url) as connection:
        assert connection.ask("GET", "/v2/_catalog").body == b'{"repositories":["other","team/app"]}\n'
    push(server.url, "team/app", image(seed=5), "1.1")
    pull(server.url, "team/app", "1.1")


def test_files_carry_the_time_of_their_push(tmp_path: Path) -> None:
    first, second = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 2, 2, 2, 2, 2, 500_000, tzinfo=UTC)
    tree = StorageTree(tmp_path)
    built = image()
    tree.add("app", built, ["1"], pushed=first)
    tree.add("app", built, ["2"], pushed=second)
    times = {str(path.relative_to(tmp_path)): path.stat().st_mtime for path in tmp_path.rglob("*") if path.is_file()}
    links = "docker/registry/v2/repositories/app"
    assert times[f"{links}/_manifests/tags/1/current/link"] == first.timestamp()
    assert times[f"{links}/_manifests/tags/2/current/link"] == second.timestamp()
    assert times[f"{links}/_manifests/revisions/sha256/{built.digest.hex}/link"] == second.timestamp()
    layer = built.blobs[1].digest.hex
    assert times[f"{links}/_layers/sha256/{layer}/link"] == first.timestamp()
    assert times[f"docker/registry/v2/blobs/sha256/{layer[:2]}/{layer}/data"] == first.timestamp()


def test_large_trees_are_whole(make_registry: MakeRegistry, tmp_path: Path) -> None:
    tree = StorageTree(tmp_path / "root")
    for number in range(500):
        tree.add(f"team/app{number % 5}", image([b"layer %d" % number], seed=number), [f"1.{number}.0"])
    server = make_registry("2.8", tree.root)
    for number in (0, 250, 499):
        pull(server.url, f"team/app{number % 5}", f"1.{number}.0")
