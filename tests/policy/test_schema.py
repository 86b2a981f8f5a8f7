"""The published schema: it is the committed one, a schema at all, and takes what the parser takes."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from tests.policy.importers.replay import cases_of, options_of

from jettison.errors import ConfigurationError
from jettison.policy import parse, parse_clauses, parse_selectors
from jettison.policy.importers import SYSTEMS, convert
from jettison.policy.parse import parse_policy
from jettison.policy.schema import policy_schema

ROOT = Path(__file__).parents[2]
SCHEMA = policy_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
HEAD = 'policies:\n  - repositories: "**"\n    rules:\n      - {name: a, tags: "*", keep: '


def plain(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def parses(text: str) -> bool:
    try:
        parse_policy(text, "policy.yaml")
    except ConfigurationError:
        return False
    return True


def documented_policies() -> list[str]:
    pages = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
    blocks = [block for page in pages for block in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)]
    return [block for block in blocks if re.search(r"^policies:", block, re.MULTILINE)]


def test_the_committed_schema_is_this_one() -> None:
    committed = (ROOT / "docs" / "policy.schema.json").read_text("utf-8")
    assert json.loads(committed) == SCHEMA, "write it anew: jettison policy schema > docs/policy.schema.json"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(SCHEMA))
    assert set(re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(SCHEMA))) == SCHEMA["$defs"].keys()


def test_it_knows_every_key_that_the_parser_knows() -> None:
    definitions = SCHEMA["$defs"]
    for keys, node in (
        (parse._ROOT, SCHEMA),
        (parse._DEFAULTS, SCHEMA["properties"]["defaults"]),
        (parse._POLICY, definitions["policy"]),
        (parse._RULE, definitions["rule"]),
        (parse._REFERRERS, definitions["referrers"]),
        ((*parse_clauses._CLAUSES, *parse_clauses._OPTIONS), definitions["keep"]),
        (parse_selectors._KINDS, definitions["selector"]["anyOf"][1]),
    ):
        assert set(node["properties"]) == set(keys)
    owners = definitions["keep"]["dependentSchemas"]
    assert {option: [each["required"][0] for each in node["anyOf"]] for option, node in owners.items()} == {
        option: list(names) for option, names in parse_clauses._OPTIONS.items()
    }


@pytest.mark.parametrize("example", documented_policies())
def test_it_takes_the_documented_policies(example: str) -> None:
    assert parses(example)
    assert list(VALIDATOR.iter_errors(plain(example))) == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_it_takes_what_importers_write(system: str) -> None:
    written = 0
    for case in cases_of(system):
        if "refused" not in case:
            policy = plain(convert(system, case["policy"], options_of(case)).yaml)
            assert list(VALIDATOR.iter_errors(policy)) == [], case["name"]
            written += 1
    assert written > 10


@pytest.mark.parametrize(
    "keep",
    [
        "{newest: 3}",
        "{newest: 3, by: name}",
        "{newest: 3, of: tags, unknown: oldest}",
        "{daily: 7, by: created}",
        "{within: 1d12h, by: active, inclusive: true}",
        "{pulled_within: 30d, or_pushed: true}",
        "{any: [{newest: 1}, {not: {tags: 'x*'}}]}",
        "{newest: 5, among: {not: {within: 30d}}}",
        "{tags: [{regex: 'x'}, 'y'], tagged: true, digest: 'sha256:a*', repositories: ['a/**', {regex: 'b'}]}",
        "{everything: true}",
    ],
)
def test_it_takes_what_the_parser_takes(keep: str) -> None:
    assert parses(f"{HEAD}{keep}}}\n")
    assert VALIDATOR.is_valid(plain(f"{HEAD}{keep}}}\n"))


@pytest.mark.parametrize(
    "keep",
    [
        "{newst: 3}",
        "{newest: 0}",
        "{newest: '3'}",
        "{}",
        "{by: version}",
        "{newest: 3, by: size}",
        "{daily: 3, by: version}",
        "{within: soon}",
        "{within: 14}",
        "{everything: false}",
        "{any: []}",
        "[{newest: 3}]",
        "{newest: 3, or_pushed: true}",
        "{within: 3d, of: tags}",
        "{newest: 3, unknown: maybe}",
        "{tags: 1.10}",
        "{tagged: maybe}",
    ],
)
def test_it_refuses_what_the_parser_refuses(keep: str) -> None:
    assert not parses(f"{HEAD}{keep}}}\n")
    assert not VALIDATOR.is_valid(plain(f"{HEAD}{keep}}}\n"))


@pytest.mark.parametrize(
    "text",
    [
        "policies: []",
        "rules: []",
        "policies: [{rules: []}]",
        "policies: [{repositories: '**', rules: [{tags: '*'}]}]",
        "policies: [{repositories: '**', rules: [{use: a, name: b}]}]",
        "policies: [{repositories: '**', unit: layer, untagged: {keep: {newest: 1}}}]",
        "policies: [{repositories: '**', untagged: {newest: 1}}]",
        "policies: [{repositories: [], untagged: {keep: {newest: 1}}}]",
        "policies: [{repositories: '**', untagged: {keep: {newest: 1}}, limits: {deletions: many}}]",
        "policies: [{repositories: '**', rules: [{tags: '*', keep: {newest: 1}}], images_outlive_tags: maybe}]",
        "policies: [{repositories: '**', untagged: {keep: {newest: 1}}, platforms: {of_kept: {keep: {newest: 1}}}}]",
        "protect: [latest]\npolicies: [{repositories: '**', untagged: {keep: {newest: 1}}}]",
    ],
)
def test_it_refuses_other_shapes(text: str) -> None:
    assert not parses(text)
    assert not VALIDATOR.is_valid(plain(text))


AGES = st.sampled_from(["30m", "14d", "1d12h", "6mo"])
LEAVES = st.one_of(
    st.builds(lambda n: {"newest": n}, st.integers(1, 9)),
    st.builds(lambda n, by: {"newest": n, "by": by}, st.integers(1, 9), st.sampled_from(["version", "pushed", "name"])),
    st.builds(
        lambda n, period: {period: n}, st.integers(1, 9), st.sampled_from(["daily", "weekly", "monthly", "yearly"])
    ),
    st.builds(lambda age: {"within": age}, AGES),
    st.builds(lambda age: {"pulled_within": age}, AGES),
    st.just({"everything": True}),
    st.just({"tags": ["a*", {"version": "*"}]}),
)
CLAUSES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
        st.builds(lambda n, part: {"newest": n, "among": part}, st.integers(1, 9), inner),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(CLAUSES, st.booleans())
def test_both_take_any_composition(keep: dict[str, Any], broken: bool) -> None:
    if broken:
        keep = keep | {"newestt": 1}
    document = {"policies": [{"repositories": ["a/**"], "rules": [{"name": "r", "tags": "*", "keep": keep}]}]}
    assert parses(json.dumps(document)) is VALIDATOR.is_valid(document) is not broken


WHOLE: dict[str, Any] = {
    "timezone": "UTC",
    "protect": {"tags": ["latest", {"glob": "v*"}], "in_use": ["docker"]},
    "rule_sets": {"std": [{"name": "s", "tags": "*", "keep": {"newest": 3}}]},
    "defaults": {
        "untagged": {"keep": {"within": "1d"}},
        "platforms": {"of_expired": {"keep": {"within": "1d"}}},
        "referrers": {"of_kept": {"keep": {"newest": 1}}, "orphaned": {"keep": {"within": "3d"}}},
        "limits": {"deletions": "10%", "last_image": "allow"},
        "rules": [{"use": "std"}],
    },
    "limits": {"deletions": 5, "last_image": "refuse"},
    "policies": [
        {
            "name": "a",
            "repositories": ["a/**", "!a/b", {"regex": ["x"]}],
            "enabled": True,
            "unit": "tag",
            "images_outlive_tags": False,
            "rules": [
                {
                    "name": "r",
                    "tags": {"any": ["x"], "not": "y", "all": ["z"], "version": "*", "glob": ["g"], "search": "h"},
                    "counts": "matching",
                    "keep": {
                        "any": [
                            {"newest": 3, "by": "version", "per": ["minor"], "of": "tags", "unknown": "keep"},
                            {"daily": 2, "by": "created", "unknown": "now", "among": {"not": {"within": "3d"}}},
                            {"within": "3d", "by": "pulled", "inclusive": True, "unknown": "oldest"},
                            {"pulled_within": "3d", "or_pushed": True, "inclusive": False},
                        ],
                        "all": [{"tags": "v*", "tagged": True, "digest": "sha256:*", "repositories": "a/**"}],
                        "everything": True,
                    },
                }
            ],
            "untagged": {"keep": {"newest": 2}},
            "referrers": {"of_expired": {"keep": {"nothing": True}}},
            "platforms": {"of_expired": {"keep": {"newest": 1}}},
            "limits": {"deletions": 3},
        },
        {"repositories": "b/**", "unit": "image", "rules": [{"tags": "*", "keep": {"weekly": 3, "monthly": 2}}]},
    ],
}


def places(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of everything in a document but the document itself."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [each for key, value in inner for each in ((*path, key), *places(value, (*path, key)))]


ONLY_THE_PARSER_KNOWS = (("use",), ("per",), ("per", 0), ("timezone",), ("rule_sets",), ("std",))
"""Names that must be there elsewhere: no schema can tell."""
PLACES = [path for path in places(WHOLE) if not any(path[-len(end) :] == end for end in ONLY_THE_PARSER_KNOWS)]
OTHERS: list[Any] = [
    None, 1, 0, -1, 1.5, 3.0, True, False, "", "x", "1d", "10%", "100.5%", "2.5", " 5 ", "version", "name", [], {},
    ["x"], [None], [1], {"x": 1}, {"newest": 1}, {"keep": {"newest": 1}}, {"glob": []}, {"glob": "a"}, {"search": ""},
]  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(PLACES), st.sampled_from(OTHERS), st.booleans())
def test_both_say_the_same_of_any_change(path: tuple[str | int, ...], value: Any, removed: bool) -> None:
    document = json.loads(json.dumps(WHOLE))
    node = document
    for step in path[:-1]:
        node = node[step]
    if removed:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    assert parses(json.dumps(document)) is VALIDATOR.is_valid(document), (path, value, removed)
