"""The configuration in force: the file, the REGISTRY_* environment over it, and the real servers as judges."""

import http.client
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.conftest import MakeRegistry

from jettison.control import environment as env
from jettison.control.config_file import parse_config
from jettison.errors import ConfigurationError
from jettison.testing.registry_server import ServerStartError

PLAIN = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: /data
http:
  addr: 127.0.0.1:5000
"""
READONLY_OFF = PLAIN.replace("storage:\n", "storage:\n  maintenance: {readonly: {enabled: false}}\n")


def in_force(text: str = PLAIN, **environment: str) -> object:
    return parse_config(text, environment)


def test_the_file_alone() -> None:
    found = parse_config(
        """\
version: 0.1
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: /data}
  delete: {enabled: true}
  maintenance: {readonly: {enabled: yes}}
  tag: {concurrencylimit: 5}
http:
  addr: :5001
  prefix: /registry/
  tls: {certificate: /c.pem, key: /k.pem}
catalog: {maxentries: 500}
auth: {htpasswd: {realm: r, path: /p}}
proxy: {remoteurl: https://registry-1.docker.io, password: hidden-word}
"""
    )
    assert (found.driver, found.root_directory, found.delete_enabled, found.readonly) == (
        "filesystem",
        "/data",
        True,
        True,
    )
    assert (found.cache, found.address, found.port, found.tls) == ("inmemory", ":5001", 5001, True)
    assert (found.auth, found.prefix, found.catalogue_max_entries) == ("htpasswd", "/registry/", 500)
    assert found.pull_through_proxy
    assert str(found.origins["delete_enabled"]) == "file"
    assert found.secrets == {"hidden-word"}
    assert "hidden-word" not in repr(found)


def test_the_servers_defaults() -> None:
    found = parse_config("version: 0.1\nstorage: filesystem\n")
    assert (found.driver, found.root_directory, found.delete_enabled, found.cache) == (
        "filesystem",
        "/var/lib/registry",
        False,
        None,
    )
    assert found.catalogue_max_entries == 1000
    assert found.port is None
    assert {key: str(origin) for key, origin in found.origins.items()}["delete_enabled"] == "default"


def test_a_variable_wins_over_the_file_and_is_named_as_the_origin() -> None:
    found = parse_config(PLAIN, {"REGISTRY_STORAGE_DELETE_ENABLED": "true", "PATH": "/bin"})
    assert found.delete_enabled
    assert str(found.origins["delete_enabled"]) == "REGISTRY_STORAGE_DELETE_ENABLED"
    assert str(found.origins["root_directory"]) == "file"


def test_a_whole_section_as_a_variable_takes_the_files_settings_away() -> None:
    text = PLAIN + "  prefix: /x/\n"
    with_delete = text.replace(
        "storage:\n", "storage:\n  delete: {enabled: true}\n  cache: {blobdescriptor: inmemory}\n"
    )
    found = parse_config(with_delete, {"REGISTRY_STORAGE": "filesystem"})
    assert (found.delete_enabled, found.cache, found.root_directory) == (False, None, "/var/lib/registry")
    assert str(found.origins["delete_enabled"]) == "REGISTRY_STORAGE"
    assert found.prefix == "/x/"


def test_variables_apply_in_the_order_of_their_names() -> None:
    found = parse_config(
        PLAIN,
        {"REGISTRY_STORAGE_S3_BUCKET": "b", "REGISTRY_STORAGE": "s3", "REGISTRY_STORAGE_DELETE": "{enabled: true}"},
    )
    assert (found.driver, found.delete_enabled, found.root_directory) == ("s3", True, None)
    assert found.parameters == {"bucket": "b"}


def test_parameters_of_a_driver_added_by_parts_do_not_replace_the_files_driver() -> None:
    with pytest.raises(ConfigurationError, match=r"filesystem and s3 .*REGISTRY_STORAGE_S3_BUCKET"):
        parse_config(PLAIN, {"REGISTRY_STORAGE_S3_BUCKET": "b"})


def test_keys_match_whatever_their_case_in_the_file() -> None:
    text = PLAIN.replace(
        "  filesystem:\n    rootdirectory", "  delete: {Enabled: false}\n  filesystem:\n    rootdirectory"
    )
    assert parse_config(text, {"REGISTRY_STORAGE_DELETE_ENABLED": "true"}).delete_enabled


@pytest.mark.parametrize(
    ("debug", "variables", "expected"),
    [
        ("", {}, None),
        ("  debug: {addr: ':5001'}\n", {}, None),
        ("  debug: {addr: ':5001', prometheus: {enabled: false}}\n", {}, None),
        ("  debug: {prometheus: {enabled: true}}\n", {}, None),
        ("  debug: {addr: 'nowhere', prometheus: {enabled: true}}\n", {}, None),
        ("  debug: {addr: ':5001', prometheus: {enabled: true}}\n", {}, ("", 5001, "/metrics")),
        ("  debug: {addr: 'localhost:5001', prometheus: {enabled: true, path: /m}}\n", {}, ("localhost", 5001, "/m")),
        (
            "  debug: {addr: ':5001', prometheus: {enabled: true}}\n",
            {"REGISTRY_HTTP_DEBUG_ADDR": "127.0.0.1:6001", "REGISTRY_HTTP_DEBUG_PROMETHEUS_PATH": "/n"},
            ("127.0.0.1", 6001, "/n"),
        ),
    ],
)
def test_where_metrics_are_shown(debug: str, variables: dict[str, str], expected: tuple[str, int, str] | None) -> None:
    found = parse_config(PLAIN + debug, variables).metrics
    assert (None if found is None else (found.host, found.port, found.path)) == expected


def test_a_value_that_is_text_turns_deletion_off_and_is_reported() -> None:
    found = parse_config(PLAIN, {"REGISTRY_STORAGE_DELETE_ENABLED": '"true"'})
    assert not found.delete_enabled
    assert any("REGISTRY_STORAGE_DELETE_ENABLED" in problem for problem in found.problems)


def test_a_variable_that_the_server_ignores_is_reported() -> None:
    name = "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED"
    found = parse_config(READONLY_OFF, {name: "true"})
    assert not found.readonly
    assert any(name in problem for problem in found.problems)


def test_redis_addresses_of_both_generations() -> None:
    cache = PLAIN.replace("storage:\n", "storage:\n  cache: {blobdescriptor: redis}\n")
    old = parse_config(cache + "redis: {addr: redis:6379, password: hidden-word}\n")
    new = parse_config(cache + "redis: {addrs: [a:6379]}\n", {"REGISTRY_REDIS_ADDRS_1": "b:6379"})
    assert (old.cache, old.redis_addresses) == ("redis", ("redis:6379",))
    assert new.redis_addresses == ("a:6379", "b:6379")


def test_an_unknown_cache_is_no_cache() -> None:
    found = parse_config(PLAIN.replace("storage:\n", "storage:\n  cache: {blobdescriptor: memcached}\n"))
    assert found.cache is None
    assert found.problems


def test_the_old_name_of_the_cache() -> None:
    assert parse_config(PLAIN.replace("storage:\n", "storage:\n  cache: {layerinfo: inmemory}\n")).cache == "inmemory"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no storage driver"),
        ("- a\n", "should be a mapping"),
        ("storage:\n\tfilesystem: {}\n", "line 2.*no YAML"),
        ("storage: [a]\n", "storage should be a mapping"),
        ("storage: {filesystem: 3}\n", r"storage\.filesystem should be a mapping"),
        ("storage: {filesystem: {}, inmemory: {}}\n", "several storage drivers"),
        ("storage: {filesystem: {}, maintenance: {readonly: {enabled: maybe}}}\n", "true or false"),
    ],
)
def test_what_no_server_would_start_with_is_refused_by_name(text: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected) as caught:
        parse_config(text, name="/etc/x.yml")
    assert "/etc/x.yml" in str(caught.value)


def test_a_syntax_error_does_not_quote_the_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_config("storage:\n  s3: {secretkey: hidden-word\n  x: : y\n")
    assert "hidden-word" not in str(caught.value)


def test_shown_variables_hide_secrets() -> None:
    variables = {
        "REGISTRY_HTTP_SECRET": "hidden-word",
        "REGISTRY_STORAGE_S3_SECRETKEY": "hidden-word",
        "REGISTRY_STORAGE_S3": "{bucket: b, secretkey: hidden-word}",
        "REGISTRY_PROXY_REMOTEURL": "https://user:hidden-word@host",
        "REGISTRY_HTTP_ADDR": ":5000",
        "PATH": "/bin",
    }
    shown = env.shown(variables)
    assert "hidden-word" not in repr(shown)
    assert shown["REGISTRY_HTTP_ADDR"] == ":5000"
    assert "PATH" not in shown


# What the environment does to a file, judged by the server itself: whether it starts, deletes, and takes a push.
CASES: list[tuple[str, Mapping[str, str]]] = [
    ("plain", {}),
    ("plain", {"REGISTRY_STORAGE_DELETE_ENABLED": "true"}),
    ("plain", {"REGISTRY_STORAGE_DELETE_ENABLED": "on"}),
    ("plain", {"REGISTRY_STORAGE_DELETE_ENABLED": '"true"'}),
    ("plain", {"REGISTRY_STORAGE_DELETE_ENABLED": "1"}),
    ("plain", {"REGISTRY_STORAGE_DELETE": "{enabled: true}"}),
    ("plain", {"REGISTRY_STORAGE_DELETE": "true"}),
    ("plain", {"REGISTRY_storage_delete_enabled": "true"}),
    ("deleting", {}),
    ("deleting", {"REGISTRY_STORAGE_DELETE_ENABLED": ""}),
    ("deleting", {"REGISTRY_STORAGE": "inmemory"}),
    ("deleting", {"REGISTRY_STORAGE": "inmemory", "REGISTRY_STORAGE_DELETE_ENABLED": "true"}),
    ("deleting", {"REGISTRY_STORAGE_INMEMORY_X": "y"}),
    ("deleting", {"REGISTRY_STORAGE_MAINTENANCE_READONLY": "{enabled: true}"}),
    ("deleting", {"REGISTRY_STORAGE_MAINTENANCE": "{readonly: {enabled: true}}"}),
    ("deleting", {"REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED": "true"}),
    ("writable", {"REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED": "true"}),
    ("writable", {"REGISTRY_STORAGE_MAINTENANCE_READONLY": "{enabled: true}"}),
    ("twice", {}),
]
SECTIONS: Mapping[str, str] = {
    "plain": "",
    "deleting": "  delete: {enabled: yes}\n",
    "writable": "  delete: {enabled: true}\n  maintenance: {readonly: {enabled: false}}\n",
    "twice": "  delete: {enabled: true}\n  cache: {blobdescriptor: inmemory}\n",
}


@pytest.mark.parametrize("version", ["2.8", "3.1"])
def test_the_real_server_agrees(version: str, tmp_path: Path, make_registry: MakeRegistry) -> None:
    server = make_registry(version)
    server.stop()
    binary = str(server._binary)
    for number, (section, variables) in enumerate(CASES):
        text = f"version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {tmp_path}/data}}\n"
        text += SECTIONS[section] + f"http: {{addr: '{server.host}'}}\n"
        config = tmp_path / f"{number}.yml"
        config.write_text(text)
        try:
            found = parse_config(text, variables)
            expected: object = (found.delete_enabled and not found.readonly, not found.readonly)
        except ConfigurationError:
            expected = "does not start"
        assert _behaviour(binary, config, server.port, variables) == expected, (section, variables)


def _behaviour(binary: str, config: Path, port: int, variables: Mapping[str, str]) -> object:
    """Start the server; return whether it deletes and takes pushes, or that it does not start."""
    process = subprocess.Popen(
        [binary, "serve", str(config)],
        env={"OTEL_TRACES_EXPORTER": "none", **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None:
            try:
                deleted = _status(port, "DELETE", f"/v2/x/manifests/sha256:{'a' * 64}")
                return deleted != 405, _status(port, "PUT", "/v2/x/manifests/y") != 405
            except ConnectionRefusedError:
                continue
        return "does not start"
    finally:
        process.kill()
        process.wait()


def _status(port: int, method: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body=b"no manifest")
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_server_that_does_not_start_is_noticed(make_registry: MakeRegistry) -> None:
    """The judge above must be able to say no."""
    with pytest.raises(ServerStartError):
        make_registry("2.8", environment={"REGISTRY_STORAGE_INMEMORY_X": "y"})
