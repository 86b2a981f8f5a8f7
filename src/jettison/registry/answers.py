"""Values that the registry client returns, beside Descriptor."""

from dataclasses import dataclass

from jettison.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class FetchedManifest:
    """A manifest as the registry sent it; `digest` was computed from `body`, `media_type` is the answer's."""

    digest: Digest
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a registry would let us delete in one repository, found out without deleting anything.

    A reason is empty where the ability is there; otherwise it is a sentence with the way out.
    """

    deletes_manifests: bool
    deletes_tags: bool
    read_only: bool = False
    manifests_reason: str = ""
    tags_reason: str = ""


@dataclass(frozen=True, slots=True)
class RequestReport:
    """One HTTP request as it ended, for metrics and tests.

    `target` is the path, with the query on the registry itself; on another host (a redirect) origin and path, since
    queries of pre-signed URLs are secrets. `status` is None where no answer came. `seconds` include reading the body,
    `size` is the body's bytes.
    """

    method: str
    target: str
    status: int | None
    attempt: int
    seconds: float
    size: int
