"""Digests: a Digest that exists is valid."""

import pytest

from jettison.oci.digest import Digest, digests_named_in

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_digest_of_nothing() -> None:
    digest = Digest.of(b"")
    assert digest == EMPTY
    assert (digest.algorithm, digest.short) == ("sha256", "e3b0c44298fc")
    assert digest.matches(b"")
    assert not digest.matches(b"x")


def test_other_algorithms() -> None:
    assert Digest.of(b"x", "sha512").matches(b"x")
    with pytest.raises(ValueError, match="md5"):
        Digest.of(b"x", "md5")


@pytest.mark.parametrize(
    "text", ["", "sha256:", EMPTY.upper(), EMPTY[:-1], EMPTY + "0", "md5:" + "0" * 32, EMPTY + "\n", EMPTY[7:]]
)
def test_what_is_no_digest(text: str) -> None:
    with pytest.raises(ValueError, match="is no digest"):
        Digest(text)


def test_digests_anywhere_in_a_text() -> None:
    other = EMPTY.replace("e3b0", "0000")
    text = f'{{"a": "{EMPTY}", "b": ["x/{other}", "{EMPTY}"], "{other.replace(":", "-")}.sig": 1}}'
    assert digests_named_in(text.encode()) == (EMPTY, other)
