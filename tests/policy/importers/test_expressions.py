"""Expressions of other systems: GitLab's, zot's and those of acr purge, as our engines read them."""

import pytest

from jettison.errors import PolicyImportError
from jettison.policy.importers.acr_regex import checked, ours
from jettison.policy.importers.expressions import alternates, re2_error, searched
from jettison.policy.pattern import Glob, Regex


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", True),
        ("(?:a|b)", False),
        ("(a|b)|c", True),
        (r"a\|b", False),
        ("[a|b]", False),
        ("[]|]", False),
        ("[^]|]x", False),
        ("[[:alpha:]|]", True),  # not plain, so taken for one
        (r"\Qa", True),
        ("v.*", False),
        ("(a)|", True),
    ],
)
def test_alternatives_outside_of_groups(text: str, expected: bool) -> None:
    assert alternates(text) is expected


@pytest.mark.parametrize("text", ["", ".*", "v1", "^v1$", "^$", "1.2", "a|b", "^dev-"])
@pytest.mark.parametrize("tag", ["v1", "xv1", "v1.2", "1x2", "dev-1", "b"])
def test_what_is_searched_is_found(text: str, tag: str) -> None:
    node = searched(text)
    found = Glob(node).matches(tag) if isinstance(node, str) else Regex(text, anywhere=True).matches(tag)
    assert found is Regex(text, anywhere=True).matches(tag)


def test_what_re2_refuses() -> None:
    assert re2_error("(?!a)b") is not None
    assert re2_error("(") is not None
    assert re2_error("a{2,3}") is None


@pytest.mark.parametrize(
    ("text", "matching", "others"),
    [
        ("^[a-z-[aeiou]]+$", ["xyz", "b"], ["abc", "e"]),
        ("^[a-z-[b-y-[m]]]+$", ["a", "z", "m"], ["b", "n"]),
        (r"^v\d+\z", ["v12"], ["v12-a"]),
        (r"^v\d+\Z", ["v12"], ["v12-a"]),
        (r"^\Q.\E$", ["QxE"], ["."]),  # no quoting there: unknown escapes are literal
        ("^[[:digit:]]+$", ["123"], ["1a"]),
        ("^[[x]$", ["[", "x"], ["y"]),
        ("^[]x]$", ["]", "x"], ["y"]),
        ("^(?>a+)b", ["aab"], ["ba"]),
        (r"(a)\1", ["aa"], ["ab"]),
        ("^(?<!x)v", ["v"], ["xv"]),
        ("^a{,2}$", ["a{,2}"], ["aa"]),
        ("^a{2}?$", ["aa"], ["a"]),
        ("^(?#nothing)a$", ["a"], ["b"]),
        (r"^[\w-[\d]]+$", ["abc"], ["ab1"]),
        ("^[a-c-]+$", ["a-c"], ["d"]),
    ],
)
def test_an_expression_of_acr_means_the_same(text: str, matching: list[str], others: list[str]) -> None:
    expression = Regex(ours(checked(text)), anywhere=True)
    assert [name for name in matching if not expression.matches(name)] == []
    assert [name for name in others if expression.matches(name)] == []


@pytest.mark.parametrize(
    "text", ["[a", "(a", "a)", "a**", "a++", "a{2}{3}", "*a", "a\\", "[z-a]", "[a-z-[b]c]", "(?<a-b>x)", "(?=x)a(?i)b"]
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(PolicyImportError):
        checked(text)
