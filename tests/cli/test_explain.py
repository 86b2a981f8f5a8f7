"""explain, forecast and `plan --by` against real registries."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.commands import Command

from jettison.testing.faults import answer
from jettison.testing.faulty import FaultyServer
from jettison.testing.images import image, index, push, signature_of, signature_tag
from jettison.testing.registry_server import RegistryServer

APP, WEB = "team/app", "team/web"
NOW = datetime.now(UTC)
BOTH = index([image(seed="amd", created=NOW), image(seed="arm", platform="linux/arm64", created=NOW)])
POLICY = """
policies:
  - name: team
    repositories: ["team/**"]
    rules:
      - {name: releases, tags: {version: "*"}, keep: {newest: 2}}
      - {name: rest, tags: "b*", keep: {within: 30d}}
"""


@pytest.fixture
def filled(registry: RegistryServer) -> RegistryServer:
    """Three versions of which one is a signed index, a copy of it elsewhere, and branches of 5, 15, 25 and 35 days."""
    push(registry.url, APP, BOTH, "3.0")
    push(registry.url, APP, BOTH, "stable")
    push(registry.url, APP, signature_of(BOTH.digest), signature_tag(BOTH.digest))
    push(registry.url, WEB, BOTH, "3.0")
    for number in (1, 2):
        push(registry.url, APP, image(seed=number, created=NOW - timedelta(days=9)), f"{number}.0")
    for days in (5, 15, 25, 35):
        push(registry.url, APP, image(seed=f"b{days}", created=NOW - timedelta(days=days)), f"b{days}")
    return registry


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    return file


def test_explain_tells_what_the_plan_decides(filled: RegistryServer, command: Command, policy: Path) -> None:
    planned = command("plan", filled.url, "--policy", policy, "--kept", "--delete-by", "digest", "--json").document
    reasons = {(each["repository"], each["tag"]): (True, each["reason"]["text"]) for each in planned["kept"]}
    reasons |= {
        (each["repository"], tag): (False, each["reason"]["text"])
        for each in planned["actions"]
        for tag in each["tags"]
    }
    assert len(reasons) == 10
    for (repository, tag), (kept, text) in reasons.items():
        told = command("explain", f"{filled.url}/{repository}:{tag}", "--policy", policy, "--json")
        assert (told.status, told.err) == (0, "")
        assert (told.document["kept"], told.document["reason"]["text"]) == (kept, text)


def test_explain_for_a_person(filled: RegistryServer, command: Command, policy: Path) -> None:
    told = command("explain", f"{filled.url}/{APP}:3.0", "--policy", policy)
    assert told.status == 0
    assert "team/app:3.0 stays: 1st newest by version, within 2" in told.out
    assert "'releases', number 1, selects versions; it claims 3 tags" in told.out
    assert "same digest: stable, which stays: no rule claims this tag" in told.out
    assert told.out.count("has the platform:") == 2
    assert "referred to by:" in told.out
    assert "2 newer ones in the same count would push it out" in told.out
    assert "sharing beyond this repository was not read" in told.out
    assert "of branch" not in told.out
    old = command("explain", f"{filled.url}/{APP}:1.0", "--policy", policy)
    assert ">    3  1.0  (not kept by this count)" in old.out
    assert "expires:     now, with the next run" in old.out


def test_explain_reads_one_repository_unless_asked(filled: RegistryServer, command: Command, policy: Path) -> None:
    one = command("explain", f"{filled.url}/{APP}:3.0", "--policy", policy, "--json").document
    assert (one["frees_is_exact"], one["elsewhere"]) == (False, [])
    whole = command("explain", f"{filled.url}/{APP}@{BOTH.digest}", "--policy", policy, "--whole", "--json").document
    assert (whole["frees_is_exact"], whole["elsewhere"]) == (True, [WEB])
    # The copy in the other repository needs all but the signature.
    assert 0 < whole["frees"] < one["frees"]


def test_explain_tells_when_it_expires(filled: RegistryServer, command: Command, policy: Path) -> None:
    for days in (5, 15, 25):
        told = command("explain", f"{filled.url}/{APP}:b{days}", "--policy", policy, "--json").document
        expires = datetime.fromisoformat(told["expires"])
        assert abs(expires - (NOW + timedelta(days=30 - days))) < timedelta(minutes=1)


def test_explain_of_a_storage_and_by_the_beginning_of_a_digest(
    filled: RegistryServer, command: Command, policy: Path
) -> None:
    storage = ("--storage", filled.root, "--offline", "--policy", policy)
    assert f"{APP}@{BOTH.digest.short} stays" in command("explain", f"{APP}@{BOTH.digest.short}", *storage).out


@pytest.mark.parametrize(
    ("what", "status", "message"),
    [
        (f"/{APP}:9.0", 1, "has no tag '9.0'"),
        (f"/{APP}@sha256:000000000000", 1, "has no manifest sha256:000000000000"),
        (f"/{APP}", 2, "which image? Write REPOSITORY:TAG"),
        ("/Team:1", 2, "is no repository's name"),
        ("/team/none:1", 1, "team/none"),
    ],
)
def test_explain_of_what_is_not_there(
    filled: RegistryServer, command: Command, policy: Path, what: str, status: int, message: str
) -> None:
    told = command("explain", f"{filled.url}{what}", "--policy", policy)
    assert told.status == status
    assert message in told.message


def test_the_forecast_comes_true(filled: RegistryServer, command: Command, policy: Path) -> None:
    told = command("forecast", filled.url, "--policy", policy, "--days", 30, "--step", "day", "--images", "--json")
    assert (told.status, told.err) == (0, "")
    when = {tag: i for i, step in enumerate(told.document["steps"]) for one in step["expiring"] for tag in one["tags"]}
    assert when.pop("1.0") == 0
    assert when.pop("b35") == 0
    # Images are made a moment before now, so an age of 30 days is reached within the last step before it.
    assert when == {"b25": 5, "b15": 15, "b5": 25}
    plan = command("plan", filled.url, "--policy", policy, "--delete-by", "digest", "--json").document
    assert told.document["steps"][0]["frees"] == plan["totals"]["frees"]
    assert told.document["frees"] == sum(step["frees"] for step in told.document["steps"])


def test_the_forecast_for_a_person(filled: RegistryServer, command: Command, policy: Path) -> None:
    told = command("forecast", filled.url, "--policy", policy)
    assert told.status == 0
    assert "5 tags until" in told.out
    assert "█" in told.out
    assert "b15" in command("forecast", filled.url, "--policy", policy, "--images").out


def test_plan_by_rule_repository_and_reason(filled: RegistryServer, command: Command, policy: Path) -> None:
    plan = ("plan", filled.url, "--policy", policy, "--delete-by", "digest")
    groups = {(each["by"], each["name"]): each for each in command(*plan, "--json").document["groups"]}
    assert {name: each["tags"] for (by, name), each in groups.items() if by == "rule"} == {
        "team: releases": 1,
        "team: rest": 1,
    }
    assert {name: each["tags"] for (by, name), each in groups.items() if by == "reason"} == {
        "not-newest": 1,
        "too-old": 1,
    }
    assert all(each["frees"] > 0 for each in groups.values())
    for by, row in {"rule": "team: releases", "repository": APP, "reason": "too-old"}.items():
        out = command(*plan, "--by", by).out
        assert row in out
        assert "b35" not in out


def test_a_recorded_inventory_answers_the_same(
    filled: RegistryServer, command: Command, policy: Path, tmp_path: Path
) -> None:
    record = tmp_path / "inventory.json.gz"
    assert command("policy", "record", filled.url, "-o", record).status == 0
    live = command("explain", f"{filled.url}/{APP}:3.0", "--policy", policy, "--whole", "--json").document
    told = command("explain", f"{APP}:3.0", "--inventory", record, "--policy", policy, "--json").document
    for each in (live, told):
        del each["claimed"]
    assert json.dumps(live) == json.dumps(told)


def test_explain_of_what_runs(filled: RegistryServer, command: Command, policy: Path, tmp_path: Path) -> None:
    running = tmp_path / "running.txt"
    running.write_text(f"{filled.url.removeprefix('http://')}/{APP}:1.0\n")
    told = command("explain", f"{filled.url}/{APP}:1.0", "--policy", policy, "--in-use", f"file:{running}")
    assert told.status == 0
    assert "team/app:1.0 stays: in use:" in told.out
    # What the rule alone would say is told nevertheless.
    assert "(not kept by this count)" in told.out
    forecast = command("forecast", filled.url, "--policy", policy, "--in-use", f"file:{running}", "--images", "--json")
    gone = {tag for step in forecast.document["steps"] for each in step["expiring"] for tag in each["tags"]}
    assert gone == {"b5", "b15", "b25", "b35"}


def test_explain_of_a_registry_in_the_configuration(
    filled: RegistryServer, command: Command, policy: Path, tmp_path: Path
) -> None:
    configuration = tmp_path / "jettison.yaml"
    configuration.write_text(f"registries: {{lab: {{url: '{filled.url}', policy: {policy}}}}}\n")
    for image_name in (f"lab/{APP}:2.0", f"{APP}:2.0"):
        told = command("explain", image_name, "--config", configuration)
        assert (told.status, told.err) == (0, "")
        assert "team/app:2.0 stays: 2nd newest by version, within 2" in told.out


def keys_of(document: object) -> set[str]:
    if isinstance(document, dict):
        return set(document).union(*(keys_of(each) for each in document.values()))
    return set().union(*(keys_of(each) for each in document)) if isinstance(document, list) else set()


def test_every_field_is_documented(filled: RegistryServer, command: Command, policy: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text("utf-8")
    for arguments in (("explain", f"{filled.url}/{APP}:3.0"), ("forecast", filled.url, "--images")):
        found = keys_of(command(*arguments, "--policy", policy, "--json").document)
        assert [key for key in sorted(found) if f"`{key}`" not in page] == []


def test_what_cannot_be_read_is_told(filled: RegistryServer, command: Command, policy: Path, tmp_path: Path) -> None:
    with FaultyServer(upstream=filled.url) as proxy:
        proxy.when("GET", f"/v2/{WEB}/tags/list.*", answer(403))
        told = command("forecast", proxy.url, "--policy", policy)
        assert told.status == 4
        assert "what could not be read completely is taken to lose nothing" in told.err
        assert command("policy", "record", proxy.url, "-o", tmp_path / "record.json").status == 4
        assert command("policy", "diff", policy, policy, proxy.url).status == 4
        # The repository that is asked about can be read, and nothing else is.
        assert command("explain", f"{proxy.url}/{APP}:1.0", "--policy", policy).status == 0
        proxy.when("GET", f"/v2/{APP}/tags/list.*", answer(403))
        told = command("explain", f"{proxy.url}/{APP}:1.0", "--policy", policy)
        assert told.status == 1
        assert f"{APP} could not be read completely: " in told.message


def test_a_repository_with_damage_keeps_everything_and_says_so(
    filled: RegistryServer, command: Command, policy: Path
) -> None:
    body = next(
        path
        for path in (filled.root / "docker/registry/v2/blobs").rglob("data")
        if path.parent.name == image(seed=2, created=NOW - timedelta(days=9)).digest.hex
    )
    body.write_bytes(b"")
    told = command("explain", f"{APP}:1.0", "--storage", filled.root, "--offline", "--policy", policy)
    assert "stays: something in this repository could not be read" in told.out
    assert "rule:        none decides it" in told.out
