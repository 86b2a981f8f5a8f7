"""Every error that jettison raises on purpose, in one small tree.

    JettisonError                   1   failed
    |-- UsageError                  2   wrong usage or configuration
    |   |-- ConfigurationError      2   a configuration, policy or plan file that cannot be used as it stands
    |   |   `-- PolicyImportError   2   another system's policy that it would refuse itself, or that is none
    |   `-- PlanRejectedError       2   a plan edited by hand, of another registry, or too old
    |-- BrakeError                  3   stopped by a brake before the first deletion
    |   `-- InUseError              3   nobody can tell which images are in use            (trying again can help)
    |-- LockedError                 1   another run holds the registry
    |-- PreflightError              1   the registry would refuse what the plan asks for
    |-- HistoryError                1   the history database cannot be used
    |-- ControlError                1   the running registry (docker, systemd, command) could not be asked or changed
    |-- ScheduleError               1   cron or systemd could not be asked or changed
    |-- StorageError                1   the registry's storage could not be read or changed
    `-- RegistryError               1   an answer of the registry, or none
        |-- UnreachableError        1   no connection, no answer in time            (trying again can help)
        |-- UntrustedError          1   its certificate is not trusted
        |-- UnauthorizedError       1   401 or 403
        |-- NotFoundError           1   404
        |-- UnsupportedError        1   405: deletion disabled, read-only, or not known to this server
        |-- RateLimitedError        1   429 after all retries                        (trying again can help)
        |-- ServerFaultError        1   5xx after all retries                        (trying again can help)
        `-- ContentError            1   an answer that is too large, malformed, or not what its digest says

A message names the thing, the cause and the way out. `exit_status` is what the command line ends with when the error
reaches it; `retryable` says whether the same call may succeed later without anybody changing anything.
"""

from typing import ClassVar


class JettisonError(Exception):
    """Base of all errors raised on purpose; its text is one message for a person."""

    exit_status: ClassVar[int] = 1
    retryable: ClassVar[bool] = False


class UsageError(JettisonError):
    """The command or its arguments ask for something that makes no sense."""

    exit_status = 2


class ConfigurationError(UsageError):
    """A configuration, policy or plan file cannot be used as it stands."""


class PolicyImportError(ConfigurationError):
    """Another system's policy that this system would refuse itself, or that is no policy of it."""


class PlanRejectedError(UsageError):
    """A plan file was edited by hand, belongs to another registry, or is too old to be applied."""


class BrakeError(JettisonError):
    """A brake stopped the run before its first deletion (promise 6)."""

    exit_status = 3


class InUseError(BrakeError):
    """A source that tells which images are in use could not be asked, so nothing is deleted."""

    retryable = True


class LockedError(JettisonError):
    """Another run holds the registry; the message says who, and since when."""

    retryable = True


class PreflightError(JettisonError):
    """The registry would refuse what the plan asks for; found out before the first deletion."""


class HistoryError(JettisonError):
    """The history database cannot be opened, read or written."""


class ControlError(JettisonError):
    """The running registry could not be reached, read or changed through docker, systemd or given commands."""


class ScheduleError(JettisonError):
    """The schedule of cron or systemd could not be read or changed."""


class StorageError(JettisonError):
    """The registry's storage could not be read or changed."""


class RegistryError(JettisonError):
    """The registry gave an answer that is no success, or none at all.

    `status` is the HTTP status, None where there was no answer; `codes` are the error codes of the answer's body
    (distribution-spec, "Error Codes"), empty where it had none.
    """

    def __init__(self, message: str, *, status: int | None = None, codes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.codes = codes


class UnreachableError(RegistryError):
    """No connection, or no answer in time."""

    retryable = True


class UntrustedError(RegistryError):
    """The registry's certificate is not trusted."""


class UnauthorizedError(RegistryError):
    """The registry or its token service refused the credentials (401) or the access (403)."""


class NotFoundError(RegistryError):
    """There is no such repository, tag, manifest or blob (404)."""


class UnsupportedError(RegistryError):
    """The server does not do this (405): deletion is disabled, it is read-only, or it does not know the operation."""


class RateLimitedError(RegistryError):
    """429, after all retries."""

    retryable = True


class ServerFaultError(RegistryError):
    """5xx, after all retries."""

    retryable = True


class ContentError(RegistryError):
    """An answer that is too large, malformed, or not what its digest says."""
