"""The language against a small model of it, written from docs/policy.md alone, without any of our code.

Each tag decides by itself (`unit: tag`); dates, versions and digests are those that the documentation speaks of. What
it leaves open (which of two equal versions comes first) is drawn, and passed over.
"""

import fnmatch
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jettison.policy.cases import NOW, CaseImage, _Builder
from jettison.policy.evaluate import decide_repository
from jettison.policy.parse import parse_policy

AGES = {"12h": 12, "1d": 24, "3d": 72, "7d": 168, "30d": 720}
TAGS = ("v1.0", "v1.1", "v2.0", "v1.0-alpine", "v1.2-alpine", "dev-1", "dev-2", "latest", "x", "1.3", "3.1")
PERIODS = ("daily", "weekly", "monthly", "yearly")
COUNTS = ("newest", *PERIODS)
OPTIONS = ("by", "per", "of", "among", "unknown", "inclusive", "or_pushed")
Clause = dict[str, Any]
Kept = bool | None


@dataclass(frozen=True)
class Image:
    tag: str
    digest: str
    pushed: datetime | None
    created: datetime | None
    pulled: datetime | None

    def date(self, by: str) -> datetime | None:
        if by == "pulled":
            return self.pulled
        if by == "built":
            return self.created
        return (self.created or self.pushed) if by == "created" else (self.pushed or self.created)

    @property
    def version(self) -> tuple[tuple[int, ...], str] | None:
        numbers, _, variant = self.tag.removeprefix("v").partition("-")
        if not all(part.isdecimal() for part in numbers.split(".")):
            return None
        return tuple(int(part) for part in numbers.split(".")), variant

    @property
    def order(self) -> Any:
        version = self.version
        if version is None:
            return (0,), self.tag, self.digest
        numbers = version[0][:-1] if version[0][-1] == 0 else version[0]
        return (1, numbers, version[1]), self.tag, self.digest


@dataclass(frozen=True)
class Model:
    """What clauses say; `versions`: the rule selects nothing but versions. None is kept, since nobody can know."""

    timezone: ZoneInfo
    since: datetime | None
    versions: bool

    def keeps(self, clause: Clause, images: Sequence[Image]) -> list[Kept]:
        parts = [self._part(name, clause, images) for name in clause if name not in OPTIONS]
        return [either(outcomes) for outcomes in zip(*parts, strict=True)]

    def _part(self, name: str, clause: Clause, images: Sequence[Image]) -> list[Kept]:
        value = clause[name]
        match name:
            case "tags":
                return [fnmatch.fnmatchcase(each.tag, value) for each in images]
            case "any" | "all":
                parts = [self.keeps(each, images) for each in value]
                return [either(each) if name == "any" else all_of(each) for each in zip(*parts, strict=True)]
            case "not":
                return [None if each is None else not each for each in self.keeps(value, images)]
            case "within":
                return [self._within(clause, each) for each in images]
            case "pulled_within":
                return [self._pulled_within(clause, each) for each in images]
            case _:
                return self._count(name, clause, images)

    def _is_known(self, age: timedelta) -> bool:
        return self.since is not None and NOW - self.since >= age

    def _within(self, clause: Clause, image: Image) -> Kept:
        own = clause if not any(count in clause for count in COUNTS) else {}
        by, age = own.get("by", "pushed"), timedelta(hours=AGES[clause["within"]])
        date = image.date(by)
        if date is not None and is_young(date, age, inclusive=clause.get("inclusive", False)):
            return True
        if by == "pulled" and not self._is_known(age):
            return None
        if date is not None:
            return False
        return {"keep": None, "oldest": False, "newest": True, "now": True}[own.get("unknown", "keep")]

    def _pulled_within(self, clause: Clause, image: Image) -> Kept:
        age, inclusive = timedelta(hours=AGES[clause["pulled_within"]]), clause.get("inclusive", False)
        dates = [image.pulled, image.date("pushed") if clause.get("or_pushed") else None]
        if any(date is not None and is_young(date, age, inclusive=inclusive) for date in dates):
            return True
        if not self._is_known(age) or (clause.get("or_pushed") and image.date("pushed") is None):
            return None
        return False

    def _count(self, name: str, clause: Clause, images: Sequence[Image]) -> list[Kept]:
        by = clause.get("by", "version" if self.versions and name == "newest" else "pushed")
        unknown, per = clause.get("unknown", "keep"), clause.get("per")
        among = self.keeps(clause["among"], images) if "among" in clause else [True] * len(images)
        kept: list[Kept] = [None if each is not False else False for each in among]
        groups: dict[Any, list[int]] = {}
        for i, image in enumerate(images):
            if kept[i] is False:
                continue
            if by != "version" and not self.versions and per is None:
                groups.setdefault((), []).append(i)
            elif image.version is not None:
                numbers, variant = image.version
                part = {"minor": numbers[:2], "major": numbers[:1], "variant": variant, None: None}[per]
                line = variant if by == "version" or self.versions or per != "variant" else None
                groups.setdefault((line, part), []).append(i)
            else:
                assume(unknown == "keep")
        for group in groups.values():
            self._place(name, clause, [(i, images[i]) for i in group], by, unknown, kept)
        return kept

    def _place(
        self, name: str, clause: Clause, group: list[tuple[int, Image]], by: str, unknown: str, kept: list[Kept]
    ) -> None:
        keys = {i: image.order[0] if by == "version" else image.date(by) for i, image in group if by != "name"}
        keys |= {i: image.tag for i, image in group if by == "name"}
        assume(by != "version" or len(set(keys.values())) == len(keys))
        unknowable = by == "pulled" and self.since is None
        if unknown == "now" and not unknowable:
            keys = {i: NOW if key is None else key for i, key in keys.items()}
        told = sorted(
            (e for e in group if keys[e[0]] is not None), key=lambda e: (keys[e[0]], e[1].order), reverse=True
        )
        rest = sorted((e for e in group if keys[e[0]] is None), key=lambda e: e[1].order, reverse=True)
        if unknown == "keep" or unknowable:
            rest = []
        ordered = rest + told if unknown == "newest" else told + rest
        places: dict[Any, Any] = {}
        for i, image in ordered:
            if name == "newest":
                place = places.setdefault(image.tag if clause.get("of") == "tags" else image.digest, len(places))
                kept[i] = place < clause[name]
                continue
            if keys[i] is None:
                kept[i] = unknown == "newest"
                continue
            period = self._period(name, keys[i])
            if period not in places and len(places) < clause[name]:
                places[period] = image.digest
            kept[i] = places.get(period) == image.digest

    def _period(self, name: str, date: Any) -> Any:
        there = date.astimezone(self.timezone)
        month = (there.year, there.month)
        return {"daily": there.date(), "weekly": there.isocalendar()[:2], "monthly": month, "yearly": there.year}[name]


def either(outcomes: Sequence[Kept]) -> Kept:
    return True if True in outcomes else None if None in outcomes else False


def all_of(outcomes: Sequence[Kept]) -> Kept:
    return False if False in outcomes else None if None in outcomes else True


def is_young(date: datetime, age: timedelta, *, inclusive: bool) -> bool:
    return NOW - date < age or (inclusive and NOW - date == age)


def claims(selector: Any, image: Image) -> bool:
    if isinstance(selector, str):
        return fnmatch.fnmatchcase(image.tag, selector)
    if isinstance(selector, list):
        return any(claims(each, image) for each in selector)
    return not claims(selector["not"], image) if "not" in selector else image.version is not None


def drawn_clause(random: Random, depth: int = 0) -> Clause:
    by, unknown = (
        random.choice(["pushed", "created", "pulled", "built"]),
        random.choice(["keep", "oldest", "newest", "now"]),
    )
    age = random.choice(list(AGES))
    match random.randrange(6 if depth > 2 else 10):
        case 0 | 1:
            clause: Clause = {"newest": random.randint(1, 3)}
            options: Clause = {
                "by": random.choice([by, "version", "name"]),
                "per": random.choice(["minor", "major", "variant"]),
                "of": "tags",
                "among": drawn_clause(random, depth + 1),
                "within": age,
            }
            clause |= {key: value for key, value in options.items() if random.random() < 0.4}
            return clause | ({"unknown": unknown} if clause.get("by") == by else {})
        case 2:
            return {random.choice(PERIODS): random.randint(1, 3), "by": by, "unknown": unknown}
        case 3:
            return {"within": age, "by": by, "unknown": unknown, "inclusive": random.random() < 0.5}
        case 4:
            return {"pulled_within": age, "or_pushed": random.random() < 0.5, "inclusive": random.random() < 0.5}
        case 5:
            return {"tags": random.choice(["v*", "*1*"])}
        case 6 | 7:
            return {"all": [drawn_clause(random, depth + 1) for _ in range(random.randint(1, 3))]}
        case 8:
            return {"any": [drawn_clause(random, depth + 1) for _ in range(random.randint(1, 3))]}
        case _:
            return {"not": drawn_clause(random, depth + 1)}


def drawn_images(random: Random) -> list[Image]:
    def moment() -> datetime | None:
        return None if random.random() < 0.2 else NOW - timedelta(hours=12 * random.randint(1, 70))

    left = random.sample(TAGS, len(TAGS))
    images: list[Image] = []
    for number in range(random.randint(1, 6)):
        dates = (moment(), moment(), moment())
        images += [Image(left.pop(), f"sha256:{number:064x}", *dates) for _ in range(random.choice([1, 1, 2])) if left]
    return sorted(images, key=lambda image: image.tag)


def decided(document: Mapping[str, Any], images: Sequence[Image], since: datetime | None) -> dict[str, bool]:
    made = _Builder("app")
    for image in images:
        dates = [None if date is None else date.isoformat() for date in (image.pushed, image.created, image.pulled)]
        made.add(CaseImage([image.tag], image.digest, dates[0], dates[1], dates[2]), NOW)
    policy = parse_policy(json.dumps(document), "policy")
    repository = replace(made.repository(), pulls_since=since)
    return {each.tag.name: each.kept for each in decide_repository(repository, policy, NOW).tags}


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_decided_is_what_the_documentation_says(seed: int) -> None:
    random = Random(seed)
    selectors: list[Any] = ["*", "v*", "dev-*", {"version": "*"}, {"not": "v*"}, ["v*", "x"]]
    rules = [
        {
            "name": f"rule {number}",
            "tags": random.choice(selectors),
            "keep": drawn_clause(random),
            "counts": random.choice(["claimed", "matching"]),
        }
        for number in range(random.randint(1, 3))
    ]
    timezone = random.choice(["UTC", "Europe/Berlin", "America/New_York"])
    since = random.choice([None, NOW - timedelta(days=5), NOW - timedelta(days=100)])
    images = drawn_images(random)
    wanted = {image.tag: True for image in images}
    taken: set[str] = set()
    for rule in rules:
        matching = [each for each in images if claims(rule["tags"], each)]
        counted = [each for each in matching if each.tag not in taken or rule["counts"] == "matching"]
        outcomes = Model(ZoneInfo(timezone), since, rule["tags"] == {"version": "*"}).keeps(rule["keep"], counted)
        for image, kept in zip(counted, outcomes, strict=True):
            if image.tag not in taken:
                wanted[image.tag] = kept is not False
        taken |= {each.tag for each in matching}
    document = {
        "timezone": timezone,
        "limits": {"last_image": "allow"},
        "policies": [{"repositories": "**", "rules": rules}],
    }
    assert decided(document, images, since) == wanted, json.dumps(document)
