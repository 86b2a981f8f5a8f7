"""Challenges of WWW-Authenticate headers, as servers write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.registry.challenge import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="jettison tests"', [Challenge("basic", {"realm": "jettison tests"})]),
        (
            'Bearer realm="https://auth/token",service="registry",scope="repository:a/b:pull,push"',
            [
                Challenge(
                    "bearer",
                    {"realm": "https://auth/token", "service": "registry", "scope": "repository:a/b:pull,push"},
                )
            ],
        ),
        (
            'Negotiate, Basic realm="a \\"b\\", c", Bearer realm=token , error="x"',
            [
                Challenge("negotiate"),
                Challenge("basic", {"realm": 'a "b", c'}),
                Challenge("bearer", {"realm": "token", "error": "x"}),
            ],
        ),
        (
            'NTLM TlRMTVNTUAACAAAA==, BEARER Realm = "r"',
            [Challenge("ntlm"), Challenge("bearer", {"realm": "r"})],
        ),
        (', ,Basic realm="x"', [Challenge("basic", {"realm": "x"})]),
        ("Basic", [Challenge("basic")]),
        ('Bearer realm="never closed', [Challenge("bearer")]),
        ("", []),
    ],
)
def test_reads_what_servers_send(header: str, expected: list[Challenge]) -> None:
    assert [each for each in parse_challenges([header]) if each.scheme != "realm"] == expected


def test_joins_several_headers() -> None:
    assert [each.scheme for each in parse_challenges(['Basic realm="a"', 'Bearer realm="b"'])] == ["basic", "bearer"]


@given(st.text(alphabet='Bearer ,="\\\\abc=/ \t'))
def test_ends_on_any_text(header: str) -> None:
    for challenge in parse_challenges([header]):
        assert challenge.scheme


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_quoted_values_come_back_as_they_were(value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    (challenge,) = parse_challenges([f'Bearer realm="{quoted}", service=s'])
    assert challenge.parameters == {"realm": value, "service": "s"}
