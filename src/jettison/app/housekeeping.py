"""Do the chores of housekeeping, each journalled with its reason before it happens."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby

from jettison.app.clean import Recorder
from jettison.app.outcome import PART
from jettison.errors import StorageError
from jettison.history.model import PlannedAction
from jettison.oci.digest import Digest
from jettison.oci.inventory import Problem
from jettison.storage.chores import LINKS, Chore, ChoreKind
from jettison.storage.housekeeping import Housekeeper


def keep_house(
    housekeeper: Housekeeper, chores: Iterable[Chore], recorder: Recorder
) -> tuple[tuple[Chore, ...], tuple[Problem, ...]]:
    """Do all chores; return those that were done, and why others could not be. The layer links of one repository go
    together.

    Raises HistoryError where a chore cannot be journalled; it is then not done.
    """
    done: list[Chore] = []
    problems: dict[str, None] = {}
    for (kind, repository), group in groupby(chores, key=lambda chore: (chore.kind, chore.repository)):
        mine = list(group)
        sequences = recorder.run.plan([_planned(chore) for chore in mine])
        recorder.run.begin(*sequences)
        if kind in LINKS:
            links = [chore.name for chore in mine]
            failed = [_failure(partial(housekeeper.remove_links, repository, links))] * len(mine)
        else:
            failed = [_failure(partial(housekeeper.do, chore)) for chore in mine]
        done += [chore for chore, text in zip(mine, failed, strict=True) if not text]
        problems |= dict.fromkeys(filter(None, failed))
        recorder.run.record_many(
            (sequence, "failed" if text else "done", text) for sequence, text in zip(sequences, failed, strict=True)
        )
    if problems:
        recorder.worsen(PART)
    recorder.totals |= {"chores": len(done)}
    return tuple(done), tuple(Problem("housekeeping", text) for text in problems)


def _failure(work: Callable[[], None]) -> str:
    """Do it, and return why it could not be done; nothing where it was."""
    try:
        work()
    except StorageError as error:
        return str(error)
    return ""


def _planned(chore: Chore) -> PlannedAction:
    what = f"{chore.name}: {chore.reason}" if chore.name else chore.reason
    digest = Digest(chore.name) if chore.kind in LINKS else None
    tags: tuple[str, ...] = (chore.name,) if chore.kind is ChoreKind.TAG_FOLDER else ()
    if chore.kind is ChoreKind.LINK:
        # What a link of another algorithm named, nothing else may tell when it is to come back.
        tags = chore.digests
    return PlannedAction(chore.kind.value, chore.repository, digest, tags, "housekeeping", what, chore.size)
