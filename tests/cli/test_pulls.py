"""`jettison pulls`: what it prints and what it ends with."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from tests.cli.commands import Command
from tests.pulls.logs import ONE, combined, manifest

from jettison.testing.images import image
from jettison.testing.storage_tree import StorageTree

URL = "http://registry.example:5000"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    now = datetime.now(UTC)
    lines = [("1.0", 40), ("2.0", 39), ("1.0", 1)]
    path.write_text("".join(combined(manifest(tag), now - timedelta(hours=hours)) for tag, hours in lines))
    return path


def test_what_was_imported_is_shown(command: Command, log: Path) -> None:
    told = command("pulls", "import", log, "--registry", URL)
    assert (told.status, told.err) == (0, "")
    assert "3 pulls, 3 lines read" in told.out
    assert "Pulls are known from" in told.out
    shown = command("pulls", "show", URL)
    assert shown.status == 0
    rows = [line.split() for line in shown.out.splitlines() if "team/app" in line]
    assert [(row[1], row[-1]) for row in rows] == [("1.0", "2"), ("2.0", "1")]
    again = command("pulls", "import", log, "--registry", URL)
    assert "0 pulls, 0 lines read" in again.out
    assert "were known already" in again.out
    document = command("pulls", "show", URL, "--json", "--limit", 1).document
    assert document["version"] == 1
    assert document["registry"] == URL
    assert [each["reference"] for each in document["pulled"]] == ["1.0"]
    assert document["known_since"] == document["spans"][0]["since"]
    assert command("pulls", "show", URL, "--json", "--repository", "other/**").document["pulled"] == []


def test_a_log_that_is_too_old_says_that_nothing_is_known(command: Command, tmp_path: Path) -> None:
    (tmp_path / "old.log").write_text(combined(moment=datetime.now(UTC) - timedelta(days=30)))
    told = command("pulls", "import", tmp_path / "old.log", "--registry", URL, "--json")
    assert told.document["known_since"] is None
    assert "keeps everything" in command("pulls", "import", tmp_path / "old.log", "--registry", URL).out
    assert "too old" in command("pulls", "show", URL).out


def test_nothing_known_says_how_to_learn_it(command: Command, log: Path) -> None:
    assert command("pulls", "import", log, "--registry", URL).status == 0
    shown = command("pulls", "show", "http://other.example")
    assert shown.status == 0
    assert "`jettison pulls import` reads logs" in shown.out
    assert URL in shown.out


def test_files_that_are_no_logs_are_told(command: Command, log: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("nothing of interest\n")
    told = command("pulls", "import", other, "--registry", URL)
    assert told.status == 2
    assert "none of its 1 lines is of a format that is known" in told.message
    told = command("pulls", "import", other, tmp_path, tmp_path / "missing", log, "--registry", URL, "--json")
    assert told.status == 4
    assert [bool(each["problem"]) for each in told.document["logs"]] == [True, True, True, False]
    assert command("pulls", "import", log).status == 2  # of which registry?
    assert command("pulls", "import", "--registry", URL).status == 2
    assert command("pulls", "import", log, "--format", "morse").status == 2


def test_a_pattern_that_is_none_is_told_by_its_place(command: Command, log: Path, tmp_path: Path) -> None:
    configuration = tmp_path / "jettison.yaml"
    for text, message in {
        "pulls: {ignore: [{user_agnet: x}]}": "pulls.ignore[0].user_agnet: unknown key 'user_agnet'; did you mean",
        "pulls: {ignore: [{address: 10.0.0.0/64}]}": "pulls.ignore: '10.0.0.0/64' is no network",
        "pulls: {ignore: [{name: nobody}]}": "pulls.ignore: nobody: give a user_agent, account or address",
        "pulls: {gap: soon}": "pulls.gap: 'soon' is no span of time",
    }.items():
        configuration.write_text(text)
        told = command("pulls", "import", log, "--registry", URL, "--config", configuration)
        assert told.status == 2
        assert message in told.message


def test_a_log_comes_in_by_standard_input_and_by_a_pipe(command: Command, log: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "jettison", "pulls", "import", "-", "--registry", URL, "--json"]
    with log.open("rb") as file:
        done = subprocess.run(program, stdin=file, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=lambda: pipe.write_text(log.read_text() + combined(manifest(ONE), datetime.now(UTC))))
    writer.start()
    told = command("pulls", "import", pipe, "--registry", URL, "--json")
    writer.join()
    assert told.document["logs"][0]["pulls"] == 1
    assert [each["times"] for each in command("pulls", "show", URL, "--json").document["pulled"]] == [1, 2, 1]


def test_a_storage_that_is_worked_on_offline_has_pulls_of_its_own(command: Command, log: Path, tmp_path: Path) -> None:
    storage = tmp_path / "registry"
    StorageTree(storage).add("team/app", image(seed=1), ["1.0"])
    assert command("pulls", "import", log, "--storage", storage, "--json").document["registry"] == str(storage)
    assert len(command("pulls", "show", "--storage", storage, "--json").document["pulled"]) == 2
    assert command("pulls", "show", URL, "--json").document["pulled"] == []
    assert command("pulls", "show", URL, "--storage", storage).status == 2
    assert command("pulls", "show", "--storage", tmp_path / "none").status == 1
