"""Undo as a user types it, on real servers: over the API alone, with the storage, and on the storage alone."""

import json
import shutil
from pathlib import Path

import pytest
from tests.app.undoing import seen
from tests.cli.commands import Command, Ended
from tests.compat.laid_out import buildkit_cache
from tests.conftest import MakeRegistry

from jettison.history.store import History
from jettison.testing.built import BuiltManifest
from jettison.testing.connection import Connection
from jettison.testing.faults import answer
from jettison.testing.faulty import FaultyServer
from jettison.testing.images import artifact, image, index, pull, push, random_layer, signature_of, signature_tag
from jettison.testing.registry_server import RegistryServer

APP, WEB = "team/app", "team/web"
OLD = index([image(seed="a"), image(seed="b", platform="linux/arm64")])
OLDER, NEW = image(seed="older", media="docker"), image(seed="new")
SIGNATURE = signature_of(OLD.digest)
SBOM = artifact([b"sbom of the old one"], subject=OLD)
FAST = ("--grace", "0s", "--settle", "50ms")


def tagged() -> dict[tuple[str, str], BuiltManifest]:
    """Return all tags that are pushed; `web` shares images with `app`."""
    return {
        (APP, "0.9"): OLDER,
        (APP, "1.0"): OLD,
        (APP, signature_tag(OLD.digest)): SIGNATURE,
        (APP, "2.0"): NEW,
        (APP, "latest"): NEW,
        (WEB, "0.1"): OLDER,
        (WEB, "0.2"): NEW,
    }


@pytest.fixture
def filled(registry: RegistryServer) -> RegistryServer:
    for (repository, tag), built in tagged().items():
        push(registry.url, repository, built, tag)
    return registry


def digest_of(url: str, repository: str, tag: str) -> str | None:
    accept = {"Accept": f"{OLD.media_type}, {NEW.media_type}, {OLDER.media_type}"}
    with Connection(url) as connection:
        answer = connection.ask("HEAD", f"/v2/{repository}/manifests/{tag}", headers=accept)
    return answer.headers.get("docker-content-digest") if answer.status == 200 else None


def assert_all_is_whole(url: str) -> None:
    for (repository, tag), built in tagged().items():
        assert digest_of(url, repository, tag) == built.digest, (repository, tag)
        pull(url, repository, tag)


def cleaned(command: Command, url: str, *more: object) -> Ended:
    ended = command("run", url, "--keep", "1", "--delete-by", "digest", "--yes", "--json", *more)
    assert ended.status == 0, ended.err
    for repository, tag in ((APP, "0.9"), (APP, "1.0"), (APP, signature_tag(OLD.digest)), (WEB, "0.1")):
        assert digest_of(url, repository, tag) is None
    return ended


def test_over_the_api_alone_every_image_comes_back_whole(command: Command, filled: RegistryServer) -> None:
    run = cleaned(command, filled.url).document["run"]

    undone = command("undo", filled.url, "--yes", "--json")
    assert (undone.status, undone.err) == (0, "")
    document = undone.document
    assert document["undone"] == run
    assert document["restored"] == {"manifests": 6, "tags": 4, "blobs": 0}
    assert document["lost"] == []
    assert_all_is_whole(filled.url)

    # Once more changes nothing, and says so.
    again = command("undo", run, "--yes", "--json")
    assert again.status == 0
    assert sum(again.document["restored"].values()) == 0
    assert again.document["there"] == 10

    # Undo of the undo: what the run had done; and of that: all is back.
    back = command("undo", document["run"], "--yes", "--json")
    assert back.status == 0, back.err
    assert back.document["deleted"] == {"done": 6, "gone": 0, "skipped": 0, "failed": 0}
    assert digest_of(filled.url, APP, "1.0") is None
    assert digest_of(filled.url, APP, "2.0") == NEW.digest
    third = command("undo", back.document["run"], "--yes")
    assert third.status == 0, third.err
    assert_all_is_whole(filled.url)


def test_collected_beside_the_serving_registry_it_comes_back_whole(command: Command, filled: RegistryServer) -> None:
    before = seen(filled.root)
    ended = cleaned(command, filled.url, "--storage", filled.root, *FAST)
    assert ended.document["collection"]["quarantined"] > 0
    quarantine = command("quarantine", "list", "--storage", filled.root, "--offline", "--json").document
    (collection,) = quarantine["collections"]
    assert (collection["run"], collection["blobs"]) == (
        ended.document["run"],
        ended.document["collection"]["quarantined"],
    )

    without = command("undo", filled.url, "--yes", "--json")
    assert without.status == 1
    assert {each["code"] for each in without.document["lost"]} == {"purged", "child-lost", "manifest-lost"}
    assert "--storage" in without.document["lost"][0]["text"]
    assert digest_of(filled.url, APP, "1.0") is None

    undone = command("undo", filled.url, "--storage", filled.root, "--settle", "50ms", "--yes", "--json")
    assert undone.status == 0, (undone.err, undone.out)
    assert undone.document["restored"]["blobs"] == collection["blobs"]
    assert_all_is_whole(filled.url)
    assert seen(filled.root) == before
    assert command("quarantine", "list", "--storage", filled.root, "--offline").out == "Nothing is in quarantine.\n"
    filled.restart()
    assert_all_is_whole(filled.url)


def test_after_an_undo_the_next_collection_takes_nothing_of_it(command: Command, filled: RegistryServer) -> None:
    cleaned(command, filled.url, "--storage", filled.root, *FAST)
    assert command("undo", filled.url, "--storage", filled.root, "--settle", "50ms", "--yes").status == 0

    gc = command("gc", filled.url, "--storage", filled.root, *FAST, "--now", "--yes", "--json")
    assert gc.status == 0, gc.err
    assert gc.document["collection"]["condemned"] == 0
    filled.restart()
    assert_all_is_whole(filled.url)


def test_a_collection_of_another_run_is_no_hindrance(command: Command, filled: RegistryServer) -> None:
    run = cleaned(command, filled.url).document["run"]
    assert command("gc", filled.url, "--storage", filled.root, *FAST, "--yes").status == 0

    undone = command("undo", run, "--storage", filled.root, "--settle", "50ms", "--yes")
    assert undone.status == 0, (undone.err, undone.out)
    assert_all_is_whole(filled.url)


def test_what_was_purged_is_named_and_the_rest_comes_back(command: Command, filled: RegistryServer) -> None:
    cleaned(command, filled.url, "--storage", filled.root, *FAST)
    layer = OLDER.blobs[1].digest
    (held,) = (filled.root / "jettison/quarantine").glob(f"*/{layer.replace(':', '-')}")
    held.unlink()

    undone = command("undo", filled.url, "--storage", filled.root, "--settle", "50ms", "--yes", "--json")
    assert undone.status == 4
    lost = {(each["kind"], each["repository"], each["tag"]): each for each in undone.document["lost"]}
    assert lost.keys() == {
        ("blob", "", ""),
        ("manifest", APP, ""),
        ("tag", APP, "0.9"),
        ("manifest", WEB, ""),
        ("tag", WEB, "0.1"),
    }
    assert all(layer in each["text"] for each in lost.values())
    pull(filled.url, APP, "1.0")
    assert digest_of(filled.url, APP, "0.9") is None


def test_what_was_purged_at_once_cannot_come_back(command: Command, filled: RegistryServer) -> None:
    run = cleaned(command, filled.url, "--storage", filled.root, *FAST, "--now").document["run"]

    undone = command("undo", run, "--storage", filled.root, "--yes")
    assert undone.status == 1
    assert "was purged" in undone.out
    assert "Traceback" not in undone.err


def test_a_tag_that_somebody_made_meanwhile_is_left_alone(command: Command, filled: RegistryServer) -> None:
    cleaned(command, filled.url)
    other = image(seed="somebody else's")
    push(filled.url, APP, other, "1.0")

    undone = command("undo", filled.url, "--yes", "--json")
    assert undone.status == 4
    (lost,) = undone.document["lost"]
    assert (lost["code"], lost["tag"]) == ("tag-moved", "1.0")
    assert digest_of(filled.url, APP, "1.0") == other.digest
    pull(filled.url, APP, OLD.digest)
    pull(filled.url, APP, "0.9")


def test_one_tag_comes_back_with_its_platforms_and_signature(command: Command, filled: RegistryServer) -> None:
    cleaned(command, filled.url, "--storage", filled.root, *FAST)

    undone = command(
        "undo", filled.url, "--storage", filled.root, "--settle", "50ms", "--repository", APP, "--tag", "1.*", "--yes"
    )
    assert undone.status == 0, (undone.err, undone.out)
    pull(filled.url, APP, "1.0")
    pull(filled.url, APP, signature_tag(OLD.digest))
    assert digest_of(filled.url, APP, "0.9") is None
    assert digest_of(filled.url, WEB, "0.1") is None

    rest = command("undo", filled.url, "--storage", filled.root, "--settle", "50ms", "--yes")
    assert rest.status == 0, (rest.err, rest.out)
    assert_all_is_whole(filled.url)


def test_a_cache_of_buildkit_comes_back(command: Command, registry: RegistryServer) -> None:
    """An index of blobs, which 3.x takes only where it remembers them."""
    cache = buildkit_cache([random_layer("cached")])
    push(registry.url, APP, cache, "1.0")
    push(registry.url, APP, NEW, "2.0")
    storage = ("--storage", registry.root, "--yes")
    assert command("run", registry.url, "--keep", "1", *FAST, *storage).status == 0
    assert digest_of(registry.url, APP, "1.0") is None
    undone = command("undo", registry.url, "--settle", "0s", *storage)
    assert undone.status == 0, (undone.err, undone.out)
    assert digest_of(registry.url, APP, "1.0") == cache.digest
    with Connection(registry.url) as connection:
        for blob in cache.blobs:
            assert connection.ask("GET", f"/v2/{APP}/blobs/{blob.digest}").body == blob.body


def test_on_the_storage_alone_with_the_server_stopped(command: Command, filled: RegistryServer) -> None:
    push(filled.url, APP, SBOM)
    filled.stop()
    before = seen(filled.root)
    storage = ("--storage", filled.root, "--offline", "--yes", "--json")
    ended = command("run", "--keep", "1", "--grace", "0s", *storage)
    assert ended.status == 0, ended.err
    assert ended.document["collection"]["quarantined"] > 0

    undone = command("undo", ended.document["run"], "--yes", "--json")
    assert undone.status == 0, (undone.err, undone.out)
    assert seen(filled.root) == before
    filled.start()
    assert_all_is_whole(filled.url)
    pull(filled.url, APP, SBOM.digest)


def test_a_run_beside_the_server_is_undone_on_the_storage_alone(command: Command, filled: RegistryServer) -> None:
    """Known by its collection in quarantine there: the history has it under the registry's URL."""
    run = cleaned(command, filled.url, "--storage", filled.root, *FAST).document["run"]
    filled.stop()
    undone = command("undo", "--storage", filled.root, "--offline", "--yes", "--json")
    assert undone.status == 0, (undone.err, undone.out)
    assert undone.document["undone"] == run
    filled.start()
    assert_all_is_whole(filled.url)


def test_a_quarantine_is_restored_purged_and_listed(command: Command, filled: RegistryServer) -> None:
    cleaned(command, filled.url, "--storage", filled.root, *FAST)
    storage = ("--storage", filled.root, "--yes", "--json")
    layer = OLDER.blobs[1].digest

    one = command("quarantine", "restore", filled.url, "--digest", layer, "--settle", "50ms", *storage)
    assert (one.status, one.document["blobs"]) == (0, 1)
    with Connection(filled.url) as connection:
        assert connection.ask("GET", f"/v2/{APP}/blobs/{layer}").status == 200
        assert connection.ask("GET", f"/v2/{WEB}/blobs/{layer}").status == 200
    unknown = command("quarantine", "restore", "2020", filled.url, *storage)
    assert (unknown.status, "no collection '2020'" in unknown.err) == (2, True)

    (listed,) = command("quarantine", "list", "--storage", filled.root, "--json").document["collections"]
    purged = command("quarantine", "purge", listed["id"][:8], filled.url, "--settle", "50ms", *storage)
    assert purged.status == 0, (purged.err, purged.out)
    assert purged.document["purged"] == listed["blobs"] > 0
    assert purged.document["purged_bytes"] == listed["bytes"]
    assert command("quarantine", "list", "--storage", filled.root, "--json").document["collections"] == []
    for tag in ("2.0", "latest"):
        pull(filled.url, APP, tag)


def test_a_purge_offline_is_refused_while_the_registry_serves(command: Command, filled: RegistryServer) -> None:
    cleaned(command, filled.url, "--storage", filled.root, *FAST)
    refused = command("quarantine", "purge", filled.url, "--storage", filled.root, "--offline", "--yes")
    assert refused.status == 1
    assert "answers and takes pushes" in refused.err
    filled.stop()
    purged = command("quarantine", "purge", filled.url, "--storage", filled.root, "--offline", "--yes", "--json")
    assert (purged.status, purged.document["purged"] > 0) == (0, True), purged.err


def test_a_run_of_another_registry_and_one_that_deleted_nothing(
    command: Command, registry_28: RegistryServer, make_registry: MakeRegistry
) -> None:
    push(registry_28.url, APP, OLDER, "0.9")
    push(registry_28.url, APP, NEW, "1.0")
    other = make_registry("2.8")
    run = command("run", registry_28.url, "--keep", "1", "--yes", "--json").document["run"]

    wrong = command("undo", run, other.url, "--yes")
    assert wrong.status == 2
    assert f"run {run} was on {registry_28.url}, not on {other.url}" in wrong.err
    nothing = command("undo", other.url, "--yes")
    assert nothing.status == 2
    assert "no run on" in nothing.err
    unknown = command("undo", "19990101", "--yes")
    assert unknown.status == 2
    assert "no run '19990101'" in unknown.err


def test_a_storage_of_another_registry_is_refused(
    command: Command, filled: RegistryServer, make_registry: MakeRegistry, tmp_path: Path
) -> None:
    cleaned(command, filled.url, "--storage", filled.root, *FAST)
    copy = tmp_path / "copy"
    shutil.copytree(filled.root, copy, symlinks=True)
    before = seen(copy)

    refused = command("undo", filled.url, "--storage", copy, "--settle", "50ms", "--yes")
    assert refused.status == 2
    assert "does not work on the storage" in refused.err
    assert seen(copy) == before


def test_without_a_terminal_it_wants_yes(command: Command, registry_28: RegistryServer) -> None:
    push(registry_28.url, APP, OLDER, "0.9")
    push(registry_28.url, APP, NEW, "1.0")
    assert command("run", registry_28.url, "--keep", "1", "--yes").status == 0
    asked = command("undo", registry_28.url)
    assert asked.status == 2
    assert "--yes" in asked.err
    assert digest_of(registry_28.url, APP, "0.9") is None


def test_bodies_that_no_history_knows_are_told(command: Command, registry_28: RegistryServer, tmp_path: Path) -> None:
    import sqlite3

    push(registry_28.url, APP, OLDER, "0.9")
    push(registry_28.url, APP, NEW, "1.0")
    database = tmp_path / "history.db"
    assert command("run", registry_28.url, "--keep", "1", "--yes", "--history", database).status == 0
    with sqlite3.connect(database) as connection:
        connection.execute("delete from manifests")
    connection.close()

    undone = command("undo", registry_28.url, "--yes", "--json", "--history", database)
    assert undone.status == 1
    assert {each["code"] for each in undone.document["lost"]} == {"body-unknown", "manifest-lost"}


def test_the_undo_is_in_the_history(command: Command, registry_31: RegistryServer) -> None:
    push(registry_31.url, APP, OLDER, "0.9")
    push(registry_31.url, APP, NEW, "1.0")
    run = command("run", registry_31.url, "--keep", "1", "--yes", "--json").document["run"]
    undone = command("undo", registry_31.url, "--yes", "--json").document["run"]
    shown = json.loads(command("history", undone, "--json").out)
    assert shown["message"] == f"undoes run {run}"
    assert {each["action"]["kind"] for each in shown["actions"]} <= {"restore-manifest", "restore-tag"}
    assert {each["result"] for each in shown["actions"]} == {"done"}
    assert all(run in each["action"]["reason_text"] for each in shown["actions"])
    history = History.open()
    assert history.runs(registry_31.url)[0].command == "undo"
    history.close()


def test_a_collection_alone_is_undone(command: Command, filled: RegistryServer) -> None:
    run = cleaned(command, filled.url).document["run"]
    before = seen(filled.root)
    gc = command("gc", filled.url, "--storage", filled.root, *FAST, "--yes", "--json").document
    assert seen(filled.root) != before
    storage = ("--storage", filled.root, "--settle", "50ms", "--yes", "--json")

    # Without the storage nobody can look into the quarantine.
    blind = command("undo", gc["run"], "--yes", "--json")
    assert blind.status == 1
    assert [each["code"] for each in blind.document["lost"]] == ["no-storage"]

    undone = command("undo", gc["run"], *storage)
    assert (undone.status, undone.document["restored"]["blobs"]) == (0, gc["collection"]["quarantined"])
    assert seen(filled.root) == before
    again = command("undo", gc["run"], *storage)
    assert (again.status, again.document["restored"]["blobs"]) == (0, 0)
    assert command("undo", run, "--yes").status == 0
    assert_all_is_whole(filled.url)


def test_a_collection_that_was_purged_is_told(command: Command, filled: RegistryServer) -> None:
    cleaned(command, filled.url)
    gc = command("gc", filled.url, "--storage", filled.root, *FAST, "--now", "--yes", "--json").document
    undone = command("undo", gc["run"], "--storage", filled.root, "--yes", "--json")
    assert undone.status == 1
    (lost,) = undone.document["lost"]
    assert (lost["code"], "in quarantine no more" in lost["text"]) == ("purged", True)


def test_the_storage_is_written_beside_a_server_that_remembers(command: Command, filled: RegistryServer) -> None:
    """A server is warm with everything, collected online, and finds what an undo wrote into its storage."""
    assert_all_is_whole(filled.url)
    run = cleaned(command, filled.url, "--storage", filled.root, *FAST).document["run"]
    undone = command("undo", run, filled.url, "--storage", filled.root, "--offline", "--yes")
    assert undone.status == 0, (undone.err, undone.out)
    assert_all_is_whole(filled.url)
    push(filled.url, APP, OLD, "pushed-again")
    pull(filled.url, APP, "pushed-again")


def test_what_housekeeping_unlinked_comes_back(command: Command, filled: RegistryServer) -> None:
    filled.stop()
    before = seen(filled.root)
    storage = ("--storage", filled.root, "--offline", "--yes", "--json")
    run = command("run", "--keep", "1", "--collector", "none", *storage).document["run"]
    # Young blobs stay, but their links go: the grace period is told for blobs only.
    gc = command("gc", "--grace", "0s", *storage)
    assert gc.status == 0, gc.err
    undone = command("undo", run, *storage)
    assert undone.status == 0, (undone.err, undone.out)
    assert {name: each[:2] for name, each in seen(filled.root).items()} == {
        name: each[:2] for name, each in before.items()
    }
    filled.start()
    assert_all_is_whole(filled.url)


def test_a_link_of_another_algorithm_comes_back_though_its_blob_stayed(
    command: Command, registry: RegistryServer
) -> None:
    """Somebody else needs the blob, so it is in no quarantine, whose record would tell what the link named."""
    layers = [random_layer("shared")]
    push(registry.url, APP, image(layers, seed="long", layer_algorithm="sha512"), "1.0")
    push(registry.url, APP, NEW, "2.0")
    push(registry.url, WEB, image(layers, seed="other"), "1.0")
    registry.stop()
    before = seen(registry.root)
    storage = ("--storage", registry.root, "--offline", "--yes", "--json")
    run = command("run", "--keep", "1", "--grace", "0s", *storage)
    assert run.status == 0, run.err
    undone = command("undo", *storage)
    assert undone.status == 0, (undone.err, undone.out)
    assert {name: each[:2] for name, each in seen(registry.root).items()} == {
        name: each[:2] for name, each in before.items()
    }
    registry.start()
    pull(registry.url, APP, "1.0")


def test_a_folder_of_a_link_that_was_gone_is_nothing_to_take_back(command: Command, filled: RegistryServer) -> None:
    """Purged beside the server, blobs leave folders of their links, which housekeeping offline removes."""
    cleaned(command, filled.url, "--storage", filled.root, *FAST, "--now")
    filled.stop()
    storage = ("--storage", filled.root, "--offline", "--yes", "--json")
    collected = command("gc", "--grace", "0s", *storage)
    assert collected.status == 0, collected.err
    actions = {chore["action"] for chore in collected.document["collection"]["housekeeping"]}
    assert "remove-link-folder" in actions
    assert "remove-link" not in actions
    undone = command("undo", collected.document["run"], *storage)
    assert undone.status == 0, (undone.err, undone.out)
    assert undone.document["lost"] == []


def test_credentials_that_may_not_push_are_told_once(command: Command, registry_28: RegistryServer) -> None:
    push(registry_28.url, APP, OLDER, "0.9")
    push(registry_28.url, APP, OLD, "0.8")
    push(registry_28.url, APP, NEW, "1.0")
    with FaultyServer(upstream=registry_28.url) as proxy:
        assert command("run", proxy.url, "--keep", "1", "--yes").status == 0
        proxy.when("PUT", "/v2/.*", answer(403))
        undone = command("undo", proxy.url, "--yes", "--json")
        assert undone.status == 1
        puts = [each for each in proxy.requests if each.method == "PUT"]
    assert len(puts) == 1
    assert all(
        "not allow this" in each["text"] or "did not come back" in each["text"] for each in undone.document["lost"]
    )
