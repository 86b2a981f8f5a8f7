"""Which container a URL leads to, by what an engine says of published ports (the tests' engine publishes none)."""

from datetime import UTC, datetime

import pytest

from jettison.control.docker_discovery import Endpoint, endpoint_of, publishes
from jettison.control.docker_files import moment
from jettison.errors import ControlError


def _attributes(*bindings: tuple[str, str], name: str = "5000/tcp") -> dict[str, object]:
    return {
        "NetworkSettings": {"Ports": {name: [{"HostIp": ip, "HostPort": port} for ip, port in bindings], "9/tcp": None}}
    }


LOOPBACK = Endpoint(5000, frozenset({"127.0.0.1"}))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (_attributes(("0.0.0.0", "5000"), ("::", "5000")), True),
        (_attributes(("", "5000")), True),
        (_attributes(("127.0.0.1", "5000")), True),
        (_attributes(("192.0.2.7", "5000")), False),
        (_attributes(("0.0.0.0", "5001")), False),
        (_attributes(("0.0.0.0", "5000"), name="5000/udp"), False),
        ({"NetworkSettings": {"Ports": None}}, False),
        ({}, False),
    ],
)
def test_published_ports(attributes: dict[str, object], expected: bool) -> None:
    assert publishes(attributes, LOOPBACK) is expected


@pytest.mark.parametrize(
    ("url", "port"), [("http://127.0.0.1", 80), ("https://127.0.0.1", 443), ("http://127.0.0.1:5000/prefix", 5000)]
)
def test_the_port_of_a_url(url: str, port: int) -> None:
    assert endpoint_of(url) == Endpoint(port, frozenset({"127.0.0.1"}))


def test_an_address_of_version_six() -> None:
    endpoint = endpoint_of("http://[::1]:5000")
    assert endpoint.addresses == {"::1"}
    assert endpoint.reaches("[::1]")
    assert endpoint.reaches("::")
    assert not endpoint.reaches("127.0.0.1")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:5000", "http://", "http://nowhere.invalid"])
def test_a_url_that_leads_nowhere(url: str) -> None:
    with pytest.raises(ControlError, match=r"correct"):
        endpoint_of(url)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T05:50:50.790259768Z", datetime(2026, 11, 24, 5, 50, 50, 790259, UTC)),
        ("2026-11-24T05:50:50Z", datetime(2026, 11, 24, 5, 50, 50, 0, UTC)),
        ("2026-11-24T06:50:50.43+01:00", datetime(2026, 11, 24, 5, 50, 50, 430000, UTC)),
    ],
)
def test_the_engines_times(text: str, expected: datetime) -> None:
    assert moment(text) == expected
