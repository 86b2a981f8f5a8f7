"""Use: which sources are asked for images in use, under which names they know the registry, and what they tell.

A source is named in the configuration's `in_use:`, or spelled `docker`, `docker:ADDRESS`, `compose:PATH`, `kubernetes`,
`kubernetes:CONTEXT`, `file:PATH` or `command:WORDS`. Policies (`protect: {in_use: ...}`), registries (`in_use:`) and
`--in-use` name them alike.
"""

import asyncio
import difflib
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from jettison.app import configuration as settings
from jettison.errors import ConfigurationError, InUseError, UsageError
from jettison.inuse.sources import Gathered, NamedSource, Source, gather
from jettison.oci.inventory import Inventory
from jettison.plan.model import AskedInUse
from jettison.policy.in_use import InUse, RegistryNames

KINDS: Final = ("docker", "compose", "kubernetes", "file", "command")
_SHOWN: Final = 3
_OLDEST_ANSWER: Final = 60.0
_ASKING_SHARE: Final = 10


@dataclass(frozen=True, slots=True)
class Used:
    """What the sources told at one moment."""

    use: "Use"
    in_use: InUse
    gathered: Gathered

    def asked(self, inventory: Inventory) -> AskedInUse:
        """Return what a plan writes down of it."""
        here = {repository.name for repository in inventory.repositories}
        elsewhere = self.in_use.elsewhere
        return AskedInUse(
            sources=self.use.spelled,
            names=None if self.use.names is None else tuple(sorted(self.use.names.names)),
            kept=self.in_use.count,
            images=dict(sorted(self.gathered.counts.items())),
            silent=dict(sorted(self.gathered.silent.items())),
            doubtful={
                registry: tuple(sorted(repositories & here)[:_SHOWN])
                for registry, repositories in sorted(elsewhere.items())
                if repositories & here
            },
        )


@dataclass(frozen=True, slots=True)
class Use:
    """Sources to ask, each as it was `spelled`; `names` are the registry's, None where nobody knows them."""

    spelled: tuple[str, ...] = ()
    sources: tuple[NamedSource, ...] = field(default=(), repr=False)
    names: RegistryNames | None = None

    def ask(self) -> Used:
        """Ask all sources now. Raises InUseError where one that is not optional cannot be asked."""
        gathered = gather(self.sources)
        return Used(self, InUse.of(gathered.images, self.names), gathered)


def find_use(configuration: settings.Configuration, wanted: Iterable[str], names: Iterable[str] | None) -> Use:
    """Return what to ask: `wanted` are sources as they are spelled, `names` those that runtimes have for the registry.

    Raises ConfigurationError for a source that is none, and for a name of a registry that is none.
    """
    spelled = tuple(dict.fromkeys(wanted))
    try:
        known = None if names is None else RegistryNames.of(names)
    except ValueError as error:
        raise ConfigurationError(f"aliases: {error}") from error
    sources = [source for text in spelled for source in _sources(configuration, text)]
    return Use(spelled, tuple(sources), known)


def _sources(configuration: settings.Configuration, text: str) -> list[NamedSource]:
    entry = configuration.in_use.get(text)
    if entry is not None:
        return [NamedSource(text, source, entry.optional) for source in _configured(text, entry)]
    kind, colon, rest = text.partition(":")
    if kind not in KINDS or (colon and not rest) or (not colon and kind in ("file", "command")):
        known = [*configuration.in_use, *KINDS]
        near = difflib.get_close_matches(text, known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}; docs/in-use.md tells of them"
        raise ConfigurationError(f"in_use: {text!r} is no source of images in use; {hint}")
    return [NamedSource(text, _spelled(kind, rest))]


def _spelled(kind: str, rest: str) -> Source:
    """Return the source that `kind:rest` means."""
    match kind:
        case "docker":
            from jettison.inuse.docker import DockerEngineSource

            return DockerEngineSource(rest or None)
        case "compose":
            from jettison.inuse.compose import ComposeSource

            return ComposeSource((rest or ".",))
        case "kubernetes":
            from jettison.inuse.kubernetes import KubernetesSource

            return KubernetesSource(rest or None)
        case "file":
            from jettison.inuse.listed import ListedInFile

            return ListedInFile(Path(rest).expanduser())
        case _:
            from jettison.inuse.listed import ListedByCommand

            try:
                words = shlex.split(rest)
            except ValueError as error:
                raise UsageError(f"in_use: command: {error}") from error
            if not words:
                raise UsageError("in_use: command: no program is named")
            return ListedByCommand(words)


def _configured(name: str, entry: settings.InUseSource) -> list[Source]:
    """Return the sources of one entry: one for each engine or context. Raises ConfigurationError."""
    given = [kind for kind in KINDS if getattr(entry, kind) is not None]
    if len(given) != 1:
        raise ConfigurationError(f"in_use.{name}: give one of {', '.join(KINDS)}; there are {len(given)}")
    (kind,) = given
    if entry.tls is not None and kind != "docker":
        raise ConfigurationError(f"in_use.{name}: `tls` goes with `docker` only")
    if entry.docker is not None:
        return _engines(entry, _texts(entry.docker))
    if entry.compose is not None:
        from jettison.inuse.compose import ComposeSource

        return [ComposeSource(_texts(entry.compose))]
    if entry.kubernetes is not None:
        return _clusters(entry.kubernetes)
    from jettison.inuse.listed import ListedByCommand, ListedInFile

    if entry.file is not None:
        return [ListedInFile(Path(entry.file).expanduser(), entry.may_be_empty)]
    if not entry.command:
        raise ConfigurationError(f"in_use.{name}: `command` names no program")
    return [ListedByCommand(entry.command, entry.may_be_empty, entry.timeout)]


def _engines(entry: settings.InUseSource, addresses: Sequence[str]) -> list[Source]:
    from jettison.inuse.docker import DockerEngineSource, EngineTls

    tls = None
    if entry.tls is not None:
        paths = (entry.tls.ca_file, entry.tls.client_certificate, entry.tls.client_key)
        tls = EngineTls(*(Path(path).expanduser() if path is not None else None for path in paths))
    return [DockerEngineSource(None if address == "default" else address, tls) for address in addresses]


def _clusters(cluster: settings.Cluster) -> list[Source]:
    from jettison.inuse.kubernetes import KubernetesSource

    kubeconfig = Path(cluster.kubeconfig).expanduser() if cluster.kubeconfig is not None else None
    contexts: Sequence[str | None] = cluster.contexts or (None,)
    return [KubernetesSource(context, kubeconfig, tuple(cluster.namespaces)) for context in contexts]


def _texts(value: str | list[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else tuple(value)


class LatestUse:
    """What is in use while a plan is applied: asked again as often as takes a tenth of the time, and once a minute.

    What comes into use between an answer and a deletion is not seen; asking takes seconds in a large cluster, so that
    window can be narrowed and not closed.
    """

    def __init__(self, use: Use, clock: Callable[[], float] = time.monotonic) -> None:
        self._use = use
        self._clock = clock
        self._answer: Used | InUseError | None = None
        self._asked_at = 0.0
        self._good_for = 0.0

    async def in_repository(self, name: str) -> Mapping[str, str]:
        """Return the tags and digests of a repository that are in use now, each with where. Raises InUseError."""
        now = self._clock()
        if self._answer is None or now - self._asked_at >= self._good_for:
            try:
                self._answer = await asyncio.to_thread(self._use.ask)
            except InUseError as error:
                # What waits for a dead source's time-out before each of a thousand actions would never end.
                self._answer = error
            self._asked_at = now
            self._good_for = min(_OLDEST_ANSWER, _ASKING_SHARE * (self._clock() - now))
        if isinstance(self._answer, InUseError):
            raise self._answer
        return self._answer.in_use.in_repository(name)
