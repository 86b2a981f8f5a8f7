"""What the cases do not show: other forms of the same policies, what is left out, and what messages hold."""

import json
from typing import Any

import pytest

from jettison.errors import PolicyImportError
from jettison.policy.importers import convert
from jettison.policy.importers.model import Options

ACME = Options(project="acme")


def age(value: str, pattern: str | None = None, **more: Any) -> dict[str, Any]:
    return {"method": "creation_date", "value": value, "tagPattern": pattern, "tagPatternMatches": True} | more


def count(value: int, pattern: str | None = None) -> dict[str, Any]:
    return {"method": "number_of_tags", "value": value, "tagPattern": pattern, "tagPatternMatches": True}


def quay(*policies: dict[str, Any], options: Options = ACME) -> tuple[str, tuple[str, ...]]:
    imported = convert("quay", json.dumps({"policies": policies}), options)
    return imported.yaml, imported.warnings


def test_a_count_after_one_that_cannot_be_said_is_left_out_too() -> None:
    yaml, warnings = quay(count(5, "^a"), count(4, "(?x)^ b"), count(3), age("10d"))
    assert [warning.split(":")[0] for warning in warnings] == [
        "number_of_tags 4, tags that match (?x)^ b",
        "number_of_tags 3",
    ]
    assert "newest: 5" in yaml
    assert "within: 10d" in yaml
    assert "newest: 3" not in yaml


def test_an_age_that_cannot_be_said_leaves_the_other_ages_and_no_count() -> None:
    yaml, warnings = quay(age("5d", "(?x)^ b"), age("10d"), count(3))
    assert len(warnings) == 2
    assert "keep: {within: 10d, inclusive: true}" in yaml


def test_only_so_many_counts_follow_one_another() -> None:
    yaml, warnings = quay(*(count(number, f"^{number}") for number in range(1, 9)))
    assert len(warnings) == 2
    assert "newest: 6" in yaml
    assert "newest: 7" not in yaml
    assert len(yaml) < 100_000


def test_policies_over_the_same_tags_are_one() -> None:
    yaml, warnings = quay(count(5, "^v"), count(3, "^v"), age("2w", "^v"), age("10d", "^v"))
    assert warnings == ()
    assert "tags: {search: '^v'}" in yaml
    assert "keep: {all: [{within: 10d, inclusive: true}, {newest: 3, by: pushed, of: tags}]}" in yaml


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({"method": "creation_date", "value": "10d", "tagPattern": "^v", "uuid": "1"}, "tagPatternMatches is missing"),
        ({"method": "creation_date", "value": "9" * 4000 + "d"}, "Invalid value given"),
        ({"method": "creation_date", "value": "999999999999d"}, "Invalid value given"),
        ({"method": "number_of_tags", "value": True}, "Invalid value given"),
        ({"method": ["creation_date"], "value": "1d"}, "Invalid method"),
        ([], "no object"),
    ],
)
def test_what_nobody_can_tell_is_refused(policy: object, why: str) -> None:
    with pytest.raises(PolicyImportError, match=why):
        convert("quay", json.dumps(policy), ACME)


def test_an_organization_is_needed_and_its_name_checked() -> None:
    with pytest.raises(PolicyImportError, match="--project is missing"):
        quay(count(1), options=Options())
    with pytest.raises(PolicyImportError, match="is no repository name"):
        quay(count(1), options=Options(project="acme/**"))
    with pytest.raises(PolicyImportError, match="is no repository name"):
        quay(count(1), options=Options(project="acme", repository="!app"))


def test_a_prefix_stands_before_the_organization() -> None:
    yaml, _ = quay(count(1), options=Options(project="acme", prefix="/mirror/"))
    assert "repositories: ['mirror/acme/**']" in yaml


def test_one_repository_can_be_taken_out_of_both_levels() -> None:
    text = json.dumps({"organization": {"policies": [count(5)]}, "repositories": {"app": {"policies": [age("9d")]}}})
    own = convert("quay", text, Options(project="acme", repository="app")).yaml
    assert "within: 9d" in own
    assert "**" not in own
    other = convert("quay", text, Options(project="acme", repository="web")).yaml
    assert "keep: {newest: 5, by: pushed, of: tags}" in other
    assert "repositories: [acme/web]" in other


def test_secrets_of_a_configuration_stay_in_it() -> None:
    for text in ("DATABASE_SECRET_KEY: hunter2\n", "DATABASE_SECRET_KEY: [hunter2\n"):
        with pytest.raises(PolicyImportError) as refusal:
            convert("quay", text, Options())
        assert "hunter2" not in str(refusal.value)
    whole = "SECRET: hunter2\nDEFAULT_NAMESPACE_AUTOPRUNE_POLICY: {method: number_of_tags, value: 2}\n"
    assert "hunter2" not in convert("quay", whole, Options()).yaml


RULE = {
    "rulePriority": 1,
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 2},
    "action": {"type": "expire"},
}


def test_the_answer_of_get_lifecycle_policy_names_its_repository() -> None:
    answer = {"registryId": "1", "repositoryName": "team/app", "lifecyclePolicyText": json.dumps({"rules": [RULE]})}
    assert "repositories: [team/app]" in convert("ecr", json.dumps(answer), Options()).yaml
    assert "repositories: [mirror/team/app]" in convert("ecr", json.dumps(answer), Options(prefix="mirror")).yaml


def test_a_description_cannot_leave_its_comment() -> None:
    rule = RULE | {"description": "first\nprotect: {tags: ['*']}\x85\u2028x: y"}
    yaml = convert("ecr", json.dumps({"rules": [rule]}), Options()).yaml
    assert "\nprotect" not in yaml
    assert "# first protect: {tags: ['*']}" in yaml


def test_wildcards_of_ours_are_plain_characters_in_ecr() -> None:
    selection = {"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 2}
    rule = RULE | {"selection": selection | {"tagPatternList": ["v?[1]{a,b}*"]}}
    assert "tags: 'v[?][[]1][{]a,b}*'" in convert("ecr", json.dumps({"rules": [rule]}), Options()).yaml


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rulePriority": 0}, "minimum: 1"),
        ({"rulePriority": True}, "no whole number"),
        ({"rulePriority": 1.0}, "no whole number"),
        ({"action": {"type": "expire", "targetStorageClass": "archive"}}, "belongs to the action transition"),
        ({"selection": []}, "no object"),
        ({"description": 1}, "no text"),
    ],
)
def test_a_rule_that_ecr_would_not_store(change: dict[str, Any], why: str) -> None:
    with pytest.raises(PolicyImportError, match=why):
        convert("ecr", json.dumps({"rules": [RULE | change]}), Options())


def test_limits_of_a_lifecycle_policy() -> None:
    prefixes = [f"p{number}-" for number in range(51)]
    selection = {"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 2}
    rules = [
        RULE | {"rulePriority": number + 1, "selection": selection | {"tagPrefixList": [prefix]}}
        for number, prefix in enumerate(prefixes)
    ]
    with pytest.raises(PolicyImportError, match="51 rules; ECR takes 50"):
        convert("ecr", json.dumps({"rules": rules}), Options())
    assert convert("ecr", json.dumps({"rules": rules[:50]}), Options()).yaml.count("priority") == 50
    with pytest.raises(PolicyImportError, match="ECR takes 30,720"):
        convert("ecr", json.dumps({"rules": [RULE | {"description": "x" * 31_000}]}), Options())


def resource(**condition: object) -> str:
    return json.dumps({"cleanupPolicies": {"d": {"id": "d", "action": "DELETE", "condition": condition}}})


def test_parts_of_a_second_are_rounded_so_that_more_stays() -> None:
    older = convert("artifact-registry", resource(olderThan="86400.5s"), Options())
    assert "within: 1d1s, inclusive: true" in older.yaml
    assert older.warnings == ("d: 86400.5 seconds are rounded to 86401",)
    newer = convert("artifact-registry", resource(newerThan="86400.5s"), Options())
    assert "keep: {not: {within: 1d}}" in newer.yaml


def test_a_repository_without_policies_is_no_mistake() -> None:
    text = json.dumps({"name": "projects/p/locations/l/repositories/r", "format": "DOCKER"})
    assert "keep: {everything: true}" in convert("artifact-registry", text, Options()).yaml


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ({"olderthan": "1d"}, "condition has no 'olderthan'"),
        ({}, "says nothing"),
        ({"olderThan": "1d"}, "no duration in seconds"),
        ({"tagState": "ANY", "tagPrefixes": ["v"]}, "tagState must be tagged"),
        ({"tagState": "TAGGED", "tagPrefixes": [""]}, "none of them empty"),
        ({"olderThan": 86400}, "is a text"),
    ],
)
def test_a_condition_that_would_be_wider_than_meant_is_refused(condition: dict[str, object], why: str) -> None:
    with pytest.raises(PolicyImportError, match=why):
        convert("artifact-registry", resource(**condition), Options())


def test_an_age_longer_than_time_keeps_everything_that_has_a_date() -> None:
    yaml = convert("artifact-registry", resource(olderThan="999999999999s"), Options()).yaml
    assert "within: 36525d" in yaml


def test_packages_stand_below_the_prefix() -> None:
    options = Options(prefix="team")
    text = resource(packageNamePrefixes=["web", "api/v1"])
    yaml = convert("artifact-registry", text, options).yaml
    assert "repositories: ['team/**']" in yaml
    assert "repositories: ['team/web**', 'team/api/v1**']" in yaml
