"""Runs the registry's own garbage-collect while its server is held, and brings a fresh server back.

distribution's mark and sweep must not run beside pushes: what is pushed after the mark is swept. And the server must be
restarted afterwards: it caches what blobs exist, and would accept a later push without the blobs that were removed.
"""

import time
from dataclasses import dataclass
from typing import Final

from jettison.control.config_file import RegistryConfiguration
from jettison.control.probe import Probe
from jettison.control.running import RunningRegistry
from jettison.control.server_process import major
from jettison.control.yaml_text import MASK
from jettison.errors import ControlError, UsageError

_FIRST_SAFE_MAJOR: Final = 3


@dataclass(frozen=True, slots=True)
class CollectorReport:
    """What one collection did. `output` is the end of what the collector printed, secrets masked.

    `outage_seconds` is the time during which the registry did not answer; 0 where it was not stopped. `empty` says that
    the registry holds nothing, which its collector takes for a failure and we do not.
    """

    output: str
    blobs_deleted: int
    manifests_deleted: int
    outage_seconds: float
    held: bool
    restarted: bool
    empty: bool
    warnings: tuple[str, ...]


def collect_with_registry(
    running: RunningRegistry,
    configuration: RegistryConfiguration,
    server_version: str | None,
    *,
    delete_untagged: bool = False,
) -> CollectorReport:
    """Run the registry's garbage-collect.

    The server is held while it runs, unless it is read-only by its configuration and says so itself. Raises UsageError
    for `delete_untagged` on a 2.x or unknown server, which would take the platform children of tagged indexes;
    ControlError where the server cannot be held, or the collector fails: then the server runs, and the message ends
    with what the collector said.
    """
    _refuse(running, configuration, server_version, delete_untagged=delete_untagged)
    warnings: list[str] = []
    if delete_untagged:
        warnings.append(
            "--delete-untagged of the registry's collector removes untagged referrers, signatures among them"
        )
    held = restarted = False
    outage = 0.0
    if configuration.readonly and _says_read_only(running):
        output = running.garbage_collect(delete_untagged=delete_untagged)
        if output.blobs or output.manifests:
            outage = running.restart()
            restarted = True
    elif running.can_hold:
        with running.hold() as began:
            output = running.garbage_collect(delete_untagged=delete_untagged)
        outage = time.monotonic() - began
        held = restarted = True
    else:
        output = running.garbage_collect(delete_untagged=delete_untagged)
        outage = running.restart()
        restarted = True
        warnings.append(
            "the registry was not held while its collector ran: an image that was pushed meanwhile can lack layers; "
            "give "
            "control.command a stop and a start, or make the registry read-only first"
        )
    tail = output.tail
    for secret in sorted(configuration.secrets, key=len, reverse=True):
        tail = tail.replace(secret, MASK)
    if output.exit_status != 0 and not output.found_nothing:
        raise _failed(running, output.exit_status, tail)
    return CollectorReport(
        output=tail,
        blobs_deleted=output.blobs,
        manifests_deleted=output.manifests,
        outage_seconds=outage,
        held=held,
        restarted=restarted,
        empty=output.found_nothing,
        warnings=tuple(warnings),
    )


def _refuse(
    running: RunningRegistry, configuration: RegistryConfiguration, version: str | None, *, delete_untagged: bool
) -> None:
    if delete_untagged and (major(version) or 0) < _FIRST_SAFE_MAJOR:
        raise UsageError(
            f"the collector of registry {version or 'of unknown version'} deletes the platform images of tagged "
            "indexes with "
            "--delete-untagged, so it is not passed to it; let jettison delete untagged manifests itself"
        )
    if configuration.cache == "redis":
        raise ControlError(
            f"{running.describe()} caches blob descriptors in Redis, which outlives a restart: after its own "
            "garbage-collect "
            "pushes would be accepted without their blobs; use another collector, or set storage.cache.blobdescriptor "
            "to "
            "inmemory first"
        )
    if configuration.driver == "inmemory":
        raise ControlError(f"{running.describe()} keeps its images in memory only; there is nothing on disk to collect")


def _says_read_only(running: RunningRegistry) -> bool:
    """Whether the server itself refuses pushes: its file may have been changed since it was started."""
    return running.url is not None and Probe(running.url).says_read_only()


def _failed(running: RunningRegistry, exit_status: int, tail: str) -> ControlError:
    return ControlError(
        f"garbage-collect of {running.describe()} ended with status {exit_status}; the registry runs again, and what "
        "was not collected stays. The usual causes: a link file cut short (`find STORAGE -name link -size -71c` "
        f"lists them), or a storage that cannot be read. It said last:\n{tail}"
    )
