"""In use: the images that something runs or may run again, and which of them a registry holds. Pure.

Runtimes name an image by the registry's name as they see it, which is often not the name that jettison reaches it by
(a service's name inside a cluster, `localhost` on its own host, a mirror), so a registry has several names here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Self

from jettison.oci.digest import Digest
from jettison.oci.reference import is_repository, is_tag

DOCKER_HUB: Final = "docker.io"
_DOCKER_HUB_NAMES: Final = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_IDENTIFIER = re.compile(r"sha(?:256|384|512):[0-9a-f]+")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_DEFAULT_PORTS: Final = (":443", ":80")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ImageName:
    """An image as a runtime names it, written out: `docker.io` and `library/` where the name leaves them away.

    The rules are those of distribution's reference grammar, which Docker, containerd and Kubernetes share: the part
    before the first slash is a registry when it has a dot or a colon, or is `localhost`. A name with neither tag nor
    digest means the tag `latest`. One with both is pulled by its digest.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[registry/]repository[:tag][@digest]`. Raises ValueError with the reason."""
        if _IDENTIFIER.fullmatch(text):
            raise ValueError(f"{text!r} is no image name: a digest alone tells no repository")
        name, at, digest = text.partition("@")
        head, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:
            head, tag, colon = name, "", ""
        first, slash, rest = head.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
            registry, repository = first.lower(), rest
        else:
            registry, repository = DOCKER_HUB, head
        if registry in _DOCKER_HUB_NAMES:
            registry = DOCKER_HUB
            repository = repository if "/" in repository else f"library/{repository}"
        if not _HOST.fullmatch(registry):
            raise ValueError(f"{text[:300]!r} is no image name: {registry[:100]!r} is no host")
        if not is_repository(repository):
            raise ValueError(
                f"{text[:300]!r} is no image name: {repository[:300]!r} is no repository "
                "(lower-case letters, digits and . _ - / between them)"
            )
        if colon and not is_tag(tag):
            raise ValueError(f"{text[:300]!r} is no image name: {tag[:200]!r} is no tag")
        return cls(registry, repository, tag or (None if at else "latest"), Digest(digest) if at else None)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


@dataclass(frozen=True, slots=True)
class UsedImage:
    """An image, and `where` it is in use, as a person would say it: `pod shop/web-0 (container web)`."""

    name: ImageName
    where: str


@dataclass(frozen=True, slots=True)
class RegistryNames:
    """The names under which runtimes know one registry: `host[:port]`, with a path behind it where a proxy adds one.

    Ports 443 and 80 may be left away, and the names of the loopback interface stand for each other: taking one image
    too many for ours keeps it, taking one too few may delete what runs.
    """

    names: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Read names. Raises ValueError for what is none."""
        return cls(frozenset(name for text in texts for name in _alternatives(text)))

    def repositories(self, image: ImageName) -> list[str]:
        """Return the repositories of this registry that `image` may be in: none, where it is another registry's."""
        host = image.registry
        parts = image.repository.split("/")
        found = [image.repository] if host in self.names else []
        below = (count for count in range(1, len(parts)) if "/".join((host, *parts[:count])) in self.names)
        return [*found, *("/".join(parts[count:]) for count in below)]


def _alternatives(text: str) -> set[str]:
    """Return a registry's name, and what means the same."""
    name = text.partition("://")[2] if "://" in text else text
    host, slash, path = name.rstrip("/").partition("/")
    host = host.lower()
    if not _HOST.fullmatch(host) or (slash and not is_repository(path)):
        raise ValueError(f"{text[:200]!r} is no name of a registry; expected host, host:port or host:port/path")
    if host in _DOCKER_HUB_NAMES:
        return {DOCKER_HUB + slash + path}
    hosts = {host}
    for port in _DEFAULT_PORTS:
        if host.endswith(port):
            hosts.add(host.removesuffix(port))
    if not re.search(r":[0-9]+$", host):
        hosts.update(host + port for port in _DEFAULT_PORTS)
    for each in tuple(hosts):
        for loopback in _LOOPBACK:
            if each == loopback or each.startswith(f"{loopback}:"):
                hosts.update(other + each.removeprefix(loopback) for other in _LOOPBACK)
    return {each + slash + path for each in hosts}


@dataclass(frozen=True, slots=True)
class InUse:
    """The images of one registry that are in use, by repository; `elsewhere` has the repositories of other registries.

    Make one with `of`. In use adds to what a policy keeps and changes no count (design, "Policy").
    """

    repositories: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    elsewhere: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, images: Iterable[UsedImage], names: RegistryNames | None) -> Self:
        """Sort out which of `images` are in the registry that has these `names`.

        `names` is None where nobody knows them (a storage that no registry was named for): then every image counts,
        whatever registry it names.
        """
        places: dict[str, dict[str, list[str]]] = {}
        elsewhere: dict[str, set[str]] = {}
        for image in images:
            repositories = [image.name.repository] if names is None else names.repositories(image.name)
            for repository in repositories:
                for key in (image.name.tag, image.name.digest):
                    if key is not None:
                        places.setdefault(repository, {}).setdefault(key, []).append(image.where)
            if not repositories:
                elsewhere.setdefault(image.name.registry, set()).add(image.name.repository)
        return cls(
            {name: {key: _together(where) for key, where in keys.items()} for name, keys in places.items()},
            {registry: frozenset(repositories) for registry, repositories in elsewhere.items()},
        )

    def in_repository(self, name: str) -> Mapping[str, str]:
        """Return the tags and digests of a repository that are in use, each with where."""
        return self.repositories.get(name, _NOTHING)

    @property
    def count(self) -> int:
        """How many tags and digests of the registry are in use."""
        return sum(len(keys) for keys in self.repositories.values())


def _together(where: list[str]) -> str:
    """Return the places as one phrase: the first, and how many more."""
    places = list(dict.fromkeys(where))
    return places[0] + (f" and {len(places) - 1} more" if len(places) > 1 else "")
