"""The docker SDK's errors, translated at the border, and the client, where the SDK is installed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jettison.errors import ControlError

if TYPE_CHECKING:
    from docker import DockerClient


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what the SDK and its HTTP library raise into a ControlError that says what was being done."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except APIError as error:
        raise ControlError(f"docker: {doing}: {error.explanation or error}") from error
    except (DockerException, RequestException, OSError) as error:
        raise ControlError(
            f"docker: {doing}: {error}; is the engine running, and does DOCKER_HOST "
            f"({engine_address() or 'not set'}) name it?"
        ) from error


def engine_address(base_url: str | None = None) -> str:
    """Return the engine's address as given or as DOCKER_HOST has it; empty for the local default."""
    return base_url or os.environ.get("DOCKER_HOST", "")


def client(base_url: str | None, *, timeout_seconds: int = 60) -> "DockerClient":
    """Return a client of the engine at `base_url`, else at $DOCKER_HOST, else the local one. Raises ControlError."""
    try:
        import docker
    except ImportError as error:
        raise ControlError("the docker package is not installed; install jettison[docker]") from error
    with translated("connecting to the engine"):
        if base_url:
            return docker.DockerClient(base_url=base_url, timeout=timeout_seconds)
        return docker.from_env(timeout=timeout_seconds)
