"""What `--control` and the configuration may say, and what is said to what they may not."""

import pytest

from jettison.control.given_commands import Commands
from jettison.control.target import CommandTarget, DockerTarget, FileTarget, SystemdTarget, connect, parse_target
from jettison.errors import ConfigurationError, UsageError


def test_what_may_be_named() -> None:
    assert parse_target("docker") == DockerTarget()
    assert parse_target("docker:registry") == DockerTarget("registry")
    assert parse_target("systemd:docker-registry") == SystemdTarget("docker-registry")
    assert parse_target("file:/etc/docker/registry/config.yml") == FileTarget("/etc/docker/registry/config.yml")
    assert parse_target({"command": {"exec": ["ssh", "h"], "restart": ["r"]}}) == CommandTarget(
        Commands(exec=("ssh", "h"), restart=("r",))
    )


@pytest.mark.parametrize("text", ["", "docker:", "systemd", "systemd:", "kubernetes:x", "/etc/config.yml", "registry"])
def test_what_may_not(text: str) -> None:
    with pytest.raises(UsageError, match="docker:NAME"):
        parse_target(text)


def test_command_lines_stand_in_the_configuration() -> None:
    with pytest.raises(UsageError, match="configuration file"):
        parse_target("command:restart")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"command": {"restrat": ["r"]}}, "did you mean restart"),
        ({"command": {"exec": "ssh h"}}, "a list of words"),
        ({"command": {"exec": []}}, "a list of words"),
        ({"command": {"restart": ["docker", 5]}}, r"restart\[1\]: expected a text"),
        ({"command": {"stop": ["s"]}}, "stop and start go together"),
        ({"command": {"config": 3}}, "config: expected a text"),
        ({"command": ["r"]}, "expected docker"),
        ({"docker": {}}, "expected docker"),
        ({}, "expected docker"),
    ],
)
def test_a_wrong_mapping_is_refused_by_its_key(given: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        parse_target(given)


def test_docker_without_a_name_needs_the_url() -> None:
    with pytest.raises(UsageError, match="docker:NAME"):
        connect(DockerTarget(), url=None)
