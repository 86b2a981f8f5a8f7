"""Candidate: what a rule decides on, with all that a clause may ask; and what a clause says of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

import msgspec

from jettison.oci.config import EARLIEST_DATE, known_date
from jettison.oci.digest import Digest
from jettison.oci.inventory import Repository, Tag
from jettison.oci.version import Version, parse_version
from jettison.policy.clause import Order
from jettison.policy.pattern import TagPattern

_UNREAD: Final = datetime.min.replace(tzinfo=UTC)


class Candidate:
    """A tag that a rule claims; or an image with all its tags, or an untagged manifest, named by the digest.

    `names` are the tags by which the rule claims it, which tell its version and the keys of `per`; `tags` are all tags
    that are decided with it. What is costly and seldom asked for (the creation date, the version) is read when it is.
    """

    __slots__ = ("_created", "_repository", "digest", "name", "names", "pulled", "pushed", "retagged", "tags")

    def __init__(
        self,
        name: str,
        digest: Digest,
        repository: Repository,
        names: tuple[str, ...],
        tags: tuple[str, ...],
        pushed: datetime | None,
        pulled: datetime | None,
        retagged: datetime | None = None,
    ) -> None:
        self.name = name
        self.digest = digest
        self.names = names
        self.tags = tags
        self.pushed = pushed if pushed is None or pushed >= EARLIEST_DATE else None
        self.pulled = pulled
        self.retagged = retagged if retagged is None or retagged >= EARLIEST_DATE else None
        self._repository = repository
        self._created: datetime | None = _UNREAD

    @classmethod
    def of_tag(cls, repository: Repository, tag: Tag) -> "Candidate":
        """Return a tag by itself. A pull by digest counts for every tag of the digest."""
        names = (tag.name,)
        pulled = _latest_pull(repository, names, tag.digest) if repository.pulled else None
        return cls(tag.name, tag.digest, repository, names, names, tag.pushed, pulled)

    @classmethod
    def of_image(
        cls, repository: Repository, digest: Digest, tags: Sequence[Tag], names: tuple[str, ...]
    ) -> "Candidate":
        """Return an image with its tags. It was pushed when its revision was, else when the last of its tags was."""
        all_tags = tuple(tag.name for tag in tags)
        pushed = repository.pushed.get(digest)
        retagged = max((tag.pushed for tag in tags if tag.pushed is not None), default=None)
        pulled = _latest_pull(repository, all_tags, digest)
        return cls(digest, digest, repository, names, all_tags, pushed or retagged, pulled, retagged)

    @property
    def repository(self) -> str:
        """The name of its repository."""
        return self._repository.name

    @property
    def created(self) -> datetime | None:
        """When the image was created, as far as it tells."""
        if self._created is _UNREAD:
            self._created = self._repository.created(self.digest)
        return self._created

    @property
    def stored(self) -> datetime | None:
        """When its image came into the repository, whichever tag it got since."""
        return known_date(self._repository.pushed.get(self.digest))

    @property
    def version(self) -> Version | None:
        """The highest version among the tags by which it is claimed."""
        return max((found for name in self.names if (found := parse_version(name))), default=None)

    def date(self, order: Order = Order.PUSHED) -> datetime | None:
        """Return the date that counts. None: unknown, or for PULLED that no pull is known."""
        if order is Order.PUSHED:  # the usual one, ahead of the others
            return self.pushed or self.created
        match order:
            case Order.CREATED:
                return self.created or self.pushed
            case Order.PULLED:
                return self.pulled
            case Order.ACTIVE:
                dates = [date for date in (self.pushed or self.created, self.retagged, self.pulled) if date is not None]
                return max(dates, default=None)
            case Order.STORED:
                return self.stored or self.pushed or self.created
            case Order.TAGGED:
                dates = [date for date in (self.stored, self.pushed, self.retagged) if date is not None]
                return max(dates, default=self.created)
            case Order.BUILT:
                return self.created
            case _:
                return self.pushed or self.created  # to break ties


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What a clause says of one candidate: whether it keeps it (None: cannot know), and why, in words.

    `place` is the candidate's place in a count, from 1 on, and `group` what of it is counted together, in words.
    """

    keeps: bool | None
    code: str
    text: str
    place: int | None = None
    group: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What clauses depend on besides the candidates.

    `selector` is what the rule claims by, for the named groups of its expressions; `versions_only`: it claims nothing
    but versions, so that each line of versions is counted by itself, whatever the order.
    """

    now: datetime
    timezone: tzinfo = UTC
    pulls_since: datetime | None = None
    selector: TagPattern | None = None
    versions_only: bool = False


Weigh = Callable[..., list[Outcome]]


def _latest_pull(repository: Repository, names: tuple[str, ...], digest: Digest) -> datetime | None:
    pulled: Mapping[str, datetime] = repository.pulled
    dates = [date for name in (*names, digest) if (date := pulled.get(name)) is not None]
    return max(dates, default=None)
