"""Registries in containers of the tests' own docker engine, removed after each test."""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from jettison.control.docker_discovery import named_container
from jettison.control.docker_engine import ContainerRegistry
from jettison.testing.docker_engine import DockerEngine, RegistryContainer

RunRegistry = Callable[..., RegistryContainer]
Control = Callable[[RegistryContainer], ContainerRegistry]
_numbers = itertools.count()


@pytest.fixture
def run_registry(docker_engine: DockerEngine) -> Iterator[RunRegistry]:
    """Return a function that runs a registry in a container: `run_registry("2.8", volume=folder)`."""
    made: list[RegistryContainer] = []

    def run(version: str, **options: object) -> RegistryContainer:
        name = options.pop("name", f"jettison-test-{next(_numbers)}")
        made.append(docker_engine.run_registry(name, version, **options))  # type: ignore[arg-type]  # checked there
        return made[-1]

    yield run
    for registry in made:
        registry.remove()


@pytest.fixture
def control(docker_engine: DockerEngine) -> Iterator[Control]:
    """Return a function that reaches a container as `--control docker:NAME` does; DOCKER_HOST names the engine."""
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = docker_engine.url
    yield lambda registry: named_container(registry.name, url=registry.url)
    if before is not None:
        os.environ["DOCKER_HOST"] = before
