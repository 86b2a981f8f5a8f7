"""Record: an inventory as JSON, so that a policy can be tried on it without the registry, and any time later."""

from typing import Any, Final

import msgspec

from jettison.errors import ConfigurationError
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory

RECORD_FORMAT: Final = 1
"""The version of the record's format."""


class _Record(msgspec.Struct):
    version: int
    inventory: Inventory


class _Version(msgspec.Struct):
    version: int = 0


def _to_wire(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(f"{type(value)} has no place in a record")


def _from_wire(kind: type, value: Any) -> Any:
    if kind is Digest:
        return Digest(value)
    raise NotImplementedError(f"{kind} has no place in a record")


def encode_inventory(inventory: Inventory) -> bytes:
    """Return a recorded inventory."""
    return msgspec.json.encode(_Record(RECORD_FORMAT, inventory), enc_hook=_to_wire) + b"\n"


def decode_inventory(body: bytes, source: str) -> Inventory:
    """Read a recorded inventory. `source` names it in messages. Raises ConfigurationError."""
    try:
        version = msgspec.json.decode(body, type=_Version).version
        if version != RECORD_FORMAT:
            raise ConfigurationError(
                f"{source} has record format {version}, this jettison reads {RECORD_FORMAT}; record it again with "
                f"`jettison policy record -o {source}`"
            )
        return msgspec.json.decode(body, type=_Record, dec_hook=_from_wire).inventory
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source} is no recorded inventory: {error}") from error
