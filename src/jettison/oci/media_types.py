"""Media types of manifests and of what they refer to (image-spec, media-types.md; docker image-spec v2.2)."""

from typing import Final

OCI_IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_ARTIFACT: Final = "application/vnd.oci.artifact.manifest.v1+json"
DOCKER_IMAGE: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"

IMAGE_TYPES: Final = frozenset({OCI_IMAGE, DOCKER_IMAGE})
INDEX_TYPES: Final = frozenset({OCI_INDEX, DOCKER_LIST})

MANIFEST_TYPES: Final = (OCI_IMAGE, OCI_INDEX, DOCKER_IMAGE, DOCKER_LIST, OCI_ARTIFACT)
"""What an Accept header asks for, so that a server converts nothing."""


def is_foreign(media_type: str) -> bool:
    """Whether a layer of this type usually lives elsewhere and takes no space in the registry."""
    return ".foreign." in media_type or ".nondistributable." in media_type
