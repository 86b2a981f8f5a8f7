"""Cases: a policy tried on tags that are written down, with what must stay and what must go. Pure.

A file has cases; each has images, or names a recorded inventory. Ages count back from `now`, which is a fixed moment
unless the file says another, so that a case comes out the same on every day.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn

import msgspec

from jettison.errors import ConfigurationError
from jettison.oci import media_types
from jettison.oci.config import ConfigFacts
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository, Tag
from jettison.oci.manifest import Descriptor, Kind, Manifest
from jettison.oci.reference import is_repository, is_tag
from jettison.policy.decision import Reason
from jettison.policy.evaluate import decide_repository
from jettison.policy.in_use import ImageName, InUse, RegistryNames, UsedImage
from jettison.policy.located import Located
from jettison.policy.model import Policy
from jettison.policy.pattern import Glob, PatternError
from jettison.policy.spans import parse_duration

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

NOW: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""The moment of a case that says none."""
_REPOSITORY: Final = "team/app"
_REGISTRY: Final = "registry.example"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
Text = Annotated[str, msgspec.Meta(min_length=1)]


class CaseImage(msgspec.Struct, forbid_unknown_fields=True):
    """An image of a case. Dates are ages (`3d`) or moments; `digest`, `children` and `subject` are any words."""

    tags: list[Text] = []
    digest: str | None = None
    pushed: str | None = None
    created: str | None = None
    pulled: str | None = None
    children: list[Text] = []
    subject: str | None = None


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """One case. `tags` gives the age of each tag's push, for images that need no more."""

    name: Text
    repository: str = _REPOSITORY
    policy: Any = None
    now: datetime | None = None
    tags: dict[str, str] = {}
    images: list[CaseImage] = []
    inventory: str | None = None
    pulls_since: str | None = None
    in_use: list[Text] = []
    keep: list[Text] = []
    expire: list[Text] = []
    others: Literal["keep", "expire"] | None = None
    rules: dict[str, str] = {}


class _Suite(msgspec.Struct, forbid_unknown_fields=True):
    cases: list[Case]
    policy: Any = None
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class PolicyPlace:
    """A case's policy: the file that holds it, or where it stands in the case's own file."""

    file: str | None
    node: "Node | None"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case that was read: `repositories` are its images (none where it names an `inventory`)."""

    case: Case
    where: str
    policy: PolicyPlace
    now: datetime | None
    repositories: tuple[Repository, ...]
    in_use: InUse | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that came out otherwise than the case says."""

    image: str
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """How one case came out. `checked` counts the tags and manifests that it said something of."""

    name: str
    where: str
    checked: int
    failures: tuple[Failure, ...]


def read_cases(text: str, source: str) -> list[Prepared]:
    """Read a file of cases. Raises ConfigurationError, with the place."""
    return list(_Reader(Located.load(text, source)).cases())


class _Reader:
    def __init__(self, document: Located) -> None:
        self._document = document
        self._suite = document.shaped(_Suite)

    def cases(self) -> Iterator[Prepared]:
        if not self._suite.cases:
            raise ConfigurationError(f"{self._document.where(['cases'])}: no case is given, so nothing would be tested")
        names: set[str] = set()
        for i, case in enumerate(self._suite.cases):
            path = ("cases", i)
            if case.name in names:
                self._refuse((*path, "name"), f"{case.name!r} names an earlier case already")
            names.add(case.name)
            yield self._case(case, path)

    def _refuse(self, path: Sequence[str | int], text: str) -> NoReturn:
        raise ConfigurationError(f"{self._document.where(path)}: {text}")

    def _case(self, case: Case, path: tuple[str | int, ...]) -> Prepared:
        if not (case.keep or case.expire or case.others or case.rules):
            self._refuse(path, f"{case.name!r} says nothing of what must stay or go: give `keep`, `expire` or `others`")
        if bool(case.inventory) is bool(case.tags or case.images):
            self._refuse(path, f"{case.name!r} needs `tags` or `images`, or else an `inventory`")
        if not is_repository(case.repository):
            self._refuse((*path, "repository"), f"{case.repository!r} is no repository's name")
        now = case.now or self._suite.now
        if now is not None and now.tzinfo is None:
            now = now.replace(tzinfo=UTC)
        moment = now or NOW
        repositories = () if case.inventory is not None else (self._repository(case, path, moment),)
        in_use = self._in_use(case, path)
        return Prepared(case, self._document.where(path), self._policy(case, path), now, repositories, in_use)

    def _policy(self, case: Case, path: tuple[str | int, ...]) -> PolicyPlace:
        place, value = (
            ((*path, "policy"), case.policy) if case.policy is not None else (("policy",), self._suite.policy)
        )
        if value is None:
            self._refuse(path, "which policy? Write `policy: FILE` at the top, or the policy itself")
        if isinstance(value, str):
            return PolicyPlace(value, None)
        return PolicyPlace(None, self._document.node(place))

    def _in_use(self, case: Case, path: tuple[str | int, ...]) -> InUse | None:
        if not case.in_use:
            return None
        try:
            images = [UsedImage(ImageName.parse(f"{_REGISTRY}/{text}"), "as the case says") for text in case.in_use]
        except ValueError as error:
            self._refuse((*path, "in_use"), str(error))
        return InUse.of(images, RegistryNames.of([_REGISTRY]))

    def _repository(self, case: Case, path: tuple[str | int, ...], now: datetime) -> Repository:
        images = [(CaseImage([name], pushed=age), (*path, "tags", name)) for name, age in case.tags.items()]
        images += [(each, (*path, "images", i)) for i, each in enumerate(case.images)]
        made = _Builder(case.repository)
        for image, place in images:
            try:
                made.add(image, now)
            except ValueError as error:
                self._refuse(place, str(error))
        since = None
        if case.pulls_since is not None:
            try:
                since = _moment(case.pulls_since, now)
            except ValueError as error:
                self._refuse((*path, "pulls_since"), str(error))
        return replace(made.repository(), pulls_since=since)


class _Builder:
    """Makes the repository of a case."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tags: dict[str, Tag] = {}
        self._manifests: dict[Digest, Manifest] = {}
        self._facts: dict[Digest, ConfigFacts] = {}
        self._pushed: dict[Digest, datetime] = {}
        self._pulled: dict[str, datetime] = {}

    def add(self, image: CaseImage, now: datetime) -> None:
        """Add an image. The digest of one that names none comes from its tags. Raises ValueError."""
        if not image.tags and image.digest is None:
            raise ValueError("an image without a tag needs a `digest`, any word, to be named by")
        digest = digest_of(image.digest if image.digest is not None else image.tags[0])
        pushed, created, pulled = (
            None if each is None else _moment(each, now) for each in (image.pushed, image.created, image.pulled)
        )
        config = Descriptor(_CONFIG, digest_of(f"config of {digest}"), 1)
        before = self._manifests.get(digest)
        if before is None or image.children or image.subject is not None:
            children = tuple(Descriptor(media_types.OCI_IMAGE, digest_of(each), 1) for each in image.children)
            subject = Descriptor(media_types.OCI_IMAGE, digest_of(image.subject), 1) if image.subject else None
            kind, media_type = (Kind.INDEX, media_types.OCI_INDEX) if children else (Kind.IMAGE, media_types.OCI_IMAGE)
            self._manifests[digest] = Manifest(
                digest, media_type, 1, kind, None if children else config, (), children, subject
            )
        if created is not None:
            self._facts[config.digest] = ConfigFacts(created)
        if pushed is not None:
            self._pushed[digest] = min(pushed, self._pushed.get(digest, pushed))
        for name in image.tags:
            if not is_tag(name):
                raise ValueError(f"{name!r} is no tag")
            if name in self._tags:
                raise ValueError(f"the tag {name!r} is given twice")
            self._tags[name] = Tag(name, digest, pushed)
        for name in image.tags or [digest]:
            if pulled is not None:
                self._pulled[name] = pulled

    def repository(self) -> Repository:
        """Return it. Children and subjects that no image stands for are not there, as in a damaged repository."""
        tags = tuple(self._tags[name] for name in sorted(self._tags))
        return Repository(
            self._name,
            tags,
            dict(sorted(self._manifests.items())),
            self._facts,
            pushed=self._pushed,
            pulled=self._pulled,
        )


def digest_of(word: str) -> Digest:
    """Return the digest that a case's word stands for: itself where it is one."""
    try:
        return Digest(word)
    except ValueError:
        return Digest.of(f"a case's digest: {word}".encode())


def _moment(text: str, now: datetime) -> datetime:
    """Read an age before `now`, or a moment. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now - _age(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _age(text: str) -> timedelta:
    return timedelta() if text == "0" else parse_duration(text)


def run_case(prepared: Prepared, policy: Policy, inventory: Inventory | None = None) -> Result:
    """Decide, and compare. `inventory` is the recorded one, where the case names one.

    Raises ConfigurationError for a pattern that is none, and for an expectation that fits nothing.
    """
    repositories = inventory.repositories if inventory is not None else prepared.repositories
    now = prepared.now or (inventory.taken if inventory is not None else NOW)
    whole = inventory is not None
    verdicts: dict[str, tuple[bool, Reason]] = {}
    for repository in repositories:
        decided = decide_repository(repository, policy, now, prepared.in_use)
        before = f"{repository.name}:" if whole else ""
        verdicts |= {before + each.tag.name: (each.kept, each.reason) for each in decided.tags}
        at = f"{repository.name}@" if whole else "@"
        verdicts |= {at + digest: (each.kept, each.reason) for digest, each in decided.manifests.items()}
    return _Comparison(prepared, verdicts, whole=whole).result()


class _Comparison:
    def __init__(self, prepared: Prepared, verdicts: Mapping[str, tuple[bool, Reason]], *, whole: bool) -> None:
        self._case = prepared.case
        self._where = prepared.where
        self._verdicts = verdicts
        self._whole = whole
        self._words = {digest_of(each.digest): each.digest for each in prepared.case.images if each.digest is not None}

    def result(self) -> Result:
        failures: list[Failure] = []
        wanted: dict[str, bool] = {}
        for texts, kept in ((self._case.keep, True), (self._case.expire, False)):
            for text in texts:
                for name in self._named(text):
                    if wanted.setdefault(name, kept) is not kept:
                        self._refuse(f"{self._shown(name)} is said both to stay and to go")
        if self._case.others is not None:
            for name in self._verdicts:
                if "@" not in name:
                    wanted.setdefault(name, self._case.others == "keep")
        for name, kept in wanted.items():
            was, reason = self._verdicts[name]
            if was is not kept:
                text = f"should {'stay' if kept else 'go'}, but {'stays' if was else 'goes'}: {reason.text}"
                failures.append(Failure(self._shown(name), text + (f" (rule {reason.rule!r})" if reason.rule else "")))
        rules = {name: rule for text, rule in self._case.rules.items() for name in self._named(text)}
        for name, rule in rules.items():
            found = self._verdicts[name][1]
            if found.rule != rule:
                text = f"should be decided by {rule!r}, but is by {found.rule!r}: {found.text}"
                failures.append(Failure(self._shown(name), text))
        return Result(self._case.name, self._where, len(wanted.keys() | rules.keys()), tuple(failures))

    def _named(self, text: str) -> list[str]:
        """Return what a word of `keep` or `expire` names: a tag, `@` with a digest, or a glob over tags."""
        if "@" in text:
            before, _, word = text.rpartition("@")
            name = f"{before}@{digest_of(word)}"
            if name not in self._verdicts:
                self._refuse(f"there is no image {text!r}")
            return [name]
        if text in self._verdicts:
            return [text]
        try:
            glob = Glob(text)
        except PatternError as error:
            self._refuse(str(error))
        found = [name for name in self._verdicts if "@" not in name and glob.matches(name)]
        if not found:
            hint = "; write REPOSITORY:TAG for a recorded inventory" if self._whole and ":" not in text else ""
            self._refuse(f"there is no tag {text!r}{hint}")
        return found

    def _shown(self, name: str) -> str:
        before, at, digest = name.partition("@")
        return name if not at else f"{before}@{self._words.get(Digest(digest), Digest(digest).short)}"

    def _refuse(self, text: str) -> NoReturn:
        raise ConfigurationError(f"{self._where}: {self._case.name}: {text}")
