"""What must be known of the servers that work on a storage before it is collected, and when to refuse."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from jettison.control.probe import Probe
from jettison.errors import PreflightError, UsageError

if TYPE_CHECKING:
    from jettison.app.access import Access
    from jettison.control.config_file import RegistryConfiguration
    from jettison.control.running import RunningRegistry

_ANYWHERE = frozenset({"", "0.0.0.0", "::", "[::]"})  # noqa: S104  (compared with, not bound to)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What control tells of one server process: version, when it started, and whether it has no descriptor cache.

    `started` is None, and `cacheless` False, where that is not sure. `metrics` is the URL of its Prometheus endpoint as
    this machine reaches it, None where there is none.
    """

    version: str | None = None
    started: datetime | None = None
    cacheless: bool = False
    metrics: str | None = None


def server_facts(running: "RunningRegistry", *, is_here: bool) -> ServerFacts:
    """Ask the running server. Raises UsageError where our collector must not work beside it; ControlError.

    `is_here`: its clock is this machine's, with which its start can be compared. A cache in Redis outlives the process,
    so its start tells nothing of what it remembers. A configuration that was changed after
    the start is not the one that the process runs with, and neither is a file of which nobody knows who was started
    with it: then the cache counts as being there.
    """
    from jettison.control.config_file import parse_config

    file = running.read_config()
    configuration = parse_config(file.text, running.environment(), name=file.path)
    version = running.version()
    _refuse_unfit(configuration, version, running.describe())
    started = running.started_at() if is_here else None
    in_force = started is not None and file.modified is not None and file.modified <= started
    if configuration.cache == "redis":
        started = None
    metrics = _metrics_url(configuration, running) if is_here else None
    return ServerFacts(version, started, in_force and configuration.cache is None, metrics)


def _metrics_url(configuration: "RegistryConfiguration", running: "RunningRegistry") -> str | None:
    """Return where the server shows its metrics. A wrong one does no harm: it must prove itself at each use."""
    place = configuration.metrics
    reached = running.reached(place.host, place.port) if place is not None else None
    return f"http://{reached}{place.path}" if place is not None and reached is not None else None


def refuse_serving(access: "Access | None", running: "RunningRegistry | None") -> None:
    """Refuse to collect offline while a server takes pushes.

    Raises PreflightError where a registry answers that is not read-only, or where its server runs and nobody can tell;
    UsageError where its cache outlives a restart; ControlError.
    """
    urls = [access.name] if access is not None else []
    if running is not None:
        urls += _urls_in_force(running)
    answering = False
    for url in dict.fromkeys(urls):
        probe = Probe(url)
        if not probe.serves():
            continue
        answering = True
        if not (probe.says_read_only() or _says_read_only_to_us(access, url)):
            raise PreflightError(
                f"{url} answers and takes pushes (or nobody can tell), so nothing is collected offline: stop the "
                "registry or make it read-only, or leave --offline out and name its URL"
            )
    if running is None:
        return
    if running.is_frozen():
        raise PreflightError(
            f"the server of {running.describe()} is stopped by a signal only, and goes on where it was; bring it back "
            "with `jettison registry restart`, or stop it for good"
        )
    if not answering and running.started_at() is not None:
        raise PreflightError(
            f"{running.describe()} runs, though it does not answer at {' or '.join(urls) or 'any known URL'}, so "
            "nobody can tell whether it takes pushes: stop it first"
        )


async def _read_only_by_api(access: "Access", repository: str) -> bool:
    from jettison.registry.client import RegistryClient

    async with RegistryClient(
        access.url, credentials=access.credentials, tls=access.tls, limits=access.limits
    ) as client:
        return (await client.preflight(repository)).read_only


def _says_read_only_to_us(access: "Access | None", url: str) -> bool:
    """Ask with credentials, where the registry lets nobody else see; False where it refuses those too."""
    import asyncio

    from jettison.errors import RegistryError

    if access is None or access.name != url or access.credentials is None:
        return False
    try:
        return asyncio.run(_read_only_by_api(access, "jettison/probe"))
    except RegistryError:
        return False


def _urls_in_force(running: "RunningRegistry") -> list[str]:
    """Return the URL on which the configuration in force listens, as this machine reaches it."""
    from jettison.control.config_file import parse_config

    file = running.read_config()
    configuration = parse_config(file.text, running.environment(), name=file.path)
    _refuse_outliving_cache(configuration, running.describe())
    if configuration.port is None:
        return []
    host = configuration.address.rpartition(":")[0]
    scheme = "https" if configuration.tls else "http"
    return [f"{scheme}://{'127.0.0.1' if host in _ANYWHERE else host}:{configuration.port}"]


def _refuse_outliving_cache(configuration: "RegistryConfiguration", described: str) -> None:
    if configuration.cache == "redis":
        raise UsageError(
            f"{described} caches blob descriptors in Redis, which outlives the server: after collecting offline it "
            "would accept images whose layers are gone; collect beside the serving registry (3.1 or newer), or turn "
            "the cache off with `jettison registry prepare` and empty that Redis database"
        )


def _refuse_unfit(configuration: "RegistryConfiguration", version: str | None, described: str) -> None:
    if configuration.pull_through_proxy:
        raise UsageError(
            f"{described} is a pull-through cache: it fetches again whatever is missing and removes what is old by "
            "itself, so there is nothing to collect; set its `proxy.ttl` instead"
        )
    if configuration.cache == "redis" and not _at_least_3_1(version):
        raise UsageError(
            f"{described} ({version or 'of unknown version'}) caches blob descriptors in Redis, and a registry "
            "before 3.1 keeps entries there of what was deleted, so pushes would be accepted without their layers; "
            "upgrade it, or turn the cache off with `jettison registry prepare`"
        )


def _at_least_3_1(version: str | None) -> bool:
    parts = (version or "").lstrip("v").split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return False
    return (int(parts[0]), int(parts[1])) >= (3, 1)
