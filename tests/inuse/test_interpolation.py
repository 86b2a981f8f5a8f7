"""Variables as Compose fills them in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.inuse.interpolation import UnsetVariableError, interpolate, read_variables

SET = {"TAG": "1.2", "EMPTY": "", "HOST": "registry.example"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("app:$TAG", "app:1.2"),
        ("${HOST}/app:${TAG}", "registry.example/app:1.2"),
        ("app:${TAG:-9}", "app:1.2"),
        ("app:${NONE:-9}", "app:9"),
        ("app:${NONE-9}", "app:9"),
        ("app:${EMPTY:-9}", "app:9"),
        ("app:${EMPTY-9}", "app:"),
        ("app:${NONE:-${TAG}}", "app:1.2"),
        ("app:${NONE:-${OTHER:-${TAG}-x}}", "app:1.2-x"),
        ("app${TAG:+:1}", "app:1"),
        ("app${NONE:+:1}", "app"),
        ("app${EMPTY+:1}", "app:1"),
        ("${TAG?must be there}", "1.2"),
        ("cost $$5 ${TAG}", "cost $5 1.2"),
        ("${NONE:-a}b${NONE:-c}", "abc"),
        ("$TAG-x", "1.2-x"),
        ("", ""),
    ],
)
def test_variables_are_filled_in(text: str, value: str) -> None:
    assert interpolate(text, SET) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app:$NONE", "NONE is set neither"),
        ("app:${NONE}", "NONE is set neither"),
        ("app:${NONE:?which version}", "NONE must be set: which version"),
        ("app:${EMPTY:?which version}", "EMPTY must be set: which version"),
        ("app:${NONE?}", "NONE is set neither"),
        ("app:${NONE:-${OTHER}}", "OTHER is set neither"),
    ],
)
def test_a_variable_that_is_not_set_is_told(text: str, message: str) -> None:
    with pytest.raises(UnsetVariableError, match=message):
        interpolate(text, SET)


@pytest.mark.parametrize("text", ["${TAG", "${}", "${TAG!x}", "$", "5$ a", "${1}", "${A:-" * 30 + "x" + "}" * 30])
def test_what_compose_would_not_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        interpolate(text, SET)
    assert not isinstance(caught.value, UnsetVariableError)


ENVIRONMENT_FILE = """
# versions
export TAG=1.2   # of May
HASH=a#b
QUOTED="two words # kept" # a comment
SINGLE='${TAG}'
DOUBLE="${TAG}-${NONE}"
DEFAULT=${NONE:-9}
LINES="one
two"
ESCAPED="a\\tb\\$c"
EMPTY=
SPACED = x
yaml: style
PASSED_ON
"""


def test_a_file_of_variables_is_read_as_compose_reads_it() -> None:
    assert read_variables(ENVIRONMENT_FILE, {}, ".env") == {
        "TAG": "1.2",
        "HASH": "a#b",
        "QUOTED": "two words # kept",
        "SINGLE": "${TAG}",
        "DOUBLE": "1.2-",
        "DEFAULT": "9",
        "LINES": "one\ntwo",
        "ESCAPED": "a\tb$c",
        "EMPTY": "",
        "SPACED": "x",
        "yaml": "style",
    }


def test_the_environment_stands_over_earlier_lines() -> None:
    assert read_variables("A=1\nB=$A", {"A": "2"}, ".env") == {"A": "1", "B": "2"}


@pytest.mark.parametrize("text", ["A='never", "=1", "some words here", "${A}=1"])
def test_a_line_that_assigns_nothing_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"\.env, line 1"):
        read_variables(text, {}, ".env")


@given(st.text(alphabet="${}:-?+AB_1 ", max_size=40))
def test_any_text_ends(text: str) -> None:
    try:
        found = interpolate(text, {"A": "1"})
    except ValueError:
        return
    assert isinstance(found, str)
