"""Somebody pushes, moves and deletes at random before every action of a plan, and nothing that stays is ever broken.

Over the API a manifest that got its tag after planning and lost it again cannot be seen by anybody, so what is judged
is every tag there is at the end, and every manifest that could be seen when the plan was made.
"""

import json
import random
from collections.abc import Callable

import pytest
from tests.app.cleaning import Clock, MemoryJournal, opened, planned

from jettison.app.apply_plan import apply_plan
from jettison.testing.built import BuiltManifest
from jettison.testing.connection import Connection
from jettison.testing.images import artifact, image, index, pull, push, signature_of, signature_tag
from jettison.testing.registry_server import RegistryServer

# Of the first forty seeds, those that found an index whose children went because its tag had moved away.
SEEDS = ((6, 11, 33), (20, 31, 37))
IMAGES = tuple(image(seed=f"random {number}", size=256) for number in range(6))
ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"}


class Somebody:
    """Pushes, moves and deletes in one repository, by a seed; `tags` is what it knows to stand there."""

    def __init__(self, url: str, repository: str, seed: int, *, deletes_tags: bool) -> None:
        self._url = url
        self._repository = repository
        self._random = random.Random(seed)
        self._deletes_tags = deletes_tags
        self.tags: dict[str, BuiltManifest] = {}

    def any_manifest(self) -> BuiltManifest:
        choice = self._random.random()
        if choice < 0.45:
            return self._random.choice(IMAGES)
        if choice < 0.85:
            return index(self._random.sample(IMAGES, self._random.randint(1, 3)))
        return artifact([b"report"], subject=self._random.choice(IMAGES))

    def push(self, tag: str) -> None:
        built = self.any_manifest()
        push(self._url, self._repository, built, tag)
        self.tags[tag] = built

    def set_up(self) -> None:
        for number in range(1, 7):
            self.push(f"1.{number}")
        self.push("latest")
        for built in self._random.sample(list(self.tags.values()), 2):
            tag = signature_tag(built.digest)
            push(self._url, self._repository, signature_of(built.digest), tag)
            self.tags[tag] = signature_of(built.digest)

    def meddle(self) -> None:
        """Do one thing that harms nobody: move a tag, push a new one, or delete what no index needs."""
        choice = self._random.random()
        versions = [tag for tag in self.tags if not tag.startswith("sha256-")]
        if choice < 0.35:
            self.push(self._random.choice(versions))
        elif choice < 0.6:
            self.push(f"new-{self._random.randrange(1000)}")
        elif choice < 0.8 and self._deletes_tags:
            tag = self._random.choice(versions)
            if self._delete(tag):
                del self.tags[tag]
        elif choice < 0.9:
            built = self.tags[self._random.choice(versions)]
            if built.children and self._delete(built.digest):
                self.tags = {tag: other for tag, other in self.tags.items() if other.digest != built.digest}

    def _delete(self, reference: str) -> bool:
        with Connection(self._url) as connection:
            status = connection.ask("DELETE", f"/v2/{self._repository}/manifests/{reference}").status
        return status == 202


def listed(url: str, repository: str) -> dict[str, str]:
    """Return what each tag points to."""
    with Connection(url) as connection:
        names = json.loads(connection.ask("GET", f"/v2/{repository}/tags/list").body).get("tags") or []
        heads = {
            name: connection.ask("HEAD", f"/v2/{repository}/manifests/{name}", headers=ACCEPT).headers for name in names
        }
    return {name: headers["docker-content-digest"] for name, headers in heads.items()}


def exists(url: str, repository: str, digest: str) -> bool:
    with Connection(url) as connection:
        return connection.ask("HEAD", f"/v2/{repository}/manifests/{digest}", headers=ACCEPT).status == 200


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
async def test_whatever_somebody_does_nothing_that_stays_is_broken(
    registry: RegistryServer, seeds: tuple[int, ...]
) -> None:
    deleted = skipped = 0
    for seed in seeds:
        repository = f"race/seed-{seed}"
        somebody = Somebody(registry.url, repository, seed, deletes_tags=registry.version == "3.1")
        somebody.set_up()
        before = dict(somebody.tags)
        async with opened(registry.url, repositories=(repository,)) as api:
            plan = await planned(api)
            report = await apply_plan(api, plan, MemoryJournal(), stop=meddling(somebody), clock=Clock())
        deleted += report.count("done")
        skipped += report.count("skipped")
        going = {(tag, digest) for action in plan.actions for tag, digest in action.precondition.tags.items()}
        now = listed(registry.url, repository)
        expected = {tag: str(built.digest) for tag, built in somebody.tags.items()}
        lost = {tag: digest for tag, digest in expected.items() if now.get(tag) != digest}
        assert set(lost.items()) <= going, seed
        for tag in now:
            pull(registry.url, repository, tag)
        for digest in {str(each.digest) for built in before.values() for each in built.walk()}:
            if exists(registry.url, repository, digest):
                pull(registry.url, repository, digest)
    # The seeds do both, so neither side of the property holds only because nothing happened.
    assert deleted
    assert skipped


def meddling(somebody: Somebody) -> Callable[[], bool]:
    """Return a `stop`, which is asked before each action, that never stops."""

    def stop() -> bool:
        somebody.meddle()
        return False

    return stop
