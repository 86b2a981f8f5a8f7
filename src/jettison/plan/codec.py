"""Codec: plans to and from JSON, with the fingerprint that tells whether a file was changed. Pure."""

from datetime import datetime
from typing import Any

import msgspec

from jettison.errors import PlanRejectedError
from jettison.oci.digest import Digest
from jettison.plan.model import FORMAT, Plan


def _to_wire(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(f"{type(value)} has no place in a plan")


def _from_wire(kind: type, value: Any) -> Any:
    if kind is Digest:
        return Digest(value)
    raise NotImplementedError(f"{kind} has no place in a plan")


_encoder = msgspec.json.Encoder(enc_hook=_to_wire, order="deterministic")
_decoder = msgspec.json.Decoder(Plan, dec_hook=_from_wire)


class _Version(msgspec.Struct):
    version: int = 0


def seal(plan: Plan) -> Plan:
    """Return the plan with its fingerprint: the digest of its canonical JSON without a fingerprint."""
    return msgspec.structs.replace(plan, fingerprint=_fingerprint(plan))


def encode(plan: Plan, *, indent: int = 2) -> bytes:
    """Return a sealed plan as JSON, for people to read (`indent` spaces a level; 0: on one line)."""
    text = _encoder.encode(plan)
    return msgspec.json.format(text, indent=indent) + b"\n" if indent else text


def decode(body: bytes, source: str) -> Plan:
    """Read a plan. `source` names it in messages.

    Raises PlanRejectedError where it is no plan, of a newer format, or was changed since it was made.
    """
    try:
        version = msgspec.json.decode(body, type=_Version).version
    except msgspec.DecodeError as error:
        raise PlanRejectedError(f"{source} is no plan: {error}; make one with `jettison plan -o {source}`") from error
    if version != FORMAT:
        raise PlanRejectedError(
            f"{source} has plan format {version}, this jettison reads {FORMAT}; make the plan and apply it "
            "with the same version"
        )
    try:
        plan = _decoder.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise PlanRejectedError(f"{source} is damaged: {error}; make a new plan") from error
    # What the plan has no place for is no part of its fingerprint, but was not in it when it was made.
    is_as_read = msgspec.json.decode(_encoder.encode(plan)) == msgspec.json.decode(body)
    if plan.fingerprint != _fingerprint(plan) or not is_as_read:
        raise PlanRejectedError(
            f"{source} was changed after it was made (its fingerprint does not fit); make a new plan, "
            "and put what you want different into the policy"
        )
    return plan


def refuse_stale(plan: Plan, source: str, now: datetime, max_age_seconds: float) -> None:
    """Raise PlanRejectedError where the plan is older than `max_age_seconds`, or from the future by over a minute."""
    age = (now - plan.created).total_seconds()
    if age > max_age_seconds:
        raise PlanRejectedError(
            f"{source} was made {age / 86400:.1f} days ago, more than {max_age_seconds / 86400:g}; "
            "make a new plan, or allow it with --max-age"
        )
    if age < -60:
        raise PlanRejectedError(f"{source} was made in the future ({plan.created:%Y-%m-%d %H:%M}); check the clocks")


def _fingerprint(plan: Plan) -> str:
    return Digest.of(_encoder.encode(msgspec.structs.replace(plan, fingerprint="")))
