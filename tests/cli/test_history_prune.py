"""Forgetting old history as a user types it, on a real registry and its storage."""

import sqlite3
from pathlib import Path

import pytest
from tests.cli.commands import Command
from tests.cli.test_undo import FAST, assert_all_is_whole, cleaned, filled  # noqa: F401  (a fixture)

from jettison.history.store import History
from jettison.testing.registry_server import RegistryServer


def let_all_be_old() -> None:
    with sqlite3.connect(History.open().name) as connection:
        connection.execute(
            "UPDATE runs SET started = '2020-01-01 00:00:00.000000', ended = '2020-01-01 00:00:09.000000'"
        )
    connection.close()


def test_what_is_in_quarantine_stays_undoable(command: Command, filled: RegistryServer) -> None:  # noqa: F811
    deleted = cleaned(command, filled.url).document["run"]
    collected = command("gc", filled.url, "--storage", filled.root, *FAST, "--yes", "--json")
    assert collected.status == 0, collected.err
    let_all_be_old()

    blind = command("history", "prune", filled.url, "--yes")
    assert blind.status == 2
    assert "--storage DIR, or say --no-quarantine" in blind.message
    here = (filled.url, "--storage", filled.root)
    seen = command("history", "prune", *here, "--dry-run", "--json").document
    assert (seen["forgotten"]["runs"], seen["kept"]["undoable"], seen["dry_run"]) == (0, 2, True)
    assert command("history", "prune", *here, "--yes").status == 0

    undone = command("undo", deleted, *here, *FAST[2:], "--yes", "--json")
    assert (undone.status, undone.document["lost"]) == (0, [])
    assert_all_is_whole(filled.url)

    # What is back is in quarantine no more: now nothing holds the old runs.
    pruned = command("history", "prune", *here, "--yes", "--json").document
    assert pruned["forgotten"]["runs"] == 2
    assert pruned["kept"] == {"undoable": 0, "unfinished": 0}
    assert command("history", "show", deleted).status == 2
    assert [each["id"] for each in command("history", "--json").document["runs"]] == [undone.document["run"]]
    assert command("history", undone.document["run"]).status == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--older-than", "soon", "--yes"), "no span of time"),
        (("--older-than", "9999999999y", "--yes"), "--older-than"),
        (("--repository", "team/*", "--yes"), "forgotten as a whole"),
        ((), "no terminal to ask on"),
    ],
)
def test_mistakes(command: Command, arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    ended = command("history", "prune", "http://127.0.0.1:1", *arguments)
    assert ended.status == 2
    assert message in ended.message
