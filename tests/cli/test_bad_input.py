"""Bad input: each kind ends with one clear message and the documented exit status, and loses nothing."""

import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.commands import Command, Ended, end, start
from tests.conftest import MakeRegistry

from jettison.plan.codec import decode, encode, seal
from jettison.plan.model import Plan
from jettison.testing import faults
from jettison.testing.faulty import Exchange, FaultyServer
from jettison.testing.htpasswd import PASSWORD, Htpasswd
from jettison.testing.images import image, pull, push
from jettison.testing.network import free_port
from jettison.testing.registry_server import RegistryServer
from jettison.testing.tls import TlsFiles
from jettison.testing.token_service import TokenService

APP = "team/app"
OLD, NEW = image(seed="old"), image(seed="new")
RUN = ("--keep", "1", "--delete-by", "digest", "--yes")
RULE = "policies:\n- repositories: ['**']\n  rules:\n  - {name: a, tags: "
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def filled(registry: RegistryServer) -> RegistryServer:
    """A registry, once of each version, with an old and a new image."""
    return fill(registry)


@pytest.fixture
def filled_28(registry_28: RegistryServer) -> RegistryServer:
    """The same in 2.8 only, for what does not depend on the server."""
    return fill(registry_28)


def fill(server: RegistryServer, auth: tuple[str, str] | None = None, ca: Path | None = None) -> RegistryServer:
    push(server.url, APP, OLD, "v1", auth=auth, ca=ca)
    push(server.url, APP, NEW, "v2", auth=auth, ca=ca)
    return server


def assert_lost_nothing(server: RegistryServer, auth: tuple[str, str] | None = None, ca: Path | None = None) -> None:
    for tag in ("v1", "v2"):
        pull(server.url, APP, tag, auth=auth, ca=ca)


def one_message(told: Ended, status: int, *parts: str) -> None:
    """The command ended so, said one thing, and that names all `parts`."""
    assert told.status == status, told
    for part in parts:
        assert part in told.message


@pytest.fixture
def plan_file(filled_28: RegistryServer, command: Command, tmp_path: Path) -> Path:
    """A plan that deletes v1 by its digest."""
    file = tmp_path / "plan.json"
    assert command("plan", filled_28.url, "--keep", 1, "-o", file).status == 0
    return file


# Which registry.


@pytest.mark.parametrize(
    ("body", "headers"), [(b"<html>It works!</html>", {"Content-Type": "text/html"}), (b"{}", JSON), (b"", {})]
)
@pytest.mark.parametrize("verb", ["plan", "run", "usage"])
def test_a_web_server_that_is_no_registry(command: Command, verb: str, body: bytes, headers: dict[str, str]) -> None:
    with FaultyServer() as server:
        server.when("*", "/.*", faults.answer(404 if not body else 200, body, headers))
        told = command(verb, server.url, *{"plan": ("--keep", 1), "run": ("--keep", 1, "--yes"), "usage": ()}[verb])
        # `{}` is what a registry answers to the first question too; the next answer gives it away.
        one_message(told, 1, server.url, "no 'repositories' in it" if body == b"{}" else "not a registry")
        assert server.count("DELETE") == 0


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_host_that_is_down(command: Command, verb: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    told = command(verb, url, "--keep", 1, *(("--yes",) if verb == "run" else ()))
    one_message(told, 1, url, "takes no connection")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("plan", "--keep", 1), ("which registry?", "http://127.0.0.1:5000")),
        (("plan", "ftp://registry.example", "--keep", 1), ("ftp:// is no way to reach a registry",)),
        (("plan", "http://registry.example:99999", "--keep", 1), ("the port is no number from 1 to 65535",)),
        (("plan", "http://user:hunter2@registry.example", "--keep", 1), ("credentials do not belong in the URL",)),
        (("plan", "http://registry.example"), ("which policy?", "--keep N")),
        (("plan", "http://registry.example", "--keep", 0), ("--keep 0 would keep no version at all",)),
        (("plan", "http://registry.example", "--keep", -1), ("--keep -1 would keep no version at all",)),
        (("run", "http://registry.example", "--keep", 0, "--yes"), ("--keep 0 would keep no version at all",)),
        (("plan", "http://registry.example", "--keep", 1, "--policy", "p.yaml"), ("two policies",)),
        (("plan", "http://registry.example", "--policy", "no/such.yaml"), ("no/such.yaml", "No such file")),
        (("plan", "http://registry.example", "--keep", 1, "--config", "no.yaml"), ("no.yaml", "cannot be read")),
        (("plan", "http://registry.example", "--keep", 1, "--max-deletions", "lots"), ("--max-deletions", "lots")),
        (("plan", "http://registry.example", "--keep", 1, "--max-deletions", "-3"), ("--max-deletions", "-3")),
        (("plan", "http://registry.example", "--keep", 1, "--history", "mysql://x"), ("mysql",)),
        (("apply", "no/such/plan.json", "--yes"), ("no/such/plan.json", "cannot be read")),
        (("apply", ".", "--yes"), ("the plan cannot be read",)),
        (("run", "http://registry.example", "--keep", 1), ("there is no terminal to ask on", "--yes")),
        (
            ("run", "http://registry.example", "--keep", 1, "--yes", "--collector", "registry"),
            ("--collector registry needs --control",),
        ),
        (("policy", "check", "no/such.yaml"), ("no/such.yaml",)),
        (
            ("plan", "http://registry.example", "--keep", 1, "--repository", "!team/*"),
            ("--repository: no pattern selects",),
        ),
        (
            ("run", "http://registry.example", "--keep", 1, "--yes", "--repository", "team/[a"),
            ("--repository", "team/[a"),
        ),
        (("plan", "http://registry.example", "--keep", 1, "--protect", "v[1"), ("--protect", "v[1")),
        (("history", "20990101-000000-abcd"), ("no run '20990101-000000-abcd'",)),
    ],
)
def test_wrong_usage(command: Command, arguments: tuple[object, ...], parts: tuple[str, ...]) -> None:
    told = command(*arguments)
    one_message(told, 2, *parts)
    assert told.out == ""
    assert "hunter2" not in told.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--kep", "1"),
        ("plan", "--keep", "many"),
        ("prune",),
        ("run", "--collector", "mine"),
        ("history", "--limit", "0"),
    ],
)
def test_options_that_are_none(command: Command, arguments: tuple[str, ...]) -> None:
    told = command(*arguments)
    assert (told.status, told.out) == (2, "")
    assert told.err.count("Error: ") == 1
    assert "Traceback" not in told.err


def test_a_certificate_that_nobody_trusts(make_registry: MakeRegistry, tls_files: TlsFiles, command: Command) -> None:
    server = fill(make_registry("2.8", tls=tls_files), ca=tls_files.ca)
    one_message(command("run", server.url, *RUN), 1, server.url, "certificate", "--ca-file")
    plain = command("plan", server.url.replace("https://", "http://"), "--keep", 1)
    one_message(plain, 1, "http")
    assert_lost_nothing(server, ca=tls_files.ca)
    assert command("run", server.url, *RUN, "--ca-file", tls_files.ca).status == 0
    pull(server.url, APP, "v2", ca=tls_files.ca)


def test_a_file_that_holds_no_certificate(command: Command, tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")
    one_message(command("plan", "https://127.0.0.1:1", "--keep", 1, "--ca-file", broken), 2, str(broken))


# What the registry does not allow.


def test_deletion_that_is_disabled(make_registry: MakeRegistry, command: Command) -> None:
    for version in ("2.8", "3.1"):
        server = fill(make_registry(version, delete=False))
        told = command("run", server.url, *RUN)
        one_message(told, 1, server.url, "deletes nothing", "jettison registry enable-delete")
        assert_lost_nothing(server)


def test_a_registry_that_is_read_only(make_registry: MakeRegistry, command: Command) -> None:
    server = make_registry("2.8")
    fill(server)
    server.stop()
    server.readonly = True
    server.start()
    one_message(command("run", server.url, *RUN), 1, server.url, "read-only")
    assert_lost_nothing(server)


def test_a_catalogue_that_is_disabled(filled: RegistryServer, command: Command) -> None:
    for status in (401, 403, 404, 405):
        with FaultyServer(upstream=filled.url) as proxy:
            proxy.when("GET", "/v2/_catalog.*", faults.answer(status))
            one_message(command("plan", proxy.url, "--keep", 1), 1, proxy.url, "--repository NAME")
            named = command("plan", proxy.url, "--keep", 1, "--repository", APP, "--json", "--delete-by", "digest")
            assert named.status == 0
            assert [action["tags"] for action in named.document["actions"]] == [["v1"]]
            assert command("registry", "status", proxy.url, "--json").document["abilities"]["deletes_manifests"]
    assert_lost_nothing(filled)


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_may_read_but_not_delete(filled: RegistryServer, command: Command, status: int) -> None:
    with FaultyServer(upstream=filled.url) as proxy:
        proxy.when("DELETE", ".*", faults.answer(status))
        one_message(command("run", proxy.url, *RUN), 1, proxy.url, f"HTTP {status}")
    assert_lost_nothing(filled)


def test_a_token_service_that_refuses_deletion(
    make_registry: MakeRegistry, token_service: TokenService, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, password = token_service.credentials
    monkeypatch.setenv("JETTISON_USERNAME", user)
    monkeypatch.setenv("JETTISON_PASSWORD", password)
    for version in ("2.8", "3.1"):
        token_service.refused.clear()
        server = fill(make_registry(version, auth=token_service), auth=token_service.credentials)
        token_service.refused.add("delete")
        told = command("run", server.url, *RUN)
        one_message(told, 1, server.url, "JETTISON_USERNAME")
        assert_lost_nothing(server, auth=token_service.credentials)


def test_one_repository_that_refuses_deletion_does_not_hold_up_the_others(
    filled: RegistryServer, command: Command
) -> None:
    push(filled.url, "team/other", OLD, "v1")
    push(filled.url, "team/other", NEW, "v2")
    push(filled.url, APP, image(seed="older"), "v0")
    with FaultyServer(upstream=filled.url) as proxy:
        proxy.when("DELETE", f"/v2/{APP}/manifests/sha256:[0-9a-f]*[1-9a-f][0-9a-f]*", faults.answer(403))
        told = command("run", proxy.url, *RUN, "--json")
    assert told.status == 4
    assert told.document["results"] == {"done": 1, "gone": 0, "skipped": 0, "failed": 2}
    assert {each["repository"] for each in told.document["not_done"]} == {APP}
    assert_lost_nothing(filled)
    pull(filled.url, "team/other", "v2")


# Policies.


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("policies:\n- repositories: ['**']\n  rulez: []\n", ("policy.yaml:3", "rulez", "'rules'")),
        (
            RULE + "['*'], kep: {newest: 1}}\n",
            ("policy.yaml:4", "kep", "'keep'"),
        ),
        (
            RULE + "['*'], keep: {newst: 1}}\n",
            ("policy.yaml:4", "newst", "'newest'"),
        ),
        ("protekt: {tags: [latest]}\npolicies: []\n", ("policy.yaml:1", "protekt", "'protect'")),
        ("policies: [", ("policy.yaml",)),
        ("- a\n- b\n", ("policy.yaml",)),
        ("", ("policy.yaml",)),
        (
            RULE + "{regex: '('}, keep: {newest: 1}}\n",
            ("policy.yaml:4",),
        ),
        (
            RULE + "['*'], keep: {newest: 0}}\n",
            ("policy.yaml:4",),
        ),
        (
            RULE + "['*'], keep: {within: soon}}\n",
            ("policy.yaml:4", "soon"),
        ),
    ],
)
def test_a_policy_with_a_mistake(
    filled_28: RegistryServer, command: Command, tmp_path: Path, text: str, parts: tuple[str, ...]
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    for arguments in (("policy", "check", file), ("run", filled_28.url, "--policy", file, "--yes")):
        told = command(*arguments)
        assert told.status == 2, told
        assert "Traceback" not in told.err
        for part in parts:
            assert part in told.message
    assert_lost_nothing(filled_28)


# Plan files.


def rewritten(file: Path, change: Callable[[Plan], Plan]) -> Path:
    """Change a plan and seal it anew, as only jettison should."""
    file.write_bytes(encode(seal(change(decode(file.read_bytes(), str(file))))))
    return file


def edited(file: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change a plan as an editor does."""
    document = json.loads(file.read_bytes())
    change(document)
    file.write_text(json.dumps(document))
    return file


def add_the_newest(document: dict[str, Any]) -> None:
    (action,) = document["actions"]
    more = action | {"digest": NEW.digest, "tags": ["v2"]}
    document["actions"].append(more | {"precondition": {"tags": {"v2": NEW.digest}, "unneeded": True}})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (add_the_newest, "was changed after it was made"),
        (lambda document: document.update(fingerprint=""), "was changed after it was made"),
        (lambda document: document["limits"].update(last_image="allow"), "was changed after it was made"),
        (lambda document: document.update(version=2), "plan format 2, this jettison reads 1"),
        (lambda document: document.pop("actions"), "is damaged"),
        (lambda document: document["actions"][0].update(digest="sha256:beef"), "is damaged"),
        (lambda document: document["actions"][0].update(action="delete-everything"), "is damaged"),
    ],
)
def test_a_plan_that_was_edited(
    filled_28: RegistryServer, plan_file: Path, command: Command, change: Callable[[dict[str, Any]], object], part: str
) -> None:
    one_message(command("apply", edited(plan_file, change), "--yes"), 2, str(plan_file), part)
    assert_lost_nothing(filled_28)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"null", b"\xff\xfe\x00", b"policies: []\n", b"[" * 100_000])
def test_a_file_that_is_no_plan(command: Command, tmp_path: Path, body: bytes) -> None:
    file = tmp_path / "plan.json"
    file.write_bytes(body)
    one_message(command("apply", file, "--yes"), 2, str(file))


@pytest.mark.parametrize(
    ("age", "part"),
    [(timedelta(days=7), "was made 7.0 days ago"), (timedelta(hours=-1), "was made in the future")],
)
def test_a_plan_that_is_a_week_old_or_from_the_future(
    filled_28: RegistryServer, plan_file: Path, command: Command, age: timedelta, part: str
) -> None:
    rewritten(plan_file, lambda plan: msgspec.structs.replace(plan, created=datetime.now(UTC) - age))
    one_message(command("apply", plan_file, "--yes"), 2, str(plan_file), part)
    assert_lost_nothing(filled_28)


def test_an_old_plan_may_be_allowed(filled_28: RegistryServer, plan_file: Path, command: Command) -> None:
    week = timedelta(days=7)
    rewritten(plan_file, lambda plan: msgspec.structs.replace(plan, created=datetime.now(UTC) - week))
    assert command("apply", plan_file, "--yes", "--max-age", "2w").status == 0
    pull(filled_28.url, APP, "v2")


def test_a_plan_whose_date_has_no_zone(filled_28: RegistryServer, plan_file: Path, command: Command) -> None:
    naive = datetime.now(UTC).replace(tzinfo=None)
    rewritten(plan_file, lambda plan: msgspec.structs.replace(plan, created=naive))
    told = command("apply", plan_file, "--yes")
    one_message(told, 2, str(plan_file))
    assert_lost_nothing(filled_28)


def test_a_plan_of_another_registry(
    filled_28: RegistryServer, plan_file: Path, command: Command, make_registry: MakeRegistry
) -> None:
    other = fill(make_registry("2.8"))
    told = command("apply", plan_file, other.url, "--yes")
    one_message(told, 2, f"is a plan for {filled_28.url}, not for {other.url}")
    assert_lost_nothing(filled_28)
    assert_lost_nothing(other)


@pytest.mark.parametrize("way", ["device", "link to a device"])
def test_a_plan_that_is_written_to_a_device_leaves_it_one(
    filled_28: RegistryServer, command: Command, tmp_path: Path, way: str
) -> None:
    """Replacing /dev/null by a file would break the machine; a device of the test's own stands for it."""
    device = tmp_path / "null"
    if subprocess.run(["mknod", device, "c", "1", "3"], capture_output=True).returncode != 0:
        pytest.skip("mknod: a device of its own needs root")
    (tmp_path / "link").symlink_to(device)
    target = device if way == "device" else tmp_path / "link"
    assert command("plan", filled_28.url, "--keep", 1, "-o", target).status == 0
    assert device.is_char_device()
    assert (tmp_path / "link").is_symlink()


def test_a_plan_cannot_be_written(filled_28: RegistryServer, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "missing" / "plan.json"
    one_message(command("plan", filled_28.url, "--keep", 1, "-o", file), 2, str(file), "cannot be written")


# Brakes and questions.


def test_nothing_is_deleted_without_a_terminal_or_yes(
    filled_28: RegistryServer, plan_file: Path, command: Command
) -> None:
    """Standard input is no terminal in tests."""
    for arguments in (("run", filled_28.url, "--keep", 1), ("apply", plan_file), ("gc", filled_28.url)):
        told = command(*arguments)
        one_message(told, 2, "there is no terminal to ask on" if arguments[0] == "run" else "--yes")
    assert_lost_nothing(filled_28)


@pytest.mark.parametrize("limit", ["0", "0%", "49%"])
def test_too_many_deletions(filled: RegistryServer, command: Command, tmp_path: Path, limit: str) -> None:
    one_message(
        command("run", filled.url, *RUN, "--max-deletions", limit),
        3,
        "stopped before the first deletion",
        "1 of 2 tags" if "%" in limit else "1 tags would go",
        "--max-deletions",
    )
    plan = tmp_path / "plan.json"
    told = command("plan", filled.url, "--keep", 1, "--max-deletions", limit, "-o", plan)
    assert told.status == 0
    assert "apply would stop: " in told.out
    one_message(command("apply", plan, "--yes"), 3, "stopped before the first deletion")
    assert_lost_nothing(filled)
    assert command("apply", plan, "--yes", "--max-deletions", "1").status == 0
    pull(filled.url, APP, "v2")


def test_the_last_image(filled: RegistryServer, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(RULE + "[v1, v2], keep: {not: {everything: true}}}\n")
    told = command("run", filled.url, "--policy", file, "--yes")
    one_message(told, 3, f"{APP} would lose every tag", "--allow-last-image")
    assert_lost_nothing(filled)
    assert command("run", filled.url, "--policy", file, "--yes", "--allow-last-image").status == 0


def test_a_listing_that_shrank(filled_28: RegistryServer, command: Command) -> None:
    """Three of four repositories are not listed any more: were they deleted, or is the listing cut?"""
    for name in ("a", "b", "c"):
        push(filled_28.url, name, NEW, "v1")
    assert command("run", filled_28.url, *RUN).status == 0
    push(filled_28.url, APP, OLD, "v1")
    with FaultyServer(upstream=filled_28.url) as proxy:
        history = ("--history", Path(os.environ["XDG_STATE_HOME"]) / "h.db")
        assert command("run", proxy.url, *RUN, *history).status == 0
        push(filled_28.url, APP, OLD, "v1")
        proxy.when("GET", "/v2/_catalog.*", faults.answer(200, b'{"repositories":["team/app"]}', JSON))
        told = command("run", proxy.url, *RUN, *history)
        one_message(told, 3, "only 1 of 4 repositories are listed", "--accept-listing")
        assert_lost_nothing(filled_28)
        assert command("run", proxy.url, *RUN, *history, "--accept-listing").status == 0
    pull(filled_28.url, APP, "v2")


def test_a_missing_config_does_not_switch_that_brake_off(filled_28: RegistryServer, command: Command) -> None:
    for name in ("a", "b", "c"):
        push(filled_28.url, name, NEW, "v1")
    with FaultyServer(upstream=filled_28.url) as proxy:
        proxy.when("GET", "/v2/a/blobs/.*", faults.answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN"}]}', JSON))
        assert command("run", proxy.url, *RUN).status == 0
        push(filled_28.url, APP, OLD, "v1")
        proxy.when("GET", "/v2/_catalog.*", faults.answer(200, b'{"repositories":["team/app"]}', JSON))
        one_message(command("run", proxy.url, *RUN), 3, "--accept-listing")
    assert_lost_nothing(filled_28)


# In part.


def test_a_repository_that_cannot_be_read(filled: RegistryServer, command: Command) -> None:
    push(filled.url, "team/other", OLD, "v1")
    push(filled.url, "team/other", NEW, "v2")
    with FaultyServer(upstream=filled.url) as proxy:
        proxy.when("GET", f"/v2/{APP}/tags/list.*", faults.answer(403))
        for verb in ("plan", "usage"):
            told = command(verb, proxy.url, *(() if verb == "usage" else ("--keep", 1)))
            assert told.status == 4
            assert APP in told.out
            assert "HTTP 403" in told.out + told.err
        told = command("run", proxy.url, *RUN)
    assert told.status == 4
    assert f"could not be read: {APP}: " in told.out
    assert_lost_nothing(filled)
    pull(filled.url, "team/other", "v2")


def test_a_catalogue_that_ends_half_way(filled: RegistryServer, command: Command, tmp_path: Path) -> None:
    push(filled.url, "team/unlisted", OLD, "v1")
    push(filled.url, "team/unlisted", NEW, "v2")
    page = faults.answer(
        200, b'{"repositories":["team/app"]}', JSON | {"Link": '</v2/_catalog?last=team%2Fapp&n=1000>; rel="next"'}
    )
    file = tmp_path / "plan.json"
    with FaultyServer(upstream=filled.url) as proxy:
        proxy.when("GET", r"/v2/_catalog\?n=.*", page)
        proxy.when("GET", r"/v2/_catalog\?last=.*", faults.answer(500))
        assert command("plan", proxy.url, "--keep", 1, "--delete-by", "digest", "-o", file).status == 4
        told = command("usage", proxy.url)
        assert told.status == 4
        assert "the catalogue could not be listed to its end" in told.out
        assert command("usage", proxy.url, "--json").document["problems"]
        assert command("apply", file, "--yes").status == 4
        push(filled.url, APP, OLD, "v1")
        told = command("run", proxy.url, *RUN)
    assert told.status == 4
    assert "could not be read: the catalogue could not be listed to its end" in told.out
    assert "Done: 1 deletion, which" in told.out
    for tag in ("v1", "v2"):
        pull(filled.url, "team/unlisted", tag)


# The history database.


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


def fill_disk(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


def unusable(kind: str, folder: Path) -> Path:
    if kind == "full":
        fill_disk(folder)
    elif kind == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    elif kind == "no database":
        (folder / "history.db").write_bytes(b"this is no database, and long enough not to be taken for a new one" * 99)
    return folder / "history.db"


@pytest.mark.parametrize("kind", ["full", "read-only", "no database"])
def test_a_history_that_cannot_be_written_costs_a_plan_nothing_and_forbids_deletion(
    filled_28: RegistryServer, plan_file: Path, command: Command, small_disk: Path, kind: str
) -> None:
    history = unusable(kind, small_disk)
    told = command("plan", filled_28.url, "--keep", 1, "--history", history, "--json")
    assert told.status == 0
    assert told.err.startswith("warning: ")
    assert told.err.count("\n") == 1
    assert [action["tags"] for action in told.document["actions"]] == [["v1"]]
    with FaultyServer(upstream=filled_28.url) as proxy:
        one_message(command("run", proxy.url, *RUN, "--history", history), 1, str(history), "--history URL")
        assert proxy.count("DELETE") == 0
    one_message(command("apply", plan_file, "--yes", "--history", history), 1, str(history))
    assert_lost_nothing(filled_28)


def test_a_disk_that_gets_full_in_the_middle(registry: RegistryServer, command: Command, small_disk: Path) -> None:
    """What could not be journalled is not deleted; what was deleted is in the journal, or shown as begun."""
    count = 30
    for number in range(count):
        push(registry.url, APP, image(seed=number), f"v{number}")
    history = small_disk / "history.db"
    deleted: list[str] = []

    with FaultyServer(upstream=registry.url) as proxy:

        def fill_then_delete(exchange: Exchange) -> None:
            if not deleted:
                fill_disk(small_disk)
            deleted.append(exchange.request.path.rpartition("/")[2])
            exchange.send(exchange.normal())

        goals = "|".join(str(image(seed=number).digest) for number in range(count))
        proxy.when("DELETE", f".*/manifests/({goals})", fill_then_delete)
        told = command("run", proxy.url, *RUN, "--history", history)
        one_message(told, 1, str(history), "the disk is full", "--history URL")
        assert 1 <= len(deleted) < count - 1
        (small_disk / "filler").unlink()
        (run,) = command("history", "--history", history, "--json").document["runs"]
        shown = command("history", run["id"], "--history", history, "--json").document
        told_of = {each["action"]["digest"] for each in shown["actions"] if each["begun_at"]}
        assert set(deleted) <= told_of
        for number in range(len(deleted), count):
            pull(registry.url, APP, f"v{number}")
        assert command("run", proxy.url, *RUN, "--history", history).status == 0
    pull(registry.url, APP, f"v{count - 1}")


# Secrets.


JSON_WEB_TOKEN = "eyJ"  # how each begins: the encoded head of its first object


def everything_written(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def assert_no_secret(texts: dict[str, bytes], secrets: tuple[str, ...]) -> None:
    for where, text in texts.items():
        for secret in secrets:
            assert secret.encode() not in text, where
            assert base64.b64encode(f"tester:{secret}".encode()) not in text, where


@pytest.mark.parametrize("kind", ["htpasswd", "token"])
def test_credentials_appear_nowhere(
    make_registry: MakeRegistry,
    token_service: TokenService,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """Right, wrong or refused: not in what is printed, nor in the plan, nor in the history or its neighbours."""
    auth = token_service if kind == "token" else Htpasswd(tmp_path / "htpasswd")
    server = fill(make_registry("2.8", auth=auth), auth=auth.credentials)
    plan = tmp_path / "plan.json"
    state = Path(os.environ["XDG_STATE_HOME"])
    told: dict[str, bytes] = {}

    def call(*arguments: object) -> Ended:
        ended = command(*arguments)
        told[" ".join(map(str, arguments))] = (ended.out + ended.err).encode()
        return ended

    wrong = "wrong-hunter2"
    monkeypatch.setenv("JETTISON_USERNAME", "tester")
    monkeypatch.setenv("JETTISON_PASSWORD", wrong)
    for arguments in (("plan", server.url, "--keep", 1), ("run", server.url, *RUN, "--json"), ("usage", server.url)):
        ended = call(*arguments)
        one_message(ended, 1, server.url, "JETTISON_USERNAME")
    monkeypatch.setenv("JETTISON_PASSWORD", PASSWORD)
    assert call("plan", server.url, "--keep", 1, "-o", plan, "--json").status == 0
    assert call("usage", server.url, "--json").status == 0
    assert call("registry", "status", server.url, "--json").status == 0
    if kind == "token":
        token_service.refused.add("delete")
        assert call("apply", plan, "--yes", "--json").status == 1
        token_service.refused.clear()
    with FaultyServer(upstream=server.url) as proxy:
        proxy.when("DELETE", ".*", faults.answer(403, b'{"errors":[{"code":"DENIED","message":"no"}]}', JSON))
        assert call("run", proxy.url, *RUN).status == 1
    assert call("apply", plan, "--yes", "--json").status == 0
    assert call("history", "--json").status == 0
    for run in json.loads(command("history", "--json").out)["runs"]:
        assert call("history", run["id"], "--json").status == 0
    config = tmp_path / "jettison.yaml"
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD)
    config.write_text(
        f"registries: {{team: {{url: '{server.url}', auth: {{username: tester, password_file: '{secret}'}}}}}}\n"
    )
    monkeypatch.delenv("JETTISON_USERNAME")
    monkeypatch.delenv("JETTISON_PASSWORD")
    assert call("plan", "team", "--config", config, "--keep", 1).status == 0
    config.write_text(f"registries: {{team: {{url: '{server.url}', auth: {{username: tester, password: {wrong}}}}}}}\n")
    assert call("plan", "team", "--config", config, "--keep", 1).status == 2
    files = {"the plan": plan.read_bytes(), "the state folder": everything_written(state)}
    assert files["the state folder"]
    assert_no_secret(told | files, (PASSWORD, wrong, JSON_WEB_TOKEN))


def test_arguments_that_hold_credentials_are_refused_unseen(command: Command) -> None:
    told = command("plan", "https://tester:hunter2@registry.example", "--keep", 1)
    one_message(told, 2, "credentials do not belong in the URL")
    assert "hunter2" not in told.err + told.out


def test_a_message_of_the_server_reaches_no_terminal_as_control_characters(
    filled_28: RegistryServer, command: Command
) -> None:
    evil = json.dumps({"errors": [{"code": "DENIED", "message": "\x1b[2J\x1b]0;owned\x07 no"}]}).encode()
    with FaultyServer(upstream=filled_28.url) as proxy:
        proxy.when("GET", f"/v2/{APP}/tags/list.*", faults.answer(403, evil, JSON))
        told = command("plan", proxy.url, "--keep", 1)
    assert told.status == 4
    assert "\x1b" not in told.out + told.err
    assert "\x07" not in told.out + told.err


def test_the_reader_of_the_output_goes_away(filled_28: RegistryServer) -> None:
    process = start("plan", filled_28.url, "--keep", 1)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    told = end(process)
    assert "Traceback" not in told.err
    assert told.status in (0, 1)


def test_a_plan_of_some_repositories_does_not_look_like_a_listing_that_shrank(
    filled_28: RegistryServer, command: Command, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        push(filled_28.url, name, NEW, "v1")
    assert command("run", filled_28.url, *RUN).status == 0
    push(filled_28.url, APP, OLD, "v1")
    plan = tmp_path / "plan.json"
    policy = [word for word in RUN if word != "--yes"]
    assert command("plan", filled_28.url, *policy, "--repository", APP, "-o", plan).status == 0
    assert command("apply", plan, "--yes").status == 0
    # And what was left by it is no measure for the next whole run.
    assert command("run", filled_28.url, *RUN).status == 0
