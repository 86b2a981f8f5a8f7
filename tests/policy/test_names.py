"""Sets of names against Python's own regular expressions, on random expressions and names."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jettison.policy.names import Book, UnknownNamesError
from jettison.policy.names_of_regex import names_of_regex

ATOMS = st.sampled_from(["a", "b", "1", "[ab]", "[^a]", "\\d", ".", "\\.", "(?:a|b1)", "(?P<x>a)", "[a-c1]", "-"])
QUANTIFIERS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,2}", "{2,}", "*?"])
EXPRESSIONS = st.recursive(
    st.builds(lambda atom, quantifier: atom + quantifier, ATOMS, QUANTIFIERS),
    lambda inner: st.one_of(
        st.builds(lambda one, two: one + two, inner, inner),
        st.builds(lambda one, two, quantifier: f"(?:{one}|{two}){quantifier}", inner, inner, QUANTIFIERS),
    ),
    max_leaves=8,
).map(lambda text: re.sub(r"\(\?P<x>", "(?:", text))
NAMES = st.text("ab1.-", max_size=6)


@settings(deadline=None)
@given(EXPRESSIONS, NAMES)
def test_a_name_is_in_the_set_where_the_expression_matches_it(expression: str, name: str) -> None:
    book = Book()
    one = book.text(name)
    for anywhere, match in ((False, re.fullmatch), (True, re.search)):
        names = names_of_regex(book, expression, anywhere=anywhere)
        assert (book.shortest(book.both((one, names))) == name) is (match(expression, name) is not None)
        assert (book.shortest(book.without(one, names)) == name) is (match(expression, name) is None)


@settings(deadline=None)
@given(EXPRESSIONS)
def test_the_shortest_name_of_a_set_is_in_it(expression: str) -> None:
    book = Book()
    found = book.shortest(names_of_regex(book, expression))
    assert found is None or re.fullmatch(expression, found)


@pytest.mark.parametrize(
    ("expression", "shortest"),
    [
        ("(?i)v[[:digit:]]+", "V0"),
        ("^abc$", "abc"),
        (r"\Aabc\z", "abc"),
        (r"[^\w.]{2}", "--"),
        (r"[\-/]", "-"),
        ("a{0}", ""),
        ("[^A-Za-z0-9_./-]", None),
        ("(?:)", ""),
        ("a|", ""),
        ("é", None),
    ],
)
def test_what_selectors_are_written_with(expression: str, shortest: str | None) -> None:
    book = Book()
    assert book.shortest(names_of_regex(book, expression)) == shortest


@pytest.mark.parametrize(
    "expression",
    [
        "(?=a)b",
        "(?<!a)b",
        r"(a)\1",
        r"\bmain\b",
        "a^b",
        "a$b",
        "(^a)",
        "a++",
        "(a",
        "[a",
        "a)",
        r"\pL",
        "[[:nope:]]",
        "x(?i)y",
    ],
)
def test_what_is_not_understood_is_told(expression: str) -> None:
    with pytest.raises(UnknownNamesError):
        names_of_regex(Book(), expression)


def test_what_is_nested_too_deeply_is_told() -> None:
    with pytest.raises(UnknownNamesError):
        names_of_regex(Book(), "(" * 5000 + "a" + ")" * 5000)


def test_a_set_that_grows_too_large_is_told() -> None:
    book = Book()
    with pytest.raises(UnknownNamesError):
        book.shortest(book.both((names_of_regex(book, "(a|b)*a(a|b){14}"), names_of_regex(book, "(a|b)*b(a|b){14}c"))))
