"""The commands against real registries: what they print, what they end with, and what they leave out on request."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import Command, end, start

from jettison.plan.codec import decode
from jettison.testing.connection import Connection
from jettison.testing.faults import answer
from jettison.testing.faulty import FaultyServer
from jettison.testing.images import image, index, pull, push, signature_of, signature_tag
from jettison.testing.registry_server import RegistryServer

APP, WEB = "team/app", "team/web"
CREATED = datetime(2026, 1, 2, tzinfo=UTC)
ONE, TWO, THREE = (image(seed=number, created=CREATED) for number in range(1, 4))
BOTH = index([image(seed="amd"), image(seed="arm", platform="linux/arm64")])
ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"}


def is_there(url: str, repository: str, reference: str) -> bool:
    with Connection(url) as connection:
        return connection.ask("HEAD", f"/v2/{repository}/manifests/{reference}", headers=ACCEPT).status == 200


def tags_of(url: str, repository: str) -> list[str]:
    with Connection(url) as connection:
        found = connection.ask("GET", f"/v2/{repository}/tags/list")
    return sorted(json.loads(found.body)["tags"] or []) if found.status == 200 else []


@pytest.fixture
def filled(registry: RegistryServer) -> RegistryServer:
    """Two repositories of three versions each; `latest` of the first is its oldest one."""
    for name in (APP, WEB):
        for tag, built in {"1.9.0": ONE, "1.10.0-rc.1": TWO, "1.10.0": THREE}.items():
            push(registry.url, name, built, tag)
    push(registry.url, APP, ONE, "latest")
    return registry


@pytest.fixture
def filled_28(registry_28: RegistryServer) -> RegistryServer:
    for tag, built in {"1.0": ONE, "2.0": BOTH, "3.0": THREE}.items():
        push(registry_28.url, APP, built, tag)
    return registry_28


# JSON.


def test_every_command_prints_one_json_object(filled: RegistryServer, command: Command, tmp_path: Path) -> None:
    policy, plan = tmp_path / "policy.yaml", tmp_path / "plan.json"
    policy.write_text(
        "policies: [{repositories: ['**'], rules: [{name: all, tags: [{version: '*'}], keep: {newest: 1}}]}]\n"
    )
    url = filled.url
    documents: dict[str, dict[str, Any]] = {}
    for verb, arguments in {
        "policy check": ("policy", "check", policy),
        "registry status": ("registry", "status", url),
        "usage": ("usage", url),
        "plan": ("plan", url, "--policy", policy, "--delete-by", "digest", "-o", plan, "--kept"),
        "apply": ("apply", plan, "--yes"),
        "run": ("run", url, "--policy", policy, "--yes"),
        "history": ("history",),
    }.items():
        told = command(*arguments, "--json")
        assert (verb, told.status, told.err) == (verb, 0, "")
        documents[verb] = told.document
        assert told.document["version"] == 1
    run = documents["history"]["runs"][-1]
    one = command("history", run["id"], "--json").document
    assert [each["result"] for each in one["actions"]] == ["done"] * documents["apply"]["results"]["done"]
    assert documents["policy check"]["rules"] == 1
    assert documents["registry status"]["abilities"]["deletes_manifests"] is True
    assert documents["registry status"]["abilities"]["deletes_tags"] is (filled.version == "3.1")
    assert {each["name"]: each["tags"] for each in documents["usage"]["repositories"]} == {APP: 4, WEB: 3}
    actions = documents["plan"]["actions"]
    assert all(
        {"action", "repository", "tags", "digest", "reason", "frees", "precondition"} <= set(each) for each in actions
    )
    assert {(each["repository"], each["tag"]): each["reason"]["code"] for each in documents["plan"]["kept"]}[
        APP, "latest"
    ] == "no-rule"
    assert decode(plan.read_bytes(), "plan").fingerprint == documents["plan"]["fingerprint"]
    assert documents["apply"]["exit_status"] == 0
    assert documents["apply"]["frees"] == documents["plan"]["totals"]["frees"]
    assert documents["run"]["results"] == {"done": 0, "gone": 0, "skipped": 0, "failed": 0}


def test_json_is_all_that_a_process_writes(filled_28: RegistryServer) -> None:
    """Outside of the test's own process too: no progress, no log, no colour."""
    told = end(start("run", filled_28.url, "--keep", "1", "--yes", "--json", environment={"FORCE_COLOR": "1"}))
    assert (told.status, told.err) == (0, "")
    assert told.document["results"]["done"] == 4


# Exit status.


def test_the_detailed_exit_status(filled_28: RegistryServer, command: Command) -> None:
    assert command("plan", filled_28.url, "--keep", 1).status == 0
    assert command("plan", filled_28.url, "--keep", 1, "--detailed-exitcode").status == 10
    assert command("plan", filled_28.url, "--keep", 3, "--detailed-exitcode").status == 0
    with FaultyServer(upstream=filled_28.url) as proxy:
        proxy.when("GET", f"/v2/{APP}/tags/list.*", answer(403))
        assert command("plan", proxy.url, "--keep", 1, "--detailed-exitcode").status == 4


# Plan.


def test_plan_shows_what_goes_why_and_what_that_frees(filled_28: RegistryServer, command: Command) -> None:
    push(filled_28.url, APP, signature_of(ONE.digest), signature_tag(ONE.digest))
    told = command("plan", filled_28.url, "--keep", 1)
    assert told.status == 0
    assert told.err == ""
    for part in ("team/app", "1.0", ONE.digest.short, "2.0", BOTH.digest.short, f"{signature_tag(ONE.digest)[:19]}…"):
        assert part in told.out, part
    sizes = {**ONE.sizes(), **BOTH.sizes(), **signature_of(ONE.digest).sizes()}
    freed = sum(size for digest, size in sizes.items() if digest not in THREE.sizes())
    assert f"({freed:,} bytes)" in told.out
    assert "3.0" not in told.out.replace("1.3.0", "")


def test_plan_sends_nothing_that_writes(filled: RegistryServer, command: Command) -> None:
    with FaultyServer(upstream=filled.url) as proxy:
        for more in ((), ("--delete-by", "digest"), ("--delete-by", "tag"), ("--kept", "--all")):
            assert command("plan", proxy.url, "--keep", 1, *more).status == 0
        assert {request.method for request in proxy.requests} <= {"GET", "HEAD"}


@pytest.mark.parametrize("delete_by", ["digest", "tag"])
def test_two_plans_of_one_registry_are_the_same(filled: RegistryServer, command: Command, delete_by: str) -> None:
    push(filled.url, WEB, BOTH, "1.0")
    push(filled.url, WEB, signature_of(BOTH.digest), signature_tag(BOTH.digest))
    found = []
    for concurrency in (1, 16, 3):
        history = Path(os.environ["XDG_STATE_HOME"]) / f"{concurrency}.db"
        arguments = ("--keep", 1, "--delete-by", delete_by, "--concurrency", concurrency, "--history", history)
        document = command("plan", filled.url, *arguments, "--kept", "--json").document
        del document["created"], document["fingerprint"]
        found.append(document)
    assert found[0]["actions"]
    assert found[0] == found[1] == found[2]


def test_protect(filled: RegistryServer, command: Command) -> None:
    arguments = ("--keep", 1, "--delete-by", "digest", "--protect", "1.10.0-*", "--protect", "1.9.?")
    assert command("plan", filled.url, *arguments, "--json").document["actions"] == []


# Which repositories.


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ((), {APP, WEB, "base"}),
        (("team/*",), {APP, WEB}),
        (("team/**", "!team/web"), {APP}),
        (("**", "!team/web"), {APP, "base"}),
        (("base", "team/web"), {"base", WEB}),
        (("nothing/*",), set()),
    ],
)
def test_repositories_are_chosen(
    filled: RegistryServer, command: Command, patterns: tuple[str, ...], expected: set[str]
) -> None:
    push(filled.url, "base", ONE, "1.0")
    options = [word for pattern in patterns for word in ("--repository", pattern)]
    document = command("plan", filled.url, "--keep", 1, *options, "--json").document
    assert {each["name"] for each in document["repositories"]} == expected


def test_a_chosen_repository_is_all_that_a_run_touches(filled: RegistryServer, command: Command) -> None:
    with FaultyServer(upstream=filled.url) as proxy:
        arguments = ("--keep", 1, "--delete-by", "digest", "--repository", WEB)
        assert command("run", proxy.url, *arguments, "--yes").status == 0
        assert proxy.count("*", f"/v2/{APP}/.*|/v2/_catalog.*") == 0
    assert tags_of(filled.url, WEB) == ["1.10.0"]
    assert len(tags_of(filled.url, APP)) == 4


def test_a_repository_that_is_named_wrong_is_told(filled: RegistryServer, command: Command) -> None:
    told = command("plan", filled.url, "--keep", 1, "--repository", "team/ap")
    assert told.status == 0
    assert "team/ap: the registry lists no tag in it; is that its name?" in told.out
    assert "Nothing to delete." in told.out


# Delete by tag or by digest.


def test_over_the_api_alone_tags_go_on_3_and_digests_on_2(filled: RegistryServer, command: Command) -> None:
    told = command("run", filled.url, "--keep", 1, "--yes")
    assert told.status == 0
    by_tag = filled.version == "3.1"
    assert tags_of(filled.url, WEB) == ["1.10.0"]
    assert tags_of(filled.url, APP) == (["1.10.0", "latest"] if by_tag else ["1.10.0", "1.9.0", "latest"])
    assert is_there(filled.url, WEB, ONE.digest) is by_tag
    assert ("--delete-by digest" in told.out) is by_tag
    pull(filled.url, APP, "latest")


def test_delete_by_digest_takes_the_manifests_too(filled: RegistryServer, command: Command) -> None:
    document = command("run", filled.url, "--keep", 1, "--delete-by", "digest", "--yes", "--json").document
    assert tags_of(filled.url, WEB) == ["1.10.0"]
    assert not is_there(filled.url, WEB, ONE.digest)
    assert not is_there(filled.url, APP, TWO.digest)
    # ONE stays, since `latest` needs it; the expired tag on it goes alone where the server can do that.
    assert document["results"]["done"] == (4 if filled.version == "3.1" else 3)
    for repository, tag in ((APP, "latest"), (APP, "1.10.0"), (WEB, "1.10.0")):
        pull(filled.url, repository, tag)


def test_a_2_server_says_which_tags_it_cannot_delete_alone(filled: RegistryServer, command: Command) -> None:
    told = command("plan", filled.url, "--keep", 1, "--delete-by", "digest")
    line = f"stays: {APP}:1.9.0: expired"
    assert (line in told.out) is (filled.version == "2.8")


# Plans that travel.


def test_a_plan_is_applied_from_another_state_folder(
    filled: RegistryServer, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.json"
    assert command("plan", filled.url, "--keep", 1, "--delete-by", "digest", "-o", plan).status == 0
    plan = plan.rename(tmp_path / "carried.json")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another machine"))
    monkeypatch.chdir(tmp_path)
    told = command("apply", "carried.json", "--yes", "--json")
    assert told.status == 0
    assert told.document["results"] == {"done": 4 if filled.version == "3.1" else 3} | dict.fromkeys(
        ("gone", "skipped", "failed"), 0
    )
    pull(filled.url, APP, "latest")
    pull(filled.url, WEB, "1.10.0")
    again = command("apply", "carried.json", "--yes", "--json")
    assert again.status == 0
    assert again.document["results"]["done"] == 0
    assert [run["command"] for run in command("history", "--json").document["runs"]] == ["apply", "apply"]


def test_an_empty_plan_is_applied(filled_28: RegistryServer, command: Command, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert command("plan", filled_28.url, "--keep", 9, "-o", plan).status == 0
    told = command("apply", plan, "--yes")
    assert (told.status, "Nothing to delete." in told.out) == (0, True)


def test_what_changed_since_the_plan_is_skipped_and_listed(
    filled: RegistryServer, command: Command, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    command("plan", filled.url, "--keep", 1, "--delete-by", "digest", "-o", plan)
    push(filled.url, WEB, ONE, "production")
    told = command("apply", plan, "--yes")
    assert told.status == 4
    assert f"skipped: {WEB}:1.9.0: changed since the plan was made: tag production points to it now" in told.out
    (run,) = command("history", "--json").document["runs"]
    assert (run["outcome"], run["exit_status"], run["results"]["skipped"]) == ("part", 4, 1)
    for repository, tag in ((WEB, "production"), (WEB, "1.9.0"), (APP, "latest")):
        pull(filled.url, repository, tag)


# Many repositories.


def test_more_repositories_than_a_page_has(registry: RegistryServer, command: Command) -> None:
    names = [f"many/r{number:03}" for number in range(105)]
    for name in names:
        push(registry.url, name, ONE, "1.0")
        push(registry.url, name, TWO, "2.0")
    told = command("run", registry.url, "--keep", 1, "--delete-by", "digest", "--yes", "--json")
    assert told.status == 0
    assert told.document["results"]["done"] == len(names)
    assert {tuple(tags_of(registry.url, name)) for name in names} == {("2.0",)}
    pull(registry.url, names[-1], "2.0")
    # Their bytes are counted once, however many repositories share them.
    freed = sum(size for digest, size in ONE.sizes().items() if digest not in TWO.sizes())
    assert told.document["frees"] == freed


def test_usage_counts_what_is_shared_once(registry: RegistryServer, command: Command) -> None:
    push(registry.url, APP, BOTH, "1.0")
    push(registry.url, WEB, BOTH, "1.0")
    push(registry.url, WEB, ONE, "2.0")
    document = command("usage", registry.url, "--json").document
    both, one = sum(BOTH.sizes().values()), sum(ONE.sizes().values())
    assert document["total"] == both + one
    assert {each["name"]: (each["size"], each["alone"]) for each in document["repositories"]} == {
        APP: (both, 0),
        WEB: (both + one, one),
    }


# The configuration file.


def test_a_name_from_the_configuration(filled_28: RegistryServer, command: Command, tmp_path: Path) -> None:
    config = tmp_path / "jettison.yaml"
    config.write_text(
        f"history: {tmp_path / 'h.db'}\n"
        f"registries: {{team: {{url: '{filled_28.url}', keep: 1, repositories: [{APP}]}}}}\n"
    )
    for registry in ((), ("team",), (filled_28.url,)):
        told = command("plan", *registry, "--config", config, "--json")
        assert told.status == 0
        assert len(told.document["actions"]) == 4
    assert command("run", "team", "--config", config, "--yes").status == 0
    (run,) = command("history", "--config", config, "--registry", "team", "--json").document["runs"]
    assert run["registry"] == filled_28.url
    pull(filled_28.url, APP, "3.0")


# What is imported.

HEAVY = ("aiohttp", "sqlalchemy", "alembic", "rich", "docker", "ruamel", "re2", "cryptography", "litestar")
TELL = "import sys; sys.stderr.write('\\n' + ' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
RUN = f"import sys, atexit; atexit.register(lambda: exec({TELL!r})); from jettison.cli.main import main; main()"


def imported(*arguments: str) -> set[str]:
    """Return the top-level modules that a command had imported when it ended well."""
    told = subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return set(told.stderr.rpartition("\n")[2].split())


def commands() -> list[tuple[str, ...]]:
    """Every command that the help lists, and the commands below those that are groups."""
    import click

    from jettison.cli.main import cli

    found: list[tuple[str, ...]] = [()]
    context = click.Context(cli)
    for name in cli.list_commands(context):
        found.append((name,))
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            found += [(name, below) for below in command.commands]
    return found


@pytest.mark.parametrize("words", [words for words in commands() if len(words) < 2 or words == ("registry", "status")])
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert not imported(*words, "--help") & set(HEAVY)


@pytest.mark.parametrize("words", commands())
def test_every_command_has_help(command: Command, words: tuple[str, ...]) -> None:
    told = command(*words, "--help")
    assert (told.status, told.err) == (0, "")
    assert told.out.startswith(f"Usage: jettison {' '.join(words)}".rstrip())
    assert command(*words, "-h").out == told.out


def test_the_version(command: Command) -> None:
    from jettison import __version__

    told = command("--version")
    assert (told.status, told.out) == (0, f"jettison {__version__}\n")


def test_a_plan_imports_no_more_than_it_needs(filled_28: RegistryServer) -> None:
    assert imported("plan", filled_28.url, "--keep", "1") & {"docker", "ruamel", "re2", "cryptography", "alembic"} <= {
        "alembic"  # the history's first write makes its tables
    }
    assert "alembic" not in imported("plan", filled_28.url, "--keep", "1")
