"""PostgreSQL's expressions find in ours what they find there: compared with what a real server answered."""

import json
from pathlib import Path

import pytest

from jettison.policy.importers.postgres_regex import RegexError, UntranslatableError, translate
from jettison.policy.parse import parse_policy

RECORDED = json.loads(Path(__file__).with_name("postgres_regex.json").read_text(encoding="utf-8"))
"""Written by PostgreSQL 15.18: in which tags it finds each expression; null where it refuses the expression."""


def found(expression: str, tags: list[str]) -> list[str]:
    """Return the tags in which a policy of ours with the translated expression finds it."""
    rules = [{"tags": {"search": expression}, "keep": {"everything": True}}]
    text = json.dumps({"policies": [{"repositories": ["**"], "rules": rules}]})
    (rule,) = parse_policy(text, "policy").policies[0].rules
    return [tag for tag in tags if rule.claims(tag)]


def test_what_postgresql_takes_finds_the_same_tags() -> None:
    for expression, tags in RECORDED["found"].items():
        if tags is not None:
            assert found(translate(expression), RECORDED["tags"]) == tags, expression


def test_what_postgresql_refuses_is_refused() -> None:
    for expression, tags in RECORDED["found"].items():
        if tags is None:
            with pytest.raises(RegexError, match="invalid regular expression"):
                translate(expression)


@pytest.mark.parametrize("expression", ["(?x)a b", "(?b)a", "(?e)a", "[[.hyphen.]]"])
def test_what_ours_cannot_say_is_told(expression: str) -> None:
    with pytest.raises(UntranslatableError):
        translate(expression)


@pytest.mark.parametrize(
    ("expression", "translated"),
    [
        ("^v[0-9]+$", "^v[0-9]+$"),
        ("***=v1.2", r"v1\.2"),
        ("***:^a", "^a"),
        ("(?ci)rc", "(?i)rc"),
        ("(?i)(?c)", None),
        (r"\mdev\M", r"\b(?=\w)dev\b(?<=\w)"),
        ("[[:xdigit:]]{40}", "[0-9A-Fa-f]{40}"),
        (r"(a|b)\1", r"(a|b)(?:\1)"),
        (r"(?=(a))\1", None),
    ],
)
def test_an_expression_stays_readable(expression: str, translated: str | None) -> None:
    if translated is None:
        with pytest.raises(RegexError):
            translate(expression)
    else:
        assert translate(expression) == translated
