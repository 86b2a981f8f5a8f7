"""Options that several commands share, and what they amount to."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from jettison.cli.grouped_options import CommandT, grouped
from jettison.errors import UsageError

if TYPE_CHECKING:
    from jettison.app.access import Access
    from jettison.app.configuration import Configuration
    from jettison.history.store import History
    from jettison.policy.model import Policy

_FILE = click.Path(dir_okay=False, path_type=Path)


class Connection(NamedTuple):
    """Everything that says which registry is meant and how it is reached."""

    registry: str | None
    config: Path | None
    history: str | None
    ca_file: Path | None
    client_certificate: Path | None
    client_key: Path | None
    concurrency: int | None
    rate: float | None
    repository: tuple[str, ...]
    control: str | None
    registry_config: Path | None
    storage: str | None = None
    offline: bool = False

    @property
    def names_server(self) -> bool:
        """Whether `--control` names the server by itself, without the help of a URL."""
        return self.control is not None and ":" in self.control

    def configuration(self) -> "Configuration":
        """Read the configuration file, if there is one."""
        from jettison.app.configuration import load_configuration

        return load_configuration(self.config)

    def access(self, registry: str | None = None) -> "Access":
        """Return how the registry is reached; `registry` instead of the one on the command line where given."""
        from jettison.app.access import Overrides, resolve_access

        overrides = Overrides(self.ca_file, self.client_certificate, self.client_key, self.concurrency, self.rate)
        return resolve_access(self.configuration(), registry or self.registry, overrides)

    def open_history(self) -> "History":
        """Name the history database: the option's, the configuration's, or the user's own."""
        from jettison.app.pull_settings import pull_gap
        from jettison.history.store import History

        configuration = self.configuration()
        return History.open(self.history or configuration.history, pull_gap=pull_gap(configuration.pulls))

    def exact_repositories(self, configured: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the repositories that were named one by one, so that no catalogue is needed; empty for patterns."""
        from jettison.oci.reference import is_repository

        texts = self.repository or tuple(configured)
        return tuple(texts) if texts and all(is_repository(text) for text in texts) else ()

    def wanted(self, configured: Sequence[str] = ()) -> Callable[[str], bool]:
        """Return the test by which repositories are selected. Raises UsageError for a pattern that is none."""
        from jettison.policy.pattern import PatternError, RepositoryPatterns

        texts = self.repository or tuple(configured)
        if not texts:
            return lambda name: True
        try:
            return RepositoryPatterns.parse(texts).matches
        except PatternError as error:
            raise UsageError(f"--repository: {error}") from error


def connection_options(function: CommandT) -> CommandT:
    """Add the options of `Connection`; the command gets it as `connection`."""
    options = [
        click.option("--config", type=_FILE, metavar="FILE", help="Configuration file."),
        click.option("--history", metavar="URL", help="History database: a path or a database URL."),
        click.option("--ca-file", type=_FILE, metavar="FILE", help="Trust this authority (PEM) too."),
        click.option("--client-certificate", type=_FILE, metavar="FILE", help="Show this certificate (PEM)."),
        click.option("--client-key", type=_FILE, metavar="FILE", help="The certificate's key (PEM)."),
        click.option("--concurrency", type=click.IntRange(1, 256), metavar="N", help="Requests at once (32)."),
        click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="N", help="Requests a second at most."),
        click.option("--repository", multiple=True, metavar="GLOB", help="Only these repositories; !GLOB takes out."),
        click.option("--control", metavar="HOW", help="The running registry: docker, docker:NAME or systemd:UNIT."),
        click.option("--registry-config", type=_FILE, metavar="FILE", help="The registry's own config.yml."),
    ]

    return grouped(function, "connection", Connection, options, registry=None)


def storage_options(function: CommandT) -> CommandT:
    """Add `--storage` and `--offline`, which belong to `Connection` too; this stands below `connection_options`."""
    options = [
        click.option("--storage", metavar="DIR", help="The registry's storage: the folder above docker/registry/v2."),
        click.option(
            "--offline", is_flag=True, help="Work on the storage alone; the registry is stopped or read-only."
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


class PolicyChoice(NamedTuple):
    """Which policy, and which brakes."""

    keep: int | None
    policy: Path | None
    protect: tuple[str, ...]
    max_deletions: str | None
    allow_last_image: bool
    untagged: str | None

    def load(self, configured_policy: str | None = None, configured_keep: int | None = None) -> tuple["Policy", str]:
        """Return the policy and its name for people. Raises UsageError where none or two are given."""
        from dataclasses import replace

        from jettison.policy.model import LastImage
        from jettison.policy.parse import parse_limit, parse_policy
        from jettison.policy.pattern import Glob, PatternError

        if self.keep is not None and self.policy is not None:
            raise UsageError("--keep and --policy are two policies: give one of them")
        keep, file = self.keep, self.policy
        if keep is None and file is None:
            keep, file = configured_keep, Path(configured_policy).expanduser() if configured_policy else None
        if file is not None:
            policy, name = parse_policy(read_text(file, "the policy"), str(file)), str(file)
        elif keep is not None:
            if keep < 1:
                raise UsageError(f"--keep {keep} would keep no version at all; give a number from 1 on")
            policy, name = self._keep(keep)
        else:
            raise UsageError("which policy? Give --keep N, or --policy FILE, or `policy:` in the configuration")
        if self.untagged is not None and keep is None:
            raise UsageError(
                "--untagged goes with --keep; a policy file says it itself: untagged: {keep: {within: 24h}}"
            )
        try:
            extra = tuple(Glob(text) for text in self.protect)
        except PatternError as error:
            raise UsageError(f"--protect: {error}") from error
        limits, policies = policy.limits, policy.policies
        if self.max_deletions is not None:
            try:
                limits = replace(limits, deletions=parse_limit(self.max_deletions))
                policies = tuple([each.with_limits(deletions=None) for each in policies])
            except ValueError as error:
                raise UsageError(f"--max-deletions: {error}") from error
        if self.allow_last_image:
            limits = replace(limits, last_image=LastImage.ALLOW)
            policies = tuple([each.with_limits(last_image=LastImage.ALLOW) for each in policies])
        return replace(policy, policies=policies, protect=(*policy.protect, *extra), limits=limits), name

    def _keep(self, keep: int) -> "tuple[Policy, str]":
        from dataclasses import replace

        from jettison.policy.model import Within, keep_newest_versions
        from jettison.policy.parse import parse_duration

        policy, name = keep_newest_versions(keep), f"--keep {keep}"
        if self.untagged is None:
            return policy, name
        try:
            clause = Within(parse_duration(self.untagged))
        except ValueError as error:
            raise UsageError(f"--untagged: {error}") from error
        policies = tuple(replace(each, untagged=clause) for each in policy.policies)
        return replace(policy, policies=policies), f"{name} --untagged {self.untagged}"


def policy_options(function: CommandT) -> CommandT:
    """Add the options of `PolicyChoice`; the command gets it as `choice`."""
    options = [
        click.option("--keep", type=int, metavar="N", help="Keep the newest N versions, and all that is no version."),
        click.option("--policy", type=_FILE, metavar="FILE", help="The policy file."),
        click.option("--untagged", metavar="AGE", help="With --keep: untagged manifests older than this go, too."),
        click.option("--protect", multiple=True, metavar="GLOB", help="Keep these tags, whatever the policy says."),
        click.option("--max-deletions", metavar="N|P%", help="Stop if more tags than this would go."),
        click.option("--allow-last-image", is_flag=True, help="Let a repository lose all its tags."),
    ]

    return grouped(function, "choice", PolicyChoice, options)


def registry_argument(function: CommandT) -> CommandT:
    """Add REGISTRY: a name from the configuration, or a URL."""
    return click.argument("registry", required=False, metavar="[REGISTRY]")(function)


def json_option(function: CommandT) -> CommandT:
    """Add --json; the command gets it as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else there.")(
        function
    )


def yes_option(function: CommandT) -> CommandT:
    """Add --yes."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal.")(function)


delete_by_option = click.option(
    "--delete-by",
    type=click.Choice(["digest", "tag"]),
    help="Delete whole manifests, or tag by tag (default: by tag where only the API tells of a 3.x server).",
)


def read_text(file: Path, what: str) -> str:
    """Read a file that the user named. Raises UsageError with the reason."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"{file}: {what} cannot be read: {reason}") from error


def confirm_needs_terminal(*, yes: bool) -> None:
    """Refuse at once, before anything is read, where nobody could be asked later. Raises UsageError."""
    import sys

    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("this deletes, and there is no terminal to ask on: add --yes")


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; elsewhere `--yes` must have been given. Raises UsageError or click.Abort."""
    import sys

    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question} There is no terminal to ask on: add --yes")
    click.confirm(question, abort=True, err=True)
