"""The database itself: made when needed, private, migrated, and clear about what is wrong with it."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from jettison.errors import HistoryError, UsageError
from jettison.history import migrations
from jettison.history.model import PlannedAction
from jettison.history.schema import REVISION, VERSION_TABLE, metadata
from jettison.history.store import History
from jettison.oci.digest import Digest

REGISTRY = "http://registry.example"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.db"


def test_reading_makes_nothing(file: Path) -> None:
    history = History.open(file)
    assert history.runs() == []
    assert history.manifests.known([Digest.of(b"")]) == {}
    assert not file.parent.exists()


def test_the_first_write_makes_a_private_file_in_a_private_folder(file: Path) -> None:
    before = os.umask(0)
    try:
        history = History.open(file)
        history.begin_run(REGISTRY, "plan")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes.pop("history.db") == 0o600
    assert set(modes.values()) <= {0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    history.close()


def test_the_default_is_in_the_users_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert History.open().name == str(tmp_path / "jettison" / "history.db")


def test_commits_reach_the_disk_before_they_return(file: Path) -> None:
    history = History.open(file)
    history.begin_run(REGISTRY, "plan")
    with history._database.writing() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    history.close()


def tables(file: Path) -> dict[str, object]:
    """Everything that SQLite knows of a database's tables: columns, keys, and the indexes with their columns."""
    with sqlite3.connect(file) as connection:
        wanted = "SELECT name, wr, strict FROM pragma_table_list WHERE name NOT LIKE 'sqlite%'"
        told: dict[str, object] = {}
        for name, *kind in connection.execute(wanted).fetchall():
            indexes = connection.execute(f"PRAGMA index_list({name})").fetchall()
            told[name] = (
                kind,
                connection.execute(f"PRAGMA table_info({name})").fetchall(),
                connection.execute(f"PRAGMA foreign_key_list({name})").fetchall(),
                sorted((each[1:], connection.execute(f"PRAGMA index_info({each[1]})").fetchall()) for each in indexes),
            )
            constraints = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", [name]).fetchone()[0]
            told[f"{name}: names of constraints"] = sorted(re.findall(r"CONSTRAINT (\w+)", constraints))
    connection.close()
    return told


def migrate(file: Path, revision: str) -> None:
    """Make a database as an earlier jettison left it: by its migrations."""
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def test_a_new_history_has_exactly_the_tables_that_the_migrations_make(file: Path, tmp_path: Path) -> None:
    history = History.open(file)
    history.begin_run(REGISTRY, "plan")
    history.close()
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == REVISION
    engine.dispose()
    migrated = tmp_path / "migrated.db"
    migrate(migrated, "head")
    assert tables(file) == tables(migrated)
    assert len(tables(file)) == 2 * len([*metadata.tables, VERSION_TABLE])


def test_an_older_history_is_brought_up_to_date_and_keeps_its_runs(file: Path, tmp_path: Path) -> None:
    fresh = History.open(tmp_path / "fresh.db")
    fresh.begin_run(REGISTRY, "plan")
    fresh.close()
    file.parent.mkdir()
    migrate(file, "0001")
    assert tables(file) != tables(tmp_path / "fresh.db")
    with sqlite3.connect(file) as connection:
        connection.execute(
            "INSERT INTO runs (id, registry, command, started, outcome, host, pid, process_token) "
            f"VALUES ('old', '{REGISTRY}', 'apply', '2026-01-01 00:00:00', 'done', 'host', 1, '')"
        )
    connection.close()
    history = History.open(file)
    assert [run.id for run in history.runs()] == ["old"]
    assert history.pulls.registries() == []
    history.close()
    assert tables(file) == tables(tmp_path / "fresh.db")


def test_tables_of_another_program_are_left_alone(file: Path) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE runs (mine TEXT)")
    connection.close()
    before = tables(file)
    history = History.open(file)
    with pytest.raises(HistoryError, match="runs already exists"):
        history.begin_run(REGISTRY, "plan")
    history.close()
    assert tables(file) == before


def test_a_new_history_and_one_that_is_up_to_date_open_without_alembic(file: Path) -> None:
    program = """
import sys
from jettison.history.store import History
history = History.open(sys.argv[1])
for count in (1, 2):
    history.begin_run("http://registry.example", "plan")
    assert len(history.runs()) == count
    history.close()
    history = History.open(sys.argv[1])
assert not any(name.split(".")[0] == "alembic" for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program, file], check=True)


def test_whether_anything_can_be_known_is_told_by_the_file(file: Path) -> None:
    history = History.open(file)
    told = [history.may_know]
    assert history.runs() == []
    told.append(history.may_know)
    history.begin_run(REGISTRY, "plan")
    told.append(history.may_know)
    assert told == [False, False, True], "reading makes nothing"
    history.close()
    assert History.open(f"sqlite:///{file.parent}/none.db").may_know, "nobody looks behind a URL"


def test_a_folder_that_cannot_be_entered_may_hold_a_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    history = History.open(tmp_path / "history.db")
    monkeypatch.setattr(Path, "exists", refuse)
    assert history.may_know


def test_the_package_and_its_values_import_no_database(file: Path) -> None:
    program = """
import sys
import jettison.history, jettison.history.model, jettison.history.lock, jettison.history.state
from jettison.history.store import History
history = History.open(sys.argv[1])
assert history.name == sys.argv[1] and not history.may_know
history.close()
assert not any(name.split(".")[0] in ("sqlalchemy", "alembic", "sqlite3") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program, file], check=True)


def test_a_newer_database_is_refused_by_name(file: Path) -> None:
    history = History.open(file)
    run = history.begin_run(REGISTRY, "plan", [PlannedAction("delete-tag")])
    history.close()
    with sqlite3.connect(file) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9876'")
    connection.close()
    newer = History.open(file)
    for use in (newer.runs, lambda: newer.begin_run(REGISTRY, "plan"), lambda: newer.run(run.id)):
        with pytest.raises(HistoryError, match=f"{file}.*newer jettison.*'9876'.*update jettison"):
            use()
    newer.close()
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    connection.close()


def test_many_processes_may_begin_with_no_database_at_once(file: Path) -> None:
    program = """
import sys
from jettison.history.store import History
from jettison.history import migrations
from jettison.history.model import PlannedAction
sys.stdin.readline()
history = History.open(sys.argv[1])
for n in range(10):
    run = history.begin_run("http://registry.example", "apply", [PlannedAction("delete-tag")] * 5)
    run.begin(1, 2, 3)
    run.record(1, "done")
    history.runs()
"""
    crowd = [subprocess.Popen([sys.executable, "-c", program, file], stdin=subprocess.PIPE) for _ in range(4)]
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
    assert [process.wait(60) for process in crowd] == [0, 0, 0, 0]
    history = History.open(file)
    assert len(history.runs(limit=None)) == 40
    assert {run.outcome for run in history.runs(limit=None)} == {"killed"}
    history.close()


@pytest.mark.parametrize(
    "content", [b"this is no database, but a letter " * 200, os.urandom(20000)], ids=["text", "noise"]
)
def test_a_file_that_is_no_database_is_named_and_left_alone(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    history = History.open(file)
    for use in (history.runs, lambda: history.begin_run(REGISTRY, "plan")):
        with pytest.raises(HistoryError, match=f"{file} cannot be .*no SQLite database.*move it away.*--history URL"):
            use()
    history.close()
    assert file.read_bytes() == content


def test_damaged_pages_are_an_error_with_a_way_out(file: Path) -> None:
    history = History.open(file)
    history.begin_run(REGISTRY, "apply", [PlannedAction("delete-manifest", "a" * 3000) for _ in range(50)])
    history.close()
    content = bytearray(file.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    file.write_bytes(content)
    damaged = History.open(file)
    with pytest.raises(HistoryError, match=f"{file}.*damaged.*--history URL"):
        damaged.runs()
    damaged.close()


@pytest.mark.parametrize(
    "change",
    ["UPDATE runs SET started = 'yesterday'", "UPDATE runs SET outcome = 'wonderful'", "UPDATE runs SET totals = '{'",
     "UPDATE runs SET plan = x'00'", "UPDATE actions SET digest = 'sha256:1'"],
)  # fmt: skip
def test_a_row_that_nobody_wrote_so_is_an_error_with_a_way_out(file: Path, change: str) -> None:
    history = History.open(file)
    run = history.begin_run(REGISTRY, "apply", [PlannedAction("delete-manifest", digest=Digest.of(b""))])
    history.close()
    with sqlite3.connect(file) as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(HistoryError, match=f"{file}.*damaged.*--history URL"):
        history.run(run.id)
    history.close()


def test_a_locked_database_is_named_after_the_wait(file: Path) -> None:
    history = History.open(file, lock_timeout=0.05)
    run = history.begin_run(REGISTRY, "apply", [PlannedAction("delete-tag")])
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HistoryError, match=f"{file} cannot be written: another process keeps it locked.*--history URL"):
        run.begin(1)
    assert len(history.runs()) == 1  # readers do not wait for a writer
    other.execute("ROLLBACK")
    other.close()
    run.begin(1)
    history.close()


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = History.open(tmp_path / "file" / "state" / "history.db")
    with pytest.raises(HistoryError, match=r"file/state/history.db cannot be written: .*--history URL"):
        history.begin_run(REGISTRY, "plan")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mount: a file system of its own needs root")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (65536, 4096, 1):
            while True:
                os.write(descriptor, b"x" * size)
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return filler


def test_a_full_disk_is_found_before_the_act(small_disk: Path) -> None:
    file = small_disk / "history.db"
    history = History.open(file)
    actions = [PlannedAction("delete-manifest", "a" * 200, Digest.of(b"%d" % n)) for n in range(300)]
    run = history.begin_run(REGISTRY, "apply", actions)
    run.begin(1)
    filler = fill(small_disk)
    done, error = [1], None
    for sequence in range(2, 301):
        try:
            run.begin(sequence)
        except HistoryError as raised:
            error = str(raised)
            break
        done.append(sequence)
    assert error is not None, "the disk did not get full"
    assert f"{file} cannot be written: the disk is full; free some space, or" in error
    assert "--history URL" in error
    # What was promised to be written is there, and nothing else; with some space the run goes on where it stopped.
    told = history.run(run.id)
    assert [record.sequence for record in told.actions if record.begun_at is not None] == done
    filler.unlink()
    run.begin(done[-1] + 1)
    run.finish("done", 0)
    history.close()


def test_a_disk_that_is_full_at_the_start_is_named(small_disk: Path) -> None:
    fill(small_disk)
    history = History.open(small_disk / "history.db")
    with pytest.raises(HistoryError, match="the disk is full; free some space"):
        history.begin_run(REGISTRY, "plan")
    history.close()


def test_a_read_only_file_system_is_named(small_disk: Path) -> None:
    history = History.open(small_disk / "history.db")
    run = history.begin_run(REGISTRY, "apply", [PlannedAction("delete-tag")])
    history.close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    read_only = History.open(small_disk / "history.db")
    with pytest.raises(
        HistoryError, match=r"history.db cannot be written: .*(Read-only|may not be written).*--history URL"
    ):
        read_only.begin_run(REGISTRY, "plan")
    assert run.id
    read_only.close()


@pytest.mark.parametrize(
    "location",
    [
        "mysql://ci:hunter2@db/history",
        "sqlite://",
        "sqlite:///:memory:",
        "nonsense://hunter2",
        "postgresql://ci:hunter2@db:port/x",
    ],
)
def test_a_location_that_cannot_be_meant_is_refused_without_its_password(location: str) -> None:
    with pytest.raises(UsageError, match="--history") as raised:
        History.open(location)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_password_is_never_shown() -> None:
    history = History.open("postgresql://ci:hunter2@127.0.0.1:1/history?password=hunter2&sslpassword=hunter2")
    assert "hunter2" not in repr(history)
    assert history.name == "postgresql+psycopg://ci@127.0.0.1:1/history"
    # Nothing listens there, or the driver is not installed: an error either way.
    with pytest.raises(HistoryError, match="postgresql") as raised:
        history.runs()
    error: BaseException | None = raised.value
    while error is not None:
        assert "hunter2" not in f"{error}{error!r}"
        error = error.__cause__
