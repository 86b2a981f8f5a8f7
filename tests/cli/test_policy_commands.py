"""The commands on policies: check, test, record, schema, diff, new."""

import json
from pathlib import Path

import pytest
from tests.cli.commands import Command

POLICY = 'policies: [{repositories: "**", rules: [{name: r, tags: {version: "*"}, keep: {newest: 1}}]}]\n'


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    return file


# check.


def test_check_warns_and_strict_makes_it_fail(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(
        'policies:\n  - repositories: "**"\n    rules:\n'
        '      - {name: all, tags: "*", keep: {newest: 3}}\n'
        '      - {name: late, tags: "v*", keep: {newest: 3}}\n'
    )
    told = command("policy", "check", file)
    assert (told.status, told.err) == (0, "")
    assert f"{file}:5:22: warning: policies[0].rules[1].tags: every tag that 'late' selects is taken" in told.out
    assert "1 warning." in told.out
    assert command("policy", "check", file, "--strict").status == 1
    (warning,) = command("policy", "check", file, "--json").document["warnings"]
    assert (warning["code"], warning["path"]) == ("hidden-rule", "policies[0].rules[1].tags")


def test_check_of_a_sound_policy(command: Command, policy: Path) -> None:
    told = command("policy", "check", policy, "--strict")
    assert (told.status, told.out.count("nothing wrong")) == (0, 1)


# test.


def test_cases_beside_their_policy(command: Command, policy: Path, tmp_path: Path) -> None:
    cases = tmp_path / "policy.test.yaml"
    cases.write_text(
        "policy: policy.yaml\ncases:\n  - {name: one, tags: {1.0: 2d, 2.0: 1d}, keep: [2.0], expire: [1.0]}\n"
    )
    told = command("policy", "test", cases)
    assert (told.status, told.out, told.err) == (0, "1 case over 2 images: all as they should be.\n", "")
    cases.write_text("policy: policy.yaml\ncases:\n  - {name: one, tags: {1.0: 2d, 2.0: 1d}, keep: [1.0]}\n")
    told = command("policy", "test", cases)
    assert told.status == 1
    assert (
        f"{cases}:3:5: one: FAILED\n    1.0 should stay, but goes: 2nd newest by version, beyond 1 (rule 'r')"
        in told.out
    )
    document = command("policy", "test", cases, "--json").document
    assert (document["cases"], document["failed"]) == (1, 1)
    assert document["files"][0]["results"][0]["failures"][0]["image"] == "1.0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policy: none.yaml\ncases: [{name: a, tags: {x: 1d}, others: keep}]\n", "none.yaml: the file cannot be read"),
        (
            "policy: policy.yaml\ncases: [{name: a, inventory: none.json, others: keep}]\n",
            "the inventory cannot be read",
        ),
        ("policy: policy.yaml\ncases: [{name: a, inventory: policy.yaml, others: keep}]\n", "is no recorded inventory"),
        ("cases: {\n", "this is no YAML"),
    ],
)
def test_cases_that_cannot_be_run(command: Command, policy: Path, tmp_path: Path, text: str, message: str) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text(text)
    told = command("policy", "test", cases)
    assert told.status == 2
    assert message in told.message


def test_a_record_of_another_format_is_refused(command: Command, policy: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record.write_text(json.dumps({"version": 99, "inventory": {}}))
    told = command("forecast", "--inventory", record, "--policy", policy)
    assert told.status == 2
    assert "record format 99" in told.message
