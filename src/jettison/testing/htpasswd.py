"""Basic credentials for a registry: its `htpasswd` file, which must hold bcrypt."""

from pathlib import Path
from typing import Final

USER: Final = "tester"
PASSWORD: Final = "correct horse: battery"  # a space and a colon, which only careful clients carry through

# bcrypt of PASSWORD at cost 4, made once with `htpasswd -nbB -C 4`: no package that makes bcrypt is needed, and the
# lowest cost lets a server check it fast. Both are public, and good for nothing but tests.
_LINE: Final = "tester:$2y$04$0uxmqwQLFYN.iWpgVl7dhOgEaW.0WQV1lIeGhFc3C2YfK9ebe3ggi"


class Htpasswd:
    """Credentials of one user, `tester`, written to a file that a registry server reads."""

    user = USER
    password = PASSWORD

    def __init__(self, path: Path) -> None:
        path.write_text(f"{_LINE}\n")
        self.path = path

    @property
    def credentials(self) -> tuple[str, str]:
        """The user and the password, as `push` and `pull` take them."""
        return self.user, self.password

    def auth_section(self) -> dict[str, object]:
        """Return the `auth` section of the registry's configuration."""
        return {"htpasswd": {"realm": "jettison tests", "path": str(self.path)}}
