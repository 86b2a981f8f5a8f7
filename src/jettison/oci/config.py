"""ConfigFacts: what retention needs from an image's config blob (image-spec, config.md)."""

from datetime import UTC, datetime
from typing import Final

import msgspec

EARLIEST_DATE: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""An earlier date is a build tool's placeholder (0001, 1970, 1980), so it counts as unknown."""


class ConfigFacts(msgspec.Struct, frozen=True, gc=False):
    """When an image says it was created (None: it does not say, or says a placeholder) and for which platform."""

    created: datetime | None = None
    platform: str | None = None


class _Wire(msgspec.Struct):
    created: str | None = None
    os: str = ""
    architecture: str = ""
    variant: str = ""


_decode = msgspec.json.Decoder(_Wire).decode


def parse_config(body: bytes) -> ConfigFacts:
    """Read a config blob. One that is no image config (artifacts have others) gives no facts, and that is no error."""
    try:
        wire = _decode(body)
    except (msgspec.DecodeError, RecursionError):
        return ConfigFacts()
    platform = "/".join(part for part in (wire.os, wire.architecture, wire.variant) if part)
    return ConfigFacts(parse_date(wire.created), platform or None)


def parse_date(text: str | None) -> datetime | None:
    """Read an RFC 3339 date as build tools write it; None where it is missing, malformed or a placeholder."""
    if not text:
        return None
    try:
        # Go writes up to nine fractional digits; msgspec reads them where datetime.fromisoformat would not.
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None
    return known_date(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def known_date(moment: datetime | None) -> datetime | None:
    """Return `moment`, or None where it is a placeholder."""
    return moment if moment is not None and moment >= EARLIEST_DATE else None
