"""One spelling for each registry, so that its runs are found again and its lock is one lock."""

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


def canonical(registry: str) -> str:
    """Return `registry` in one spelling: lower-case scheme and host, no default port, no user, no closing slash.

    User and password are left out, so they reach neither the history nor a lock's file. Text that is no URL, such as a
    name from the configuration file, stays as it is but for spaces around it. Two names of one host are two registries.
    """
    text = registry.strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        # No URL that can be taken apart. Whatever stands before an @ may be a secret.
        return text.rpartition("@")[2]
    if not parts.scheme or host is None:
        return text.rpartition("@")[2]
    if ":" in host:
        host = f"[{host}]"
    shown_port = "" if port is None or port == _DEFAULT_PORTS.get(parts.scheme) else f":{port}"
    return f"{parts.scheme}://{host}{shown_port}{parts.path.rstrip('/')}"
