"""Replays cases of other systems' policies: a policy, images, and what that system deletes.

They stand in cases/SYSTEM.cases.yaml. Keys of a case: `name`, `source`, `policy`, `options`, `now`, `images`
(repository, digest, tags, pushed, created, pulled, children, subject), `tag_pushed`, `deleted` or `refused`, `note`.
Where our language cannot say what the policy means, `beyond` gives the reason and `ours` what ours deletes instead,
which is never more.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jettison.oci.config import ConfigFacts
from jettison.oci.digest import Digest
from jettison.oci.inventory import Inventory, Repository, Tag
from jettison.oci.manifest import Descriptor, Kind, Manifest
from jettison.policy.evaluate import decide
from jettison.policy.importers.model import Options
from jettison.policy.parse import parse_policy

FOLDER = Path(__file__).with_name("cases")
_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_ALWAYS = datetime(1990, 1, 1, tzinfo=UTC)
"""Pulls have been recorded since then: the source system knows all of them."""


def cases_of(system: str) -> list[dict[str, Any]]:
    """Return the cases of a system, in the file's order."""
    from ruamel.yaml import YAML

    cases = YAML(typ="safe", pure=True).load(FOLDER / f"{system}.cases.yaml")
    assert isinstance(cases, list)
    return cases


def options_of(case: Mapping[str, Any]) -> Options:
    """Return the options of a case; a few have another name where the case was found."""
    names = {"organization": "project", "package_root": "prefix"}
    return Options(**{names.get(key, key): value for key, value in case["options"].items()})


def digest_of(name: str) -> Digest:
    """Return the digest that `name` stands for: itself where it is one."""
    if len(name) == 71 and name.startswith("sha256:"):
        return Digest(name)
    return Digest("sha256:" + hashlib.sha256(name.encode()).hexdigest())


def inventory_of(case: Mapping[str, Any]) -> Inventory:
    """Return the registry that a case tells of."""
    names = sorted({image["repository"] for image in case["images"]})
    pushed = {key: moment(value) for key, value in case.get("tag_pushed", {}).items()}
    repositories = tuple(
        _repository(name, [image for image in case["images"] if image["repository"] == name], pushed) for name in names
    )
    return Inventory("http://registry.example:5000", "storage", moment(case["now"]), repositories)


def _repository(name: str, images: list[dict[str, Any]], tag_pushed: Mapping[str, datetime]) -> Repository:
    manifests, facts, pushed, tags = {}, {}, {}, []
    pulled: dict[str, datetime] = {}
    for image in images:
        digest = digest_of(image["digest"])
        config = Descriptor(_CONFIG, digest_of(f"config of {image['digest']}"), 2)
        children = tuple(Descriptor(_IMAGE, digest_of(each), 2) for each in image.get("children", ()))
        subject = Descriptor(_IMAGE, digest_of(image["subject"]), 2) if image.get("subject") else None
        if children:
            manifests[digest] = Manifest(digest, _INDEX, 2, Kind.INDEX, children=children, subject=subject)
        else:
            manifests[digest] = Manifest(digest, _IMAGE, 2, Kind.IMAGE, config, (config,), subject=subject)
            facts[config.digest] = ConfigFacts(moment(image["created"]) if "created" in image else None, "linux/amd64")
        if "pushed" in image:
            pushed[digest] = moment(image["pushed"])
        if "pulled" in image:
            pulled[digest] = moment(image["pulled"])
        tags += [Tag(tag, digest, tag_pushed.get(f"{name}:{tag}", pushed.get(digest))) for tag in image["tags"]]
    return Repository(
        name, tuple(sorted(tags, key=lambda tag: tag.name)), manifests, facts, pushed=pushed, pulled=pulled,
        pulls_since=_ALWAYS,
    )  # fmt: skip


def moment(value: Any) -> datetime:
    """Return a date of a case as an instant."""
    assert isinstance(value, datetime)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def gone(yaml: str, case: Mapping[str, Any], *, by_digest: bool = False) -> set[str]:
    """Return what goes by our policy: tags as repository:tag, images without a tag as repository@name.

    With `by_digest` the images with tags are told by their names, too.
    """
    policy = parse_policy(yaml, "imported.yaml")
    return set(_gone(inventory_of(case), policy, case, by_digest=by_digest))


def _gone(inventory: Inventory, policy: Any, case: Mapping[str, Any], *, by_digest: bool) -> Iterator[str]:
    names = {digest_of(image["digest"]): image["digest"] for image in case["images"]}
    for decisions in decide(inventory, policy, moment(case["now"])):
        name = decisions.repository.name
        tagged = {tag.digest for tag in decisions.repository.tags}
        for tag in decisions.tags:
            if not tag.kept:
                yield f"{name}:{tag.tag.name}"
        for digest, decision in decisions.manifests.items():
            if not decision.kept and (by_digest or digest not in tagged):
                yield f"{name}@{names[digest]}"
