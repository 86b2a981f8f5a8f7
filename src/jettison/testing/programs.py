"""Where the real programs are that tests run, and what to say when one is missing."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from jettison.errors import JettisonError

RegistryVersion = Literal["2.8", "3.1"]
REGISTRY_VERSIONS: Final[tuple[RegistryVersion, ...]] = ("2.8", "3.1")

# Registry 3.1.1 is in no distribution of Debian yet; scripts/install-tools builds it and gives it this name.
_BUILT_REGISTRY = "registry-3.1.1"
# Nor is kube-apiserver.
_BUILT_APISERVER = "kube-apiserver-1.33.13"
_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")


@dataclass(frozen=True, slots=True)
class Missing:
    """A program that is not on this machine.

    `obtainable` says whether `make tools` could have installed it here: then continuous integration fails rather than
    skips the test.
    """

    name: str
    remedy: str
    obtainable: bool

    def __str__(self) -> str:
        """Name the part and the way to have it."""
        return f"{self.name} is missing: {self.remedy}"


class MissingPartError(JettisonError):
    """A test asked for a program that is not on this machine; `missing` describes it."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(str(missing))
        self.missing = missing


def require(found: Path | Missing) -> Path:
    """Return the program's path, or raise MissingPartError."""
    if isinstance(found, Missing):
        raise MissingPartError(found)
    return found


def registry_binary(version: RegistryVersion) -> Path | Missing:
    """Find the server of CNCF distribution: 2.8 is Debian's `docker-registry`, 3.1 the one that `make tools` builds."""
    if version == "2.8":
        return _debian("docker-registry", package="docker-registry")
    return _built(_BUILT_REGISTRY)


def kube_apiserver() -> Path | Missing:
    """Find the server of the Kubernetes API that `make tools` builds."""
    return _built(_BUILT_APISERVER)


def etcd() -> Path | Missing:
    """Find etcd, which the Kubernetes API keeps its objects in."""
    return _debian("etcd", package="etcd-server")


def skopeo() -> Path | Missing:
    """Find skopeo, which pushes and pulls images without a docker engine."""
    return _debian("skopeo", package="skopeo")


def dockerd() -> Path | Missing:
    """Find the docker engine. It runs as root only, so for another user it counts as missing."""
    if os.geteuid() != 0:
        return Missing("a docker engine", "only root can start dockerd; run the tests as root", obtainable=False)
    return _debian("dockerd", package="docker.io")


def wrk() -> Path | Missing:
    """Find wrk, the HTTP load generator."""
    return _debian("wrk", package="wrk")


def nginx() -> Path | Missing:
    """Find nginx, the web server that many put in front of a registry."""
    return _debian("nginx", package="nginx")


def redis_server() -> Path | Missing:
    """Find Redis, in which registries may keep their descriptor cache."""
    return _debian("redis-server", package="redis-server")


def busybox() -> Path | Missing:
    """Find a busybox, linked statically when Debian's busybox-static is installed."""
    return _debian("busybox", package="busybox-static")


def _built(name: str) -> Path | Missing:
    """Find a program that `make tools` builds; its version is the last part of its name."""
    for folder in _tool_folders():
        candidate = folder / name
        if os.access(candidate, os.X_OK):
            return candidate
    remedy = "run `make tools`, which builds it where Go is installed"
    return Missing(" ".join(name.rsplit("-", 1)), remedy, _which("go") is not None)


def _debian(program: str, package: str) -> Path | Missing:
    found = _which(program)
    if found is not None:
        return found
    obtainable = os.geteuid() == 0 and _which("apt-get") is not None
    return Missing(program, f"install Debian's package {package}, or run `make tools` as root", obtainable)


def _which(program: str) -> Path | None:
    # Daemons stand in /usr/sbin, which is not on every user's PATH.
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS))
    found = shutil.which(program, path=path)
    return None if found is None else Path(found)


def _tool_folders() -> list[Path]:
    """Return $JETTISON_TOOLS, then `.tools` in the current folder and in each one above it."""
    named = os.environ.get("JETTISON_TOOLS")
    here = Path.cwd()
    return ([Path(named)] if named else []) + [folder / ".tools" for folder in (here, *here.parents)]
