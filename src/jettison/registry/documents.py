"""What stands in a registry's answers: lists of names, referrers, headers. Read strictly: what lacks is an error."""

from typing import Final

import msgspec

from jettison.errors import ContentError
from jettison.oci.digest import Digest
from jettison.oci.manifest import Descriptor
from jettison.registry.refusals import error_codes
from jettison.registry.url import RegistryUrl
from jettison.registry.wire import Answer

_API_VERSION: Final = "Docker-Distribution-Api-Version"


class _Names(msgspec.Struct):
    repositories: list[str] | None = None
    tags: list[str] | None = None


class _Referrer(msgspec.Struct):
    digest: str
    size: int
    mediaType: str  # noqa: N815  (the wire's own name)
    artifactType: str | None = None  # noqa: N815  (the wire's own name)


class _Referrers(msgspec.Struct):
    manifests: list[_Referrer] | None


_decode_names = msgspec.json.Decoder(_Names).decode
_decode_referrers = msgspec.json.Decoder(_Referrers).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def check_ping(url: RegistryUrl, answer: Answer) -> None:
    """Raise ContentError where an answer to `GET /v2/` is not a registry's.

    A registry answers 200, or 401 with a challenge. Web servers that answer every path with a page are told by it.
    """
    if _API_VERSION in answer.headers or answer.status in {403, 429} or answer.status >= 500:
        return
    if answer.status == 401 and "WWW-Authenticate" in answer.headers:
        return
    if answer.status == 200 and (not answer.body.strip() or _is_object(answer.body)):
        return
    hint = f" Or is it HTTPS, so https://{url.authority}?" if url.is_plain and answer.status == 400 else ""
    raise ContentError(
        f"not a registry: {url} answers HTTP {answer.status} to {url.prefix}/v2/ as no registry does. Is the port "
        f"right, and the path below which a proxy serves the registry?{hint}",
        status=answer.status,
    )


def read_names(url: RegistryUrl, what: str, answer: Answer, key: str) -> list[str]:
    """Read a page of repositories or tags; null is an empty one. Raises ContentError for anything else."""
    document = _object(url, what, answer)
    if key not in document:
        raise ContentError(f"registry {url}, {what}: the answer has no {key!r} in it")
    try:
        names = _decode_names(answer.body)
    except msgspec.DecodeError as error:
        raise ContentError(f"registry {url}, {what}: the answer is damaged: {error}") from error
    return (names.repositories if key == "repositories" else names.tags) or []


def read_referrers(url: RegistryUrl, what: str, answer: Answer, artifact_type: str | None) -> list[Descriptor]:
    """Read a page of referrers, an index (distribution-spec, "Listing Referrers").

    Keeps those of `artifact_type` where one was asked for and `OCI-Filters-Applied` does not say that the registry
    did. Raises ContentError where it is no index, or a descriptor in it is damaged.
    """
    applied = {name.strip() for name in answer.headers.get("OCI-Filters-Applied", "").split(",")}
    keeps_all = artifact_type is None or "artifactType" in applied
    try:
        listed = _decode_referrers(answer.body).manifests or []
        return [
            Descriptor(each.mediaType, Digest(each.digest), each.size)
            for each in listed
            if keeps_all or each.artifactType == artifact_type
        ]
    except (msgspec.DecodeError, ValueError) as error:
        raise ContentError(f"registry {url}, {what}: the answer is no index, or damaged: {error}") from error


def digest_header(answer: Answer) -> Digest | None:
    """Return the digest that the answer claims, None where it claims none that could be verified."""
    try:
        return Digest(answer.headers.get("Docker-Content-Digest", ""))
    except ValueError:
        return None


def media_type_header(answer: Answer) -> str:
    """Return the media type without parameters, empty where there is none."""
    return answer.headers.get("Content-Type", "").partition(";")[0].strip()


def _object(url: RegistryUrl, what: str, answer: Answer) -> dict[str, msgspec.Raw]:
    try:
        return _decode_object(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContentError(
            f"registry {url}, {what}: the answer is no JSON object (truncated, damaged, or not a registry's): {error}"
        ) from error


def _is_object(body: bytes) -> bool:
    try:
        _decode_object(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def tag_deletion_by(answer: Answer) -> bool | None:
    """Return what the answer to `tags/list?n=-1` says about tag deletion (tried on 2.8.2 and 3.1.1)."""
    if answer.status == 400 and "PAGINATION_NUMBER_INVALID" in error_codes(answer.body):
        return True
    is_distribution = answer.headers.get(_API_VERSION) == "registry/2.0"
    # 3.x dropped the charset; other servers that send the version header mostly never had it.
    if answer.status == 200 and is_distribution and answer.headers.get("Content-Type", "").endswith("; charset=utf-8"):
        return False
    return None
