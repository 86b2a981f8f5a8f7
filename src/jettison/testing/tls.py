"""Certificates for tests: an own authority, a server's certificate for loopback and a client's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. `certificate` and `key` are the server's, for 127.0.0.1, ::1 and localhost; all are signed by `ca`."""

    ca: Path
    certificate: Path
    key: Path
    client_certificate: Path
    client_key: Path

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make an authority and both certificates in `folder`; its private key is not kept."""
        import trustme

        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        server = authority.issue_cert("127.0.0.1", "::1", "localhost")
        client = authority.issue_cert("client@jettison.test", common_name="client")
        files = cls(
            ca=folder / "ca.pem",
            certificate=folder / "server.pem",
            key=folder / "server.key",
            client_certificate=folder / "client.pem",
            client_key=folder / "client.key",
        )
        authority.cert_pem.write_to_path(str(files.ca))
        for leaf, certificate, key in (
            (server, files.certificate, files.key),
            (client, files.client_certificate, files.client_key),
        ):
            certificate.write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
            key.touch(mode=0o600)
            key.write_bytes(leaf.private_key_pem.bytes())
        return files
