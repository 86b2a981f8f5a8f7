"""Whose pulls count: a person's and a node's do, a scanner's, a replicator's and jettison's own do not."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import re2

from jettison.pulls.request import Client

_CLIENTS: Final = 16_384
"""Different clients whose answer is remembered: a log has few, in long rows."""


class IgnoreError(ValueError):
    """A pattern that cannot be understood; the text says why."""


class _Test(Protocol):
    def __call__(self, client: Client, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """Clients that do not count: those that fit one of the patterns of each kind that has any.

    Patterns are whole-text globs (`*` any text, `?` one character), whatever their case; an address may be a network
    too (`10.0.0.0/8`). `name` is how reports call the rule.
    """

    name: str
    agents: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    def test(self) -> _Test:
        """Return the test for a client. Raises IgnoreError where a pattern makes no sense, or there is none."""
        if not (self.agents or self.accounts or self.addresses):
            raise IgnoreError(f"{self.name}: give a user_agent, account or address")
        agents, accounts = _globs(self.agents), _globs(self.accounts)
        networks = [each for text in self.addresses if (each := _network(text)) is not None]
        others = _globs(text for text in self.addresses if _network(text) is None)
        has_addresses = bool(self.addresses)

        def fits(client: Client) -> bool:
            return (
                (agents is None or _matches(agents, client.agent))
                and (accounts is None or _matches(accounts, client.account))
                and (not has_addresses or _is_in(client.address, networks) or _matches(others, client.address))
            )

        return fits


OWN: Final = IgnoreRule("jettison itself", agents=("jettison/*",))


class Ignored:
    """Tells for each client by which rule it does not count. jettison's own requests never do."""

    def __init__(self, rules: Iterable[IgnoreRule] = ()) -> None:
        tests = [(rule.name, rule.test()) for rule in (OWN, *rules)]

        @lru_cache(maxsize=_CLIENTS)
        def find(client: Client) -> str | None:
            return next((name for name, fits in tests if fits(client)), None)

        self._find = find

    def rule_of(self, client: Client) -> str | None:
        """Return the name of the rule that a client fits; None where its pulls count."""
        return self._find(client)


def _globs(texts: Iterable[str]) -> Any:
    """Return one expression for all globs, None where there is none. RE2 takes linear time for any pattern."""
    parts = ["".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in text) for text in texts]
    if not parts:
        return None
    try:
        return re2.compile("(?is)(?:" + "|".join(parts) + ")")
    except re2.error as error:
        raise IgnoreError(f"these patterns are too long together: {error}") from error


def _matches(expression: Any, text: str) -> bool:
    return expression is not None and expression.fullmatch(text) is not None


def _network(text: str) -> "ipaddress.IPv4Network | ipaddress.IPv6Network | None":
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        if "/" in text:
            raise IgnoreError(f"{text!r} is no network: {error}") from error
        return None


def _is_in(address: str, networks: "list[ipaddress.IPv4Network | ipaddress.IPv6Network]") -> bool:
    if not networks:
        return False
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any(each in network for network in networks for each in (found, mapped) if each is not None)
