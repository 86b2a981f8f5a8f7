"""What the configuration says of pulls: whose do not count, and how long logs may be silent."""

from datetime import timedelta
from typing import TYPE_CHECKING

from jettison.app.configuration import Pulls
from jettison.errors import ConfigurationError
from jettison.policy.spans import parse_duration
from jettison.pulls.spans import DEFAULT_GAP

if TYPE_CHECKING:
    from jettison.pulls.ignore import Ignored


def ignored_clients(settings: Pulls) -> "Ignored":
    """Return whose pulls do not count. Raises ConfigurationError for a pattern that makes no sense."""
    # Here, since it brings RE2 with it, which those do not need who only ask for the gap.
    from jettison.pulls.ignore import Ignored, IgnoreError, IgnoreRule

    rules = []
    for number, each in enumerate(settings.ignore, start=1):
        agents, accounts, addresses = _list(each.user_agent), _list(each.account), _list(each.address)
        shown = ", ".join((*agents, *accounts, *addresses)) or f"entry {number}"
        rules.append(IgnoreRule(each.name or shown, agents, accounts, addresses))
    try:
        return Ignored(rules)
    except IgnoreError as error:
        raise ConfigurationError(f"pulls.ignore: {error}") from error


def pull_gap(settings: Pulls) -> timedelta:
    """Return how long logs may be silent before it counts as a hole in them. Raises ConfigurationError."""
    if settings.gap is None:
        return DEFAULT_GAP
    try:
        return parse_duration(settings.gap)
    except ValueError as error:
        raise ConfigurationError(f"pulls.gap: {error}") from error


def _list(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
