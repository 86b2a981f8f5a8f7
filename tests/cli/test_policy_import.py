"""`jettison policy import`: what it prints, writes and refuses; a plan by it deletes what the other system would."""

import io
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.commands import Command

from jettison.testing.images import image
from jettison.testing.storage_tree import StorageTree

ECR = """{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "tagged", "tagPatternList": ["v*"],
  "countType": "imageCountMoreThan", "countNumber": 1}, "action": {"type": "expire"}}]}"""
ARCHIVE = """{"rules": [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "sinceImagePulled",
  "countUnit": "days", "countNumber": 90}, "action": {"type": "transition", "targetStorageClass": "archive"}}]}"""


@pytest.fixture
def ecr(tmp_path: Path) -> Path:
    file = tmp_path / "lifecycle.json"
    file.write_text(ECR)
    return file


def test_the_policy_goes_to_standard_output(command: Command, ecr: Path) -> None:
    told = command("policy", "import", "--from", "ecr", ecr, "--repository", "team/app")
    assert told.status == 0
    assert told.err == ""
    assert "repositories: [team/app]" in told.out


def test_a_plan_by_it_deletes_what_the_other_system_would(command: Command, ecr: Path, tmp_path: Path) -> None:
    laid, now = StorageTree(tmp_path / "data"), datetime.now(UTC)
    laid.add("team/app", image(seed="old"), ["v1", "stable"], now - timedelta(days=60))
    laid.add("team/app", image(seed="new"), ["v2"], now - timedelta(days=50))
    laid.add("team/app", image(seed="other"), ["dev"], now - timedelta(days=90))
    policy = tmp_path / "policy.yaml"
    assert command("policy", "import", "--from", "ecr", ecr, "-o", policy).status == 0
    assert command("policy", "check", policy).status == 0
    plan = command("plan", "--storage", laid.root, "--offline", "--policy", policy, "--json").document
    assert [(each["action"], each["tags"]) for each in plan["actions"]] == [("delete-manifest", ["stable", "v1"])]


def test_json_holds_the_policy_and_its_warnings(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(ARCHIVE)
    told = command("policy", "import", "--from", "ecr", file, "--json")
    assert told.status == 0
    assert told.document["from"] == "ecr"
    assert told.document["policy"].startswith("# Imported")
    assert [warning[:6] for warning in told.document["warnings"]] == ["rule 1"]


def test_what_is_not_exact_is_warned_of_and_stands_in_the_policy(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(ARCHIVE)
    told = command("policy", "import", "--from", "ecr", file)
    assert told.status == 0
    assert told.err.startswith("warning: rule 1 moves images to an archive")
    assert "# NOT EXACT: rule 1 moves images to an archive" in told.out


def test_a_policy_comes_from_standard_input(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + ECR.encode())))
    told = command("policy", "import", "--from", "ecr", "-")
    assert told.status == 0
    assert "tags: 'v*'" in told.out


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_what_the_system_refuses_ends_with_2_and_prints_nothing(
    command: Command, tmp_path: Path, as_json: tuple[str, ...]
) -> None:
    file, output = tmp_path / "policy.json", tmp_path / "policy.yaml"
    file.write_text(ECR.replace('"countNumber": 1', '"countNumber": 0'))
    told = command("policy", "import", "--from", "ecr", file, "-o", output, *as_json)
    assert told.status == 2
    assert told.out == ""
    assert "minimum: 1, found: 0" in told.message
    assert not output.exists()


def test_an_option_that_the_system_does_not_know_is_refused(command: Command, ecr: Path) -> None:
    told = command("policy", "import", "--from", "ecr", ecr, "--project", "team")
    assert told.status == 2
    assert told.message == "--project means nothing for ecr; it takes --repository, --prefix"


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"\xff\xfe", "is not UTF-8"), (b" " * 4_200_000, "no policy is"), (b"", "Could not map policyString")],
)
def test_what_cannot_be_read_is_said(command: Command, tmp_path: Path, body: bytes, message: str) -> None:
    file = tmp_path / "policy.json"
    file.write_bytes(body)
    told = command("policy", "import", "--from", "ecr", file)
    assert (told.status, told.out) == (2, "")
    assert message in told.message


def test_a_file_that_is_not_there_is_named(command: Command, tmp_path: Path) -> None:
    told = command("policy", "import", "--from", "ecr", tmp_path / "none.json")
    assert told.status == 2
    assert "none.json: the policy cannot be read: No such file" in told.message


def test_a_place_that_cannot_be_written_loses_nothing(command: Command, ecr: Path, tmp_path: Path) -> None:
    told = command("policy", "import", "--from", "ecr", ecr, "-o", tmp_path / "no" / "policy.yaml")
    assert told.status == 2
    assert "cannot be written" in told.message
