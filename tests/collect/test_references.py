"""The quick reading of a manifest finds what the full one finds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.collect.quick_reading import references_of
from jettison.collect.references import References
from jettison.oci import media_types
from jettison.oci.digest import Digest
from jettison.oci.manifest import ManifestError, parse_manifest
from jettison.testing.images import artifact, image, index, oci_artifact_manifest, signature_of

DIGESTS = st.sampled_from([str(Digest.of(bytes([number]))) for number in range(6)]) | st.sampled_from(
    [str(Digest.of(b"other", "sha512")), "sha256:short", "", "blake3:00", "sha256:" + "G" * 64]
)
MEDIA = st.sampled_from([*media_types.MANIFEST_TYPES, "", "application/vnd.example+json", "text/plain; x=y"])
DESCRIPTORS = st.fixed_dictionaries(
    {"digest": DIGESTS},
    optional={"mediaType": MEDIA, "size": st.integers(0, 9), "urls": st.just(["https://example.org/"])},
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "schemaVersion": st.just(2),
        "mediaType": MEDIA,
        "config": DESCRIPTORS | st.none(),
        "layers": st.lists(DESCRIPTORS, max_size=3) | st.none(),
        "manifests": st.lists(DESCRIPTORS, max_size=3) | st.none(),
        "blobs": st.lists(DESCRIPTORS, max_size=2) | st.none(),
        "subject": DESCRIPTORS | st.none(),
        "Layers": st.lists(DESCRIPTORS, max_size=2),
        "Subject": DESCRIPTORS,
        "annotations": st.just({"base": str(Digest.of(b"base"))}),
    },
)


def _in_full(body: bytes) -> References:
    manifest = parse_manifest(Digest.of(body), body)
    subject = () if manifest.subject is None else (manifest.subject.digest,)
    return References.of(
        tuple(blob.digest for blob in manifest.blobs),
        (*(child.digest for child in manifest.children), *subject),
        manifest.named,
    )


@given(DOCUMENTS)
def test_both_readings_agree(document: dict[str, object]) -> None:
    body = json.dumps(document).encode()
    try:
        expected = _in_full(body)
    except ManifestError:
        with pytest.raises(ManifestError):
            references_of(Digest.of(body), body)
    else:
        assert references_of(Digest.of(body), body) == expected


@pytest.mark.parametrize(
    "built",
    [
        image(seed=1),
        image(seed=2, media="docker", subject=image(seed=1)),
        image(seed=3, layer_algorithm="sha512"),
        index([image(seed=1), image(seed=2, platform="linux/arm64")], subject=image(seed=3)),
        index([image(seed=1)], media="docker"),
        artifact(subject=image(seed=1)),
        oci_artifact_manifest(subject=image(seed=1)),
        signature_of(Digest.of(b"x")),
    ],
    ids=lambda built: built.media_type,
)
def test_both_readings_agree_on_real_manifests(built: object) -> None:
    body: bytes = built.body  # type: ignore[attr-defined]  # a BuiltManifest

    assert references_of(Digest.of(body), body) == _in_full(body)


def test_a_manifest_of_unknown_type_names_whatever_stands_in_it() -> None:
    named = Digest.of(b"somewhere deep")
    body = json.dumps({"mediaType": "application/vnd.example.v9+json", "a": [{"b": f"x {named} y"}]}).encode()

    assert references_of(Digest.of(body), body) == References.of(named=(named,))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"layers": 5}{'])
def test_what_is_no_manifest_is_an_error(body: bytes) -> None:
    with pytest.raises(ManifestError):
        references_of(Digest.of(body), body)
