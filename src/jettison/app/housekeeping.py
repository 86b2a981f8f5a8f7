"""Do the chores of housekeeping, each journalled with its reason before it happens."""

from collections.abc import Iterable
from itertools import groupby

from jettison.app.clean import Recorder
from jettison.app.outcome import PART
from jettison.errors import StorageError
from jettison.history.model import PlannedAction
from jettison.oci.digest import Digest
from jettison.oci.inventory import Problem
from jettison.storage.chores import Chore, ChoreKind
from jettison.storage.housekeeping import Housekeeper


def keep_house(housekeeper: Housekeeper, chores: Iterable[Chore], recorder: Recorder) -> tuple[Problem, ...]:
    """Do all chores; return why some could not be done. The layer links of one repository go together.

    Raises HistoryError where a chore cannot be journalled; it is then not done.
    """
    problems: list[Problem] = []
    done = 0
    for (kind, repository), group in groupby(chores, key=lambda chore: (chore.kind, chore.repository)):
        mine = list(group)
        sequences = recorder.run.plan([_planned(chore) for chore in mine])
        recorder.run.begin(*sequences)
        failed = ""
        try:
            if kind is ChoreKind.LINK:
                housekeeper.remove_links(repository, [chore.name for chore in mine])
            else:
                for chore in mine:
                    housekeeper.do(chore)
        except StorageError as error:
            failed = str(error)
            problems.append(Problem("housekeeping", failed))
            recorder.worsen(PART)
        recorder.run.record_many((sequence, "failed" if failed else "done", failed) for sequence in sequences)
        done += 0 if failed else len(mine)
    recorder.totals |= {"chores": done}
    return tuple(problems)


def _planned(chore: Chore) -> PlannedAction:
    what = f"{chore.name}: {chore.reason}" if chore.name else chore.reason
    digest = Digest(chore.name) if chore.kind is ChoreKind.LINK else None
    tags = (chore.name,) if chore.kind is ChoreKind.TAG_FOLDER else ()
    return PlannedAction(chore.kind.value, chore.repository, digest, tags, "housekeeping", what, chore.size)
