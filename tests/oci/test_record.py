"""A recorded inventory is the inventory."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jettison.errors import ConfigurationError
from jettison.oci.inventory import Inventory, Problem
from jettison.oci.record import decode_inventory, encode_inventory
from jettison.testing.images import image, index, signature_of, signature_tag
from jettison.testing.inventories import NOW, inventory, repository

BOTH = index([image(seed="amd", created=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)), image(seed="arm")])


def whole() -> Inventory:
    tags = {"1.10": BOTH, "latest": BOTH, signature_tag(BOTH.digest): signature_of(BOTH.digest)}
    full = repository(
        "team/app",
        tags,
        untagged=(image(seed="alone"),),
        leftovers=(image(seed="left"),),
        pushed={"1.10": NOW},
        problems=(Problem("code", "text", blocks=False),),
    )
    full = replace(full, pulled={"1.10": NOW, BOTH.digest: NOW}, pulls_since=NOW, pushed={BOTH.digest: NOW})
    made = inventory(full, repository("empty", {}))
    return replace(made, stored={BOTH.digest: 7}, problems=(Problem("listing", "cut"),))


def test_what_is_read_again_is_the_same() -> None:
    assert decode_inventory(encode_inventory(whole()), "record") == whole()


def test_a_record_with_fields_of_a_later_jettison_can_be_read() -> None:
    document = json.loads(encode_inventory(whole()))
    document["inventory"]["later"] = 1
    assert decode_inventory(json.dumps(document).encode(), "record") == whole()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is no recorded inventory"),
        (b"[]", "is no recorded inventory"),
        (b"{}", "has record format 0"),
        (b'{"version": 2}', "has record format 2"),
        (b'{"version": 1}', "is no recorded inventory"),
        (encode_inventory(whole())[:-40], "is no recorded inventory"),
        (encode_inventory(whole()).replace(BOTH.digest.encode(), b"sha256:no"), "is no recorded inventory"),
    ],
    ids=["empty", "list", "no version", "later", "no inventory", "cut", "no digest"],
)
def test_what_is_none_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decode_inventory(body, "record")
