"""Manifests of every kind, and those that are none."""

import json

import pytest

from jettison.collect.quick_reading import references_of
from jettison.oci import media_types
from jettison.oci.digest import Digest
from jettison.oci.manifest import Kind, Manifest, ManifestError, parse_manifest
from jettison.testing import images

CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": str(Digest.of(b"config")), "size": 6}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": str(Digest.of(b"layer")), "size": 5}


def parse(document: object, media_type: str | None = None) -> Manifest:
    body = json.dumps(document).encode()
    return parse_manifest(Digest.of(body), body, media_type)


@pytest.mark.parametrize("media", ["oci", "docker"])
def test_an_image(media: images.Media) -> None:
    built = images.image(media=media)
    manifest = parse_manifest(built.digest, built.body, built.media_type)
    assert manifest.kind is Kind.IMAGE
    assert [blob.digest for blob in manifest.blobs] == [blob.digest for blob in built.blobs]
    assert manifest.config == manifest.blobs[0]
    assert parse_manifest(built.digest, built.body) == manifest, "storage keeps no media type"


def test_an_index_with_its_platforms() -> None:
    children = [images.image(seed=each, platform=f"linux/{each}") for each in ("amd64", "arm64")]
    built = images.index(children)
    manifest = parse_manifest(built.digest, built.body, built.media_type)
    assert manifest.kind is Kind.INDEX
    assert [child.digest for child in manifest.children] == [child.digest for child in children]
    assert dict(manifest.platforms)[children[1].digest] == "linux/arm64"


def test_a_cache_of_buildkit_is_an_index_of_blobs() -> None:
    manifest = parse({"schemaVersion": 2, "manifests": [LAYER, CONFIG]}, media_types.OCI_INDEX)
    assert manifest.children == ()
    assert [blob.digest for blob in manifest.blobs] == [LAYER["digest"], CONFIG["digest"]]


def test_an_artifact_and_its_subject() -> None:
    subject = images.image()
    built = images.oci_artifact_manifest([b"sbom"], subject=subject)
    manifest = parse_manifest(built.digest, built.body, built.media_type)
    assert manifest.kind is Kind.ARTIFACT
    assert manifest.subject is not None
    assert manifest.subject.digest == subject.digest


OTHERS = [Digest.of(f"seen by others {number}".encode()) for number in range(2)]
BESIDE = [
    f'"Layers":[{{"digest":"{OTHERS[0]}"}},{{"digest":"{OTHERS[1]}"}}]',
    f'"CONFIG":{{"digest":"{OTHERS[0]}"}},"Subject":{{"digest":"{OTHERS[1]}"}}',
    f'"\\u006cayers":[{{"digest":"{OTHERS[0]}"}},{{"digest":"{OTHERS[1]}"}}]',
    f'"layer\N{LATIN SMALL LETTER LONG S}":[{{"digest":"{OTHERS[0]}"}},{{"digest":"{OTHERS[1]}"}}]',
    f'"layer\\u017F":[{{"digest":"{OTHERS[0]}"}},{{"digest":"{OTHERS[1]}"}}]',
    f'"layers":[{{"digest":"{OTHERS[0]}","DIGEST":"{OTHERS[1]}"}}]',
    f'"Manifests":[{{"digest":"{OTHERS[0]}"}}],"MediaType":"x","Blobs":[{{"digest":"{OTHERS[1]}"}}]',
]


@pytest.mark.parametrize("beside", BESIDE)
def test_what_others_may_read_under_keys_in_another_case_is_named(beside: str) -> None:
    """Go's reader takes a key in any case, and of several the last: what the registry serves may need any of them."""
    built = images.image()
    body = built.body.rstrip()[:-1] + f",{beside}}}".encode()
    manifest = parse_manifest(Digest.of(body), body, built.media_type)
    assert set(manifest.named) == {*(blob.digest for blob in built.blobs), *OTHERS}
    found = references_of(Digest.of(body), body)
    assert {*found.blobs, *found.manifests, *found.named} == {*(blob.digest for blob in built.blobs), *OTHERS}


@pytest.mark.parametrize("key", ["Layers", "LAYERS", "\\u004cayers"])
def test_keys_in_another_case_name_what_a_registry_takes_them_for(key: str) -> None:
    built = images.image()
    body = built.body.replace(b'"layers"', f'"{key}"'.encode())
    manifest = parse_manifest(Digest.of(body), body, built.media_type)
    assert set(manifest.named) == {blob.digest for blob in built.blobs}


@pytest.mark.parametrize("size", [-1, 10**30])
def test_a_size_that_nothing_can_have_counts_as_nothing(size: int) -> None:
    built = images.image()
    document = json.loads(built.body)
    document["layers"][0]["size"] = size
    body = json.dumps(document).encode()
    manifest = parse_manifest(Digest.of(body), body, built.media_type)
    assert [blob.size for blob in manifest.blobs] == [document["config"]["size"], 0]


def test_escapes_that_are_no_letters_change_nothing() -> None:
    built = images.image()
    body = built.body.rstrip()[:-1] + b',"annotations":{"a":"\\u003c\\u0026\\u2028 \\"layers\\""}}'
    manifest = parse_manifest(Digest.of(body), body, built.media_type)
    assert manifest.kind is Kind.IMAGE


@pytest.mark.parametrize("layers", [{}, {"layers": None}, {"layers": []}])
def test_an_image_may_have_no_layers(layers: dict[str, object]) -> None:
    manifest = parse({"schemaVersion": 2, "config": CONFIG, **layers}, media_types.OCI_IMAGE)
    assert (manifest.kind, len(manifest.blobs)) == (Kind.IMAGE, 1)


def test_an_unknown_type_names_every_digest_in_it() -> None:
    manifest = parse({"schemaVersion": 1, "fsLayers": [{"blobSum": LAYER["digest"]}]}, "application/vnd.example+json")
    assert manifest.kind is Kind.UNKNOWN
    assert manifest.named == (LAYER["digest"],)


def test_an_unknown_type_whose_fields_mean_something_else() -> None:
    manifest = parse({"layers": "none", "config": LAYER["digest"]}, "application/vnd.example+json")
    assert manifest.named == (LAYER["digest"],)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", media_types.OCI_IMAGE),
        (b"{", media_types.OCI_IMAGE),
        (b"[]", None),
        (b"null", None),
        (json.dumps({"config": CONFIG, "layers": "many"}).encode(), media_types.OCI_IMAGE),
        (json.dumps({"layers": [LAYER]}).encode(), media_types.OCI_IMAGE),
        (b'{"annotations":' + b"[" * 100_000 + b"]" * 100_000 + b"}", media_types.OCI_IMAGE),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "application/vnd.example+json"),
        (json.dumps({"config": CONFIG, "layers": []}).encode(), media_types.OCI_INDEX),
        (json.dumps({"config": {**CONFIG, "digest": "sha256:12"}, "layers": []}).encode(), media_types.OCI_IMAGE),
    ],
)
def test_what_is_no_manifest(body: bytes, media_type: str | None) -> None:
    with pytest.raises(ManifestError):
        parse_manifest(Digest.of(body), body, media_type)
