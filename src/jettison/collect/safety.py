"""Margins: every number that the safety of collecting rests on, in one value."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Barriers:
    """How long collecting beside a serving registry waits, in seconds, for requests that had begun to make their last
    write.

    No such request holds client traffic (bodies are received before), so these bound the latency of the storage and
    stalls of the server, and nothing else. `short` stands between two steps, `long` before bytes are gone for good.
    `rounds` is how often a stale answer of the server is cleared and asked for again before a blob is given up.
    """

    short: float = 10.0
    long: float = 60.0
    rounds: int = 3

    def __post_init__(self) -> None:
        if self.short < 0 or self.long < self.short or self.rounds < 1:
            raise ValueError("barriers: 0 <= short <= long, and at least one round")


@dataclass(frozen=True, slots=True)
class Margins:
    """How far collecting stays away from what may be in use.

    `grace`: a blob younger than this is never collected, reachable or not. A push uploads its blobs first and its
    manifest last, and until then nothing refers to them; the time must be longer than the longest push, with its
    retries. It is counted from the data's time of modification, which a repeated upload does not touch.

    `retention`: how long a blob stays restorable in quarantine before it is purged.
    """

    grace: timedelta
    retention: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        if self.grace < timedelta(0):
            raise ValueError(f"a grace period of {self.grace} is negative; 0 collects blobs of any age")


DEFAULT: Final = Margins(grace=timedelta(hours=1))
"""An hour: slow pushes of large images take minutes, and whoever waits for an hour waits for a day."""

AT_ONCE: Final = Margins(grace=timedelta(0))
"""Nothing is in flight: the registry is stopped and whoever pushed has been told."""
