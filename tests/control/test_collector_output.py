"""The collector's output, counted in any pieces, secrets masked; and what a server's command line tells."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.control.collector_output import CollectorOutput, OutputReader
from jettison.control.server_process import config_path, is_server, major, version_in

TEXT = """\
a/b
a/b: marking manifest sha256:00
a/b: marking blob sha256:11

2 blobs marked, 2 blobs and 1 manifests eligible for deletion
manifest eligible for deletion: {a/b sha256:22 []}
blob eligible for deletion: sha256:33
blob eligible for deletion: sha256:44
a/b: layer link eligible for deletion: sha256:33
"""


def _read(*pieces: str, secrets: tuple[str, ...] = (), status: int = 0) -> CollectorOutput:
    reader = OutputReader(secrets)
    for piece in pieces:
        reader.feed(piece)
    return reader.finish(status)


@given(st.lists(st.integers(0, len(TEXT)), max_size=6))
def test_numbers_do_not_depend_on_the_pieces(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(TEXT)]
    found = _read(*(TEXT[start:end] for start, end in itertools.pairwise(edges)))
    assert (found.blobs, found.manifests, found.tail) == (2, 1, TEXT.rstrip("\n"))


def test_only_the_end_is_kept() -> None:
    found = _read("".join(f"blob eligible for deletion: sha256:{number}\n" for number in range(10_000)))
    assert found.blobs == 10_000
    assert found.tail.splitlines()[-1].endswith(":9999")
    assert len(found.tail) < 4_000


def test_secrets_are_masked() -> None:
    assert _read("cannot use hidden-word\n", secrets=("hidden", "hidden-word")).tail == "cannot use ***"


@pytest.mark.parametrize(
    ("said", "status", "expected"),
    [
        (
            "failed to garbage collect: failed to mark: filesystem: Path not found: /docker/registry/v2/repositories",
            1,
            True,
        ),
        ("failed to garbage collect: failed to mark: s3aws: Path not found: /docker/registry/v2/repositories", 1, True),
        (
            "failed to garbage collect: error enumerating blobs: filesystem: Path not found: /docker/registry/v2/blobs",
            1,
            True,
        ),
        ("failed: Path not found: /docker/registry/v2/repositories/a/_manifests", 1, False),
        ("2 blobs marked", 0, False),
        ("blob eligible for deletion: x\nPath not found: /docker/registry/v2/blobs", 1, False),
    ],
)
def test_an_empty_registry_is_told_from_a_broken_one(said: str, status: int, expected: bool) -> None:
    assert _read(said, status=status).found_nothing is expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["registry", "serve", "/etc/a.yml"], "/etc/a.yml"),
        (["/bin/registry", "serve", "--flag", "/etc/a.conf"], "/etc/a.conf"),
        (["/entrypoint.sh", "/etc/docker/registry/config.yml"], "/etc/docker/registry/config.yml"),
        (["registry", "serve", "a.yml"], "/srv/a.yml"),
        (["sh", "-c", "exec registry serve /etc/a.yml"], "/from/variable.yml"),
        ([], "/from/variable.yml"),
    ],
)
def test_the_configuration_file_of_a_command_line(command: list[str], expected: str) -> None:
    assert config_path(command, {"REGISTRY_CONFIGURATION_PATH": "/from/variable.yml"}, "/srv") == expected


def test_no_configuration_file_is_invented() -> None:
    assert config_path(["registry", "serve"], {}) is None


@pytest.mark.parametrize(
    ("output", "version", "first"),
    [
        ("docker-registry github.com/docker/distribution 2.8.2+ds1", "2.8.2", 2),
        ("registry github.com/docker/distribution v2.8.3", "2.8.3", 2),
        ("registry github.com/distribution/distribution/v3 v3.1.1+unknown", "3.1.1", 3),
        ("registry github.com/distribution/distribution/v3 v3.0.0-rc.1", "3.0.0-rc.1", 3),
        ("usage", None, None),
    ],
)
def test_versions(output: str, version: str | None, first: int | None) -> None:
    assert version_in(output) == version
    assert major(version_in(output)) == first


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["registry", "serve", "/c.yml"], True),
        (["/usr/bin/docker-registry", "serve", "/c.yml"], True),
        (["registry", "garbage-collect", "/c.yml"], False),
        (["/sbin/docker-init", "--", "registry", "serve", "/c.yml"], False),
        (["sh", "-c", "registry serve /c.yml"], False),
        ([], False),
    ],
)
def test_which_process_is_the_server(command: list[str], expected: bool) -> None:
    assert is_server(command) is expected
