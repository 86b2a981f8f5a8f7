"""What others put around a log's lines: container engines, Kubernetes, compose, syslog and the journal."""

import re
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

Unwrap: TypeAlias = Callable[[bytes], bytes | None]

# Kubernetes (container runtime interface): `2026-11-24T10:02:57.32Z stdout F `; docker compose logs: `registry-1  | `;
# syslog and journalctl: `Nov 24 10:02:57 host registry[42]: `, or with an ISO time.
_PREFIX: Final = re.compile(
    rb"\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d\d:?\d\d) (?:stdout|stderr) [FP] "
    rb"|[A-Za-z0-9][\w.-]{0,127} +\| "
    rb"|(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d\d:?\d\d)) "
    rb"[^\s:]{1,255} [^\s:]{1,255}: "
)


class _DockerLine(msgspec.Struct, frozen=True):
    log: str
    stream: str


_DECODER: Final = msgspec.json.Decoder(_DockerLine)


def bare(line: bytes) -> bytes | None:
    """Return a line that has nothing around it."""
    return line


def behind_prefix(line: bytes) -> bytes | None:
    """Return what stands behind the prefix of a collector of logs; None where there is none."""
    found = _PREFIX.match(line)
    return line[found.end() :] if found is not None else None


def in_docker_json(line: bytes) -> bytes | None:
    """Return the line in an object as docker's json-file driver writes them; None for anything else."""
    if not line.startswith(b'{"log":'):
        return None
    try:
        return _DECODER.decode(line).log.rstrip("\r\n").encode()
    except (msgspec.DecodeError, UnicodeError):
        return None


WRAPPERS: Final[tuple[Unwrap, ...]] = (in_docker_json, behind_prefix, bare)
