"""Where credentials come from: environment, Docker's config.json, helper programs."""

import base64
import json
import os
import sys
from pathlib import Path

import pytest

from jettison.errors import ConfigurationError
from jettison.registry.credentials import Credentials, find_credentials
from jettison.registry.url import RegistryUrl

SECRET = "s3cret-value"
HOST = RegistryUrl.parse("registry.example.org:5000")


def encoded(username: str = "tester", password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def find(folder: Path, config: object, url: RegistryUrl = HOST, **environment: str) -> Credentials | None:
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return find_credentials(url, environment={"DOCKER_CONFIG": str(folder), **environment})


def pair(found: Credentials | None) -> tuple[str, str] | None:
    return (found.username, found.password) if found else None


def install_helper(folder: Path, name: str, program: str) -> str:
    """Install a helper that is a Python program, and return the PATH that finds it."""
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!{sys.executable}\nimport json, os, sys\nserver = sys.stdin.read()\n{program}\n")
    path.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_shows_itself_nowhere() -> None:
    credentials = Credentials("tester", SECRET, SECRET, SECRET, source="from a file")
    for text in (repr(credentials), str(credentials), f"{credentials!r:>40}", repr([credentials])):
        assert SECRET not in text
        assert "tester" not in text


def test_environment_wins_over_docker(tmp_path: Path) -> None:
    found = find(
        tmp_path, {"auths": {HOST.authority: encoded()}}, JETTISON_USERNAME="env", JETTISON_PASSWORD="from env"
    )
    assert pair(found) == ("env", "from env")


@pytest.mark.parametrize("given", ["JETTISON_USERNAME", "JETTISON_PASSWORD"])
def test_half_of_the_environment_is_an_error(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"JETTISON_.* is set, but JETTISON_.* is not") as caught:
        find_credentials(HOST, environment={given: SECRET})
    assert SECRET not in str(caught.value)


def test_reads_the_home_folder_without_docker_config(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {HOST.authority: encoded()}}))
    assert pair(find_credentials(HOST, environment={}, home=tmp_path)) == ("tester", SECRET)
    assert find_credentials(HOST, environment={}, home=tmp_path / "other") is None


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("registry.example.org:5000", "registry.example.org:5000"),
        ("https://registry.example.org:5000", "registry.example.org:5000"),
        ("https://registry.example.org:5000/v2/", "registry.example.org:5000"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("registry.example.org:443", "registry.example.org"),
        ("registry.example.org", "https://registry.example.org:443"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "https://registry-1.docker.io"),
    ],
)
def test_matches_hosts_as_docker_does(tmp_path: Path, key: str, url: str) -> None:
    config = {"auths": {"other.example.org": encoded("other"), key: encoded()}}
    assert pair(find(tmp_path, config, RegistryUrl.parse(url))) == ("tester", SECRET)


@pytest.mark.parametrize("key", ["registry.example.org", "registry.example.org:5001", "xregistry.example.org:5000"])
def test_sends_no_other_hosts_credentials(tmp_path: Path, key: str) -> None:
    assert find(tmp_path, {"auths": {key: encoded()}}) is None


def test_keeps_colons_in_passwords_and_takes_plain_fields(tmp_path: Path) -> None:
    assert pair(find(tmp_path, {"auths": {HOST.authority: encoded(password="a:b:c")}})) == ("tester", "a:b:c")
    plain = {"username": "plain", "password": SECRET}
    assert pair(find(tmp_path, {"auths": {HOST.authority: plain}})) == ("plain", SECRET)


def test_takes_identity_and_registry_tokens(tmp_path: Path) -> None:
    found = find(tmp_path, {"auths": {HOST.authority: {"identitytoken": SECRET}}})
    assert found is not None
    assert found.identity_token == SECRET
    found = find(tmp_path, {"auths": {HOST.authority: {"registrytoken": SECRET}}})
    assert found is not None
    assert found.access_token == SECRET


def test_an_empty_entry_is_none(tmp_path: Path) -> None:
    assert find(tmp_path, {"auths": {HOST.authority: {}}, "psFormat": "x"}) is None
    assert find(tmp_path, {"auths": None}) is None


@pytest.mark.parametrize(
    "config",
    [
        '{"auths": {"registry.example.org:5000": {"auth": "' + SECRET,
        '{"auths": {"registry.example.org:5000": {"auth": ["' + SECRET + '"]}}}',
        '{"auths": {"registry.example.org:5000": {"auth": "*' + SECRET + '*"}}}',
    ],
)
def test_a_damaged_file_is_an_error_that_tells_no_secret(tmp_path: Path, config: str) -> None:
    with pytest.raises(ConfigurationError, match=r"config\.json") as caught:
        find(tmp_path, config)
    assert SECRET not in str(caught.value)


def test_asks_the_store_on_standard_input(tmp_path: Path) -> None:
    program = """assert sys.argv[1:] == ["get"], sys.argv
assert not any("example" in argument for argument in sys.argv)
print(json.dumps({"ServerURL": server, "Username": "tester", "Secret": "for " + server}))"""
    path = install_helper(tmp_path, "store", program)
    found = find(tmp_path, {"credsStore": "store", "auths": {HOST.authority: encoded("wrong")}}, PATH=path)
    assert pair(found) == ("tester", "for registry.example.org:5000")


def test_a_hosts_own_helper_wins_and_may_give_an_identity_token(tmp_path: Path) -> None:
    path = install_helper(tmp_path, "own", f'print(json.dumps({{"Username": "<token>", "Secret": "{SECRET}"}}))')
    found = find(tmp_path, {"credsStore": "missing", "credHelpers": {HOST.authority: "own"}}, PATH=path)
    assert found is not None
    assert (found.username, found.identity_token) == ("", SECRET)


def test_a_helper_that_has_nothing_falls_back_to_the_file(tmp_path: Path) -> None:
    path = install_helper(tmp_path, "empty", 'print("credentials not found in native keychain"); sys.exit(1)')
    config = {"credsStore": "empty", "auths": {HOST.authority: encoded()}}
    assert pair(find(tmp_path, config, PATH=path)) == ("tester", SECRET)
    assert find(tmp_path, {"credsStore": "empty"}, PATH=path) is None


def test_a_helper_that_fails_is_an_error_without_its_output(tmp_path: Path) -> None:
    program = f'print("{SECRET}"); print("the keyring is locked", file=sys.stderr); sys.exit(3)'
    path = install_helper(tmp_path, "broken", program)
    with pytest.raises(ConfigurationError, match=r"docker-credential-broken.*status 3.*keyring is locked") as caught:
        find(tmp_path, {"credsStore": "broken"}, PATH=path)
    assert SECRET not in str(caught.value)


def test_a_helper_that_talks_nonsense_is_an_error_without_its_output(tmp_path: Path) -> None:
    path = install_helper(tmp_path, "odd", f'print("{SECRET}")')
    with pytest.raises(ConfigurationError, match=r"docker-credential-odd") as caught:
        find(tmp_path, {"credsStore": "odd"}, PATH=path)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_helper_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"docker-credential-nowhere.*not on the PATH"):
        find(tmp_path, {"credsStore": "nowhere"})
    with pytest.raises(ConfigurationError, match="no program"):
        find(tmp_path, {"credsStore": "../evil"})


@pytest.mark.parametrize("values", [("a:b", "x"), ("a", "x\n"), ("a\r\nX: y", "x"), ("", "x")])
def test_refuses_what_cannot_be_sent(values: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        Credentials(*values)
