"""Programs are found where they are; what is missing skips a test by name, or fails it in continuous integration."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.testing import programs
from jettison.testing.programs import Missing, MissingPartError
from jettison.testing.registry_server import RegistryServer

CONFTEST = Path(__file__).parents[1] / "conftest.py"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder below nothing that has programs, on a machine that has none elsewhere either."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(programs, "_SYSTEM_FOLDERS", ())
    monkeypatch.delenv("JETTISON_TOOLS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_registry_31_is_found_upward_or_where_the_environment_says(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(programs.registry_binary("3.1"), Missing)
    above = _program(bare / ".tools/registry-3.1.1")
    (bare / "a/b").mkdir(parents=True)
    monkeypatch.chdir(bare / "a/b")
    assert programs.registry_binary("3.1") == above
    named = _program(bare / "elsewhere/registry-3.1.1")
    monkeypatch.setenv("JETTISON_TOOLS", str(named.parent))
    assert programs.registry_binary("3.1") == named


def test_what_is_missing_is_named_with_the_way_out(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for found, package in (
        (programs.registry_binary("2.8"), "docker-registry"),
        (programs.skopeo(), "skopeo"),
        (programs.dockerd(), "docker.io"),
        (programs.wrk(), "wrk"),
        (programs.busybox(), "busybox-static"),
    ):
        assert isinstance(found, Missing)
        assert package in str(found)
        assert not found.obtainable
    with pytest.raises(MissingPartError, match="docker-registry is missing"):
        RegistryServer("2.8", bare / "root")
    _program(bare / "bin/apt-get")
    _program(bare / "bin/go")
    for found in (programs.skopeo(), programs.registry_binary("2.8"), programs.registry_binary("3.1")):
        assert isinstance(found, Missing)
        assert found.obtainable
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    engine, program = programs.dockerd(), programs.skopeo()
    assert isinstance(engine, Missing)
    assert isinstance(program, Missing)
    assert "root" in str(engine)
    assert not engine.obtainable
    assert not program.obtainable


@pytest.mark.parametrize(
    ("ci", "obtainable", "outcome"),
    [("true", True, "1 error"), ("true", False, "1 skipped"), ("", True, "1 skipped")],
)
def test_a_missing_part_skips_or_fails(tmp_path: Path, ci: str, obtainable: bool, outcome: str) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = real\n")
    (tmp_path / "test_it.py").write_text(f"""
from jettison.testing import registry_server
from jettison.testing.programs import Missing

registry_server.registry_binary = lambda version: Missing("registry 2.8", "fetch it", {obtainable})

def test_it(registry_28):
    raise AssertionError("never reached")
""")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path}/base",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"CI": ci}, capture_output=True, text=True)
    assert outcome in done.stdout, done.stdout
    assert "registry 2.8 is missing: fetch it" in done.stdout
    assert "never reached" not in done.stdout


def test_no_test_sees_what_is_the_users() -> None:
    for name in ("XDG_STATE_HOME", "DOCKER_CONFIG"):
        assert "home" in os.environ[name]
        assert not Path(os.environ[name]).exists()
    assert "JETTISON_CONFIG" not in os.environ


@given(st.integers())
def test_property_tests_are_kept_apart_too(number: int) -> None:
    assert "home" in os.environ["XDG_STATE_HOME"], number


def test_fixtures_mark_their_tests_as_real(registry_28: RegistryServer, request: pytest.FixtureRequest) -> None:
    assert registry_28.running
    assert request.node.get_closest_marker("real") is not None


def test_importing_a_part_loads_no_heavy_package() -> None:
    modules = sorted(path.stem for path in Path(programs.__file__).parent.glob("*.py"))
    heavy = {"aiohttp", "cryptography", "docker", "ruamel", "sqlalchemy", "trustme", "jettison.registry"}
    code = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module('jettison.testing.' + name)\n"
        f"print(*sorted({heavy!r} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
