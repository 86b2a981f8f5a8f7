"""Following a listing's pages: RFC 8288 links, and the ways in which a listing can fail to end."""

import pytest

from jettison.errors import ContentError
from jettison.registry.paging import Pages, next_target
from jettison.registry.url import RegistryUrl

URL = RegistryUrl.parse("https://host:5000")


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('</v2/_catalog?last=a%2Fb&n=3>; rel="next"', "/v2/_catalog?last=a%2Fb&n=3"),
        ("<https://host/x>; rel=next", "https://host/x"),
        ('</a,b>; title="<x>; rel=\\"next\\""; rel="last", </c>; REL="prev Next"', "/c"),
        ('</a>;rel="prev",</b>;rel="next"', "/b"),
        ('</a>; rel="last"', None),
        ("", None),
        ("garbage", None),
    ],
)
def test_finds_the_next_link(header: str, target: str | None) -> None:
    assert next_target([header]) == target


def follow(pages: Pages, here: str, link: str, *, entries: int = 1, new: int = 1) -> str | None:
    return pages.follow(here, [f'<{link}>; rel="next"'], entries=entries, new=new)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("/v2/_catalog?last=b", "/v2/_catalog?last=b"),
        ("?last=b", "/v2/_catalog?last=b"),
        ("_catalog?last=b", "/v2/_catalog?last=b"),
        ("https://host:5000/v2/_catalog?last=b", "/v2/_catalog?last=b"),
        ("//host:5000/v2/_catalog?last=b", "/v2/_catalog?last=b"),
    ],
)
def test_resolves_links_against_the_page(link: str, target: str) -> None:
    assert follow(Pages(URL, "x"), "/v2/_catalog?n=1", link) == target


def test_puts_a_prefix_back_that_a_proxy_took_away() -> None:
    pages = Pages(RegistryUrl.parse("https://host/images"), "x")
    assert follow(pages, "/images/v2/_catalog", "/v2/_catalog?last=b") == "/images/v2/_catalog?last=b"
    assert follow(pages, "/images/v2/_catalog", "/images/v2/_catalog?last=c") == "/images/v2/_catalog?last=c"


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere:5000/v2/_catalog?last=b",
        "http://host:5000/v2/_catalog?last=b",
        "https://host/v2/_catalog?last=b",
        "https://host:5000@evil/v2/",
        "javascript:1",
        "http://[",
        "/v2/_catalog?last=a b",
    ],
)
def test_leaves_the_registry_for_no_link(link: str) -> None:
    with pytest.raises(ContentError, match="own scheme, host and port"):
        follow(Pages(URL, "x"), "/v2/_catalog", link)


def test_refuses_a_link_to_the_page_itself() -> None:
    with pytest.raises(ContentError, match="circle"):
        follow(Pages(URL, "x"), "/v2/_catalog?n=1", "/v2/_catalog?n=1")


def test_refuses_a_link_to_an_earlier_page() -> None:
    pages = Pages(URL, "x")
    follow(pages, "/1", "/2")
    with pytest.raises(ContentError, match="circle"):
        follow(pages, "/2", "/1")


def test_refuses_a_page_that_only_repeats() -> None:
    with pytest.raises(ContentError, match="circle"):
        follow(Pages(URL, "x"), "/1", "/2", entries=3, new=0)


def test_goes_past_some_empty_pages_but_not_for_ever() -> None:
    pages = Pages(URL, "x")
    for page in range(1000):
        assert follow(pages, f"/{page}", f"/{page + 1}", entries=0, new=0) == f"/{page + 1}"
    with pytest.raises(ContentError, match="circle"):
        follow(pages, "/1000", "/1001", entries=0, new=0)


def test_keeps_names_once() -> None:
    pages = Pages(URL, "x")
    assert pages.add(["a", "b", "a"]) == ["a", "b"]
    assert pages.add(["b", "c"]) == ["c"]
