"""The paths of the registry's storage, version 2 of its layout (distribution, registry/storage/paths.go).

    docker/registry/v2/
      blobs/<algorithm>/<first two hex>/<hex>/data
      repositories/<name>/
        _layers/<algorithm>/<hex>/link                   makes a blob visible in the repository
        _manifests/revisions/<algorithm>/<hex>/link      makes a manifest one of the repository's
        _manifests/tags/<tag>/current/link               what the tag points to
        _manifests/tags/<tag>/index/<algorithm>/<hex>/link
        _uploads/<uuid>/{data,startedat,hashstates}

All paths are relative to the root directory of the storage driver. Names of folders hold the digests, so a link's
content matters in two places only: a tag's `current/link`, and layer links under another algorithm than sha256, whose
blob is stored as sha256 all the same.
"""

from collections.abc import Iterable
from typing import Final

from jettison.collect.packed import WIDTH, DigestText, pack_names
from jettison.oci.digest import Digest

BASE: Final = "docker/registry/v2"
BLOBS: Final = f"{BASE}/blobs"
REPOSITORIES: Final = f"{BASE}/repositories"

LAYERS: Final = "_layers"
MANIFESTS: Final = "_manifests"
UPLOADS: Final = "_uploads"
REPOSITORY_MARKS: Final = frozenset({LAYERS, MANIFESTS, UPLOADS})
"""A folder that has one of these is a repository; other folders only lead to repositories."""

REVISIONS: Final = f"{MANIFESTS}/revisions"
TAGS: Final = f"{MANIFESTS}/tags"
ASIDE: Final = "jettison-removed-"
"""Begins the name of a tag's folder in `_manifests` that is being removed; the registry looks at no such name."""

HEX_LENGTH: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
CANONICAL: Final = "sha256"
"""The algorithm that blobs are stored under, whatever digest they were pushed with."""

OWN: Final = "jettison"
"""The folder of our own below the root; the registry looks at no such name."""
QUARANTINE: Final = f"{OWN}/quarantine"

LONGEST_LINK: Final = 256
"""Bytes; more than any digest takes."""


def repository_folder(name: str) -> str:
    """Return the folder of a repository."""
    return f"{REPOSITORIES}/{name}"


def revisions_folder(name: str) -> str:
    """Return the folder that has a folder of revisions for each algorithm."""
    return f"{REPOSITORIES}/{name}/{REVISIONS}"


def layers_folder(name: str) -> str:
    """Return the folder that has a folder of layer links for each algorithm."""
    return f"{REPOSITORIES}/{name}/{LAYERS}"


def tags_folder(name: str) -> str:
    """Return the folder that has a folder for each tag."""
    return f"{REPOSITORIES}/{name}/{TAGS}"


def uploads_folder(name: str) -> str:
    """Return the folder that has a folder for each unfinished upload."""
    return f"{REPOSITORIES}/{name}/{UPLOADS}"


def revision_link(name: str, digest: Digest) -> str:
    """Return the link of a revision."""
    return f"{revisions_folder(name)}/{digest.algorithm}/{digest.hex}/link"


def layer_link(name: str, digest: Digest) -> str:
    """Return the link of a layer."""
    return f"{layers_folder(name)}/{digest.algorithm}/{digest.hex}/link"


def tag_link(name: str, tag: str) -> str:
    """Return the link that says what a tag points to."""
    return f"{tags_folder(name)}/{tag}/current/link"


def blob_folder(digest: Digest) -> str:
    """Return the folder of a blob."""
    return f"{BLOBS}/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}"


def blob_data(digest: Digest) -> str:
    """Return the file that holds a blob's bytes."""
    return f"{blob_folder(digest)}/data"


def digest_of_folder(algorithm: str, name: str) -> Digest | None:
    """Return the digest that the folder `<algorithm>/<name>` stands for, None where it stands for none."""
    if len(name) != HEX_LENGTH.get(algorithm):
        return None
    try:
        return Digest(f"{algorithm}:{name}")
    except ValueError:
        return None


def digests_of_folders(algorithm: str, names: list[str], prefix: str = "") -> tuple[Iterable[DigestText], list[str]]:
    """Return the digests that the folders of one algorithm stand for, and the names that stand for none.

    With a `prefix`, each must begin with it, as the folders of blobs do.
    """
    if algorithm == CANONICAL and not prefix and pack_names(names) is not None:
        return map(f"{algorithm}:".__add__, names), []
    found: list[DigestText] = []
    foreign: list[str] = []
    for name in names:
        digest = digest_of_folder(algorithm, name) if name.startswith(prefix) else None
        if digest is None:
            foreign.append(name)
        else:
            found.append(digest)
    return found, foreign


def packed_blobs(algorithm: str, names: list[str], prefix: str) -> bytes | None:
    """Return the digests of a folder of blobs packed, None where a name is not like the others.

    A registry has millions of blobs: where all names are right, which is nearly always, one look at all of them
    together tells.
    """
    packed = pack_names(names) if algorithm == CANONICAL else None
    if not packed:
        return packed
    if packed[:1].hex() != prefix or packed[::WIDTH] != packed[:1] * len(names):
        return None
    return packed


def parse_link(content: bytes) -> Digest | None:
    """Return the digest that a link's content is, None where it is none. The registry allows no white space either."""
    try:
        return Digest(content.decode("ascii"))
    except ValueError:
        return None


def readable(name: str) -> str:
    """Return a file's name so that it can be printed: bytes that are no UTF-8 are shown as `\\xff`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
