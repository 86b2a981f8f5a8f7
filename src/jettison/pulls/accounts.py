"""Accounts: who signed in for a request, which the registry logs on another line than how it answered."""

from collections import OrderedDict
from typing import Final

_AT_MOST: Final = 4096
"""Requests that are remembered: far more than a registry answers at once."""


class Accounts:
    """Remembers the accounts of the latest requests by the requests' ids."""

    def __init__(self) -> None:
        self._by_request: OrderedDict[str, str] = OrderedDict()

    def note(self, request: str, account: str) -> None:
        """Note whose request it is."""
        if request and account:
            self._by_request[request] = account
            if len(self._by_request) > _AT_MOST:
                self._by_request.popitem(last=False)

    def of(self, request: str) -> str:
        """Return the account of a request, empty where it is not known."""
        return self._by_request.get(request, "")
