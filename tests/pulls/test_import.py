"""Importing logs: the same again, grown, rotated, compressed, cut, foreign, long; counted once, in constant memory."""

import gzip
import io
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.pulls.logs import NOON, ONE, TWO, combined, envelope, event, manifest, registry_json, registry_text

from jettison.app import pulls
from jettison.app.pulls import Importer, LogReport
from jettison.errors import LockedError, UsageError
from jettison.history.store import History
from jettison.pulls import documents
from jettison.pulls.ignore import Ignored
from jettison.pulls.reader import Format
from jettison.pulls.spans import Span

REGISTRY = "http://registry.example"
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
LATER = NOON + 30 * DAY


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    opened = History.open(tmp_path / "history.db")
    yield opened
    opened.close()


def importer(history: History, wanted: Format = Format.AUTO) -> Importer:
    return Importer(history, REGISTRY, Ignored(), LATER, wanted)


def bring(history: History, *paths: Path, wanted: Format = Format.AUTO) -> list[LogReport]:
    return importer(history, wanted).import_logs([str(path) for path in paths])


def known(history: History) -> dict[str, int]:
    return {each.reference: each.times for each in history.pulls.listed(REGISTRY)}


def log_of(tags: Sequence[str]) -> bytes:
    return "".join(combined(manifest(tag), NOON + number * SECOND) for number, tag in enumerate(tags)).encode()


def test_a_log_counts_once_however_often_it_is_imported(history: History, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(log_of(["1.0", "2.0", "1.0"]))
    (first,) = bring(history, log)
    assert (first.lines, first.pulls, first.known_bytes) == (3, 3, 0)
    (again,) = bring(history, log)
    assert (again.lines, again.pulls, again.known_bytes) == (0, 0, log.stat().st_size)
    assert known(history) == {"1.0": 2, "2.0": 1}
    assert history.pulls.spans(REGISTRY) == (Span(NOON, NOON + 2 * SECOND),)
    assert history.pulls.pulled(REGISTRY, ["team/app"]) == {
        "team/app": {"1.0": NOON + 2 * SECOND, "2.0": NOON + SECOND}
    }


def test_a_log_that_has_grown_counts_from_where_it_ended(history: History, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    for length in range(1, 5):
        log.write_bytes(log_of(["1.0"] * length))
        (report,) = bring(history, log)
        assert (report.lines, report.pulls) == (1, 1)
    assert known(history) == {"1.0": 4}


def test_rotating_and_compressing_make_it_no_other_log(history: History, tmp_path: Path) -> None:
    whole = log_of(["1.0", "2.0"])
    for name, content in {
        "access.log": whole,
        "access.log.1": whole,
        "access.log.2.gz": gzip.compress(whole),
        "two-members.gz": gzip.compress(whole[:50]) + gzip.compress(whole[50:]),
        "copy": whole,
    }.items():
        (tmp_path / name).write_bytes(content)
        bring(history, tmp_path / name)
    assert known(history) == {"1.0": 1, "2.0": 1}
    (tmp_path / "grown.gz").write_bytes(gzip.compress(whole + log_of(["3.0"])))
    (report,) = bring(history, tmp_path / "grown.gz")
    assert (report.pulls, report.known_bytes) == (1, len(whole))


def test_logs_of_two_servers_that_begin_alike_are_two(history: History, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(log_of(["1.0", "2.0", "3.0"]))
    two.write_bytes(log_of(["1.0", "9.0"]))
    bring(history, one, two)
    assert known(history) == {"1.0": 2, "2.0": 1, "3.0": 1, "9.0": 1}
    two.write_bytes(log_of(["1.0", "9.0", "8.0"]))
    assert [each.pulls for each in bring(history, one, two)] == [0, 1]
    # One that was cut off and began anew is another one too, though it is shorter.
    one.write_bytes(log_of(["1.0"]))
    assert [each.pulls for each in bring(history, one)] == [1]


def test_a_line_that_is_being_written_counts_when_it_is_whole(history: History, tmp_path: Path) -> None:
    log, whole = tmp_path / "access.log", log_of(["1.0", "2.0", "3.0"])
    for cut in range(1, len(whole) + 1):
        log.write_bytes(whole[:cut])
        (report,) = bring(history, log)
        assert report.unfinished == (whole[cut - 1 : cut] != b"\n")
        assert sum(known(history).values()) == whole[:cut].count(b"\n")
    assert known(history) == {"1.0": 1, "2.0": 1, "3.0": 1}


def test_a_log_that_begins_in_the_middle_of_a_line_is_read_from_the_next(history: History, tmp_path: Path) -> None:
    log = tmp_path / "cut.log"
    log.write_bytes(log_of(["1.0", "2.0"])[33:])
    (report,) = bring(history, log)
    assert (report.lines, report.pulls, report.unrecognised) == (2, 1, 1)
    assert known(history) == {"2.0": 1}


def test_the_registrys_own_log_is_gone_on_with_between_the_two_lines_of_a_request(
    history: History, tmp_path: Path
) -> None:
    log, text = tmp_path / "registry.log", ""
    for line in (registry_text(), combined(), registry_text(manifest("2.0")), combined(manifest("2.0"))):
        text += line
        log.write_text(text)
        bring(history, log)
    assert known(history) == {"1.0": 1, "2.0": 1}


def test_a_file_of_another_format_is_an_error_and_leaves_nothing(history: History, tmp_path: Path) -> None:
    other, good, empty = tmp_path / "syslog", tmp_path / "access.log", tmp_path / "empty.log"
    other.write_text("Nov 24 12:00:00 host sshd[1]: Accepted publickey\n\n" * 3)
    good.write_bytes(log_of(["1.0"]))
    empty.touch()
    with pytest.raises(
        UsageError, match=rf"{other}: none of its 3 lines is of a format that is known \(auto\).*--format"
    ):
        bring(history, other)
    with pytest.raises(UsageError, match="none of its"):
        bring(history, good, wanted=Format.NOTIFICATIONS)
    assert history.pulls.registries() == []
    reports = bring(history, other, good, empty, tmp_path / "missing")
    assert [bool(each.problem) for each in reports] == [True, False, False, True]
    assert "No such file" in reports[3].problem
    assert known(history) == {"1.0": 1}
    assert [each.lines for each in bring(history, empty)] == [0]


def test_lines_of_other_services_in_the_same_log_are_counted_and_told(history: History, tmp_path: Path) -> None:
    log = tmp_path / "mixed.log"
    log.write_text("noise\n" + combined("/index.html") + combined() + "x" * 200_000 + "\n" + combined(manifest("2.0")))
    (report,) = bring(history, log)
    assert (report.lines, report.pulls, report.unrecognised) == (5, 2, 2)
    (again,) = bring(history, log)
    assert again.lines == 0


def test_dates_in_the_future_keep_but_are_no_coverage(history: History, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(combined() + combined(manifest("2.0"), LATER + 9 * DAY))
    (report,) = bring(history, log)
    assert (report.pulls, report.future, report.until) == (2, 1, NOON)
    assert history.pulls.spans(REGISTRY) == (Span(NOON, NOON),)
    assert history.pulls.pulled(REGISTRY, ["team/app"])["team/app"]["2.0"] == LATER + 9 * DAY


def test_a_log_without_pulls_proves_disuse_only_where_pulls_would_stand_in_it(history: History, tmp_path: Path) -> None:
    errors, pushes, quiet = tmp_path / "errors.log", tmp_path / "pushes.json", tmp_path / "quiet.log"
    site = tmp_path / "site.log"
    site.write_text(combined("/index.html"))
    errors.write_text(registry_text(status=404))
    pushes.write_text(envelope(event(action="push")))
    for path in (errors, pushes, site):
        (report,) = bring(history, path)
        assert (report.pulls, report.unrecognised, report.since) == (0, 0, None)
        assert history.pulls.spans(REGISTRY) == ()
    quiet.write_text(combined("/v2/"))
    bring(history, quiet)
    assert history.pulls.spans(REGISTRY) == (Span(NOON, NOON),)


def test_a_compressed_log_that_ends_early_is_read_as_far_as_it_goes(history: History, tmp_path: Path) -> None:
    log = tmp_path / "access.log.gz"
    tags = [f"{number}.0" for number in range(3000)]
    whole = gzip.compress(log_of(tags))
    log.write_bytes(whole[: len(whole) // 2])
    (report,) = bring(history, log)
    assert "ends early" in report.problem
    got = len(known(history))
    assert 0 < got < 3000
    log.write_bytes(whole)
    (rest,) = bring(history, log)
    assert not rest.problem
    assert rest.pulls == 3000 - got
    assert known(history) == dict.fromkeys(tags, 1)
    log.write_bytes(whole[:100] + bytes(200) + whole[300:])
    with pytest.raises(UsageError, match="ends early or is damaged"):
        bring(history, log)


def test_notifications_are_read_in_any_arrangement(history: History, tmp_path: Path) -> None:
    first, second = event(), event("2.0", TWO, NOON + SECOND, identifier="2")
    arrangements = {
        "as sent": envelope(first) + envelope(second),
        "with line ends": envelope(first) + "\n" + envelope(second) + "\n",
        "one a line": json.dumps({"events": [first]}) + "\n" + json.dumps({"events": [second]}) + "\n",
        "one envelope": envelope(first, second),
        "array": "[" + envelope(first) + ",\n" + envelope(second) + "]\n",
        "events": json.dumps(first) + "\n" + json.dumps(second) + "\n",
        "sent twice": envelope(first) + envelope(first) + envelope(second),
    }
    for name, text in arrangements.items():
        registry = f"http://{name.replace(' ', '-')}.example"
        path = tmp_path / name
        path.write_text(text)
        for _ in range(2):
            (report,) = Importer(history, registry, Ignored(), LATER).import_logs([str(path)])
            assert not report.unfinished, name
        found = {each.reference: each.times for each in history.pulls.listed(registry)}
        assert found == {"1.0": 1, ONE: 1, "2.0": 1, TWO: 1}, name


def test_notifications_that_are_cut_count_when_they_are_whole(history: History, tmp_path: Path) -> None:
    dump, whole = tmp_path / "events.json", envelope(event()) + envelope(event("2.0", TWO, identifier="2"))
    for cut in range(20, len(whole) + 1, 7):
        dump.write_text(whole[:cut])
        bring(history, dump)
    dump.write_text(whole)
    bring(history, dump)
    assert known(history) == {"1.0": 1, ONE: 1, "2.0": 1, TWO: 1}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([combined(), registry_text(), registry_json(), "noise\n", "\n"]), min_size=1),
    st.lists(st.integers(0, 4000), max_size=4),
    st.integers(1, 3),
)
def test_however_a_log_is_brought_in_it_counts_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], cuts: list[int], at_once: int
) -> None:
    monkeypatch.setattr(pulls, "_LINES_AT_ONCE", at_once)
    whole, log = "".join(lines).encode(), tmp_path / "log"
    totals = []
    for parts in ([len(whole)], [*sorted(cuts), len(whole)]):
        (tmp_path / "history.db").unlink(missing_ok=True)
        history = History.open(tmp_path / "history.db")
        for part in parts:
            log.write_bytes(whole[:part])
            try:
                bring(history, log)
            except UsageError:
                assert not any(line in ("".join(lines)) for line in ("HTTP/1.1", "response completed")) or part < len(
                    whole
                )
        totals.append(known(history))
        history.close()
    assert totals[0] == totals[1]


def test_an_import_that_is_killed_goes_on_where_it_had_written(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "_LINES_AT_ONCE", 10)
    log = tmp_path / "access.log"
    log.write_bytes(log_of(["1.0"] * 35))
    real, calls = history.pulls.record, []

    def dying(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(history.pulls, "record", dying)
        with pytest.raises(KeyboardInterrupt):
            bring(history, log)
    assert known(history) == {"1.0": 20}
    (report,) = bring(history, log)
    assert report.pulls == 15
    assert known(history) == {"1.0": 35}


def test_an_import_beside_another_one_of_the_same_log_counts_nothing(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(log_of(["1.0"] * 3))
    real = history.pulls.positions

    def others_begin_meanwhile(registry: str, head: str) -> object:
        found = real(registry, head)
        monkeypatch.setattr(history.pulls, "positions", real)
        log.write_bytes(log_of(["1.0"] * 2))
        bring(history, log)
        log.write_bytes(log_of(["1.0"] * 3))
        return found

    monkeypatch.setattr(history.pulls, "positions", others_begin_meanwhile)
    with pytest.raises(LockedError):
        bring(history, log)
    bring(history, log)
    assert known(history) == {"1.0": 3}


class Endless:
    """Text without any line end."""

    def __init__(self, unit: bytes, size: int) -> None:
        self._unit, self._left = unit * (1 << 16), size

    def read(self, size: int, /) -> bytes:
        taken = self._unit[: min(size, self._left, len(self._unit))]
        self._left -= len(taken)
        return taken

    readline = read


@pytest.mark.parametrize("unit", [b"x", b"{", b'"', b'{"a', b"\\", b"[1,"])
@pytest.mark.parametrize("split", [documents.lines, documents.documents])
def test_text_that_never_ends_is_let_go(unit: bytes, split: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LARGEST_DOCUMENT", 1 << 20)
    size, found = 3 << 20, 0
    for piece in split(Endless(unit, size)):  # type: ignore[operator]
        assert len(piece.text) <= 3 << 20
        found += len(piece.text)
    assert found == size


def test_a_document_behind_one_that_was_too_large_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LARGEST_DOCUMENT", 1000)
    large = b'{"events": ["' + b"x{" * 2000 + b'"]}'
    stream = io.BytesIO(large + b'\n{"a": 1}')
    bodies = [piece.body for piece in documents.documents(stream, chunk=300) if piece.body is not None]
    assert bodies[-1] == b'{"a": 1}'


def test_a_long_log_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    program = """
import resource, sys
from datetime import UTC, datetime
from jettison.app.pulls import Importer
from jettison.history.store import History
from jettison.pulls.ignore import Ignored
Importer(History.open(sys.argv[1]), "http://r", Ignored(), datetime.now(UTC)).import_logs(sys.argv[2:3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    peaks = []
    for count in (1_000, 150_000):
        log = tmp_path / f"{count}.gz"
        compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
        block = log_of([f"1.{number}" for number in range(1000)])
        with log.open("wb") as file:
            file.writelines(compressor.compress(block) for _ in range(count // 1000))
            file.write(compressor.flush())
        command = [sys.executable, "-c", program, str(tmp_path / f"{count}.db"), str(log)]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert peaks[1] < peaks[0] + 30_000, peaks
