"""Globs of doublestar become ours: v1.3.4's and v4's, with the corners where they differ."""

import pytest

from jettison.errors import PolicyImportError
from jettison.policy.importers.globs import NEVER, Dialect, our_globs
from jettison.policy.pattern import Glob

BOTH = [
    ("*", ["app"], ["team/app"]),
    ("**", ["app", "team/app", "a/b/c"], []),
    ("a*", ["a", "abc"], ["ab/c", "ba"]),
    ("a*/b", ["abc/b", "a/b"], ["a/c/b"]),
    ("a*b?c*x", ["abxbbxdbxebxczzx"], ["abxbbxdbxebxczzy"]),
    ("ab[b-d]", ["abc"], ["abe", "ab", "ab-"]),
    ("ab[^b-d]", ["abe", "ab-"], ["abc"]),
    ("a?b", ["axb"], ["a/b", "ab"]),
    ("**/c", ["c", "b/c", "a/b/c"], ["a/b", "abcd", "a/abc"]),
    ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb"]),
    ("a/**", ["a/b", "a/b/c"], ["ab", "b/a"]),
    ("abc**", ["abc", "abcd"], ["abc/b"]),
    ("ab{c,d}", ["abc", "abd"], ["ab", "abcd"]),
    ("ab{c,d,*}", ["abcde", "ab"], ["ab/c"]),
    ("a{,bc}", ["a", "abc"], ["ab"]),
    ("a/{b/c,c/b}", ["a/b/c", "a/c/b"], ["a/b/b"]),
    ("{a/{b,c},abc}", ["a/b", "a/c", "abc"], ["a/b/c"]),
    ("{a/ab*}", ["a/abc"], ["a/b"]),
    (r"a\*b", [], ["ab", "axb"]),
    ("1.2", ["1.2"], ["1x2", "1.2.1"]),
    ("{web/api,db/**}", ["web/api", "db/pg/15"], ["web/ui"]),
    (r"x[a-c0-9\-]", ["xa", "x-", "x5"], ["xd", "x."]),
]


def matches(text: str, dialect: Dialect, name: str) -> bool:
    return any(Glob(each).matches(name) for each in our_globs(text, dialect))


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(("text", "matching", "others"), BOTH)
def test_a_glob_matches_what_it_matches_there(
    text: str, matching: list[str], others: list[str], dialect: Dialect
) -> None:
    assert [name for name in matching if not matches(text, dialect, name)] == []
    assert [name for name in others if matches(text, dialect, name)] == []


@pytest.mark.parametrize(
    ("text", "name", "in_v1", "in_v4"),
    [
        ("a/**", "a", False, True),
        ("a/b/**", "a/b", False, True),
        ("a/**/", "a", False, True),
        ("[!0-9]*", "v1", False, True),
        ("[!0-9]*", "1.0", True, False),
        ("{**}", "a/b", False, True),
        ("{**,x}", "a/b", False, True),
        ("{x,**}", "a", True, True),
        ("{x/**,y}", "x/a/b", True, True),
        ("{x/**,y}", "x", False, True),
        ("{x/,y}**", "x/a/b", True, True),
        ("**{,x}", "a/b", False, False),
        ("a[^b]c", "a/c", False, True),
        ("a[b-d]c", "acc", True, True),
        ("{web,web/**}", "web", False, True),
        ("{web,web/**}", "web/api", True, True),
        ("{web,api/**}", "web", True, True),
        ("{web-*,api/**}", "web-1", True, True),
        ("web*/**", "web", False, False),
        ("web*/**", "web1", False, True),
        ("web{**,x}", "web/api", False, True),
        ("a***", "a", False, False),
        ("a***", "ab", True, True),
        ("*{,a}", "ab", False, True),
        ("a*{,b}", "a", False, False),
        ("x**/", "x", False, True),
    ],
)
def test_the_two_releases_differ(text: str, name: str, in_v1: bool, in_v4: bool) -> None:
    assert (matches(text, Dialect.V1, name), matches(text, Dialect.V4, name)) == (in_v1, in_v4)


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("text", ["[", "a[", "[^", "[^bc", "[]a]", "\\", "{app,web", "ab{c,d}[", "{" * 30 + "}" * 30])
def test_a_malformed_glob_is_refused(text: str, dialect: Dialect) -> None:
    with pytest.raises(PolicyImportError, match="syntax error in pattern"):
        our_globs(text, dialect)


@pytest.mark.parametrize("text", ["web{,/**}", "{a,b}{c/d,e}", "{w*,web/**}", "{*,a/b}", "team/{a/b,**}"])
def test_braces_with_a_slash_that_fail_in_v1_or_hide_others_are_refused(text: str) -> None:
    with pytest.raises(PolicyImportError, match=r"slash in braces|hide others"):
        our_globs(text, Dialect.V1)
    our_globs(text, Dialect.V4)


@pytest.mark.parametrize("text", ["[-]", "[x-]", "[-x]", "[a-b-c]", "[a--]"])
def test_a_bare_dash_is_malformed_in_v1_only(text: str) -> None:
    with pytest.raises(PolicyImportError):
        our_globs(text, Dialect.V1)
    our_globs(text, Dialect.V4)


def test_a_closing_brace_alone_is_malformed_in_v4_only() -> None:
    with pytest.raises(PolicyImportError):
        our_globs("a}", Dialect.V4)
    assert our_globs("a}", Dialect.V1) == ["a}"]


def test_v4_reads_a_dash_behind_a_range_as_itself() -> None:
    assert [name for name in "abcd-" if matches("[a-b-d]", Dialect.V4, name)] == ["a", "b", "d", "-"]


def test_a_star_of_braces_does_not_match_the_name_above_in_v4() -> None:
    assert [matches("team/{a/b,**}", Dialect.V4, name) for name in ("team", "team/x", "team/x/y")] == [
        False, True, True,
    ]  # fmt: skip


def test_braces_are_written_out() -> None:
    assert our_globs("{latest,v1{,-slim},rc-?}", Dialect.V1) == ["latest", "v1", "v1-slim", "rc-?"]


def test_what_would_become_a_million_globs_is_refused() -> None:
    with pytest.raises(PolicyImportError, match="more than 200"):
        our_globs("{a,b}" * 20, Dialect.V1)


def test_a_class_of_nothing_that_names_hold_matches_nothing() -> None:
    assert our_globs("[€]", Dialect.V1) == [NEVER]
    assert not Glob(NEVER).matches("a")
