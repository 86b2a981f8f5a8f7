"""Docker's credential helpers: programs `docker-credential-NAME` that keep secrets (docker-credential-helpers)."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from shutil import which
from typing import Final

import msgspec

from jettison.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Seconds. A helper may ask a cloud's service, or a person to touch a key.
_TIME_LIMIT: Final = 60
# What helpers print when they simply have nothing (docker-credential-helpers, credentials/error.go).
_NOTHING: Final = b"credentials not found in native keychain"


class _Answer(msgspec.Struct):
    Username: str = ""
    Secret: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class HelperAnswer:
    """What a helper keeps for one server."""

    username: str
    secret: str

    def __repr__(self) -> str:
        return "HelperAnswer(...)"


def ask_helper(name: str, server: str, environment: Mapping[str, str]) -> HelperAnswer | None:
    """Run `docker-credential-NAME get` with `server` on its standard input; None where it keeps nothing for it.

    Raises ConfigurationError where it is not installed, fails, takes more than a minute, or answers something else. The
    message never has the helper's standard output, where secrets are.
    """
    program = f"docker-credential-{name}"
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"Docker's configuration names the credential helper {name!r}, which is no program")
    path = which(program, path=environment.get("PATH"))
    if path is None:
        raise ConfigurationError(
            f"Docker's configuration names the credential helper {program}, which is not on the PATH: install it, or "
            "set JETTISON_USERNAME and JETTISON_PASSWORD"
        )
    try:
        done = subprocess.run(  # noqa: S603  (an own file's helper by its full path, no shell, constant arguments)
            [path, "get"], input=server.encode(), capture_output=True, timeout=_TIME_LIMIT, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        # The exception holds what the helper had printed so far, so it is not chained.
        raise ConfigurationError(f"{program} gave no answer for {server} within {_TIME_LIMIT} seconds") from None
    except OSError as error:
        raise ConfigurationError(f"{program} cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        if _NOTHING in done.stdout or _NOTHING in done.stderr:
            return None
        hint = done.stderr.decode(errors="replace").strip()[-300:]
        raise ConfigurationError(f"{program} failed for {server} with status {done.returncode}: {hint or 'no message'}")
    try:
        answer = msgspec.json.decode(done.stdout, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigurationError(f"{program} answered something that is no credentials for {server}") from None
    return HelperAnswer(answer.Username, answer.Secret) if answer.Username or answer.Secret else None
