"""What control tells of a server, and when that is too little to rely on."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jettison.app.serving import refuse_serving, server_facts
from jettison.control.local_file import LocalFileRegistry
from jettison.errors import PreflightError, UsageError
from jettison.testing.network import free_port
from jettison.testing.registry_server import RegistryServer


class Server(LocalFileRegistry):
    """A server of which control tells all that is given here."""

    def __init__(
        self,
        path: Path,
        *,
        storage: str = "filesystem: {rootdirectory: /var/lib/registry}",
        rest: str = "",
        started: datetime | None = None,
        version: str | None = "3.1.1",
        frozen: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        path.write_text(f"version: 0.1\nstorage:\n  {storage}\nhttp: {{addr: '127.0.0.1:{free_port()}'}}\n{rest}")
        super().__init__(str(path))
        self._started, self._version, self._frozen = started, version, frozen
        self._variables = environment or {}

    def version(self) -> str | None:
        return self._version

    def started_at(self) -> datetime | None:
        return self._started

    def is_frozen(self) -> bool:
        return self._frozen

    def environment(self) -> Mapping[str, str]:
        return self._variables


CACHED = "filesystem: {}\n  cache: {blobdescriptor: inmemory}"
REDIS = "filesystem: {}\n  cache: {blobdescriptor: redis}"
LATER = datetime.now(UTC) + timedelta(hours=1)
BEFORE = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yml"


@pytest.mark.parametrize(
    ("storage", "started", "is_here", "cacheless"),
    [
        ("filesystem: {}", LATER, True, True),
        (CACHED, LATER, True, False),
        # The configuration was changed after the start: the server may still have its cache.
        ("filesystem: {}", BEFORE, True, False),
        # A file alone does not tell who was started with it.
        ("filesystem: {}", None, True, False),
        # Another machine's clock proves nothing here.
        ("filesystem: {}", LATER, False, False),
    ],
)
def test_no_cache_only_where_the_process_surely_has_none(
    storage: str, started: datetime | None, is_here: bool, cacheless: bool, path: Path
) -> None:
    facts = server_facts(Server(path, storage=storage, started=started), is_here=is_here)
    assert facts.cacheless is cacheless
    assert facts.started == (started if is_here else None)


def test_the_environment_counts(path: Path) -> None:
    variables = {"REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR": "inmemory"}
    assert not server_facts(Server(path, started=LATER, environment=variables), is_here=True).cacheless


@pytest.mark.parametrize(("version", "refused"), [("2.8.2", True), ("3.0.0", True), (None, True), ("3.1.1", False)])
def test_redis_caches_before_3_1_are_refused(version: str | None, refused: bool, path: Path) -> None:
    server = Server(path, storage=REDIS, started=LATER, version=version)
    if refused:
        with pytest.raises(UsageError, match="Redis"):
            server_facts(server, is_here=True)
    else:
        facts = server_facts(server, is_here=True)
        assert not facts.cacheless
        # It remembers what it did before its start.
        assert facts.started is None


def test_a_server_that_runs_without_answering_is_no_stopped_one(path: Path) -> None:
    with pytest.raises(PreflightError, match="does not answer"):
        refuse_serving(None, Server(path, started=BEFORE))
    with pytest.raises(PreflightError, match="stopped by a signal"):
        refuse_serving(None, Server(path, frozen=True))
    refuse_serving(None, Server(path))


def test_the_port_of_the_configuration_in_force_is_asked(registry_28: RegistryServer) -> None:
    running = LocalFileRegistry(str(registry_28.config_path))
    with pytest.raises(PreflightError, match="answers and takes pushes"):
        refuse_serving(None, running)
    registry_28.stop()
    refuse_serving(None, running)
