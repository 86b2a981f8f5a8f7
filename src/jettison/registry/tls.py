"""TLS contexts: what the client trusts, and whom it shows its certificate to."""

import ssl
from pathlib import Path

from jettison.errors import ConfigurationError
from jettison.registry.settings import TlsSettings


def registry_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context for the registry itself: trust, and the client certificate where there is one.

    Raises ConfigurationError where a file cannot be read or is no PEM file of its kind.
    """
    context = outside_context(settings)
    certificate, key = settings.client_certificate, settings.client_key
    if certificate is None:
        if key is not None:
            raise ConfigurationError(f"tls: client_key {key} is given without a client_certificate")
        return context
    for path in (certificate, key):
        if path is not None:
            _must_be_readable(path, "client_certificate" if path == certificate else "client_key")
    try:
        # An encrypted key would make OpenSSL ask on the terminal, where nobody may sit.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"tls: {certificate} with the key {key or 'in it'} is no client certificate that can be used (PEM, "
            f"unencrypted key that belongs to it): {_reason(error)}"
        ) from error
    return context


def outside_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context for other hosts (token service, redirects): the same trust, never the client certificate.

    Raises ConfigurationError where the CA file cannot be used.
    """
    context = ssl.create_default_context()
    path = settings.ca_file
    if path is not None:
        _must_be_readable(path, "ca_file")
        try:
            context.load_verify_locations(cafile=path)
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(
                f"tls: ca_file {path} has no certificate in PEM form in it: {_reason(error)}"
            ) from error
    return context


def _must_be_readable(path: Path, option: str) -> None:
    # OpenSSL's own message for a missing file names no file.
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise ConfigurationError(f"tls: {option} {path} cannot be read: {error.strerror}") from error


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or type(error).__name__
