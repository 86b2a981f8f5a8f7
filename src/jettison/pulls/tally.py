"""Tally: which requests are pulls, of which tag and digest, how many, and the latest of each.

What clients do (looked at in logs of docker 20.10 and skopeo 1.9 pulling from registry 2.8.2 and 3.1.1; containerd's
resolver, core/remotes/docker/resolver.go, does as docker does): skopeo, podman and CRI-O GET the manifest by its tag.
docker and containerd ask for a tag's digest by HEAD, and then GET the manifest by that digest, but only where they do
not have it already: a node that starts a container from an image that it has sends the HEAD alone. So

- a GET of a manifest is a pull of what it names, tag or digest;
- a HEAD of a tag is a pull of that tag when docker, containerd or BuildKit sends it;
- another client's HEAD asks whether something is there, or is new, and counts only when a GET by digest follows it from
  the same client in the same repository: then the tag was pulled by that GET.
"""

import re
from collections import Counter, OrderedDict
from datetime import datetime, timedelta
from typing import Final

from jettison.pulls.ignore import Ignored
from jettison.pulls.request import Client, Request

FOLLOWS_WITHIN: Final = timedelta(minutes=1)
"""Between a HEAD by tag and the GET by digest that it was for; clients send it at once."""
_RUNTIME: Final = re.compile(r"(?:docker|containerd|buildkit|moby)/", re.IGNORECASE)
_WAITING: Final = 10_000


class Tally:
    """Counts pulls by repository and reference. `pulled` has how many, and the latest; `ignored` how many by rule."""

    def __init__(self, ignored: Ignored) -> None:
        self._rules = ignored
        self._heads: OrderedDict[tuple[Client, str], tuple[str, datetime]] = OrderedDict()
        self.pulled: dict[tuple[str, str], tuple[int, datetime]] = {}
        self.ignored: Counter[str] = Counter()
        self.counted = 0

    def add(self, request: Request) -> None:
        """Count a request, if it is a pull that counts."""
        rule = self._rules.rule_of(request.client)
        if rule is not None:
            self.ignored[rule] += 1
            return
        tag = request.tag
        if request.method == "HEAD":
            if tag is None:
                return
            if _RUNTIME.match(request.client.agent) is None:
                self._wait(request, tag)
                return
        elif tag is None:
            tag = self._awaited(request)
        references = [each for each in (tag, request.digest) if each is not None]
        for reference in references:
            self._note(request.repository, reference, request.moment)
        self.counted += bool(references)

    def take(self) -> dict[tuple[str, str], tuple[int, datetime]]:
        """Return what was pulled since the last call, and forget it."""
        taken, self.pulled = self.pulled, {}
        return taken

    def _note(self, repository: str, reference: str, moment: datetime) -> None:
        before = self.pulled.get((repository, reference))
        after = (1, moment) if before is None else (before[0] + 1, max(before[1], moment))
        self.pulled[repository, reference] = after

    def _wait(self, request: Request, tag: str) -> None:
        key = (request.client, request.repository)
        self._heads[key] = (tag, request.moment)
        self._heads.move_to_end(key)
        if len(self._heads) > _WAITING:
            self._heads.popitem(last=False)

    def _awaited(self, request: Request) -> str | None:
        """Return the tag that the client had asked for before it asked for the digest."""
        waiting = self._heads.pop((request.client, request.repository), None)
        if waiting is None or not timedelta(0) <= request.moment - waiting[1] <= FOLLOWS_WITHIN:
            return None
        return waiting[0]
