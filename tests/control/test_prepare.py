"""Preparing a registry: both settings in one edit, or neither where the environment decides."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from jettison.control.config_file import parse_config
from jettison.control.enable_delete import apply
from jettison.control.local_file import LocalFileRegistry
from jettison.control.prepare import is_prepared, plan_preparation

CONFIG = """\
version: 0.1
storage:
  # the fast one
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
"""


class WithEnvironment(LocalFileRegistry):
    """A file whose server has an environment."""

    def __init__(self, path: Path, variables: Mapping[str, str]) -> None:
        super().__init__(str(path))
        self._variables = variables

    def environment(self) -> Mapping[str, str]:
        return self._variables


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_text(CONFIG)
    return path


def test_both_in_one_edit_and_nothing_the_second_time(file: Path) -> None:
    running = WithEnvironment(file, {})
    edit = plan_preparation(running)
    assert edit.changes
    assert not edit.already_enabled
    assert "enabled: true" in edit.difference
    assert "-    blobdescriptor: inmemory" in edit.difference
    apply(running, edit)
    assert is_prepared(parse_config(file.read_text()))
    assert "# the fast one" in file.read_text()
    again = plan_preparation(running)
    assert again.already_enabled
    assert not again.changes


def test_only_the_cache_where_deletion_is_on_already(file: Path) -> None:
    running = WithEnvironment(file, {"REGISTRY_STORAGE_DELETE_ENABLED": "true"})
    edit = plan_preparation(running)
    assert edit.changes
    assert "delete" not in edit.difference
    apply(running, edit)
    assert plan_preparation(running).already_enabled


@pytest.mark.parametrize(
    "variables",
    [{"REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR": "inmemory"}, {"REGISTRY_STORAGE_DELETE_ENABLED": "false"}],
)
def test_what_the_environment_decides_is_told_and_nothing_is_changed(file: Path, variables: dict[str, str]) -> None:
    edit = plan_preparation(WithEnvironment(file, variables))
    assert not edit.changes
    assert not edit.already_enabled
    assert not edit.survives
    assert next(iter(variables)) in edit.advice
    assert edit.difference == ""
