"""Each format tells the same of the same request; what is cut, foreign or hostile is told apart from it."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pulls.logs import (
    DOCKER,
    NOON,
    ONE,
    SKOPEO,
    combined,
    envelope,
    event,
    manifest,
    registry_json,
    registry_text,
    traefik_json,
)

from jettison.pulls.reader import Format, LogReader, has_documents
from jettison.pulls.request import Client, Line, Request, host_of

LINES = {
    "combined": combined(),
    "common": combined().partition(' "-" ')[0] + "\n",
    "nginx with more behind": combined(more=' "10.9.9.9" rt=0.003 uct="0.000"'),
    "traefik": combined(more=' 42 "registry@docker" "http://172.18.0.2:5000" 3ms'),
    "apache, another zone": combined().replace("24/Nov/2026:12:00:00 +0000", "24/Nov/2026:13:30:00 +0130"),
    "registry text": registry_text(),
    "registry json": registry_json(),
    "traefik json": traefik_json(),
}
WRAPPERS: dict[str, Callable[[str], str]] = {
    "bare": lambda line: line,
    "docker json-file": lambda line: json.dumps({"log": line, "stream": "stdout", "time": "2026-11-24T12:00:00.5Z"}),
    "kubernetes": lambda line: f"2026-11-24T12:00:00.123456789Z stdout F {line}",
    "compose": lambda line: f"registry-1  | {line}",
    "syslog": lambda line: f"Nov 24 12:00:00 host registry[42]: {line}",
    "rsyslog": lambda line: f"2026-11-24T12:00:00.123456+01:00 host docker/registry[42]: {line}",
}


def read(line: str, wanted: Format = Format.AUTO) -> list[Line] | None:
    return LogReader(wanted).read(line.rstrip("\n").encode())


def request_of(line: str, wanted: Format = Format.AUTO) -> Request | None:
    found = read(line, wanted)
    assert found is not None, line
    return found[0].request


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("name", LINES)
def test_a_pull_is_read_from_every_format_whatever_is_around_it(name: str, wrapper: str) -> None:
    found = request_of(WRAPPERS[wrapper](LINES[name]))
    assert found is not None
    assert (found.method, found.repository, found.tag, found.digest) == ("GET", "team/app", "1.0", None)
    assert found.moment.replace(microsecond=0) == NOON
    assert found.client == Client("" if name == "common" else SKOPEO, "", "10.1.2.3")


@pytest.mark.parametrize(
    ("uri", "method", "status"),
    [
        (manifest("1.0"), "PUT", 201),
        (manifest("1.0"), "DELETE", 202),
        (manifest("1.0"), "GET", 404),
        (manifest("1.0"), "GET", 401),
        (manifest("1.0"), "GET", 500),
        ("/v2/team/app/blobs/" + ONE, "GET", 200),
        ("/v2/team/app/tags/list", "GET", 200),
        ("/v2/", "GET", 200),
        ("/", "GET", 200),
        ("/other" + manifest("1.0"), "GET", 200),
        (manifest("1.0", "../../etc"), "GET", 200),
        (manifest("sha256:abc"), "GET", 200),
        (manifest(".hidden"), "GET", 200),
    ],
)
@pytest.mark.parametrize("make", [combined, registry_text, registry_json, traefik_json])
def test_what_is_no_pull_is_understood_and_counts_not(make, uri: str, method: str, status: int) -> None:  # type: ignore[no-untyped-def]
    assert request_of(make(uri, method=method, status=status)) is None


def test_a_manifest_is_named_by_digest_and_in_every_spelling_of_a_uri() -> None:
    by_digest = request_of(combined(manifest(ONE)))
    assert by_digest is not None
    assert (by_digest.tag, by_digest.digest) == (None, ONE)
    escaped = request_of(combined(manifest(ONE.replace(":", "%3A")) + "?ns=docker.io"))
    assert escaped is not None
    assert escaped.digest == ONE
    absolute = request_of(combined("http://registry.example" + manifest("1.0", "a/manifests/b")))
    assert absolute is not None
    assert (absolute.repository, absolute.tag) == ("a/manifests/b", "1.0")


def test_a_client_that_has_it_already_and_asks_again_pulls() -> None:
    assert request_of(combined(status=304)) is not None


def test_clients_are_told_by_agent_account_and_address() -> None:
    found = request_of(combined(agent=DOCKER, account="build bot", address="fd00::1"))
    assert found is not None
    agent = DOCKER.replace("\\\\", "\\")
    assert found.client == Client(agent, "build bot", "fd00::1")
    hidden = request_of(combined(agent="evil\\x22 200 5 \\x22docker/1"))
    assert hidden is not None
    assert hidden.client.agent == 'evil" 200 5 "docker/1'


def test_a_user_agent_that_looks_like_a_log_line_is_only_a_user_agent() -> None:
    inner = combined(manifest("9.9"), agent="x").strip().replace('"', "\\x22")
    found = request_of(combined(agent=inner))
    assert found is not None
    assert found.tag == "1.0"


def test_the_account_is_found_on_the_line_that_tells_of_the_sign_in() -> None:
    reader = LogReader()
    signed_in = registry_text(request="77").replace("response completed", "authorized request")
    signed_in = signed_in.partition(" http.response")[0] + " auth.user.name=ci\n"
    assert reader.read(signed_in.rstrip().encode()) == [Line(NOON.replace(microsecond=322581), None, False)]
    (line,) = reader.read(registry_text(request="77").rstrip().encode()) or []
    assert line.request is not None
    assert line.request.client.account == "ci"


def test_the_registry_tells_of_each_request_twice_and_it_counts_once() -> None:
    reader = LogReader()
    both = [registry_text(), combined(), registry_text(manifest("2.0")), combined(manifest("2.0"))]
    tags = [line.request.tag for text in both for line in reader.read(text.rstrip().encode()) or [] if line.request]
    assert tags == ["1.0", "2.0"]
    assert reader.own_log
    again = LogReader(own_log=True)
    assert again.read(combined().rstrip().encode()) == [Line(NOON, None)]


def test_what_shows_that_pulls_would_be_logged() -> None:
    """A log of errors, of pushes, or of another site, holds no pull whoever pulls: nobody may take that for disuse."""
    shows = {
        combined("/v2/"): True,
        combined("/v2/team/app/tags/list", status=404): True,
        combined("/"): False,
        combined("/other/v2/a/manifests/b"): False,
        traefik_json("/v2/"): True,
        traefik_json("/"): False,
        registry_text("/v2/"): True,
        registry_json("/v2/"): True,
        registry_text(status=404): False,
        registry_text("/v2/").partition(" http.")[0] + "\n": False,
        'time="2026-11-24T12:00:00Z" level=error msg="unable to watch" provider=docker\n': False,
        '{"level":"info","msg":"listening","time":"2026-11-24T12:00:00Z"}\n': False,
        json.dumps(event(kind="blobs")): True,
        json.dumps(event(action="push")): False,
    }
    for line, answers in shows.items():
        found = read(line)
        assert found is not None, line
        assert found[0].shows_answers == answers, line


def test_a_registry_that_logs_errors_only_is_read_by_its_combined_lines() -> None:
    reader = LogReader()
    assert reader.read(registry_text(status=404).rstrip().encode()) is not None
    (line,) = reader.read(combined().rstrip().encode()) or []
    assert line.request is not None
    assert not reader.own_log


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        '{"some": "json"}',
        '{"log": 1}',
        "Nov 24 12:00:00 host sshd[1]: Accepted publickey",
        combined().replace("24/Nov", "99/Nov"),
        combined().replace("24/Nov", "24/Foo"),
        combined()[:30],
        combined()[20:],
        registry_text()[:40],
        registry_text()[25:],
        registry_json()[:80],
        registry_json()[10:],
        traefik_json()[:-4],
        combined().replace("2026", "1970"),
        "\x00" * 100,
    ],
)
def test_what_is_cut_or_foreign_is_not_understood(line: str) -> None:
    assert read(line) is None


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        (Format.COMBINED, {"combined", "common", "nginx with more behind", "traefik", "apache, another zone"}),
        (Format.TRAEFIK, {"traefik", "traefik json", "combined", "common", "nginx with more behind",
                          "apache, another zone"}),
        (Format.REGISTRY, {"registry text", "registry json", "combined", "common", "nginx with more behind",
                           "traefik", "apache, another zone"}),
        (Format.NOTIFICATIONS, set()),
    ],
)  # fmt: skip
def test_a_format_that_is_named_is_the_only_one_that_is_taken(wanted: Format, takes: set[str]) -> None:
    assert {name for name, line in LINES.items() if read(line, wanted) is not None} == takes


def test_events_have_the_tag_and_the_digest_and_count_once() -> None:
    reader = LogReader()
    text = envelope(
        event(), event(identifier="2", action="push"), event(identifier="3", kind="blobs"), event(None, identifier="4")
    )
    lines = reader.read(text.encode())
    assert lines is not None
    requests = [line.request for line in lines if line.request is not None]
    assert [(each.tag, each.digest) for each in requests] == [("1.0", ONE), (None, ONE)]
    assert requests[0].client == Client(SKOPEO, "ci", "10.1.2.3")
    repeated = reader.read(text.encode())
    assert repeated is not None
    assert not any(line.request for line in repeated)
    single = LogReader(Format.NOTIFICATIONS).read(json.dumps(event()).encode())
    assert single is not None
    assert single[0].request is not None


def test_notifications_are_told_from_lines_by_their_beginning() -> None:
    assert has_documents(envelope(event()).encode(), Format.AUTO)
    assert has_documents(b"\n [" + envelope(event()).encode(), Format.AUTO)
    assert has_documents(json.dumps({"events": []}).encode() + b"\n", Format.AUTO)
    assert has_documents(json.dumps(event()).encode() + b"\n", Format.AUTO)
    for line in LINES.values():
        assert not has_documents(line.encode(), Format.AUTO)
    assert not has_documents(b"", Format.AUTO)


@given(st.binary(max_size=300))
def test_no_line_breaks_the_reader(line: bytes) -> None:
    reader = LogReader()
    reader.read(line)
    reader.read(b"{" + line + b"}")


@given(st.text(max_size=40), st.sampled_from([combined, registry_text]))
def test_no_user_agent_breaks_a_line(agent: str, make) -> None:  # type: ignore[no-untyped-def]
    logged = json.dumps(agent)[1:-1]
    found = read(make(agent=logged).replace("\n", "") + "\n")
    assert found is not None
    assert found[0].request is not None


def test_long_rows_of_quotes_and_blanks_take_no_time() -> None:
    for text in ('"' * 60_000, " " * 60_000, "a " * 30_000, "\\" * 60_000, "[" * 60_000, '" "' * 20_000, "{" * 60_000):
        for line in (text, f"10.1.2.3 - - {text}", f'time="2026-11-24T12:00:00Z" level=info msg={text} /manifests/'):
            read(line)


@pytest.mark.parametrize(
    ("text", "host"),
    [("10.0.0.1:5000", "10.0.0.1"), ("10.0.0.1", "10.0.0.1"), ("[::1]:80", "::1"), ("::1", "::1"), ("", "")],
)
def test_an_address_is_told_without_its_port(text: str, host: str) -> None:
    assert host_of(text) == host


def test_seconds_are_read_each_where_they_change() -> None:
    reader = LogReader()
    moments = [NOON + timedelta(seconds=number) for number in (0, 0, 1, 0)]
    lines = [reader.read(combined(moment=moment).rstrip().encode()) for moment in moments]
    assert [found[0].moment for found in lines if found] == moments
