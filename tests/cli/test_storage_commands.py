"""The command line over storage, beside real servers and without one: plan, apply, run, usage, gc, registry prepare."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import Command, Ended, end, start
from tests.conftest import MakeRegistry

from jettison.storage import layout
from jettison.storage.lease import take_lease
from jettison.testing.connection import Connection
from jettison.testing.docker_engine import DockerEngine
from jettison.testing.faulty import FaultyServer
from jettison.testing.htpasswd import PASSWORD, USER, Htpasswd
from jettison.testing.images import image, index, pull, push, random_layer
from jettison.testing.registry_server import RegistryServer
from jettison.testing.storage_tree import StorageTree

APP = "team/app"
BASE = random_layer("base", 4000)
OLD = image([BASE, random_layer("old", 9000)], seed="old")
NEW = image([BASE, random_layer("new", 8000)], seed="new")
UNTAGGED = image([BASE, random_layer("untagged", 7000)], seed="untagged")
MULTI = index([NEW, image(seed="arm", platform="linux/arm64")])
ONLINE = ("--grace", "0", "--settle", "0.1s", "--yes")
OFFLINE = ("--offline", "--grace", "0", "--yes")


def fill(server: RegistryServer) -> None:
    """Two versions, `latest` on the old one, a manifest without a tag, and an index."""
    push(server.url, APP, OLD, "1.0")
    push(server.url, APP, OLD, "latest")
    push(server.url, APP, NEW, "2.0")
    push(server.url, APP, UNTAGGED, "gone")
    push(server.url, APP, image(seed="newer"), "gone")
    push(server.url, "team/multi", MULTI, "1.0")


@pytest.fixture
def filled(registry: RegistryServer) -> RegistryServer:
    fill(registry)
    return registry


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A storage without a server, pushed long ago."""
    laid = StorageTree(tmp_path / "data")
    long_ago = datetime.now(UTC) - timedelta(days=60)
    laid.add(APP, OLD, ["1.0", "latest"], long_ago)
    laid.add(APP, NEW, ["2.0"], long_ago)
    laid.add(APP, UNTAGGED, [], long_ago)
    laid.add(APP, image(seed="third"), ["1.5"], long_ago)
    return laid.root


def listing(root: Path) -> dict[str, tuple[float, bytes]]:
    return {
        str(path.relative_to(root)): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in root.rglob("*")
    }


def data(root: Path) -> int:
    return sum(path.stat().st_size for path in (root / layout.BLOBS).rglob("data"))


def one_message(told: Ended, status: int, *parts: str) -> None:
    assert told.status == status, told
    for part in parts:
        assert part in told.message
    assert told.out == ""


def tags(server: RegistryServer, repository: str = APP) -> list[str]:
    with Connection(server.url) as connection:
        return sorted(json.loads(connection.ask("GET", f"/v2/{repository}/tags/list").body)["tags"] or [])


def delete(server: RegistryServer, digest: str, repository: str = APP) -> None:
    with Connection(server.url) as connection:
        assert connection.ask("DELETE", f"/v2/{repository}/manifests/{digest}").status == 202


# Storage alone.


def test_the_whole_job_without_a_server(tree: Path, command: Command, tmp_path: Path) -> None:
    before = listing(tree)
    used = command("usage", "--storage", tree, "--json").document
    assert used["total"] == data(tree)
    told = command("plan", "--storage", tree, "--offline", "--keep", 1, "--untagged", "7d", "-o", tmp_path / "p.json")
    assert told.status == 0
    assert "Frees up to" not in told.out
    plan = json.loads((tmp_path / "p.json").read_text())
    assert (plan["source"], plan["registry"]) == ("storage", str(tree))
    assert {action["digest"] for action in plan["actions"]} >= {str(UNTAGGED.digest)}
    assert {tag for action in plan["actions"] for tag in action["tags"]} == {"1.0", "1.5"}
    assert listing(tree) == before

    applied = command("apply", tmp_path / "p.json", "--yes", "--json").document
    assert applied["results"]["done"] == len(plan["actions"])
    size = data(tree)
    assert size == sum(len(content) for name, (_, content) in before.items() if name.endswith("/data"))
    dry = command("gc", "--storage", tree, "--offline", "--dry-run", "--json").document["collection"]
    told = command("gc", "--storage", tree, "--offline", "--now", "--yes", "--json")
    done = told.document["collection"]
    assert told.status == 0
    assert plan["totals"]["frees"] == applied["frees"] == dry["condemned_bytes"] == done["purged_bytes"]
    assert size - data(tree) == done["purged_bytes"]
    assert done["waiting_bytes"] == 0


def test_run_without_a_server_frees_what_it_says(tree: Path, command: Command) -> None:
    size = data(tree)
    told = command("run", "--storage", tree, "--keep", 1, "--untagged", "1d", "--now", *OFFLINE, "--json")
    assert told.status == 0
    assert told.document["frees"] == told.document["collection"]["purged_bytes"] == size - data(tree) > 0
    runs = command("history", "--json").document["runs"]
    assert [(run["command"], run["registry"], run["outcome"]) for run in runs] == [("run", str(tree), "done")]


def test_untagged_manifests_that_something_kept_needs_stay(command: Command, tmp_path: Path) -> None:
    laid = StorageTree(tmp_path / "data")
    laid.add("multi", MULTI, ["1.0"], datetime.now(UTC) - timedelta(days=60))
    told = command("plan", "--storage", laid.root, "--offline", "--keep", 1, "--untagged", "1d", "--json")
    assert told.document["actions"] == []


def test_a_plan_of_a_storage_is_for_that_storage(tree: Path, command: Command, tmp_path: Path) -> None:
    other = StorageTree(tmp_path / "other")
    other.add(APP, OLD, ["1.0"])
    assert command("plan", "--storage", tree, "--offline", "--keep", 1, "-o", tmp_path / "p.json").status == 0
    before = listing(other.root)
    one_message(command("apply", tmp_path / "p.json", "--storage", other.root, "--yes"), 2, str(tree), str(other.root))
    assert listing(other.root) == before
    shutil.move(tree, tmp_path / "moved")
    one_message(command("apply", tmp_path / "p.json", "--yes"), 1, str(tree), "no such folder")


@pytest.mark.parametrize(
    ("arguments", "status", "parts"),
    [
        (("plan", "--storage", "s3://bucket", "--offline", "--keep", 1), 2, ("not yet as an object store",)),
        (("gc", "--storage", "/no/such", "--offline", "--yes"), 1, ("/no/such", "no such folder")),
        (("gc", "--offline", "--yes"), 2, ("which registry?",)),
        (("gc", "http://registry.example", "--yes"), 2, ("where is the registry's storage?", "--storage DIR")),
        (("gc", "http://registry.example", "--offline", "--yes"), 2, ("where is the registry's storage?",)),
        (("run", "http://registry.example", "--keep", 1, "--collector", "own", "--yes"), 2, ("--storage DIR",)),
        (("gc", "--storage", "DATA", "--yes"), 2, ("is the registry of", "--offline")),
        (("gc", "--storage", "DATA", "--offline"), 2, ("--yes",)),
        (("gc", "--storage", "DATA", "--offline", "--grace", "soon", "--yes"), 2, ("--grace", "'soon'")),
        (("gc", "--storage", "DATA", "--offline", "--collector", "registry", "--yes"), 2, ("--control",)),
        (("gc", "--storage", "DATA", "--offline", "--delete-untagged", "--yes"), 2, ("--collector registry",)),
        (("plan", "--storage", "DATA", "--offline"), 2, ("which policy?",)),
        (("plan", "--storage", "DATA", "--offline", "--keep", 1, "--untagged", "x"), 2, ("--untagged", "'x'")),
        (("plan", "--storage", "DATA", "--offline", "--policy", "P", "--untagged", "1d"), 2, ("P", "cannot be read")),
        (("plan", "--storage", "DATA/docker", "--offline", "--keep", 1), 1, ("did you mean",)),
    ],
)
def test_wrong_usage_is_told(
    arguments: tuple[object, ...], status: int, parts: tuple[str, ...], tree: Path, command: Command
) -> None:
    before = listing(tree)
    told = command(*(str(each).replace("DATA", str(tree)) for each in arguments))
    one_message(told, status, *parts)
    assert listing(tree) == before


HEAVY = ("sqlalchemy", "aiohttp", "rich", "docker", "ruamel", "re2")


def documented(*arguments: str, loads: tuple[str, ...] = ()) -> Any:
    """Run a command in a process of its own, hold which of the heavy modules it loads, and return what it printed."""
    program = (
        "import sys; from jettison.cli.main import run; status = run(sys.argv[1:]); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == str(list(loads))
    return json.loads(done.stdout)


def test_a_plan_loads_little_and_begins_no_history(tree: Path, command: Command) -> None:
    before = listing(tree)
    plan = ("plan", "--storage", str(tree), "--offline", "--keep", "1", "--untagged", "1h", "--json")
    first = documented(*plan)
    assert first["actions"] != []
    assert listing(tree) == before
    assert not Path(os.environ["XDG_STATE_HOME"]).exists(), "a plan of a storage needs no history"
    assert command("gc", "--storage", tree, "--offline", "--grace", "1000d", "--yes").status == 0
    for _ in range(2):  # the first fills the history's caches, the second reads them
        assert documented(*plan, loads=("sqlalchemy",))["actions"] == first["actions"]


@pytest.mark.parametrize(
    "words", ["usage", "forecast --keep 1", f"explain {APP}:2.0 --keep 1"], ids=lambda text: text.split()[0]
)
def test_what_only_looks_at_a_storage_loads_little_and_begins_no_history(words: str, tree: Path) -> None:
    documented(*words.split(), "--storage", str(tree), "--offline", "--json")
    assert not Path(os.environ["XDG_STATE_HOME"]).exists()


def test_a_dry_run_writes_nothing_and_loads_little(tree: Path, tmp_path: Path) -> None:
    before = listing(tree)
    told = documented("gc", "--storage", str(tree), "--offline", "--dry-run", "--json")
    assert told["collection"]["dry_run"] is True
    assert listing(tree) == before
    assert not Path(os.environ["XDG_STATE_HOME"]).exists(), "a dry run needs no history"


def test_chores_are_listed_by_the_dry_run_then_done_and_journalled(tree: Path, command: Command) -> None:
    upload = tree / layout.uploads_folder(APP) / "stale"
    upload.mkdir(parents=True)
    (upload / "startedat").write_text("2020-01-01T00:00:00Z")
    (upload / "data").write_bytes(b"x" * 500)
    dry = command("gc", "--storage", tree, "--offline", "--dry-run", "--json").document["collection"]["housekeeping"]
    assert [(each["action"], each["repository"], each["bytes"]) for each in dry] == [("remove-upload", APP, 500)]
    assert "begun on 2020-01-01" in dry[0]["reason"]
    left = command("gc", "--storage", tree, "--offline", "--no-housekeeping", "--yes", "--json").document
    assert left["collection"]["housekeeping"] == []
    assert upload.exists()
    done = command("gc", "--storage", tree, "--offline", "--yes", "--json").document
    assert done["collection"]["housekeeping"] == dry
    assert not upload.exists()
    actions = command("history", done["run"], "--json").document["actions"]
    assert [(each["action"]["kind"], each["result"]) for each in actions][-1] == ("remove-upload", "done")


def test_a_broken_repository_ends_with_4_and_is_named(tree: Path, command: Command) -> None:
    (tree / layout.blob_data(NEW.digest)).unlink()
    for arguments in (("--dry-run",), ("--yes",)):
        told = command("gc", "--storage", tree, "--offline", *arguments)
        assert told.status == 4
        assert f"{APP} is broken" in told.out


def test_another_collector_is_told_who_holds_the_storage(tree: Path, command: Command) -> None:
    with take_lease(str(tree), "gc"):
        one_message(
            command("gc", "--storage", tree, *OFFLINE), 1, "is being collected by `jettison gc`", str(os.getpid())
        )
        assert command("gc", "--storage", tree, "--offline", "--dry-run").status == 0


def test_a_run_whose_collection_fails_tells_what_it_deleted(filled: RegistryServer, command: Command) -> None:
    push(filled.url, APP, image(seed="third"), "1.5")
    arguments = ("run", filled.url, "--keep", 1, "--storage", filled.root, *ONLINE)
    with take_lease(str(filled.root), "gc"):
        told = command(*arguments, "--json")
        assert "is being collected by" in told.message
        assert (told.status, told.document["exit_status"], told.document["collection"]) == (1, 1, None)
        assert told.document["results"]["done"] > 0
    assert command(*arguments, "--json").document["collection"]["quarantined"] > 0


def test_a_storage_alone_can_be_scheduled(tree: Path, command: Command) -> None:
    arguments = ("--cron", "0 3 * * *", "--kind", "crontab", "--print", "--storage", tree, "--offline", "--keep", 1)
    told = command("schedule", "install", *arguments, "--json")
    assert told.status == 0, told
    assert f"--storage {tree} --offline --keep 1 --yes" in told.document["text"]


# Beside a serving registry.


def test_the_storage_shows_what_the_api_hides(filled: RegistryServer, command: Command) -> None:
    over_api = command("plan", filled.url, "--keep", 1, "--untagged", "0s", "--delete-by", "digest", "--json").document
    told = command("plan", filled.url, "--keep", 1, "--untagged", "0s", "--storage", filled.root, "--json")
    both = told.document
    assert (over_api["source"], both["source"], both["registry"]) == ("api", "both", filled.url)
    going = {action["digest"] for action in both["actions"] if action["action"] == "delete-manifest"}
    assert going == {str(UNTAGGED.digest)}
    assert [action["tags"] for action in both["actions"] if action["action"] == "delete-tag"] == [["1.0"]]
    assert both["totals"]["size"] == data(filled.root)
    assert command("usage", filled.url, "--storage", filled.root, "--json").document["total"] == data(filled.root)


def test_run_online_then_the_same_images_again_without_a_restart(filled: RegistryServer, command: Command) -> None:
    size = data(filled.root)
    told = command(
        "run", filled.url, "--keep", 1, "--untagged", "0s", "--storage", filled.root, *ONLINE, "--now", "--json"
    )
    assert told.status == 0, told
    collected = told.document["collection"]
    assert (collected["collector"], collected["mode"]) == ("own", "online")
    assert collected["purged_bytes"] == size - data(filled.root) > 7000
    assert collected["waiting"] == 0
    # The expired tag on a digest that stays is gone, on 2.8 as well.
    assert tags(filled) == ["2.0", "gone", "latest"]
    for tag in ("2.0", "latest", "gone"):
        pull(filled.url, APP, tag)
    pull(filled.url, "team/multi", "1.0")
    push(filled.url, APP, UNTAGGED, "again")
    push(filled.url, "team/new", UNTAGGED, "again")
    pull(filled.url, APP, "again")
    pull(filled.url, "team/new", "again")


def test_gc_online_quarantines_and_a_push_brings_back(filled: RegistryServer, command: Command) -> None:
    delete(filled, UNTAGGED.digest)
    before = listing(filled.root)
    dry = command("gc", filled.url, "--storage", filled.root, "--grace", "0", "--dry-run", "--json").document
    assert listing(filled.root) == before
    told = command("gc", filled.url, "--storage", filled.root, *ONLINE, "--json")
    assert told.status == 0, told
    first = told.document["collection"]
    assert first["purged"] == 0
    assert first["quarantined"] == first["waiting"] == 2
    assert first["bodies"] == 1
    for figure in ("condemned", "condemned_bytes", "bodies", "young", "broken", "problems"):
        assert dry["collection"][figure] == first[figure], figure
    assert first["until"] is not None
    push(filled.url, APP, UNTAGGED, "back")
    pull(filled.url, APP, "back")
    second = command("gc", filled.url, "--storage", filled.root, *ONLINE, "--json").document["collection"]
    assert second["waiting"] == 0
    pull(filled.url, APP, "back")
    pull(filled.url, APP, "2.0")


def test_a_storage_of_another_registry_is_refused(
    filled: RegistryServer, make_registry: MakeRegistry, command: Command
) -> None:
    twin = make_registry(filled.version)
    fill(twin)
    delete(twin, UNTAGGED.digest)
    before = (listing(twin.root), listing(filled.root))
    told = command("gc", filled.url, "--storage", twin.root, *ONLINE)
    one_message(told, 2, filled.url, str(twin.root), "does not work on the storage")
    told = command("run", filled.url, "--storage", twin.root, "--keep", 1, "--json", *ONLINE)
    one_message(told, 2, filled.url, str(twin.root), "does not work on the storage")
    push(twin.url, APP, image(seed="other"), "2.0")
    told = command("plan", filled.url, "--storage", twin.root, "--keep", 1)
    one_message(told, 2, filled.url, str(twin.root), f"{APP}:")
    for server, old in zip((twin, filled), before, strict=True):
        kept = {name: content for name, (_, content) in listing(server.root).items() if name.endswith("/data")}
        assert kept.items() >= {name: content for name, (_, content) in old.items() if name.endswith("/data")}.items()


def test_offline_is_refused_while_the_registry_serves(filled: RegistryServer, command: Command) -> None:
    before = listing(filled.root)
    for arguments in (
        (filled.url, "--storage", filled.root),
        ("--registry-config", filled.config_path),
    ):
        one_message(command("gc", *arguments, *OFFLINE), 1, filled.url, "answers and takes pushes", "--offline")
        one_message(command("run", *arguments, "--keep", 1, *OFFLINE), 1, "answers and takes pushes")
        assert command("gc", *arguments, "--offline", "--dry-run").status == 0
    assert listing(filled.root) == before
    filled.stop()
    assert command("gc", "--registry-config", filled.config_path, *OFFLINE).status == 0
    filled.start()
    pull(filled.url, APP, "2.0")


def test_offline_knows_a_registry_by_its_storage_in_the_configuration(
    filled: RegistryServer, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "jettison.yaml"
    other = {"url": "http://127.0.0.1:9", "storage": str(tmp_path)}
    entry = {"url": filled.url, "storage": f"{filled.root}/."}
    file.write_text(json.dumps({"registries": {"other": other, "team": entry}}))
    told = command("gc", "--storage", filled.root, "--config", file, *OFFLINE)
    one_message(told, 1, filled.url, "answers and takes pushes")


def test_a_storage_that_control_leads_to_and_this_user_may_not_read_is_left_alone(
    filled: RegistryServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (filled.url, "--registry-config", filled.config_path)
    assert command("plan", *arguments, "--keep", 1, "--json").document["source"] == "both"
    # Root may read everything, so the question is answered in its place.
    asked = os.access
    monkeypatch.setattr(
        os,
        "access",
        lambda path, *how, **more: not str(path).startswith(f"{filled.root}/") and asked(path, *how, **more),
    )
    assert command("plan", *arguments, "--keep", 1, "--json").document["source"] == "api"
    one_message(command("gc", *arguments, *ONLINE), 2, "where is the registry's storage?", "cannot be read")
    one_message(command("gc", *arguments, *OFFLINE), 1, "cannot be read")


def test_offline_beside_a_read_only_registry(filled: RegistryServer, command: Command) -> None:
    delete(filled, UNTAGGED.digest)
    filled.stop()
    filled.readonly = True
    filled.start()
    one_message(command("gc", filled.url, "--storage", filled.root, *ONLINE), 1, "read-only", "--offline")
    told = command("gc", filled.url, "--registry-config", filled.config_path, *OFFLINE, "--now", "--json")
    assert told.status == 0, told
    assert told.document["collection"]["purged_bytes"] > 7000
    pull(filled.url, APP, "2.0")
    filled.stop()
    filled.readonly = False
    filled.start()
    push(filled.url, APP, UNTAGGED, "again")
    pull(filled.url, APP, "again")


def test_offline_asks_a_read_only_registry_with_credentials(
    make_registry: MakeRegistry, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = Htpasswd(tmp_path / "htpasswd")
    server = make_registry("2.8", auth=auth)
    push(server.url, APP, NEW, "1", auth=(USER, PASSWORD))
    monkeypatch.setenv("JETTISON_USERNAME", USER)
    monkeypatch.setenv("JETTISON_PASSWORD", PASSWORD)
    one_message(command("gc", server.url, "--storage", server.root, *OFFLINE), 1, "answers and takes pushes")
    server.stop()
    server.readonly = True
    server.start()
    assert command("gc", server.url, "--storage", server.root, *OFFLINE).status == 0


@pytest.mark.parametrize(
    ("extra", "arguments", "said"),
    [
        ({"proxy": {"remoteurl": "http://127.0.0.1:9"}}, (), "pull-through cache"),
        ({"storage": {"cache": {"blobdescriptor": "redis"}}, "redis": {"addr": "127.0.0.1:9"}}, (), "Redis"),
        (
            {"storage": {"cache": {"blobdescriptor": "redis"}}, "redis": {"addr": "127.0.0.1:9"}},
            ("--offline",),
            "outlives the server",
        ),
    ],
)
def test_what_must_not_be_collected_is_refused(
    extra: dict[str, object], arguments: tuple[str, ...], said: str, tree: Path, command: Command, tmp_path: Path
) -> None:
    server = RegistryServer("2.8", tree, extra=extra, port=9)
    config = tmp_path / "config.yml"
    config.write_text(json.dumps(server.configuration()))
    told = command("gc", "http://127.0.0.1:9", "--registry-config", config, "--grace", "0", "--yes", *arguments)
    one_message(told, 2, said)


def test_a_registry_that_deletes_nothing_is_refused_before_anything_moves(
    make_registry: MakeRegistry, command: Command
) -> None:
    server = make_registry("2.8", delete=False)
    fill(server)
    before = listing(server.root)
    one_message(command("gc", server.url, "--storage", server.root, *ONLINE), 1, "deletion is disabled")
    one_message(command("run", server.url, "--storage", server.root, "--keep", 1, "--json", *ONLINE), 1, "deletion")
    after = listing(server.root)
    assert {name for name in after if not name.startswith("jettison")} == set(before)


def test_a_replica_that_is_down_is_told_before_anything_moves(filled: RegistryServer, command: Command) -> None:
    delete(filled, UNTAGGED.digest)
    size = data(filled.root)
    with FaultyServer() as gone:
        url = gone.url
    told = command("gc", filled.url, "--storage", filled.root, "--replica", url, *ONLINE)
    one_message(told, 1, url)
    assert data(filled.root) == size


def test_two_replicas_are_both_made_to_forget(
    filled: RegistryServer, make_registry: MakeRegistry, command: Command
) -> None:
    second = make_registry(filled.version, root=filled.root)
    pull(second.url, APP, str(UNTAGGED.digest))
    delete(filled, UNTAGGED.digest)
    told = command("gc", filled.url, "--storage", filled.root, "--replica", second.url, *ONLINE, "--now", "--json")
    assert told.status == 0, told
    assert told.document["collection"]["purged"] == 2
    push(second.url, APP, UNTAGGED, "again")
    pull(filled.url, APP, "again")
    pull(second.url, APP, "again")


def test_interrupted_while_it_waits_it_says_how_to_go_on(filled: RegistryServer, command: Command) -> None:
    delete(filled, UNTAGGED.digest)
    arguments = ("gc", filled.url, "--storage", filled.root, "--grace", "0", "--yes")
    process = start(*arguments, "--settle", "1h")
    while not (filled.root / "jettison/reserve").exists() and process.poll() is None:
        pass
    process.send_signal(2)
    told = end(process)
    assert told.status == 130, told
    assert "the next `jettison gc` goes on" in told.err
    assert command(*arguments, "--settle", "0.1").status == 0
    pull(filled.url, APP, "2.0")


def test_the_configuration_names_storage_and_collector(
    filled: RegistryServer, command: Command, tmp_path: Path
) -> None:
    delete(filled, UNTAGGED.digest)
    file = tmp_path / "jettison.yaml"
    entry = {"url": filled.url, "keep": 5, "storage": str(filled.root), "collector": "own"}
    file.write_text(json.dumps({"registries": {"team": entry}}))
    told = command("run", "team", "--config", file, *ONLINE, "--json")
    assert told.status == 0, told
    assert told.document["collection"]["storage"] == str(filled.root)
    assert told.document["collection"]["quarantined"] == 2
    entry["collector"] = "theirs"
    file.write_text(json.dumps({"registries": {"team": entry}}))
    one_message(command("gc", "team", "--config", file, *ONLINE), 2, "collector: 'theirs'")


# In a container.


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_a_container_is_prepared_and_collected_without_naming_its_storage(
    version: str, docker_engine: DockerEngine, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.url)
    name = f"prepared-{version.replace('.', '-')}"
    container = docker_engine.run_registry(name, version, volume=tmp_path / "data")  # type: ignore[arg-type]
    try:
        control = ("--control", "docker")
        push(container.url, APP, UNTAGGED, "1")
        one_message(command("gc", container.url, *control, *ONLINE), 1, "deletion is disabled")
        written = command("registry", "enable-delete", container.url, *control, "--no-restart", "--yes", "--json")
        assert (written.document["changed"], written.document["waits_for_restart"]) == (True, True)
        again = command("registry", "enable-delete", container.url, *control)
        assert "enabled already" in again.out
        assert "In force after a restart" in again.out
        told = command("registry", "prepare", container.url, *control, "--yes", "--json")
        assert told.status == 0, told
        assert told.document["changed"]
        assert not told.document["waits_for_restart"]
        again = command("registry", "prepare", container.url, *control, "--yes", "--json")
        assert not again.document["changed"]
        status = command("registry", "status", container.url, *control, "--json").document["configuration"]
        assert (status["delete_enabled"], status["cache"]) == (True, None)

        push(container.url, APP, NEW, "2")
        push(container.url, APP, UNTAGGED, "1")
        told = command("run", container.url, "--keep", 1, *control, *ONLINE, "--now", "--json")
        assert told.status == 0, told
        collected = told.document["collection"]
        assert (collected["mode"], collected["storage"]) == ("online", str(tmp_path / "data"))
        assert collected["bodies"] == 0, "without a descriptor cache manifests need not wait"
        assert collected["purged_bytes"] == told.document["frees"] > 7000
        push(container.url, APP, UNTAGGED, "1")
        pull(container.url, APP, "1")
        pull(container.url, APP, "2")

        one_message(command("gc", "--control", f"docker:{name}", *OFFLINE), 1, "answers and takes pushes")
        container.stop()
        assert command("gc", "--control", f"docker:{name}", *OFFLINE).status == 0
    finally:
        container.remove()


def test_the_status_of_a_registry_that_does_not_answer(
    docker_engine: DockerEngine, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.url)
    container = docker_engine.run_registry("silent", "2.8")
    try:
        named = (container.url, "--control", "docker:silent")
        container.container.kill(signal="STOP")
        frozen = command("registry", "status", *named, "--json")
        assert (frozen.status, frozen.document["abilities"]) == (1, None)
        assert frozen.document["configuration"]["driver"] == "filesystem"
        assert "stopped by a signal" in " ".join(frozen.document["problems"])
        assert command("registry", "restart", *named, "--yes").status == 0
        assert command("registry", "status", *named).status == 0

        container.container.pause()
        one_message(command("registry", "status", *named), 1, "is paused", "docker unpause silent")
        one_message(command("gc", *named, "--collector", "registry", "--yes"), 1, "docker unpause silent")
        container.container.unpause()

        container.stop()
        stopped = command("registry", "status", *named, "--json")
        assert (stopped.status, stopped.document["configuration"]["driver"]) == (1, "filesystem")
        assert "cannot be asked over the API" in " ".join(stopped.document["problems"])
    finally:
        container.remove()
