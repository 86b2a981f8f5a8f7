"""Paging: where the next page of a listing is (RFC 8288 `Link`; distribution-spec, "Content Discovery")."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from jettison.errors import ContentError
from jettison.registry.url import RegistryUrl, joined, origin_of

_LINK = re.compile(r'[ \t,]*<([^>]*)>((?:[ \t]*;[ \t]*[^\s=;,"]+(?:[ \t]*=[ \t]*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)')
_PARAMETER = re.compile(r';[ \t]*([^\s=;,"]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))')
_UNSAFE = re.compile(r"[^\x21-\x7e]")
# Servers that filter a listing by permission may send empty pages with a next one; a thousand in a row lead nowhere.
_EMPTY_PAGES: Final = 1000
# What servers and proxies choose as page sizes is a multiple of this.
_ROUND: Final = 50
_ENOUGH: Final = 8


def next_target(headers: Iterable[str]) -> str | None:
    """Return the target of the first link with relation `next` in these `Link` headers, None where there is none."""
    for header in headers:
        for link in _LINK.finditer(header):
            for name, quoted, plain in _PARAMETER.findall(link[2]):
                if name.lower() == "rel" and "next" in (quoted or plain).lower().split():
                    return link[1].strip()
    return None


class PageSizes:
    """What the pages of many listings tell: whether one without a link may have been cut.

    A server that pages without links, or behind a proxy that drops them, may send fewer names than it was asked for
    and hold more. A link on any page proves that it does not. So does a longer page: none was cut at less. Of the
    longest, `_ENOUGH` listings that ended there are proof, unless the length is one that servers choose.
    """

    __slots__ = ("_ended", "_linked", "_longest")

    def __init__(self) -> None:
        self._longest = 0
        self._ended = 0
        self._linked = False

    def may_be_cut(self, entries: int, asked: int, *, linked: bool) -> bool:
        """Whether more may follow a page of `entries` names, where `asked` (0: as the server likes) were asked for.

        `linked`: the page has a link to the next one.
        """
        self._linked = self._linked or linked
        if entries > self._longest:
            self._longest, self._ended = entries, 0
        if linked or not entries:
            return False
        doubtful = entries == self._longest and self._ended < _ENOUGH and not self._linked
        return doubtful or entries == asked or entries % _ROUND == 0

    def ended(self, entries: int) -> None:
        """Note that nothing followed a page of `entries` names."""
        self._ended += entries == self._longest


class Pages:
    """Follows one listing from page to page, and ends it where it would not end by itself."""

    __slots__ = ("_empty", "_names", "_targets", "_url", "_what")

    def __init__(self, url: RegistryUrl, what: str) -> None:
        """Begin a listing of the registry at `url`; `what` names it in messages."""
        self._url = url
        self._what = what
        self._targets: set[str] = set()
        self._names: set[str] = set()
        self._empty = 0

    def add(self, names: Iterable[str]) -> list[str]:
        """Return those of a page's `names` that no earlier page had."""
        new = [name for name in dict.fromkeys(names) if name not in self._names]
        self._names.update(new)
        return new

    def follow(self, here: str, links: Iterable[str], *, entries: int, new: int) -> str | None:
        """Return the target (path and query) of the page after the one at target `here`, None at the end.

        `entries` is how many names that page had, `new` how many no earlier page had. Raises ContentError for a link
        to another host, back to a page that was read already, or onwards from a page that repeats an earlier one: such
        a listing is not complete, and must not be taken for it.
        """
        link = next_target(links)
        if link is None:
            return None
        self._targets.add(here)
        target = self.own(here, link)
        self._empty = 0 if entries else self._empty + 1
        if target in self._targets or (entries and not new) or self._empty > _EMPTY_PAGES:
            raise ContentError(
                f"registry {self._url}: {self._what} is paged in a circle (the page {here} leads to {target}), so it "
                "cannot be read completely; a proxy that drops query parameters does this"
            )
        return target

    def own(self, here: str, link: str) -> str:
        """Return the target of a link on the registry itself. Raises ContentError for one that leads elsewhere."""
        url = joined(f"{self._url.origin}{here}", link)
        if _UNSAFE.search(url) or origin_of(url) != self._url.origin:
            raise ContentError(
                f"registry {self._url}: the next page of {self._what} is said to be on {origin_of(url) or 'no host'}; "
                "it is followed on the registry's own scheme, host and port only. Behind a reverse proxy, let that "
                "pass the Host and X-Forwarded-Proto headers on, or set `http.host` in the registry's configuration"
            )
        parts = urlsplit(url)
        path = parts.path
        # A registry behind a proxy that strips the prefix does not know of it.
        if self._url.prefix and not path.startswith(f"{self._url.prefix}/v2/") and path.startswith("/v2/"):
            path = self._url.prefix + path
        return f"{path}?{parts.query}" if parts.query else path
