"""Listings: the names of repositories and tags, page by page to the end."""

from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

from jettison.registry.documents import read_names
from jettison.registry.paging import Pages, PageSizes
from jettison.registry.transport import Transport
from jettison.registry.url import RegistryUrl

# distribution's `catalog: maxentries` and `tags: maxtags` are 1000 unless configured; a larger n is refused there.
_PAGE: Final = 1000
# What a server that knows no `last` may answer to it.
_NO_LAST: Final = frozenset({400, 404, 405})


class Listings:
    """The listings of one registry, and what was learnt of how it pages them.

    `sizes` is how many names to ask for, by the key of the listing's document; 0 leaves it to the server.
    """

    def __init__(self, url: RegistryUrl, limit: int) -> None:
        """List the registry at `url`; a page has at most `limit` bytes."""
        self._url = url
        self._limit = limit
        self._seen = {"repositories": PageSizes(), "tags": PageSizes()}
        self.sizes = {"repositories": _PAGE, "tags": _PAGE}

    async def pages(
        self, transport: Transport, target: str, scope: str, what: str, key: str
    ) -> AsyncIterator[list[str]]:
        """Yield the new names of each page of the listing at `target`, a path; they stand in it under `key`.

        Raises what `Transport.refusal` returns, and ContentError for a listing that is damaged or goes in a circle.
        """
        pages = Pages(self._url, what)
        size = self.sizes[key]
        seen = self._seen[key]
        first = True
        doubted = 0
        here: str | None = f"{target}?n={size}" if size else target
        while here is not None:
            answer = await transport.request("GET", here, scope=scope, what=what, limit=self._limit)
            if answer.status == 400 and size and first:
                # A smaller maximum is configured: the server's own page size is always allowed.
                size = self.sizes[key] = 0
                here = target
                continue
            # A page as long as was asked for is surely cut or ends by chance: then a refusal leaves it open.
            if doubted and doubted != size and answer.status in _NO_LAST:
                seen.ended(doubted)
                return
            if answer.status != 200:
                raise transport.refusal(what, answer)
            names = read_names(self._url, what, answer, key)
            first = False
            new = pages.add(names)
            yield new
            if doubted and not new:
                seen.ended(doubted)
            doubted = 0
            here = pages.follow(here, answer.headers.getall("Link", ()), entries=len(names), new=len(new))
            if seen.may_be_cut(len(names), size, linked=here is not None) and new:
                # No link: the end, or a server that pages without links (or a proxy that drops them), perhaps by a
                # smaller size than was asked for. One more request tells; a server that ignores `last` repeats
                # itself, and then nothing is new.
                doubted = len(names)
                asked = f"n={size}&" if size else ""
                here = f"{target}?{asked}last={quote(names[-1], safe='')}"
