"""Version: a tag read as a version, in the order in which a person would put them.

Tags follow no single standard. This reads what people push: `1.2.3`, `v1.2`, `1.10.0-rc.1`, `2026.11.24`,
`2026-11-24`, `20261124`, `1.2.3.4`, `1.2.3-alpine`, `1.2.3-5-g1a2b3c4` (git describe), `1.2.3-debian-11-r5`.
Where a tag might as well be something else (seven or more bare digits may be an abbreviated commit) it is no version,
because what is no version is left alone.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache, total_ordering
from typing import Final

_START = re.compile(r"[vV]?(\d+(?:\.\d+)*)(?![0-9])(.*)", re.DOTALL)
_ISO_DATE = re.compile(r"(\d{4})([-_])(\d{2})\2(\d{2})(?![0-9])(.*)", re.DOTALL)
_SEPARATORS = re.compile(r"[-._+]")
_WORD_AND_NUMBER = re.compile(r"([A-Za-z]+)(\d*)")
_COMMIT = re.compile(r"g[0-9a-f]{7,40}|(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}")
_FLOATING = re.compile(r"[.][xX](?![A-Za-z0-9])")
_TIMESTAMP = re.compile(r"(\d{8})[tT](\d{4,6})[zZ]?")

# Lower comes first. PEP 440 and Maven agree on this order where both know the word.
_PHASES: Final = {
    "dev": -6, "nightly": -6,
    "alpha": -5, "a": -5,
    "beta": -4, "b": -4,
    "milestone": -3, "m": -3,
    "rc": -2, "cr": -2, "c": -2, "pre": -2, "preview": -2, "ea": -2,
    "snapshot": -1,
}  # fmt: skip
_SINGLE_LETTERS: Final = frozenset({"a", "b", "c", "m", "r", "p"})
_FINAL_WORDS: Final = frozenset({"final", "ga", "release"})
_REVISION_WORDS: Final = frozenset({"post", "r", "rev", "p", "pl", "patch", "sp", "hotfix", "build"})
_COMMIT_WORDS: Final = frozenset({"sha", "git", "commit"})
_LONGEST_BARE_NUMBER: Final = 6
_FINAL: Final = 0


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A tag that is a version.

    `release` holds the numbers, `phase` is negative for a pre-release, `phase_numbers` and `revision` the numbers
    behind it. `variant` is what else stands there (`alpine`, `debian-11`). A commit in the tag takes no part.
    """

    release: tuple[int, ...]
    phase: int = _FINAL
    phase_numbers: tuple[int, ...] = ()
    revision: tuple[int, ...] = ()
    variant: str = ""
    sort_key: tuple[object, ...] = field(init=False, repr=False)
    """What orders as the version does, for sorting many: comparing tuples is quicker."""
    line: str = field(init=False, repr=False)
    """The line of versions that this one belongs to; versions of different lines never crowd each other out.

    Each variant is a line of its own, and so are calendar versions: beside nightly `2026.11.24`, the release `1.2.3`
    would otherwise always be the older one.
    """

    def __post_init__(self) -> None:
        stripped = self.release
        while len(stripped) > 1 and stripped[-1] == 0:
            stripped = stripped[:-1]
        key = (stripped, self.phase, self.phase_numbers, self.revision)
        object.__setattr__(self, "sort_key", (key, self.variant))
        first = self.release[0]
        is_calendar = (len(self.release) > 1 and _is_year(first)) or first > 10**_LONGEST_BARE_NUMBER
        object.__setattr__(self, "line", f"calendar {self.variant}".rstrip() if is_calendar else self.variant)

    def __eq__(self, other: object) -> bool:
        """Whether both stand at the same place: 1.2 and 1.2.0 do."""
        if not isinstance(other, Version):
            return NotImplemented
        return self.sort_key == other.sort_key

    def __hash__(self) -> int:
        return hash(self.sort_key)

    def __lt__(self, other: "Version") -> bool:
        """Order as a person would: 1.9 before 1.10, a pre-release before its release."""
        return self.sort_key < other.sort_key

    @property
    def is_prerelease(self) -> bool:
        """Whether it comes before a release of the same numbers."""
        return self.phase < _FINAL


@lru_cache(maxsize=1 << 17)  # more than the tags of any one repository that was seen
def parse_version(tag: str) -> Version | None:
    """Read `tag` as a version, or return None where it is none or might be something else."""
    iso = _ISO_DATE.fullmatch(tag)
    if iso and _is_date(int(iso[1]), int(iso[3]), int(iso[4])):
        return _with_suffix((int(iso[1]), int(iso[3]), int(iso[4])), iso[5])
    match = _START.fullmatch(tag)
    if match is None:
        return None
    numbers, rest = match[1], match[2]
    first, *others = numbers.split(".")
    # 20261124 and 2026.11.24 are one day: whoever changes from one to the other must not lose the newer ones.
    parts = _parts_of_date(first) if _is_compact_date(first) else [first]
    release = tuple(int(number) for number in (*parts, *others))
    if others:
        # `1.2.x` is no version but what moves along with the versions.
        return None if _FLOATING.match(rest) else _with_suffix(release, rest)
    if len(first) > _LONGEST_BARE_NUMBER and len(parts) == 1:
        return None
    if rest and rest[0].isalpha():
        return None  # an abbreviated commit such as 1a2b3c4
    version = _with_suffix(release, rest)
    # `123-fix-login` is a branch named after an issue, not version 123 in the variant "fix-login".
    return None if version is None or version.variant else version


@dataclass(slots=True)
class _Suffix:
    phase: int = _FINAL
    phase_numbers: list[int] = field(default_factory=list)
    revision: list[int] = field(default_factory=list)
    variant: list[str] = field(default_factory=list)


def _with_suffix(release: tuple[int, ...], rest: str) -> Version | None:
    """Read what stands behind the numbers, piece by piece; a bare number belongs to the piece before it."""
    suffix = _Suffix()
    if rest and not rest[0].isalpha() and _SEPARATORS.match(rest) is None:
        return None
    numbers = suffix.revision
    in_variant = False
    for piece in _SEPARATORS.split(rest):
        lower = piece.lower()
        word = _WORD_AND_NUMBER.fullmatch(lower)
        stamp = _TIMESTAMP.fullmatch(piece)
        if not piece or lower in _FINAL_WORDS or lower in _COMMIT_WORDS or _COMMIT.fullmatch(piece):
            continue
        if stamp:
            numbers.extend((int(stamp[1]), int(stamp[2])))
        elif piece.isdecimal() and piece.isascii():
            if in_variant:
                suffix.variant.append(piece)
            else:
                numbers.append(int(piece))
        elif word and word[1] in _PHASES and suffix.phase == _FINAL and _counts(word):
            suffix.phase = _PHASES[word[1]]
            numbers, in_variant = suffix.phase_numbers, False
            numbers.extend([int(word[2])] if word[2] else [])
        elif word and word[1] in _REVISION_WORDS and _counts(word):
            numbers, in_variant = suffix.revision, False
            numbers.extend([int(word[2])] if word[2] else [])
        else:
            suffix.variant.append(lower)
            in_variant = True
    return Version(release, suffix.phase, tuple(suffix.phase_numbers), tuple(suffix.revision), "-".join(suffix.variant))


def _counts(word: re.Match[str]) -> bool:
    """Whether a known word is meant as such: a single letter only with its number (`b2`, `r5`)."""
    return bool(word[2]) or word[1] not in _SINGLE_LETTERS


def _parts_of_date(digits: str) -> list[str]:
    """Return year, month, day, and what is there of hour, minute and second."""
    return [digits[:4], *(digits[start : start + 2] for start in range(4, len(digits), 2))]


def _is_compact_date(digits: str) -> bool:
    """Whether bare digits are YYYYMMDD, with HHMM or HHMMSS behind it or not."""
    return len(digits) in (8, 12, 14) and _is_date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))


def _is_date(year: int, month: int, day: int) -> bool:
    if not _is_year(year):
        return False
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _is_year(number: int) -> bool:
    return 1990 <= number <= 2100
