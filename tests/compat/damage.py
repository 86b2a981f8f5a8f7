"""Damage, one kind at a time: what a crash, a full disk or a careless hand leaves in a storage."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from tests.compat.laid_out import LaidOut

from jettison.testing.images import image, oci_artifact_manifest
from jettison.testing.programs import REGISTRY_VERSIONS, RegistryVersion


def _damage_data(content: Callable[[bytes], bytes] | None) -> Callable[[LaidOut, random.Random], bool]:
    def apply(laid_out: LaidOut, dice: random.Random) -> bool:
        choices = sorted({digest for contents in laid_out.repositories.values() for digest in contents.revisions})
        if not choices:
            return False
        digest = dice.choice(choices)
        laid_out.unreadable.add(digest)
        if content is None:
            laid_out.data(digest).unlink()
            laid_out.stored.discard(digest)
        else:
            laid_out.data(digest).write_bytes(content(laid_out.bodies[digest]))
        return True

    return apply


def _damage_link(length: int) -> Callable[[LaidOut, random.Random], bool]:
    def apply(laid_out: LaidOut, dice: random.Random) -> bool:
        choices = sorted(
            (name, each) for name, contents in laid_out.repositories.items() for each in contents.revisions
        )
        if not choices:
            return False
        name, digest = dice.choice(choices)
        (laid_out.revision(name, digest) / "link").write_text(digest[:length])
        laid_out.broken.add(name)
        return True

    return apply


def _tag(laid_out: LaidOut, dice: random.Random) -> tuple[str, str] | None:
    choices = sorted((name, tag) for name, contents in laid_out.repositories.items() for tag in contents.tags)
    return dice.choice(choices) if choices else None


def _empty_tag(laid_out: LaidOut, dice: random.Random) -> bool:
    chosen = _tag(laid_out, dice)
    if chosen is None:
        return False
    name, tag = chosen
    del laid_out.repositories[name].tags[tag]
    (laid_out.path(name) / "_manifests" / "tags" / tag / "current" / "link").write_bytes(b"")
    laid_out.broken.add(name)
    return True


def _dangling_tag(laid_out: LaidOut, dice: random.Random) -> bool:
    chosen = _tag(laid_out, dice)
    if chosen is None:
        return False
    name, tag = chosen
    contents = laid_out.repositories[name]
    contents.revisions.discard(contents.tags[tag])
    (laid_out.revision(name, contents.tags[tag]) / "link").unlink()
    return True


def _unknown_type(laid_out: LaidOut, dice: random.Random) -> bool:
    name = dice.choice(sorted(laid_out.repositories))
    laid_out.add(name, oci_artifact_manifest([b"an artifact of 2022"]), ["artifact"])
    return True


def _no_layers_folder(laid_out: LaidOut, dice: random.Random) -> bool:
    (laid_out.path("without/layers") / "_manifests" / "tags").mkdir(parents=True)
    (laid_out.path("without/layers") / "_manifests" / "revisions").mkdir(parents=True)
    return True


@dataclass(frozen=True)
class Kind:
    """How a kind of damage is done, and which versions' collectors end with an error when they come across it."""

    apply: Callable[[LaidOut, random.Random], bool]
    aborting: tuple[RegistryVersion, ...] = field(default=REGISTRY_VERSIONS)

    def aborts(self, version: RegistryVersion) -> bool:
        """Whether this version's collector ends with an error, having removed nothing."""
        return version in self.aborting


class Damage(Enum):
    """All kinds. Where the registry's collector goes on, it removes what the damaged part needs."""

    EMPTY_LINK = Kind(_damage_link(0))
    TRUNCATED_LINK = Kind(_damage_link(40))
    TRUNCATED_MANIFEST = Kind(_damage_data(lambda body: body[:-1]))
    EMPTY_MANIFEST = Kind(_damage_data(lambda body: b""))
    UNKNOWN_TYPE = Kind(_unknown_type)
    NO_LAYERS_FOLDER = Kind(_no_layers_folder, ("3.1",))
    MISSING_MANIFEST = Kind(_damage_data(None), ())
    OTHER_CONTENT = Kind(_damage_data(lambda body: image(seed="something else").body), ())
    EMPTY_TAG = Kind(_empty_tag, ())
    DANGLING_TAG = Kind(_dangling_tag, ())


def random_damage(laid_out: LaidOut, dice: random.Random) -> Damage | None:
    """Do one kind of damage and return it; None where the tree has nothing that it could be done to."""
    chosen = dice.choice(list(Damage))
    return chosen if chosen.value.apply(laid_out, dice) else None
