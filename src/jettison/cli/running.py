"""How the running registry is reached, as the options and the configuration say."""

from typing import TYPE_CHECKING, cast

from jettison.cli.options import Connection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.app.access import Access
    from jettison.control.running import RunningRegistry


def control_text(connection: Connection, access: "Access | None") -> object:
    """Return what `--control`, `--registry-config` or the configuration say, in this order; None without them."""
    import msgspec

    if connection.control is not None:
        return connection.control
    if connection.registry_config is not None:
        return f"file:{connection.registry_config}"
    if access is None:
        return None
    entry = access.entry
    if entry.control is not None:
        return entry.control if isinstance(entry.control, str) else msgspec.to_builtins(entry.control)
    return f"file:{entry.registry_config}" if entry.registry_config is not None else None


def running_registry(connection: Connection, access: "Access | None") -> "RunningRegistry | None":
    """Reach the running registry as `--control`, `--registry-config` or the configuration say; None without them."""
    given = control_text(connection, access)
    if given is None:
        return None
    from jettison.control.target import connect, parse_target

    target = parse_target(given if isinstance(given, str) else cast("Mapping[str, object]", given))
    return connect(target, url=access.name if access is not None else None)
