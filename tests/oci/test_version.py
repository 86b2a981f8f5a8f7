"""Tags as versions: what is one, what is none, and the order in which a person would put them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.oci.version import Version, parse_version

# Oldest first, as a person would say.
IN_ORDER = [
    "0.9",
    "v1.2",
    "1.2.3-dev",
    "1.2.3-alpha",
    "1.2.3-alpha.2",
    "1.2.3-beta1",
    "1.2.3-rc.1",
    "1.2.3-rc.2",
    "1.2.3-rc.10",
    "1.2.3",
    "1.2.3-1",
    "1.2.3-5-g1a2b3c4",
    "1.2.3.4",
    "1.9.0",
    "1.10.0-rc.1",
    "1.10.0",
    "v1.11",
    "2",
]


def version(tag: str) -> Version:
    parsed = parse_version(tag)
    assert parsed is not None, tag
    return parsed


def test_versions_stand_in_the_order_of_a_person() -> None:
    shuffled = random.Random(7).sample(IN_ORDER, len(IN_ORDER))
    assert sorted(shuffled, key=version) == IN_ORDER


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "main",
        "1234567",  # seven digits: an abbreviated commit as likely as a number
        "1a2b3c4",
        "3e10abc",
        "deadbeef",
        "123-fix-login",
        "sha256-" + "0" * 64 + ".sig",
        "v",
        "v1x",
        "release-1.2.3",
        "1.x",
        "1.2.x",
        "v1.2.X-alpine",
        "",
    ],
)
def test_what_may_be_something_else_is_no_version(tag: str) -> None:
    assert parse_version(tag) is None


@pytest.mark.parametrize(
    ("tag", "line"),
    [
        ("1.2.3", ""),
        ("v1.2.3-rc.1", ""),
        ("1.2.3-alpine", "alpine"),
        ("1.2.3-ALPINE", "alpine"),
        ("1.2.3-alpine3.19", "alpine3-19"),
        ("1.2.3-rc.1-alpine", "alpine"),
        ("1.2.3-debian-11-r5", "debian-11"),
        ("1.2.3-1a2b3c4", ""),
        ("2026.11.24", "calendar"),
        ("2026-11-24", "calendar"),
        ("20261124", "calendar"),
        ("2026.11.24-slim", "calendar slim"),
        ("42", ""),
    ],
)
def test_lines_of_versions(tag: str, line: str) -> None:
    assert version(tag).line == line


def test_the_same_version_in_other_words() -> None:
    assert version("1.2") == version("v1.2.0") == version("1.2.0.RELEASE")
    assert hash(version("1.2")) == hash(version("1.2.0"))
    assert version("1.2") != version("1.2-alpine")


def test_dates_stand_in_the_order_of_days_however_they_are_written() -> None:
    written = ["20251231", "2026.1.2", "2026-01-03", "20260104", "202601041530", "2026_01_05", "20260106-2", "2026.1.7"]
    shuffled = random.Random(7).sample(written, len(written))
    assert sorted(shuffled, key=version) == written
    assert version("20261124") == version("2026.11.24") == version("2026-11-24") == version("2026_11_24")
    assert {version(tag).line for tag in written} == {"calendar"}


def test_prereleases_are_told() -> None:
    assert version("1.0-rc1").is_prerelease
    assert not version("1.0-r1").is_prerelease


tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True)
versions = st.from_regex(r"v?[0-9]{1,3}(\.[0-9]{1,4}){1,3}(-(rc\.?[0-9]|alpine|slim|[0-9]{1,3}|beta))?", fullmatch=True)


@given(tags)
def test_every_legal_tag_is_a_version_or_none(tag: str) -> None:
    parse_version(tag)


@given(versions, versions, versions)
def test_the_order_is_total(one: str, two: str, three: str) -> None:
    a, b, c = version(one), version(two), version(three)
    assert (a < b) + (b < a) + (a == b) == 1
    assert not (a < b and b < c) or a < c
