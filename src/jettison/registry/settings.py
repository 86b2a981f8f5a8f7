"""How a client reaches a registry: TLS files, timeouts, retries and limits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Files for TLS, all PEM. There is no switch that turns verification off.

    `ca_file` is trusted beside the system's authorities. `client_certificate` is shown to the registry's own
    host and port and to nobody else; `client_key` may be left out where that file holds the key too.
    """

    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take, of the registry and of this machine. Times are seconds, sizes bytes.

    `concurrency`            requests under way at once
    `requests_per_second`    None: as fast as the registry answers
    `connect_timeout`        for a connection with its TLS handshake
    `read_timeout`           for a small answer, and between two arrivals of data of a large one
    `total_timeout`          for one whole large answer, so that a trickle ends too
    `retries`                further attempts for what may be repeated, after connection errors, 429 and 5xx
    `backoff`, `longest_backoff`   attempt n waits a random time up to backoff * 2**n, at most longest_backoff
    `longest_retry_after`    a `Retry-After` above this is cut to it
    `manifest_bytes` ...     a larger answer is refused by name, not read
    """

    concurrency: int = 32
    requests_per_second: float | None = None
    connect_timeout: float = 10
    read_timeout: float = 60
    total_timeout: float = 300
    retries: int = 5
    backoff: float = 0.5
    longest_backoff: float = 30
    longest_retry_after: float = 120
    manifest_bytes: int = 4 * MIB
    config_bytes: int = 8 * MIB
    listing_bytes: int = 64 * MIB

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.retries < 0:
            raise ValueError("concurrency must be at least 1 and retries at least 0")
        if self.requests_per_second is not None and self.requests_per_second <= 0:
            raise ValueError("requests_per_second must be more than 0, or None for no limit")
