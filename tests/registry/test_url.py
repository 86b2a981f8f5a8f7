"""RegistryUrl: what is taken for an address, and what is refused with which words."""

import pytest

from jettison.errors import UsageError
from jettison.registry.url import RegistryUrl, origin_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("registry.example.org", "https://registry.example.org"),
        ("registry.example.org:5000", "https://registry.example.org:5000"),
        ("localhost:5000", "https://localhost:5000"),
        ("127.0.0.1:5000", "https://127.0.0.1:5000"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://registry:80/", "http://registry"),
        ("https://Registry.Example.ORG:443", "https://registry.example.org"),
        ("https://host/images/", "https://host/images"),
        ("https://host/images/v2/", "https://host/images"),
        ("https://host/v2", "https://host"),
        ("https://[::1]:5000", "https://[::1]:5000"),
        ("docker.io", "https://registry-1.docker.io"),
    ],
)
def test_reads_what_people_write(text: str, shown: str) -> None:
    assert str(RegistryUrl.parse(text)) == shown
    assert RegistryUrl.parse(shown) == RegistryUrl.parse(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no host name"),
        ("ftp://host", "no way to reach a registry"),
        ("unix:///run/x.sock", "no way to reach a registry"),
        ("https://", "no host name"),
        ("https://host:port", "port"),
        ("https://host:0", "port"),
        ("https://host:99999", "port"),
        ("https://host/?n=1", "neither"),
        ("https://host/#top", "neither"),
        ("https://host/a/../b", "no path"),
        ("https://host/a b", "no path"),
        ("https://ho st", "no host name"),
        ("https://host\r\nX: y", "no "),
        ("https://[::1", "no URL"),
    ],
)
def test_refuses_what_is_no_address(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        RegistryUrl.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://tester:s3cret@host:5000",
        "tester:s3cret@host",
        "http://s3cret@host/prefix",
        "https://tester:s3cret/x@host",
        "ftp://tester:s3cret@host",
    ],
)
def test_says_where_credentials_go_without_repeating_them(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        RegistryUrl.parse(text)
    assert "s3cret" not in str(caught.value)


def test_names_all_three_places_for_credentials() -> None:
    with pytest.raises(UsageError, match=r"JETTISON_USERNAME and JETTISON_PASSWORD.*docker login.*auth:"):
        RegistryUrl.parse("https://tester:s3cret@host:5000")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://host/path?x", "https://host"),
        ("https://HOST:443", "https://host"),
        ("http://host:443/", "http://host:443"),
        ("http://host@other/", "http://other"),
        ("/v2/", None),
        ("ftp://host/", None),
        ("https://[::1/", None),
    ],
)
def test_origins_tell_addresses_apart(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin
