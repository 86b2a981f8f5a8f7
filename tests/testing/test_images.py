"""Built images are what the specification says, the same for the same seed, and real clients take them."""

import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jettison.oci.digest import Digest
from jettison.testing import images
from jettison.testing.connection import Connection
from jettison.testing.images import artifact, image, index, pull, push, random_layer, signature_of, signature_tag
from jettison.testing.programs import Missing, skopeo
from jettison.testing.registry_server import RegistryServer


@pytest.mark.parametrize("size", [256, 257, 300, 1000, 1024, 4096, 65536, 70001, 1 << 20])
def test_a_random_layer_is_a_gzipped_tar_of_exactly_its_size(size: int) -> None:
    layer = random_layer(7, size)
    assert len(layer) == size
    assert layer == random_layer(7, size)
    assert layer != random_layer(8, size)
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:gz") as archive:
        assert archive.getnames() == ["content"]


def test_an_image_names_its_parts_by_their_digests() -> None:
    made = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    layer = random_layer("a")
    built = image([layer, b"raw"], created=made, platform="linux/arm/v7", labels={"who": "me"}, annotations={"k": "v"})
    document = json.loads(built.body)
    config = json.loads(built.blobs[0].body)
    assert built.digest == Digest.of(built.body)
    assert [each["digest"] for each in document["layers"]] == [Digest.of(layer), Digest.of(b"raw")]
    assert document["config"]["digest"] == Digest.of(built.blobs[0].body)
    assert document["annotations"] == {"k": "v"}
    assert config["rootfs"]["diff_ids"] == [Digest.of(gzip.decompress(layer)), Digest.of(b"raw")]
    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm", "v7")
    assert config["created"] == "2026-01-02T03:04:05Z"
    assert config["config"]["Labels"]["who"] == "me"
    assert "created" not in json.loads(image().blobs[0].body)
    assert "os" not in json.loads(image(config_extra={"os": None}).blobs[0].body)


def test_sizes_count_each_digest_once() -> None:
    shared = random_layer("shared", 2000)
    one, two = image([shared], seed=1), image([shared], seed=2)
    both = index([one, two])
    expected = sum(len(m.body) + len(m.blobs[0].body) for m in (one, two)) + 2000 + len(both.body)
    assert sum(both.sizes().values()) == expected


@pytest.mark.parametrize("media", ["oci", "docker"])
def test_images_and_indexes_pull_whole(registry: RegistryServer, media: images.Media) -> None:
    children = [image(seed=name, platform=name, media=media) for name in ("linux/amd64", "linux/arm64/v8")]
    push(registry.url, "team/app", index(children, media=media), "multi")
    pull(registry.url, "team/app", "multi")


def test_artifacts_signatures_and_sha512_layers_pull_whole(registry: RegistryServer) -> None:
    built = image(layer_algorithm="sha512")
    push(registry.url, "app", built, "1")
    referrer = artifact(subject=built)
    for pushed in (referrer, index([], subject=built)):
        push(registry.url, "app", pushed)
        pull(registry.url, "app", pushed.digest)
    signature = signature_of(built.digest)
    tag = signature_tag(built.digest)
    assert tag == f"sha256-{built.digest.hex}.sig"
    push(registry.url, "app", signature, tag)
    pull(registry.url, "app", tag)
    pull(registry.url, "app", "1")


def test_an_artifact_manifest_has_its_own_media_type() -> None:
    built = images.oci_artifact_manifest(subject=image())
    document = json.loads(built.body)
    assert document["mediaType"] == built.media_type == "application/vnd.oci.artifact.manifest.v1+json"
    assert [blob["digest"] for blob in document["blobs"]] == [blob.digest for blob in built.blobs]
    assert document["subject"]["digest"] == image().digest


def test_pull_tells_everything_that_is_missing(registry: RegistryServer) -> None:
    child, other = image(seed=1), image(seed=2)
    parent = index([child, other])
    push(registry.url, "app", parent, "1")
    layer = child.blobs[1].digest
    with Connection(registry.url) as connection:
        assert connection.ask("DELETE", f"/v2/app/blobs/{layer}").status == 202
        assert connection.ask("DELETE", f"/v2/app/manifests/{other.digest}").status == 202
    with pytest.raises(AssertionError, match="does not pull whole") as caught:
        pull(registry.url, "app", "1")
    assert layer in str(caught.value)
    assert other.digest in str(caught.value)
    with pytest.raises(AssertionError, match="404"):
        pull(registry.url, "app", "no-such-tag")


def test_pull_notices_changed_bytes(registry: RegistryServer) -> None:
    built = image()
    push(registry.url, "app", built, "1")
    hex_digits = built.blobs[1].digest.hex
    data = registry.root / f"docker/registry/v2/blobs/sha256/{hex_digits[:2]}/{hex_digits}/data"
    content = bytearray(data.read_bytes())
    content[100] ^= 1
    data.write_bytes(content)
    with pytest.raises(AssertionError, match="not what its digest says"):
        pull(registry.url, "app", "1")


def test_skopeo_pulls_what_was_pushed(
    registry: RegistryServer, tmp_path: Path, need: Callable[[Path | Missing], Path]
) -> None:
    program = need(skopeo())
    parent = index([image(seed=1, platform="linux/amd64"), image(seed=2, platform="linux/arm64")])
    push(registry.url, "app", parent, "1")
    source = f"docker://{registry.host}/app:1"
    subprocess.run([program, "copy", "--all", "--src-tls-verify=false", source, f"dir:{tmp_path}/out"], check=True)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {blob.digest.hex for child in parent.children for blob in child.blobs} <= names
    assert (tmp_path / "out/manifest.json").read_bytes() == parent.body
    # And back, as another client pushes.
    target = f"docker://{registry.host}/copied:1"
    subprocess.run(
        [program, "copy", "--all", "--dest-tls-verify=false", f"dir:{tmp_path}/out", target],
        check=True,
        capture_output=True,
    )
    pull(registry.url, "copied", "1")
