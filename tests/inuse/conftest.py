"""Containers of the tests' own docker engine, removed after each test."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from jettison.testing.docker_engine import DockerEngine

if TYPE_CHECKING:
    from docker.models.containers import Container

RunContainer = Callable[..., "Container"]


@pytest.fixture
def run_container(docker_engine: DockerEngine) -> Iterator[RunContainer]:
    """Return a function that makes a container of an image: `run_container("host/app:1", name="web")`."""
    before = {image.id for image in docker_engine.client.images.list()}
    made: list[Container] = []

    def run(image: str, *, name: str, start: bool = True) -> "Container":
        made.append(docker_engine.client.containers.create(image, name=name, network_mode="none"))
        if start:
            made[-1].start()
        return made[-1]

    yield run
    for container in made:
        container.remove(force=True)
    for image in docker_engine.client.images.list(all=True):
        if image.id not in before:
            docker_engine.client.images.remove(str(image.id), force=True)
