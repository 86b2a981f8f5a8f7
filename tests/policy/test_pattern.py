"""Patterns: globs, regular expressions, versions, and repositories with exceptions."""

import pytest

from jettison.errors import ConfigurationError
from jettison.policy.pattern import Glob, PatternError, Regex, RepositoryPatterns, VersionPattern


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*", ["latest", "1.2"], ["team/app"]),
        ("**", ["app", "team/app", "a/b/c"], []),
        ("team/*", ["team/app"], ["team/sub/app", "team"]),
        ("team/**", ["team/app", "team/sub/app"], ["team", "teams/app"]),
        ("**/app", ["app", "team/app", "a/b/app"], ["team/apps"]),
        ("release-?", ["release-1"], ["release-10", "release-"]),
        ("v[0-9]*", ["v1", "v1.2"], ["va"]),
        ("v[!0-9]*", ["va"], ["v1"]),
        ("{main,dev*}", ["main", "develop"], ["mainly"]),
        ("1.2", ["1.2"], ["1x2"]),
    ],
)
def test_globs(pattern: str, yes: list[str], no: list[str]) -> None:
    glob = Glob(pattern)
    assert [name for name in yes if not glob.matches(name)] == []
    assert [name for name in no if glob.matches(name)] == []


@pytest.mark.parametrize("pattern", ["", "[abc", "{a,b", "[z-a]"])
def test_globs_that_are_none(pattern: str) -> None:
    with pytest.raises(PatternError):
        Glob(pattern)


def test_a_regex_matches_the_whole_tag() -> None:
    assert Regex("rel.*").matches("release")
    assert not Regex("rel").matches("release")
    assert not Regex("lease$").matches("release")


def test_look_around_works_and_is_bounded() -> None:
    assert Regex(r"(?!latest).*").matches("1.2")
    assert not Regex(r"(?!latest).*").matches("latest")
    with pytest.raises(ConfigurationError, match="took more than"):
        Regex(r"(?=x)?(a|a|aa)+(?<!b)$").matches("a" * 100 + "!")


def test_what_re2_can_say_is_linear() -> None:
    assert not Regex(r"(a+)+b").matches("a" * 128)


@pytest.mark.parametrize("pattern", ["a\ud800", "(?!x)" + "(" * 2000 + ")" * 2000])
def test_a_regex_that_cannot_be_read_here(pattern: str) -> None:
    with pytest.raises(PatternError, match=r"half a character|too deeply"):
        Regex(pattern)


@pytest.mark.parametrize("pattern", ["(", "[a", r"\k<x>", "a{2"])
def test_a_regex_that_is_none_or_literal(pattern: str) -> None:
    if pattern == "a{2":
        assert Regex(pattern).matches("a{2"), "an unfinished repetition is literal, in RE2 as elsewhere"
        return
    with pytest.raises(PatternError, match="cannot be read"):
        Regex(pattern)


def test_version_patterns() -> None:
    assert VersionPattern(Glob("*")).matches("1.2.3")
    assert not VersionPattern(Glob("*")).matches("latest")
    assert not VersionPattern(Glob("1.*")).matches("2.0")


def test_repositories_with_exceptions() -> None:
    patterns = RepositoryPatterns.parse(["team/**", "!team/base/**"])
    assert patterns.matches("team/app")
    assert not patterns.matches("team/base/debian")
    with pytest.raises(PatternError, match="only take out"):
        RepositoryPatterns.parse(["!team/**"])


def test_a_bracket_with_an_exclamation_mark_stays_within_a_segment() -> None:
    patterns = RepositoryPatterns.parse(["team[!0-9]*"])
    assert patterns.matches("team-a")
    assert not patterns.matches("team/app")
