"""Images, indexes, artifacts and signatures made as bytes; `push` and `pull` move them to and from a registry."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from jettison.oci.digest import Digest
from jettison.testing.built import BuiltBlob, BuiltManifest
from jettison.testing.layers import diff_id, random_layer
from jettison.testing.transfer import pull, push

__all__ = [
    "BuiltBlob",
    "BuiltManifest",
    "artifact",
    "image",
    "index",
    "oci_artifact_manifest",
    "pull",
    "push",
    "random_layer",
    "referrers_tag",
    "signature_of",
    "signature_tag",
]

Media = Literal["oci", "docker"]

OCI_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_ARTIFACT: Final = "application/vnd.oci.artifact.manifest.v1+json"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"
DOCKER_IMAGE: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
COSIGN_PAYLOAD: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
COSIGN_SIGNATURE: Final = "dev.cosignproject.cosign/signature"


def image(
    layers: Sequence[bytes] | None = None,
    *,
    seed: int | str = 0,
    size: int = 1024,
    created: datetime | None = None,
    platform: str = "linux/amd64",
    media: Media = "oci",
    labels: Mapping[str, str] | None = None,
    config_extra: Mapping[str, object] | None = None,
    subject: BuiltManifest | Mapping[str, object] | None = None,
    annotations: Mapping[str, str] | None = None,
    layer_algorithm: str = "sha256",
) -> BuiltManifest:
    """Return an image for one platform (image-spec, manifest.md; Docker's schema 2 with `media="docker"`).

    Without `layers` it has one random layer of `size` bytes made from `seed`; the seed stands in the config too, so
    images of different seeds differ even where their layers are shared. A `created` of None leaves the date out.
    `config_extra` is merged into the config, and a None there removes the key.
    """
    layers = [random_layer(seed, size)] if layers is None else layers
    system, architecture, *variant = platform.split("/")
    config: dict[str, object] = {
        "architecture": architecture,
        "os": system,
        **({"variant": variant[0]} if variant else {}),
        **({"created": _rfc3339(created)} if created is not None else {}),
        "config": {"Labels": {"seed": str(seed), **(labels or {})}},
        "rootfs": {"type": "layers", "diff_ids": [str(diff_id(layer)) for layer in layers]},
    }
    config |= config_extra or {}
    config = {key: value for key, value in config.items() if value is not None}
    layer_type, config_type = (OCI_LAYER, OCI_CONFIG) if media == "oci" else (DOCKER_LAYER, DOCKER_CONFIG)
    blobs = [_blob(_json(config), config_type)]
    blobs += [_blob(layer, layer_type, algorithm=layer_algorithm) for layer in layers]
    return _image_manifest(
        OCI_IMAGE if media == "oci" else DOCKER_IMAGE,
        blobs,
        subject=subject,
        annotations=annotations,
        platform=platform,
    )


def index(
    children: Sequence[BuiltManifest],
    *,
    media: Media = "oci",
    subject: BuiltManifest | Mapping[str, object] | None = None,
    annotations: Mapping[str, str] | None = None,
    absent: Sequence[BuiltManifest] = (),
) -> BuiltManifest:
    """Return an index (image-spec, image-index.md) or, with `media="docker"`, a manifest list.

    It names `absent` too, but they are not pushed or laid out with it: a sparse index, as some clients copy them.
    """
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX if media == "oci" else DOCKER_LIST,
        "manifests": [_platform_descriptor(child) for child in (*children, *absent)],
        **_common(subject, annotations),
    }
    body = _json(document)
    return BuiltManifest(Digest.of(body), str(document["mediaType"]), body, children=tuple(children))


def artifact(
    blobs: Sequence[bytes] = (b"an artifact's content",),
    *,
    artifact_type: str = "application/vnd.example.sbom",
    blob_type: str = "application/octet-stream",
    subject: BuiltManifest | Mapping[str, object] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> BuiltManifest:
    """Return an artifact as an image manifest with `artifactType` and the empty config (manifest.md, "Guidelines")."""
    parts = [_blob(b"{}", OCI_EMPTY), *(_blob(body, blob_type) for body in blobs)]
    return _image_manifest(OCI_IMAGE, parts, subject=subject, annotations=annotations, artifact_type=artifact_type)


def oci_artifact_manifest(
    blobs: Sequence[bytes] = (b"an artifact's content",),
    *,
    artifact_type: str = "application/vnd.example.sbom",
    subject: BuiltManifest | Mapping[str, object] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> BuiltManifest:
    """Return an artifact manifest as image-spec 1.1 had it before its release; CNCF distribution refuses it."""
    parts = tuple(_blob(body, "application/octet-stream") for body in blobs)
    document: dict[str, object] = {
        "mediaType": OCI_ARTIFACT,
        "artifactType": artifact_type,
        "blobs": [part.descriptor() for part in parts],
        **_common(subject, annotations),
    }
    body = _json(document)
    return BuiltManifest(Digest.of(body), OCI_ARTIFACT, body, parts, artifact_type=artifact_type)


def signature_of(digest: Digest, *, signature: str = "MEUCIQ==") -> BuiltManifest:
    """Return a signature of a manifest as cosign lays it out; it is pushed under `signature_tag(digest)`.

    Its `signature` is no real one: nobody here verifies it.
    """
    payload = _json(
        {
            "critical": {
                "identity": {"docker-reference": ""},
                "image": {"docker-manifest-digest": str(digest)},
                "type": "cosign container image signature",
            },
            "optional": None,
        }
    )
    layer = BuiltBlob(Digest.of(payload), COSIGN_PAYLOAD, payload, {COSIGN_SIGNATURE: signature})
    config = {
        "architecture": "",
        "os": "",
        "created": "0001-01-01T00:00:00Z",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [str(layer.digest)]},
    }
    return _image_manifest(OCI_IMAGE, [_blob(_json(config), OCI_CONFIG), layer])


def signature_tag(digest: Digest, ending: str = ".sig") -> str:
    """Return the tag of what belongs to `digest` by cosign's scheme: `.sig`, `.att` or `.sbom`."""
    return f"{referrers_tag(digest)}{ending}"


def referrers_tag(digest: Digest) -> str:
    """Return the tag that lists referrers where there is no referrers API (distribution-spec, "Referrers Tag")."""
    return f"{digest.algorithm}-{digest.hex}"


def _image_manifest(
    media_type: str,
    blobs: Sequence[BuiltBlob],
    *,
    subject: BuiltManifest | Mapping[str, object] | None = None,
    annotations: Mapping[str, str] | None = None,
    artifact_type: str | None = None,
    platform: str | None = None,
) -> BuiltManifest:
    config, *layers = blobs
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        **({"artifactType": artifact_type} if artifact_type is not None else {}),
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
        **_common(subject, annotations),
    }
    body = _json(document)
    return BuiltManifest(
        Digest.of(body), media_type, body, tuple(blobs), artifact_type=artifact_type, platform=platform
    )


def _common(
    subject: BuiltManifest | Mapping[str, object] | None, annotations: Mapping[str, str] | None
) -> dict[str, object]:
    made: dict[str, object] = {}
    if subject is not None:
        made["subject"] = subject.descriptor() if isinstance(subject, BuiltManifest) else dict(subject)
    if annotations:
        made["annotations"] = dict(annotations)
    return made


def _platform_descriptor(child: BuiltManifest) -> dict[str, object]:
    made = child.descriptor()
    if child.platform is not None:
        system, architecture, *variant = child.platform.split("/")
        made["platform"] = {"architecture": architecture, "os": system} | ({"variant": variant[0]} if variant else {})
    if child.artifact_type is not None:
        made["artifactType"] = child.artifact_type
    return made


def _blob(body: bytes, media_type: str, *, algorithm: str = "sha256") -> BuiltBlob:
    return BuiltBlob(Digest.of(body, algorithm), media_type, body)


def _rfc3339(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; use datetime(..., tzinfo=UTC)")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
