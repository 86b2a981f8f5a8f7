"""Cases of policies: what they can say, and what is refused."""

import re

import pytest

from jettison.errors import ConfigurationError
from jettison.oci.digest import Digest
from jettison.policy.cases import Result, digest_of, read_cases, run_case
from jettison.policy.parse import parse_policy_node

POLICY = """
policies:
  - repositories: ["**"]
    rules:
      - {name: releases, tags: {version: "*"}, keep: {newest: 2}}
      - {name: rest, tags: "b*", keep: {any: [{within: 30d}, {pulled_within: 30d}]}}
    untagged: {keep: {within: 30d}}
"""


def run(cases: str, policy: str = POLICY) -> list[Result]:
    text = f"policy:{policy.replace(chr(10), chr(10) + '  ')}\ncases:\n{cases}"
    return [
        run_case(each, parse_policy_node(each.policy.node, "cases.yaml")) for each in read_cases(text, "cases.yaml")
    ]


def failures(cases: str) -> list[str]:
    (result,) = run(cases)
    return [f"{each.image}: {each.text}" for each in result.failures]


def test_what_stays_and_what_goes() -> None:
    case = "  - {name: a, tags: {1.10: 1d, 1.9: 2d, 1.8: 3d, x: 9y}, keep: [1.10, 1.9, x], expire: [1.8]}\n"
    (result,) = run(case)
    assert (result.name, result.where, result.checked, result.failures) == ("a", "cases.yaml:10:5", 4, ())


def test_what_comes_out_otherwise() -> None:
    assert failures("  - {name: a, tags: {1.10: 1d, 1.9: 2d, 1.8: 3d}, keep: [1.8], expire: [1.9]}\n") == [
        "1.8: should stay, but goes: 3rd newest by version, beyond 2 (rule 'releases')",
        "1.9: should go, but stays: 2nd newest by version, within 2 (rule 'releases')",
    ]
    assert failures("  - {name: a, tags: {1.1: 1d, x: 1d}, expire: [x], others: expire}\n") == [
        "x: should go, but stays: no rule claims this tag",
        "1.1: should go, but stays: 1st newest by version, within 2 (rule 'releases')",
    ]
    assert failures("  - {name: a, tags: {1.1: 1d}, rules: {1.1: rest}}\n") == [
        "1.1: should be decided by 'rest', but is by 'releases': 1st newest by version, within 2"
    ]


def test_images_share_digests_and_have_relations() -> None:
    (result,) = run("""
  - name: shared
    images:
      - {tags: [3.0, 2.0, 1.0], digest: a, pushed: 1d}
      - {tags: [0.9], digest: b, pushed: 1d}
      - {tags: [0.8], digest: c, pushed: 1d, children: [d, e]}
      - {digest: d, pushed: 90d}
      - {digest: s, subject: a, pushed: 90d}
      - {digest: u, pushed: 90d}
      - {digest: v, pushed: 9d}
    keep: [3.0, 2.0, 1.0, 0.9, "@a", "@s", "@v"]
    expire: [0.8, "@c", "@d", "@u"]
""")
    assert result.failures == ()
    assert result.checked == 11


def test_pulls_and_what_runs() -> None:
    assert (
        failures("""
  - name: pulls
    pulls_since: 90d
    in_use: ["team/app:b3"]
    images:
      - {tags: [b1], pushed: 60d, pulled: 3d}
      - {tags: [b2], pushed: 60d}
      - {tags: [b3], pushed: 60d}
    keep: [b1, b3]
    expire: [b2]
""")
        == []
    )
    assert failures("  - {name: unknown, images: [{tags: [b1], pushed: 60d}], others: expire}\n") == [
        "b1: should go, but stays: pulls are not known for 30 days yet (rule 'rest')"
    ]


def test_moments() -> None:
    assert (
        failures("""
  - name: moments
    now: 2026-03-31T00:00:00Z
    images:
      - {tags: [b1], pushed: 2026-03-02T00:00:00Z}
      - {tags: [b2], pushed: 2026-02-01, pulled: 2026-02-02T10:00:00+02:00}
    pulls_since: 2026-01-01
    keep: [b1]
    expire: [b2]
""")
        == []
    )


def test_words_stand_for_digests() -> None:
    digest = "sha256:" + "ab" * 32
    assert digest_of(digest) == Digest(digest)
    assert digest_of("a") == digest_of("a") != digest_of("b")


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("  - {name: a, tags: {x: 1d}}\n", "cases.yaml:10:5: 'a' says nothing of what must stay or go"),
        ("  - {name: a, keep: [x]}\n", "cases.yaml:10:5: 'a' needs `tags` or `images`"),
        ("  - {name: a, tags: {x: 1d}, inventory: f, keep: [x]}\n", "needs `tags` or `images`"),
        ("  - {name: a, tags: {x: soon}, keep: [x]}\n", "cases.yaml:10:22: 'soon' is no span of time"),
        ("  - {name: a, tags: {a b: 1d}, keep: [x]}\n", "'a b' is no tag"),
        ("  - {name: a, tags: {x: 1d}, keep: [y]}\n", "a: there is no tag 'y'"),
        ('  - {name: a, tags: {x: 1d}, keep: ["@y"]}\n', "a: there is no image '@y'"),
        ("  - {name: a, tags: {x: 1d}, keep: [x], expire: [x]}\n", "x is said both to stay and to go"),
        (
            "  - {name: a, tags: {x: 1d}, kep: [x]}\n",
            "cases.yaml:10:30: cases[0].kep: unknown key 'kep'; did you mean 'keep'?",
        ),
        ("  - {name: a, images: [{tags: [x], age: 1d}], keep: [x]}\n", "unknown key 'age'"),
        ("  - {name: a, images: [{pushed: 1d}], keep: [x]}\n", "an image without a tag needs a `digest`"),
        ("  - {name: a, tags: {x: 1d}, others: maybe}\n", "cases.yaml:10:30: cases[0].others"),
        ("  - {name: a, repository: A, tags: {x: 1d}, others: keep}\n", "'A' is no repository's name"),
        (
            "  - {name: a, tags: {x: 1d}, others: keep}\n  - {name: a, tags: {x: 1d}, others: keep}\n",
            "names an earlier case",
        ),
        ("  - {name: a, tags: {x: 1d, x: 2d}, others: keep}\n", "'x' stands here twice"),
        ("  []\n", "no case is given"),
    ],
)
def test_what_is_refused(case: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        run(case)


def test_a_file_without_a_policy() -> None:
    with pytest.raises(ConfigurationError, match="which policy"):
        read_cases("cases: [{name: a, tags: {x: 1d}, others: keep}]", "cases.yaml")


def test_the_mistake_in_a_policy_is_told_where_it_stands() -> None:
    with pytest.raises(ConfigurationError, match=r"cases.yaml:5:57: policies\[0\].rules\[0\].keep"):
        run("  - {name: a, tags: {x: 1d}, others: keep}\n", POLICY.replace("newest: 2", "newst: 2"))


def test_a_policy_in_a_file_of_cases_may_use_its_anchors() -> None:
    text = """
policy:
  policies:
    - repositories: "**"
      rules: [&newest {name: newest, tags: "*", keep: &two {newest: 2}}]
cases:
  - &first {name: first, tags: &tags {1.10: 1d, 1.1: 2d, b: 3d}, keep: [1.10, 1.1], expire: [b]}
  - <<: *first
    name: second
    tags: {<<: *tags, b: 1h}
    keep: [b, 1.10]
    expire: [1.1]
    policy: {policies: [{repositories: "**", rules: [{<<: *newest, tags: "*"}]}]}
"""
    cases = read_cases(text, "cases.yaml")
    results = [run_case(each, parse_policy_node(each.policy.node, "cases.yaml")) for each in cases]
    assert [(each.name, each.checked, each.failures) for each in results] == [("first", 3, ()), ("second", 3, ())]
