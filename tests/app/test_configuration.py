"""The configuration file: where it is looked for, what it holds, and what a mistake in it says."""

from pathlib import Path

import pytest

from jettison.app.configuration import Commands, Configuration, Control, load_configuration
from jettison.errors import ConfigurationError

GOOD = """
default: team
history: /var/lib/jettison/history.db
registries:
  team:
    url: https://registry.example.com
    policy: /etc/jettison/policy.yaml
    auth: {username: ci, password_file: /run/secrets/registry}
    tls: {ca_file: /etc/ssl/own.pem}
    limits: {concurrency: 4, requests_per_second: 50}
    control: docker:registry
  lab:
    url: http://127.0.0.1:5000
    control: {command: {exec: [ssh, lab, registry], restart: [ssh, lab, service, registry, restart]}}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "jettison.yaml"
    path.write_text(text)
    return path


def test_everything_is_read(tmp_path: Path) -> None:
    configuration = load_configuration(written(tmp_path, GOOD))
    team = configuration.registries["team"]
    assert team.auth is not None
    assert team.auth.password_file == "/run/secrets/registry"
    assert team.limits.requests_per_second == 50
    lab = configuration.registries["lab"].control
    assert lab == Control(
        Commands(exec=["ssh", "lab", "registry"], restart=["ssh", "lab", "service", "registry", "restart"])
    )


def test_without_a_file_everything_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_configuration(None, {}) == Configuration()


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    assert load_configuration(None, {"JETTISON_CONFIG": str(path)}).default == "team"


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml.*cannot be read"):
        load_configuration(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("registries:\n  team:\n    url: http://x\n    polcy: p.yaml\n", r":4:5: registries\.team\.polcy: .*'policy'"),
        ("registry: {}\n", r":1:1: registry: unknown key 'registry'; did you mean 'registries'"),
        ("registries:\n  team:\n    url: 5\n", r"registries\[\.\.\.\]\.url: Expected `str`, got `int`"),
        (
            "default: prod\nregistries: {team: {url: 'http://x'}}\n",
            "default: 'prod' names no registry; there are: team",
        ),
        ("registries: [\n", "this is no YAML"),
        (
            "registries:\n  a:\n    url: http://x\n    auth: {usernam: ci}\n",
            r":4:12: registries\.a\.auth\.usernam: .*'username'",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_configuration(written(tmp_path, text))
    assert caught.value.exit_status == 2
