"""Random trees: what teams leave in a registry over the months, in small."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.compat.laid_out import Contents, LaidOut, buildkit_cache

from jettison.testing.built import BuiltManifest
from jettison.testing.images import artifact, image, index, referrers_tag, signature_of, signature_tag

NAMES: Final = ("app", "app/inner", "team/app", "team/deep/er/app", "library/base-image", "mirror/app", "x__y.z")


def random_tree(root: Path, seed: int) -> LaidOut:
    """Lay out a random tree in which nothing is damaged."""
    return _Maker(LaidOut(root), random.Random(seed), f"{seed}").make()


class _Maker:
    def __init__(self, laid_out: LaidOut, dice: random.Random, seed: str) -> None:
        self._laid_out = laid_out
        self._dice = dice
        self._seed = seed
        self._number = 0
        self._layers = [f"layer {number} of tree {seed}".encode() for number in range(dice.randint(2, 8))]
        self._images: list[BuiltManifest] = []
        self._made: list[BuiltManifest] = []

    def make(self) -> LaidOut:
        names = self._dice.sample(NAMES, self._dice.randint(1, 4))
        for name in names:
            for _ in range(self._dice.randint(1, 6)):
                self._push(name)
        for name in names:
            self._forget(name)
            self._leave(name)
        if self._dice.random() < 0.3:
            self._empty_repository()
        return self._laid_out

    def _push(self, name: str) -> None:
        # What another repository has too is pushed there as well, or was promoted from there.
        is_old = self._made and self._dice.random() < 0.2
        built = self._dice.choice(self._made) if is_old else self._new()
        self._laid_out.add(name, built, self._tags(built))
        self._made.append(built)
        if self._dice.random() < 0.15:
            signature = signature_of(built.digest, signature=self._fresh())
            self._laid_out.add(name, signature, [signature_tag(built.digest)])
        if self._dice.random() < 0.15:
            referrer = artifact([self._fresh().encode()], subject=built)
            self._laid_out.add(name, referrer)
            if self._dice.random() < 0.5:
                self._laid_out.add(name, index([referrer]), [referrers_tag(built.digest)])

    def _new(self) -> BuiltManifest:
        kinds: dict[Callable[[], BuiltManifest], int] = {
            self._image: 10,
            self._index: 4,
            lambda: index([self._index(), self._image()]): 1,
            lambda: buildkit_cache(self._some_layers()): 1,
            lambda: artifact([self._fresh().encode()]): 1,
            lambda: image(self._some_layers(), seed=self._fresh(), layer_algorithm="sha512"): 1,
            # Its subject is made but never pushed: a referrer may come before what it refers to.
            lambda: image(self._some_layers(), seed=self._fresh(), subject=image(seed=self._fresh())): 1,
        }
        make = self._dice.choices(list(kinds), list(kinds.values()))[0]
        return make()

    def _image(self) -> BuiltManifest:
        media = self._dice.choice(["oci", "docker"])
        made = image(self._some_layers(), seed=self._fresh(), media="docker" if media == "docker" else "oci")
        self._images.append(made)
        return made

    def _index(self) -> BuiltManifest:
        children = [
            self._dice.choice(self._images) if self._images and self._dice.random() < 0.3 else self._image()
            for _ in range(self._dice.randint(1, 3))
        ]
        absent: Sequence[BuiltManifest] = [image(seed=self._fresh())] if self._dice.random() < 0.2 else ()
        return index(children, media="docker" if self._dice.random() < 0.3 else "oci", absent=absent)

    def _some_layers(self) -> list[bytes]:
        # With repetition: an image may have the same (empty) layer twice.
        return self._dice.choices(self._layers, k=self._dice.randint(1, 4))

    def _tags(self, built: BuiltManifest) -> list[str]:
        """Choose tags that may be in use, and are then moved: so manifests come to be untagged."""
        if self._dice.random() < 0.2:
            return []
        return self._dice.sample(["latest", "1.0", "1.1", "2.0-rc.1"], self._dice.randint(1, 2))

    def _forget(self, name: str) -> None:
        """Delete manifests, indexes and platforms alike, as a clean-up of any quality does."""
        share = self._dice.choice([0, 0.2, 0.5, 1])
        for digest in sorted(self._laid_out.repositories[name].revisions):
            if self._dice.random() < share:
                self._laid_out.unlink(name, digest, folder=self._dice.random() < 0.5)

    def _leave(self, name: str) -> None:
        """Leave blobs of pushes that were broken off, an unfinished upload, and a file of somebody's."""
        for _ in range(self._dice.choice([0, 0, 1, 2])):
            self._laid_out.add_blob(self._fresh().encode(), name if self._dice.random() < 0.7 else None)
        if self._dice.random() < 0.2:
            upload = self._laid_out.path(name) / "_uploads" / "0a4f3b3e-9d3c-4e0e-8f0a-5a8d1a0d8f11"
            upload.mkdir(parents=True)
            (upload / "data").write_bytes(b"half a layer")
            (upload / "startedat").write_text("2026-01-01T00:00:00Z")
        if self._dice.random() < 0.1:
            (self._laid_out.path(name).parent / "README").write_text("not the registry's")

    def _empty_repository(self) -> None:
        self._laid_out.repositories["empty"] = Contents()
        (self._laid_out.path("empty") / "_layers").mkdir(parents=True)

    def _fresh(self) -> str:
        self._number += 1
        return f"{self._seed}.{self._number}"
