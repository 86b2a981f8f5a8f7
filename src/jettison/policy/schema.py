"""Schema: the JSON Schema of a policy file, for editors and other tools.

It says what `parse.py` takes as far as a schema can: shapes, keys, words and the form of spans. What it cannot say
(names that must be unique, keys of `per` that must be groups of an expression, `use` of a set that is there) only
`policy check` tells. The words come from the model, so that a new one is not forgotten here; a test holds the rest
together.
"""

from collections.abc import Mapping
from typing import Any, Final

from jettison.policy.clause import Order, Period, Unknown
from jettison.policy.model import Counts, LastImage, Unit

SCHEMA_ID: Final = "urn:jettison:policy:1"
_AGE: Final = r"^\s*(\d+\s*(s|mo|m|h|d|w|y)\s*)+$"
_DATES: Final = [order.value for order in Order if order not in (Order.VERSION, Order.NAME)]

Node = Mapping[str, Any]


def _about(text: str, node: Node) -> Node:
    return {"description": text, **node}


def _object(properties: Mapping[str, Node], required: list[str] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return made | ({"required": required} if required else {})


def _list(of: Node, least: int = 0) -> Node:
    return {"type": "array", "items": of} | ({"minItems": least} if least else {})


def _ref(name: str) -> Node:
    return {"$ref": f"#/$defs/{name}"}


def _one_or_more(of: Node) -> Node:
    return {"anyOf": [of, _list(of, 1)]}


_TEXT: Final[Node] = {"type": "string", "minLength": 1}
_EXPRESSION: Final[Node] = {"type": "string"}
_TRUE: Final[Node] = {"const": True}
_COUNT: Final[Node] = {"type": "integer", "minimum": 1}


def _selector() -> dict[str, Any]:
    kinds = {
        "glob": _about("`*`, `?`, `[ab]`, `[!ab]`, `{one,two}`; it matches the whole tag.", _one_or_more(_TEXT)),
        "regex": _about("A regular expression on the whole tag.", _one_or_more(_EXPRESSION)),
        "search": _about("A regular expression that need match a part of the tag only.", _one_or_more(_EXPRESSION)),
        "version": _about("Tags that are versions, and match this glob.", _one_or_more(_TEXT)),
        "untagged": _about("With `unit: image`: an image without any tag.", _TRUE),
        "all": _about("All of these must match; of an image each some tag.", _list(_ref("selector"), 1)),
        "any": _about("One of these must match.", _ref("selectors")),
        "not": _about("What this does not match.", _ref("selectors")),
    }
    return {"anyOf": [_TEXT, _object(kinds) | {"minProperties": 1}]}


def _clause() -> dict[str, Any]:
    clauses: dict[str, Node] = {
        "newest": _about("Keeps the newest N of what the rule claims.", _COUNT),
        **{
            each.value: _about(f"Keeps the newest of each of the last N {each.value} periods with images.", _COUNT)
            for each in Period
        },
        "within": _about("Keeps what is younger than this.", _ref("age")),
        "pulled_within": _about("Keeps what was pulled within this, and all while less is known.", _ref("age")),
        "everything": _about("Keeps all that the rule claims.", _TRUE),
        "nothing": _about("Keeps nothing that the rule claims.", _TRUE),
        "tags": _about("Keeps the tags that this matches.", _ref("selectors")),
        "repositories": _about("Keeps what is in these repositories.", _ref("repositories")),
        "tagged": _about("Keeps what has a tag, or with false what has none.", {"type": "boolean"}),
        "digest": _about("Keeps the digests that this glob matches.", _TEXT),
        "any": _about("Keeps what one of these keeps.", _list(_ref("keep"), 1)),
        "all": _about("Keeps what each of these keeps.", _list(_ref("keep"), 1)),
        "not": _about("Keeps what this does not keep.", _ref("keep")),
    }
    counts = ["newest", *(each.value for each in Period)]
    options: dict[str, Node] = {
        "by": _about("By what a count orders, or which date an age is counted from.", {"enum": list(Order)}),
        "per": _about("A count for each minor, major, variant, or named group of the expression.", _one_or_more(_TEXT)),
        "of": _about("Whether tags of one digest share a place (digests) or not.", {"enum": ["digests", "tags"]}),
        "among": _about("The count looks only at what this keeps.", _ref("keep")),
        "unknown": _about("What becomes of something without a date or version.", {"enum": list(Unknown)}),
        "inclusive": _about("Whether what is exactly as old is kept.", {"type": "boolean"}),
        "or_pushed": _about("Whether a push counts as a pull.", {"type": "boolean"}),
    }
    made = _object(clauses | options)
    made["minProperties"] = 1
    made["anyOf"] = [{"required": [name]} for name in clauses]
    # An option belongs to a clause beside it.
    dated = [*counts, "within"]
    owners = {
        "by": dated,
        "per": counts,
        "of": ["newest"],
        "among": counts,
        "unknown": dated,
        "inclusive": ["within", "pulled_within"],
        "or_pushed": ["pulled_within"],
    }
    made["dependentSchemas"] = {
        option: {"anyOf": [{"required": [name]} for name in names]} for option, names in owners.items()
    }
    # Only `newest` counts by version or name.
    made["allOf"] = [
        {"if": {"not": {"required": ["newest"]}}, "then": {"properties": {"by": {"enum": _DATES}}}},
    ]
    return made


def policy_schema() -> dict[str, Any]:
    """Return the schema, as a new document."""
    keep = _object({"keep": _ref("keep")}, ["keep"])
    limits = _object(
        {
            "deletions": _about(
                "The most that a run may delete: a share of all tags, or a number of them.",
                {
                    "anyOf": [
                        {"type": "integer", "minimum": 0},
                        {"type": "string", "pattern": r"^\s*(\d+|0*(\d{1,2}(\.\d+)?|100(\.0+)?)\s*%)\s*$"},
                    ]
                },
            ),
            "last_image": _about("Whether a repository may lose all its tags.", {"enum": list(LastImage)}),
        }
    )
    rule = _object(
        {
            "name": _about("Shown with each reason; unique in its policy.", _TEXT),
            "tags": _about("Which tags, or images, the rule claims.", _ref("selectors")),
            "counts": _about("Whether counts also see what an earlier rule claimed.", {"enum": list(Counts)}),
            "keep": _ref("keep"),
        },
        ["tags", "keep"],
    )
    use = _object({"use": _about("The name of a rule set, whose rules stand here.", _TEXT)}, ["use"])
    common = {
        "untagged": _about("What becomes of manifests without a tag; without it they stay.", _ref("kept")),
        "platforms": _about(
            "What becomes of the platforms of an index that expires.",
            _object({"of_expired": _about("Which of them stay; without it they go with their index.", _ref("kept"))}),
        ),
        "referrers": _ref("referrers"),
        "limits": _ref("limits"),
    }
    repository_policy = _object(
        {
            "name": _about("Shown with each reason; unique.", _TEXT),
            "repositories": _about(
                "Which repositories it is for; the first policy that matches applies.", _ref("repositories")
            ),
            "enabled": _about("false: it keeps everything in its repositories.", {"type": "boolean"}),
            "unit": _about(
                "Whether each tag is decided by itself, or each image with all its tags.", {"enum": list(Unit)}
            ),
            "rules": _list(_ref("rule_or_set")),
            "images_outlive_tags": _about(
                "Whether an image that loses its last tag stays, and is decided as an untagged one.",
                {"type": "boolean"},
            ),
            **common,
        },
        ["repositories"],
    )
    # An image is decided with all its tags, or without any by a rule that selects such ones.
    repository_policy["if"] = {"properties": {"unit": {"const": Unit.IMAGE.value}}, "required": ["unit"]}
    repository_policy["then"] = {"properties": {"untagged": False, "images_outlive_tags": {"const": False}}}
    referrers = {
        "of_kept": _about(
            "What becomes of signatures and the like of what is kept; without it they stay.", _ref("kept")
        ),
        "of_expired": _about(
            "Which of the referrers of something that expires stay; without it they go with it.", _ref("kept")
        ),
        "orphaned": _about("What becomes of those whose subject is gone; without it they stay.", _ref("kept")),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "jettison policy",
        "description": "Which images of a container registry stay.",
        **_object(
            {
                "timezone": _about("That of daily, weekly, monthly and yearly; UTC without it.", _TEXT),
                "protect": _about("What wins over everything.", _ref("protect")),
                "rule_sets": _about(
                    "Lists of rules by name, for `use`.",
                    {"type": "object", "additionalProperties": _list(_ref("rule"))},
                ),
                "defaults": _about(
                    "Taken by each policy that does not say it itself; rules are appended to its own.",
                    _object(common | {"rules": _list(_ref("rule_or_set"))}),
                ),
                "policies": _about(
                    "The policies, of which the first that matches a repository applies.", _list(_ref("policy"), 1)
                ),
                "limits": _ref("limits"),
            },
            ["policies"],
        ),
        "$defs": {
            "age": _about(
                "A span of time: 30m, 24h, 14d, 2w, 6mo, 1y, or a sum such as 1d12h.",
                {"type": "string", "pattern": _AGE},
            ),
            "kept": keep,
            "keep": _clause(),
            "limits": limits,
            "policy": repository_policy,
            "protect": _object(
                {
                    "tags": _about("Tags that stay, whatever any rule says.", _ref("selectors")),
                    "in_use": _about(
                        "Sources of images in use: docker, kubernetes, or names of the configuration.",
                        _one_or_more(_TEXT),
                    ),
                }
            )
            | {"minProperties": 1},
            "referrers": _object(referrers),
            "repositories": _one_or_more(
                {"anyOf": [_TEXT, _object({"regex": _one_or_more(_EXPRESSION)}, ["regex"])]},
            ),
            "rule": rule,
            "rule_or_set": {"if": {"type": "object", "required": ["use"]}, "then": use, "else": rule},
            "selector": _selector(),
            "selectors": _one_or_more(_ref("selector")),
        },
    }
