"""Which headers go out: those that are spelled out, and none that the HTTP library would add by itself."""

import pytest

from jettison.errors import RegistryError
from jettison.oci.digest import Digest
from jettison.registry.client import RegistryClient
from jettison.registry.settings import Limits
from jettison.testing.faulty import FaultyServer

BODY = b"{}"
DIGEST = Digest.of(BODY)
SPELLED_OUT = {"Host", "Accept", "Accept-Encoding", "User-Agent"}


async def test_no_header_is_added() -> None:
    with FaultyServer() as server:
        async with RegistryClient(server.url, limits=Limits(retries=0)) as client:
            await client.knock()
            await client.delete_manifest("team/app", DIGEST)
            for asked in (
                client.tags("team/app"),
                client.resolve("team/app", "1"),
                client.manifest("team/app", "1"),
                client.start_upload("team/app"),
                client.put_manifest("team/app", DIGEST, "application/x", BODY),
            ):
                with pytest.raises(RegistryError):
                    await asked

    sent = {request.method: {name for name, _ in request.headers} for request in server.requests}
    assert sent == {
        "HEAD": SPELLED_OUT,
        "GET": SPELLED_OUT,
        "DELETE": SPELLED_OUT | {"Content-Length"},
        "POST": SPELLED_OUT | {"Content-Length"},
        "PUT": SPELLED_OUT | {"Content-Length", "Content-Type"},
    }
    assert all(request.header("Accept-Encoding") == "identity" for request in server.requests)
    assert all((request.header("User-Agent") or "").startswith("jettison/") for request in server.requests)
