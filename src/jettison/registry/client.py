"""RegistryClient: what can be asked of one registry over the OCI Distribution API."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from jettison.errors import ContentError, NotFoundError, UnauthorizedError, UnsupportedError
from jettison.oci import schema1
from jettison.oci.digest import Digest
from jettison.oci.manifest import Descriptor
from jettison.oci.media_types import MANIFEST_TYPES
from jettison.registry.answers import Abilities, FetchedManifest
from jettison.registry.credentials import Credentials
from jettison.registry.documents import (
    check_ping,
    digest_header,
    media_type_header,
    read_referrers,
    tag_deletion_by,
)
from jettison.registry.listings import Listings
from jettison.registry.paging import Pages
from jettison.registry.refusals import error_codes, is_read_only, unsupported_reason
from jettison.registry.settings import Limits, TlsSettings
from jettison.registry.targets import is_segment, pull_scope, repository_path, segment, shown
from jettison.registry.transport import Observe, Sleep, Transport
from jettison.registry.url import RegistryUrl
from jettison.registry.wire import Answer

_ACCEPT: Final = ", ".join(MANIFEST_TYPES)
_CATALOGUE: Final = "registry:catalog:*"
_SMALL: Final = 1024 * 1024
_NOTHING: Final = Digest("sha256:" + "0" * 64)


class RegistryClient:
    """One registry. An asynchronous context manager: connections live from entering to leaving.

    Repositories, tags and digests are given as their plain text and must be legal. Every method can raise the errors
    of `RegistryError`'s tree; those that a method means something by are named there. Many calls may run at once:
    `limits.concurrency` of their requests are under way at a time.
    """

    def __init__(
        self,
        url: RegistryUrl | str,
        *,
        credentials: Credentials | None = None,
        tls: TlsSettings | None = None,
        limits: Limits | None = None,
        observe: Observe | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Describe the connection; nothing is sent yet. Without `credentials` the registry is asked anonymously.

        `observe` is called once for every HTTP request that ended. Raises UsageError for a `url` that is none.
        """
        self.url = RegistryUrl.parse(url) if isinstance(url, str) else url
        self._credentials = credentials
        self._tls = tls or TlsSettings()
        self._limits = limits or Limits()
        self._observe = observe
        self._sleep = sleep
        self._opened: Transport | None = None
        self._root = f"{self.url.prefix}/v2/"
        self._listings = Listings(self.url, self._limits.listing_bytes)
        self._deletes_tags: bool | None = None

    def __repr__(self) -> str:
        return f"RegistryClient({self.url})"

    async def __aenter__(self) -> Self:
        """Open the client. Raises ConfigurationError where a TLS file cannot be used."""
        self._opened = Transport(
            self.url, self._credentials, self._tls, self._limits, observe=self._observe, sleep=self._sleep
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    @property
    def _transport(self) -> Transport:
        if self._opened is None:
            raise RuntimeError("a RegistryClient is used inside `async with` only")
        return self._opened

    async def ping(self) -> None:
        """Ask whether there is a registry, and whether it lets us in (distribution-spec, end-1: `GET /v2/`).

        Raises UnauthorizedError, UnreachableError, UntrustedError, or ContentError("not a registry: ...").
        """
        what = "asking whether it is one"
        # A wrong address should be told soon, so it is not tried as often as a request in the middle of a run.
        retries = min(2, self._limits.retries)
        answer = await self._transport.request(
            "GET", self._root, scope="", what=f"registry {self.url}", limit=_SMALL, retries=retries
        )
        check_ping(self.url, answer)
        if answer.status != 200:
            raise self._transport.refusal(what, answer)

    async def knock(self) -> None:
        """Ask once with HEAD for nothing, as hardly anybody else does, to be counted. Any answer will do."""
        await self._transport.request(
            "HEAD", self._root, scope="", what=f"registry {self.url}", limit=_SMALL, retries=0
        )

    async def repositories(self) -> AsyncIterator[str]:
        """Yield the name of every repository (`GET /v2/_catalog`; distribution, not in the OCI specification).

        Raises UnauthorizedError or UnsupportedError where the registry does not offer its catalogue, naming the way
        out; an error in the middle means that more repositories may exist than were yielded.
        """
        try:
            target = f"{self._root}_catalog"
            async for names in self._listings.pages(
                self._transport, target, _CATALOGUE, "its catalogue", "repositories"
            ):
                for name in names:
                    yield name
        except (UnauthorizedError, NotFoundError, UnsupportedError) as error:
            kind = UnauthorizedError if isinstance(error, UnauthorizedError) else UnsupportedError
            raise kind(
                f"{error}. Repositories can be named one by one instead: --repository NAME",
                status=error.status,
                codes=error.codes,
            ) from error

    async def tags(self, repository: str) -> tuple[str, ...]:
        """Return every tag of `repository`, in the registry's order (distribution-spec, end-8).

        A repository without tags has none, whether the registry says `[]` or `null`. Raises NotFoundError where the
        registry knows no such repository; never returns an incomplete list knowingly.
        """
        tags: list[str] = []
        what = f"listing the tags of {repository}"
        target = f"{self._root}{repository_path(repository)}/tags/list"
        async for names in self._listings.pages(self._transport, target, pull_scope(repository), what, "tags"):
            tags += names
        return tuple(tags)

    async def resolve(self, repository: str, reference: str) -> Descriptor:
        """Return what `reference`, a tag or digest, stands for now (HEAD; distribution-spec, end-3).

        Asks with GET where the answer lacks digest, media type or size. Raises NotFoundError.
        """
        what = f"manifest {shown(repository, reference)}"
        answer = await self._get_manifest("HEAD", repository, reference, what)
        if answer.status in {404, 429} or answer.status >= 500:
            raise self._transport.refusal(what, answer)
        digest = digest_header(answer)
        size = answer.headers.get("Content-Length", "")
        media_type = media_type_header(answer)
        # A size of what a proxy compressed is none.
        is_sized = size.isdigit() and size != "0" and "Content-Encoding" not in answer.headers
        if answer.status != 200 or digest is None or not media_type or not is_sized:
            fetched = await self.manifest(repository, reference)
            return Descriptor(fetched.media_type, fetched.digest, len(fetched.body))
        if ":" in reference and digest != reference:
            raise ContentError(f"registry {self.url}, {what}: it answers with another digest, {digest}")
        return Descriptor(media_type, digest, int(size))

    async def manifest(self, repository: str, reference: str) -> FetchedManifest:
        """Return the manifest at `reference`, a tag or digest, with its digest computed from its bytes (end-3).

        Raises NotFoundError; ContentError where the bytes do not have the digest that was asked for or that the answer
        claims, and where they are more than `limits.manifest_bytes`. A signed manifest of schema 1 is returned without
        its signature, as the document that has the digest.
        """
        what = f"manifest {shown(repository, reference)}"
        answer = await self._get_manifest("GET", repository, reference, what)
        if answer.status != 200:
            raise self._transport.refusal(what, answer)
        claimed = digest_header(answer)
        wanted = Digest(reference) if ":" in reference else None
        body, media_type = answer.body, media_type_header(answer)
        if media_type == schema1.SIGNED and (payload := schema1.signed_payload(body)) is not None:
            body, media_type = payload, schema1.UNSIGNED
        for digest, source in ((wanted, "the digest asked for"), (claimed, "its Docker-Content-Digest header")):
            if digest is not None and not digest.matches(body):
                actual = Digest.of(body, digest.algorithm)
                raise ContentError(
                    f"registry {self.url}, {what}: its content is damaged or not what was asked for: it has the digest "
                    f"{actual}, but {source} is {digest}"
                )
        return FetchedManifest(wanted or claimed or Digest.of(body), media_type, body)

    async def blob(self, repository: str, digest: Digest | str, *, limit: int) -> bytes:
        """Return the content of a blob of at most `limit` bytes, verified (end-2).

        Raises NotFoundError; ContentError where it is larger, or its bytes do not have the digest.
        """
        what = f"blob {shown(repository, digest)}"
        answer = await self._send("GET", repository, f"blobs/{segment(digest)}", what, limit=limit)
        if answer.status != 200:
            raise self._transport.refusal(what, answer)
        if not Digest(digest).matches(answer.body):
            raise ContentError(f"registry {self.url}, {what}: its content is damaged: it has another digest")
        return answer.body

    async def blob_size(self, repository: str, digest: Digest | str) -> int | None:
        """Return a blob's size in bytes, None where the repository has no such blob (HEAD, end-2)."""
        what = f"blob {shown(repository, digest)}"
        answer = await self._send("HEAD", repository, f"blobs/{segment(digest)}", what, limit=0)
        if answer.status == 404:
            return None
        size = answer.headers.get("Content-Length", "")
        if answer.status != 200 or not size.isdigit():
            raise self._transport.refusal(what, answer)
        return int(size)

    async def referrers(
        self, repository: str, digest: Digest | str, *, artifact_type: str | None = None
    ) -> tuple[Descriptor, ...] | None:
        """Return the manifests whose `subject` is `digest`, None where the registry does not keep such lists (end-12).

        `artifact_type` wants only those of that type; where the registry did not filter, it is done here. Raises
        ContentError where the list is damaged.
        """
        what = f"the referrers of {shown(repository, digest)}"
        pages = Pages(self.url, what)
        target: str | None = f"{self._root}{repository_path(repository)}/referrers/{segment(digest)}"
        if artifact_type is not None:
            target = f"{target}?artifactType={quote(artifact_type, safe='')}"
        found: list[Descriptor] = []
        while target is not None:
            answer = await self._transport.request(
                "GET", target, scope=pull_scope(repository), what=what, limit=self._limits.listing_bytes
            )
            if not found and answer.status in {404, 405} and "NAME_UNKNOWN" not in error_codes(answer.body):
                return None
            if answer.status != 200:
                raise self._transport.refusal(f"reading {what}", answer)
            listed = read_referrers(self.url, what, answer, artifact_type)
            new = pages.add(each.digest for each in listed)
            found += [each for each in listed if each.digest in new]
            links = answer.headers.getall("Link", ())
            target = pages.follow(target, links, entries=len(listed), new=len(new))
        return tuple(found)

    async def put_manifest(self, repository: str, reference: str, media_type: str, body: bytes) -> Digest:
        """Put a manifest under `reference`, a tag or its digest, and return its digest (end-7).

        A tag that exists is moved. Raises ContentError where the registry refuses what the manifest names (400: a blob
        or child is missing, the message says which), or answers with another digest than `body` has; UnauthorizedError
        where these credentials may not push; UnsupportedError where the registry is read-only.
        """
        what = f"putting manifest {shown(repository, reference)}"
        wanted = Digest(reference) if ":" in reference else Digest.of(body)
        if not wanted.matches(body):
            raise ContentError(f"registry {self.url}, {what}: the body to put has another digest")
        answer = await self._transport.request(
            "PUT",
            f"{self._root}{repository_path(repository)}/manifests/{segment(reference)}",
            scope=f"repository:{repository}:pull,push",
            what=what,
            limit=_SMALL,
            content=body,
            media_type=media_type,
        )
        if answer.status not in {200, 201, 202}:
            raise self._transport.refusal(what, answer)
        claimed = digest_header(answer)
        if claimed is not None and claimed != wanted:
            raise ContentError(f"registry {self.url}, {what}: it took it as another digest, {claimed}, not {wanted}")
        return wanted

    async def delete_manifest(self, repository: str, digest: Digest | str) -> bool:
        """Delete a manifest with every tag on it (end-9). True: deleted; False: it was gone already.

        Raises UnsupportedError where deletion is disabled or the registry read-only, UnauthorizedError where the
        credentials allow reading only.
        """
        return await self._delete_reference(repository, Digest(digest))

    async def delete_tag(self, repository: str, tag: str) -> bool:
        """Delete a tag and leave its manifest (end-9). True: deleted; False: it was gone already.

        Raises UnsupportedError where the server deletes digests only, as distribution 2.8 does.
        """
        return await self._delete_reference(repository, tag)

    async def delete_blob(self, repository: str, digest: Digest | str) -> bool:
        """Take a blob out of `repository`; its bytes stay (end-10). True: done; False: it was not there."""
        return await self._delete(repository, f"blobs/{segment(Digest(digest))}", digest)

    async def start_upload(self, repository: str) -> tuple[str, str]:
        """Begin an upload (end-4a) and return its identifier and its location, for `cancel_upload`.

        Nothing is uploaded: it shows which storage a registry writes to. Raises UnsupportedError where the registry is
        read-only, UnauthorizedError where these credentials may not push.
        """
        what = f"beginning an upload to {repository}"
        target = f"{self._root}{repository_path(repository)}/blobs/uploads/"
        scope = f"repository:{repository}:pull,push"
        answer = await self._transport.request("POST", target, scope=scope, what=what, limit=_SMALL)
        identifier, location = answer.headers.get("Docker-Upload-UUID", ""), answer.headers.get("Location", "")
        if answer.status != 202:
            raise self._transport.refusal(what, answer)
        if not is_segment(identifier) or not location:
            raise ContentError(f"registry {self.url}, {what}: its answer names no upload")
        return identifier, Pages(self.url, what).own(target, location)

    async def cancel_upload(self, repository: str, location: str) -> None:
        """Cancel an upload that `start_upload` began (end-4b is never sent). One that is gone is no error."""
        what = f"cancelling an upload to {repository}"
        scope = f"repository:{repository}:pull,push"
        answer = await self._transport.request("DELETE", location, scope=scope, what=what, limit=_SMALL)
        if answer.status not in {200, 202, 204, 404}:
            raise self._transport.refusal(what, answer)

    async def deletes_tags(self, repository: str) -> bool | None:
        """Tell whether the server deletes single tags, without any request that could: None where that stays unknown.

        distribution 3.x refuses a negative page size and deletes tags; 2.8 ignores it and does not. Other servers are
        not told apart by it: `preflight` asks them.
        """
        if self._deletes_tags is None:
            what = f"listing the tags of {repository}"
            target = f"{self._root}{repository_path(repository)}/tags/list?n=-1"
            answer = await self._transport.request(
                "GET", target, scope=pull_scope(repository), what=what, limit=self._limits.listing_bytes
            )
            self._deletes_tags = tag_deletion_by(answer)
        return self._deletes_tags

    async def preflight(self, repository: str) -> Abilities:
        """Find out what could be deleted in `repository`, by deleting what cannot exist.

        A digest of all zeros, and a tag with 128 random bits. Raises UnauthorizedError where deletion is not allowed to
        these credentials.
        """
        manifests = await self._try_delete(repository, _NOTHING)
        if manifests.status == 405:
            reason = f"registry {self.url} deletes nothing in {repository}: {unsupported_reason(manifests.headers)}"
            return Abilities(
                deletes_manifests=False,
                deletes_tags=False,
                read_only=is_read_only(manifests.headers),
                manifests_reason=reason,
                tags_reason=reason,
            )
        tags = await self._try_delete(repository, f"jettison-preflight-{secrets.token_hex(16)}")
        if tags.status in {400, 405}:
            reason = f"registry {self.url} deletes digests only, with all their tags, and no single tag"
            return Abilities(deletes_manifests=True, deletes_tags=False, tags_reason=reason)
        return Abilities(deletes_manifests=True, deletes_tags=True)

    async def _try_delete(self, repository: str, reference: str) -> Answer:
        what = f"finding out whether {repository} allows deletion"
        answer = await self._send("DELETE", repository, f"manifests/{reference}", what, limit=_SMALL)
        # 404 is the proper answer; some servers accept the deletion of what is not there.
        if answer.status not in {200, 202, 204, 400, 404, 405}:
            raise self._transport.refusal(what, answer)
        return answer

    async def _delete_reference(self, repository: str, reference: str) -> bool:
        """Delete a tag or manifest. A server that answers 404 to every DELETE must not be believed: nothing is gone."""
        if await self._delete(repository, f"manifests/{segment(reference)}", reference):
            return True
        try:
            await self.resolve(repository, reference)
        except NotFoundError:
            return False
        raise UnsupportedError(
            f"registry {self.url}, deleting {shown(repository, reference)}: it says that this is not there (HTTP 404), "
            "and it still is; the server, or a proxy before it, does not delete",
            status=404,
        )

    async def _delete(self, repository: str, path: str, reference: str) -> bool:
        what = f"deleting {shown(repository, reference)}"
        answer = await self._send("DELETE", repository, path, what, limit=_SMALL)
        if answer.status in {200, 202, 204}:
            return True
        if answer.status == 404:
            # Where an earlier attempt broke off, it was that one which deleted.
            return answer.repeated
        codes = error_codes(answer.body)
        if answer.status == 400 and path.startswith("manifests/") and ":" not in reference:
            raise UnsupportedError(
                f"registry {self.url}, {what}: it deletes digests only, no single tag (HTTP 400)",
                status=400,
                codes=codes,
            )
        raise self._transport.refusal(what, answer)

    async def _get_manifest(self, method: str, repository: str, reference: str, what: str) -> Answer:
        return await self._transport.request(
            method,
            f"{self._root}{repository_path(repository)}/manifests/{segment(reference)}",
            scope=pull_scope(repository),
            what=what,
            limit=self._limits.manifest_bytes,
            accept=_ACCEPT,
        )

    async def _send(self, method: str, repository: str, path: str, what: str, *, limit: int) -> Answer:
        scope = f"repository:{repository}:pull,delete" if method == "DELETE" else pull_scope(repository)
        target = f"{self._root}{repository_path(repository)}/{path}"
        return await self._transport.request(method, target, scope=scope, what=what, limit=limit)
