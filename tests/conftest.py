"""Fixtures that give tests real parts, and keep every test out of the user's own state."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

from jettison.history import reserve
from jettison.testing.docker_engine import DockerEngine
from jettison.testing.kubernetes_api import KubernetesApi
from jettison.testing.programs import REGISTRY_VERSIONS, Missing, MissingPartError, RegistryVersion
from jettison.testing.registry_server import RegistryServer
from jettison.testing.tls import TlsFiles
from jettison.testing.token_service import TokenService

MakeRegistry = Callable[..., RegistryServer]

# On a busy machine anything may take long, which says nothing of the code. All else stays as hypothesis has it.
settings.register_profile("untimed", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A test that asks for one of these talks to a real program.
_REAL_FIXTURES = {
    *("registry", "registry_28", "registry_31", "make_registry", "token_service"),
    *("docker_engine", "kubernetes_api"),
}
_numbers = itertools.count()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & _REAL_FIXTURES:
            item.add_marker("real")
        if "docker_engine" in fixtures:
            # One engine serves all its tests: starting it takes longer than they do.
            item.add_marker(pytest.mark.xdist_group("docker"))
        if "kubernetes_api" in fixtures:
            item.add_marker(pytest.mark.xdist_group("kubernetes"))


@pytest.fixture(scope="session")
def _home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _nothing_of_the_user(_home: Path) -> Iterator[None]:
    """Point every place where jettison and its tools look for the user's own things to folders that do not exist yet.

    Not monkeypatch: a test's own monkeypatch must be undone before this is.
    """
    scratch = _home / str(next(_numbers))
    wanted: dict[str, str | None] = {
        "XDG_STATE_HOME": str(scratch / "state"),
        "XDG_CONFIG_HOME": str(scratch / "config"),
        "XDG_CACHE_HOME": str(scratch / "cache"),
        "DOCKER_CONFIG": str(scratch / "docker"),
        "DOCKER_HOST": f"unix://{scratch}/no-docker-engine.sock",
        "REGISTRY_AUTH_FILE": None,
        "JETTISON_CONFIG": None,
    }
    # Megabytes for each test's history would fill the disk of those who keep the last runs' folders.
    reserve.RESERVED_BYTES = 64 << 10
    before = {name: os.environ.get(name) for name in wanted}
    _set_environment(wanted)
    yield
    _set_environment(before)


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _skip_or_fail(missing: Missing) -> NoReturn:
    """Skip the test that lacks a part; fail it in continuous integration where the part could have been installed."""
    if os.environ.get("CI") == "true" and missing.obtainable:
        pytest.fail(str(missing), pytrace=False)
    pytest.skip(str(missing))


@contextlib.contextmanager
def missing_part_skips() -> Iterator[None]:
    """Skip, or fail, the test where a MissingPartError comes out."""
    missing = None
    try:
        yield
    except MissingPartError as error:
        missing = error.missing
    if missing is not None:
        _skip_or_fail(missing)


@pytest.fixture(scope="session")
def need() -> Callable[[Path | Missing], Path]:
    """Return a function that gives a program's path or skips the test: `need(programs.skopeo())`."""

    def path_of(found: Path | Missing) -> Path:
        if isinstance(found, Missing):
            _skip_or_fail(found)
        return found

    return path_of


@pytest.fixture
def make_registry(tmp_path: Path) -> Iterator[MakeRegistry]:
    """Return a function that makes and starts a registry server: `make_registry("3.1", delete=False)`.

    It takes what RegistryServer takes; `root` is a new folder of the test unless it is given.
    """
    servers: list[RegistryServer] = []

    def make(version: RegistryVersion = "2.8", root: Path | None = None, **options: object) -> RegistryServer:
        root = root or tmp_path / f"registry-{len(servers)}"
        with missing_part_skips():
            server = RegistryServer(version, root, **options)  # type: ignore[arg-type]  # checked by RegistryServer
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(params=REGISTRY_VERSIONS)
def registry(request: pytest.FixtureRequest, make_registry: MakeRegistry) -> RegistryServer:
    """Return a fresh registry server with deletion enabled; the test runs once for each version."""
    return make_registry(request.param)


@pytest.fixture
def registry_28(make_registry: MakeRegistry) -> RegistryServer:
    """Return a fresh registry 2.8 with deletion enabled."""
    return make_registry("2.8")


@pytest.fixture
def registry_31(make_registry: MakeRegistry) -> RegistryServer:
    """Return a fresh registry 3.1 with deletion enabled."""
    return make_registry("3.1")


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Return certificates of an own authority for loopback servers and a client."""
    return TlsFiles.create(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def token_service(tmp_path: Path) -> Iterator[TokenService]:
    """Return a running token service with one user who may do everything: `make_registry(auth=token_service)`."""
    with TokenService(tmp_path / "token-service") as service:
        yield service


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """Return a docker engine of the tests' own; all tests that use it run one after the other in one process."""
    with missing_part_skips():
        engine = DockerEngine()
    with engine:
        yield engine


@pytest.fixture(scope="session")
def kubernetes_api() -> Iterator[KubernetesApi]:
    """Return a Kubernetes API that all tests share; each uses namespaces of its own."""
    with missing_part_skips():
        api = KubernetesApi()
    with api:
        yield api
