"""The commands on policies: check, test, record, schema, diff, new."""

import json
import os
import pty
import re
import sys
from pathlib import Path

import pytest
from tests.cli.commands import Command

from jettison.testing.images import image, push
from jettison.testing.registry_server import RegistryServer

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


def test_the_documented_cases_come_out_as_documented(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "policy-test.md").read_text("utf-8")
    cases, policy, _ = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (shown,) = re.findall(r"```text\n\$ jettison policy test policy.test.yaml\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.test.yaml").write_text(cases)
    (tmp_path / "policy.yaml").write_text(policy)
    assert command("policy", "test", "policy.test.yaml").status == 0
    (tmp_path / "policy.yaml").write_text(policy.replace("newest: 3", "newest: 2"))
    told = command("policy", "test", "policy.test.yaml")
    assert (told.status, told.out) == (1, shown)


def test_a_record_of_another_format_is_refused(command: Command, policy: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record.write_text(json.dumps({"version": 99, "inventory": {}}))
    told = command("forecast", "--inventory", record, "--policy", policy)
    assert told.status == 2
    assert "record format 99" in told.message


# diff, record.


@pytest.fixture
def filled(registry_31: RegistryServer) -> RegistryServer:
    for number in range(3):
        push(registry_31.url, "team/app", image(seed=number), f"{number}.0")
    return registry_31


def test_diff_on_a_registry_and_on_a_record_of_it(
    filled: RegistryServer, command: Command, policy: Path, tmp_path: Path
) -> None:
    other, record = tmp_path / "new.yaml", tmp_path / "record.json"
    other.write_text(POLICY.replace("newest: 1", "newest: 2"))
    assert command("policy", "record", filled.url, "-o", record).status == 0
    for source in ((filled.url,), ("--inventory", record)):
        told = command("policy", "diff", policy, other, *source)
        assert (told.status, told.err) == (0, "")
        assert "team/app:1.0" in told.out
        assert "Of 3 tags 0 more would go, 1 would stay that go now" in told.out
        assert command("policy", "diff", policy, other, *source, "--detailed-exitcode").status == 10
        assert command("policy", "diff", policy, policy, *source, "--detailed-exitcode").status == 0
        document = command("policy", "diff", other, policy, *source, "--json").document
        assert [(each["tag"], each["kept"], each["was_kept"]) for each in document["goes"]] == [("1.0", False, True)]
        assert document["new_frees"] > document["old_frees"] > 0
    planned = command("plan", filled.url, "--policy", policy, "--delete-by", "digest", "--json").document
    assert document["new_frees"] == planned["totals"]["frees"]


def test_a_recorded_inventory_as_a_case(filled: RegistryServer, command: Command, policy: Path, tmp_path: Path) -> None:
    assert command("policy", "record", filled.url, "-o", tmp_path / "team.json.gz").status == 0
    cases = tmp_path / "cases.yaml"
    cases.write_text(
        "policy: policy.yaml\n"
        "cases: [{name: a, inventory: team.json.gz, keep: ['team/app:2.*'], expire: ['*/app:0.0'], others: expire}]\n"
    )
    told = command("policy", "test", cases)
    assert (told.status, told.out) == (0, "1 case over 3 images: all as they should be.\n")
    cases.write_text("policy: policy.yaml\ncases: [{name: a, inventory: team.json.gz, keep: ['2.0']}]\n")
    assert "write REPOSITORY:TAG" in command("policy", "test", cases).message


def test_two_sources_are_one_too_many(command: Command, policy: Path, tmp_path: Path) -> None:
    told = command("policy", "diff", policy, policy, "http://127.0.0.1:1", "--inventory", tmp_path / "x")
    assert told.status == 2
    assert "--inventory stands instead of a registry" in told.message


# schema.


def test_schema_prints_the_committed_one(command: Command) -> None:
    committed = Path(__file__).parents[2] / "docs" / "policy.schema.json"
    assert command("policy", "schema").out == committed.read_text("utf-8")


# new.


def test_new_proposes_what_check_accepts(filled: RegistryServer, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    told = command("policy", "new", filled.url, "--releases", 2, "-o", file)
    assert (told.status, told.out) == (0, "")
    assert "it would delete 1 of 3 tags now" in told.err
    assert command("policy", "check", file, "--strict").status == 0
    planned = command("plan", filled.url, "--policy", file, "--delete-by", "digest", "--json").document
    assert [each["tags"] for each in planned["actions"]] == [["0.0"]]
    again = command("policy", "new", filled.url, "-o", file)
    assert again.status == 2
    assert "is there already" in again.message
    document = command("policy", "new", filled.url, "--json").document
    assert (document["tags"], document["deleted_tags"]) == (3, 0)
    assert command("policy", "new", filled.url).out == document["policy"]


@pytest.mark.parametrize("option", ["--age", "--untagged", "--max-deletions"])
def test_new_refuses_what_is_no_span_or_limit(command: Command, option: str) -> None:
    told = command("policy", "new", "http://127.0.0.1:1", option, "soon")
    assert told.status == 2
    assert "'soon' is no" in told.message


def test_new_asks_on_a_terminal(filled: RegistryServer, tmp_path: Path) -> None:
    push(filled.url, "team/app", image(seed="b"), "main-0867a188")
    file = tmp_path / "policy.yaml"
    script = f"{sys.executable} -m jettison policy new {filled.url} --builds 4 -o {file}"
    told = on_terminal(script, {"Keep the newest [10]": "7", "younger than [14d]": "soon", "is no span": "3d"})
    assert "main-0867a188" not in told.split("Keep the newest")[0]
    text = file.read_text()
    assert "keep: {newest: 7}" in text
    assert "newest: 4, by: pushed, per: branch, within: 3d" in text
    assert "untagged: {keep: {within: 7d}}" in text


def on_terminal(script: str, answers: dict[str, str]) -> str:
    """Run a command on a terminal of its own; answer each question once, and any other with the default."""
    process, terminal = pty.fork()
    if process == 0:
        os.execvp("/bin/sh", ["/bin/sh", "-c", script])
    told, answered = "", 0
    try:
        while True:
            told += os.read(terminal, 4096).decode()
            fresh = told[answered:]
            if fresh.endswith("]: "):
                found = next((each for each in answers if each in fresh), None)
                os.write(terminal, f"{answers.pop(found) if found else ''}\n".encode())
                answered = len(told)
    except OSError:  # how a terminal tells that its other end is closed
        pass
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0, told
    assert answers == {}, told
    return told
