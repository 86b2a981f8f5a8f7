"""The YAML that importers write says what they meant, whatever characters it holds, and stays readable."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from jettison.policy.importers.yaml_text import WIDTH, Node, Noted, dump

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ("yes", "No", "null", "~", "1", "1.0", "0x1", "1e3", "14d", "2026-01-01", "a: b", "a #b", "- a", "*a")
    ),
    st.sampled_from(
        ("'", '"', "{a}", "[a]", "a,b", "!", "&a", "?", ":", " a", "a ", "\x08", "\u2028", "\ufeff", "😀", "<<")
    ),
)
SCALARS = st.one_of(st.integers(), st.booleans(), TEXTS)
NODES = st.recursive(
    SCALARS, lambda node: st.one_of(st.lists(node, max_size=4), st.dictionaries(TEXTS, node, max_size=4)), max_leaves=20
)


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@settings(deadline=None)
@given(st.dictionaries(TEXTS, NODES, min_size=1, max_size=5), st.lists(st.text(), max_size=2))
def test_a_document_is_read_back_as_it_was(document: dict[str, Any], about: list[str]) -> None:
    assert read(dump(document, about)) == document


@settings(deadline=None)
@given(st.dictionaries(TEXTS, NODES, min_size=1), st.text(), st.text())
def test_no_comment_becomes_part_of_the_policy(entry: dict[str, Any], comment: str, warning: str) -> None:
    written = dump({"rules": [Noted(entry, (comment,), (warning,)), {"keep": Noted(entry, (comment,))}]})
    assert read(written) == {"rules": [entry, {"keep": entry}]}


def test_short_things_stand_on_one_line_and_rules_on_several() -> None:
    rule = Noted({"name": "first", "tags": "v*", "keep": {"newest": 3, "by": "pushed"}}, ("why",), ("how",))
    limits: Node = {"last_image": "allow"}
    policy: Node = {"repositories": ["team/**", "app"], "rules": [rule], "limits": limits}
    assert dump({"policies": [policy]}) == (
        "policies:\n"
        "  - repositories: ['team/**', app]\n"
        "    rules:\n"
        "      # why\n"
        "      # NOT EXACT: how\n"
        "      - name: first\n"
        "        tags: 'v*'\n"
        "        keep: {newest: 3, by: pushed}\n"
        "    limits: {last_image: allow}\n"
    )


def test_lines_are_broken_where_there_is_a_choice() -> None:
    globs = [f"a-rather-long-name-of-a-tag-{number}-*" for number in range(8)]
    written = dump({"tags": {"any": globs, "not": {"all": globs}}}, ["word " * 60])
    assert max(map(len, written.splitlines())) <= WIDTH
    assert read(written) == {"tags": {"any": globs, "not": {"all": globs}}}
