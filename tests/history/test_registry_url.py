"""One spelling for each registry."""

import pytest

from jettison.history.registry_url import canonical


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("http://Registry.Example:80/", "http://registry.example"),
        ("https://registry.example:443", "https://registry.example"),
        ("http://registry.example:443", "http://registry.example:443"),
        ("HTTPS://u:p@registry.example/Prefix/", "https://registry.example/Prefix"),
        ("http://[::1]:5000/", "http://[::1]:5000"),
        (" production ", "production"),
        ("u:p@registry.example:5000", "registry.example:5000"),
        ("http://u:p@registry.example:port", "registry.example:port"),
        ("http://u:p@[registry", "[registry"),
    ],
)
def test_canonical(spelling: str, expected: str) -> None:
    assert canonical(spelling) == expected
    assert canonical(expected) == expected
