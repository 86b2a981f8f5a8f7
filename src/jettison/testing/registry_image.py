"""Container images of the registry, made on this machine: laid out as the official `registry:2` and `registry:3`.

There is no network in tests to pull those from. Each image holds the real server, a static busybox for `sh` and its
kin, and the configuration at the place where the official image has it.
"""

import io
import re
import subprocess
import tarfile
from pathlib import Path
from typing import IO, Final

from jettison.testing.network import LOOPBACK
from jettison.testing.programs import RegistryVersion, busybox, registry_binary, require

CONFIG_PATH: Final[dict[RegistryVersion, str]] = {
    "2.8": "/etc/docker/registry/config.yml",
    "3.1": "/etc/distribution/config.yml",
}
IMAGE: Final[dict[RegistryVersion, str]] = {"2.8": "registry:2", "3.1": "registry:3"}
ROOT_DIRECTORY: Final = "/var/lib/registry"

_COMMANDS = ("sh", "cat", "cp", "mv", "ls", "rm", "mkdir", "kill", "pidof", "ps", "test", "wget", "stat", "find", "du")

_ENTRYPOINT = """\
#!/bin/sh
# A configuration file means: serve with it. Anything but a shell is for the registry's own command line.
set -e
case "$1" in
    *.yml | *.yaml) set -- serve "$@" ;;
    sh | /bin/sh) exec "$@" ;;
esac
exec /bin/registry "$@"
"""


def registry_config(port: int = 5000, *, host: str = "", extra_storage: str = "") -> str:
    """Return a configuration like the official image's: deletion is not enabled, and comments stand in it.

    `extra_storage` is text for the `storage` mapping, indented by two spaces.
    """
    return f"""\
version: 0.1
log:
  # the access log is what fills the disk of the host
  accesslog:
    disabled: true
  level: error
storage:
  cache:
    blobdescriptor: inmemory # forgotten at every restart
  filesystem:
    rootdirectory: {ROOT_DIRECTORY}
{extra_storage}http:
  addr: {host}:{port}
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
"""


def loopback_config(port: int, *, extra_storage: str = "") -> str:
    """Return `registry_config` for a server that shares the host's network, open to this machine alone."""
    return registry_config(port, host=LOOPBACK, extra_storage=extra_storage)


def image_changes(version: RegistryVersion) -> list[str]:
    """Return what the official image declares, as the instructions that `docker import --change` takes."""
    return [
        'ENTRYPOINT ["/entrypoint.sh"]',
        f'CMD ["{CONFIG_PATH[version]}"]',
        f'VOLUME ["{ROOT_DIRECTORY}"]',
        "EXPOSE 5000",
        "ENV PATH=/bin",
        *(["ENV OTEL_TRACES_EXPORTER=none"] if version == "3.1" else []),
    ]


def write_image(version: RegistryVersion, target: IO[bytes]) -> None:
    """Write the image's root file system as a tar. Raises MissingPartError when the server or busybox is missing."""
    programs = {"bin/registry": require(registry_binary(version)), "bin/busybox": require(busybox())}
    with tarfile.open(fileobj=target, mode="w") as archive:
        for folder in ("bin", "etc", "tmp", "var/lib/registry"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        libraries = {str(path).lstrip("/"): path for program in programs.values() for path in _libraries(program)}
        for name, path in (programs | libraries).items():
            _add(archive, name, path.read_bytes(), 0o755)
        for command in _COMMANDS:
            entry = tarfile.TarInfo(f"bin/{command}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
        _add(archive, "entrypoint.sh", _ENTRYPOINT.encode(), 0o755)
        _add(archive, CONFIG_PATH[version].lstrip("/"), registry_config().encode(), 0o644)


def one_file_tar(name: str, content: bytes, mode: int = 0o644) -> bytes:
    """Return a tar of one file, as docker's archive calls take it."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        _add(archive, name, content, mode)
    return target.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _libraries(program: Path) -> list[Path]:
    """Return the shared libraries, the loader among them, that a program needs; none when it is linked statically."""
    shown = subprocess.run(["ldd", program], check=False, capture_output=True, text=True)
    return [] if shown.returncode != 0 else [Path(path) for path in re.findall(r"(/\S+) \(0x", shown.stdout)]
