"""Import pulls: logs into the history, safe to repeat, in constant memory however long they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from jettison.app.pull_log import Hash, PullLog, Resumed, new_hash, opened_log
from jettison.errors import UsageError
from jettison.history.pulls import LogPosition
from jettison.pulls.documents import Piece
from jettison.pulls.ignore import Ignored
from jettison.pulls.reader import SNIFFED, Format, LogReader, pieces
from jettison.pulls.spans import SpanCollector
from jettison.pulls.tally import Tally

if TYPE_CHECKING:
    from jettison.history.store import History

_LINES_AT_ONCE: Final = 200_000
_IMAGES_AT_ONCE: Final = 20_000
_AHEAD: Final = timedelta(minutes=5)
"""A line may be this much newer than now: clocks differ. From a later one no coverage is believed."""
_PROGRESS: Final = 10_000
_BETWEEN: Final = b" \t\r\n,[]"
"""What stands between lines or documents, and behind the last: nothing that is still to be completed."""


@dataclass(slots=True)
class LogReport:
    """What came of one log. Numbers are of this import alone; what was known before is in `known_bytes`."""

    name: str
    lines: int = 0
    pulls: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    unrecognised: int = 0
    future: int = 0
    unfinished: bool = False
    known_bytes: int = 0
    since: datetime | None = None
    until: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Importer:
    """What all logs of one import have in common. `registry` is whose pulls they are, as the history knows it."""

    history: "History"
    registry: str
    ignored: Ignored
    now: datetime
    wanted: Format = Format.AUTO
    progress: Callable[[int, int | None], None] = lambda done, total: None

    def import_logs(self, names: Sequence[str]) -> list[LogReport]:
        """Import logs one after the other, and return what came of each; one that cannot be used has a `problem`.

        Raises HistoryError where the history cannot be written, LockedError where another import works on a log, and
        UsageError where none of the logs could be used.
        """
        reports = []
        for name in names:
            with opened_log(name) as log:
                report = LogReport(log.name)
                try:
                    self._import(log, report)
                except UsageError as error:
                    report.problem = str(error)
                report.problem = report.problem or log.problem
            reports.append(report)
        if reports and all(each.problem and each.unrecognised == each.lines for each in reports):
            raise UsageError("; ".join(each.problem for each in reports))
        return reports

    def _import(self, log: PullLog, report: LogReport) -> None:
        beginning, head = log.head(self.wanted)
        if head is None:
            report.unfinished = bool(beginning)
            if len(beginning) == SNIFFED or (
                beginning and self.wanted is Format.NOTIFICATIONS and b"{" not in beginning
            ):
                raise self._foreign(log, 1)
            return
        known = self.history.pulls.positions(self.registry, head)
        resumed = log.resume(known)
        if resumed is not None:
            report.known_bytes = resumed.position.size
            if resumed.is_end:
                return
        work = _Work(self, report, head, known, resumed)
        with log.open(report.known_bytes) as stream:
            for piece in pieces(stream, beginning, self.wanted):
                work.take(piece)
        work.finish()
        if not work.is_recognised:
            raise self._foreign(log, report.lines)

    def _foreign(self, log: PullLog, lines: int) -> UsageError:
        return UsageError(
            f"{log.name}: none of its {lines:,} lines is of a format that is known ({self.wanted.value}): the "
            "registry's own log, the combined format of nginx and Traefik, Traefik's JSON, or notifications; --format "
            "names one"
        )


class _Work:
    """One log while it is imported: what is read is counted, and written with how far that was."""

    def __init__(
        self,
        importer: Importer,
        report: LogReport,
        head: str,
        known: tuple[LogPosition, ...],
        resumed: Resumed | None,
    ) -> None:
        self._importer = importer
        self._report = report
        self._head = head
        self._known = set(known)
        self._before = resumed.position if resumed is not None else None
        self._hash = resumed.hash if resumed is not None else new_hash()
        self._size = self._before.size if self._before is not None else 0
        self._ended: tuple[Hash, int] | None = None
        self._has_rest = False
        self._reader = LogReader(importer.wanted, own_log=self._before is not None and self._before.own_log)
        self._tally = Tally(importer.ignored)
        self._spans = SpanCollector(importer.history.pulls.gap)
        self._unwritten = 0

    @property
    def is_recognised(self) -> bool:
        """Whether any line was of a format that is known, in this import or an earlier one."""
        return self._before is not None or self._report.lines > self._report.unrecognised

    def take(self, piece: Piece) -> None:
        """Take the next piece of the log's text."""
        if piece.body is None:
            # Nobody can go on in the middle of a line, so what was reached is where the last one ended.
            self._ended = self._ended or (self._hash.copy(), self._size)
            self._has_rest |= bool(piece.text.strip(_BETWEEN))
        self._hash.update(piece.text)
        self._size += len(piece.text)
        if piece.body is None:
            return
        self._ended, self._has_rest = None, False
        self._read(piece.body)
        self._unwritten += 1
        is_full = self._unwritten >= _LINES_AT_ONCE or len(self._tally.pulled) >= _IMAGES_AT_ONCE
        if is_full and self.is_recognised:
            self._write()

    def finish(self) -> None:
        """Write what is not written yet."""
        self._report.unfinished = self._has_rest
        if self._unwritten and self.is_recognised:
            self._write()
        self._report.ignored = dict(self._tally.ignored)
        self._report.pulls = self._tally.counted

    def _read(self, body: bytes) -> None:
        report = self._report
        found = self._reader.read(body)
        report.lines += 1
        if report.lines % _PROGRESS == 0:
            self._importer.progress(report.lines, None)
        if found is None:
            report.unrecognised += bool(body.strip())
            report.lines -= not body.strip()
            return
        for moment, request, shows_answers in found:
            if moment > self._importer.now + _AHEAD:
                report.future += 1
            elif shows_answers:
                self._spans.add(moment)
                report.since = min(report.since or moment, moment)
                report.until = max(report.until or moment, moment)
            if request is not None:
                self._tally.add(request)

    def _write(self) -> None:
        digest, size = self._ended or (self._hash, self._size)
        reached = LogPosition(self._head, digest.hexdigest(), size, self._reader.own_log)
        store = self._importer.history.pulls
        store.record(self._importer.registry, self._tally.take(), self._spans.spans, reached, self._before, self._known)
        self._known = {*self._known - {self._before}, reached}
        self._before, self._unwritten = reached, 0
