"""Sources: whatever tells which images are in use, and asking several of them.

A source that cannot be asked stops the run, since what it would have named may be all that runs (promise 2); one that
is marked optional is named in the report instead.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from jettison.errors import InUseError
from jettison.policy.in_use import ImageName, UsedImage


class Source(Protocol):
    """Something that knows what runs."""

    def ask(self) -> list[UsedImage]:
        """Return the images in use. Raises InUseError where not all of them can be told."""
        ...


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A source under its name in the configuration; `optional`: a run goes on without its answer."""

    name: str
    source: Source
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Gathered:
    """What all sources told. `counts` has the images of each that answered, `silent` why each optional one did not.

    Several engines or clusters under one name count together, and may stand in both.
    """

    images: tuple[UsedImage, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)


def gather(sources: Sequence[NamedSource]) -> Gathered:
    """Ask all sources, side by side. Raises InUseError where one that is not optional cannot be asked."""
    if not sources:
        return Gathered()
    images: list[UsedImage] = []
    told_by: dict[str, set[ImageName]] = {}
    silent: dict[str, str] = {}
    failed: list[str] = []
    with ThreadPoolExecutor(max_workers=min(len(sources), 8), thread_name_prefix="in-use") as pool:
        asked = [(each, pool.submit(each.source.ask)) for each in sources]
        for each, answer in asked:
            try:
                told = answer.result()
            except InUseError as error:
                if each.optional:
                    silent[each.name] = "; ".join(filter(None, (silent.get(each.name), str(error))))
                else:
                    failed.append(f"{each.name}: {error}")
                continue
            images += told
            told_by.setdefault(each.name, set()).update(image.name for image in told)
    if failed:
        raise InUseError(
            "nothing is deleted while nobody knows what runs: "
            + "; ".join(failed)
            + "; a source that may fail is marked with `optional: true`"
        )
    return Gathered(tuple(images), {name: len(names) for name, names in told_by.items()}, silent)


@lru_cache(maxsize=1 << 16)
def image_name(text: str) -> ImageName | None:
    """Read a name that a runtime gave, None for what no registry can have: an image's id, or a name that is none.

    Runtimes report such names for images built on their own machine, and for containers that can never start.
    """
    try:
        return ImageName.parse(text)
    except ValueError:
        return None
