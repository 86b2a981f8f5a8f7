"""The guardian process: it does its rescue when its parent dies, and only then."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jettison.control.guarded import Guard
from jettison.errors import ControlError


def _rescue(folder: Path) -> dict[str, object]:
    return {"command": ["touch", str(folder / "rescued")]}


def test_dismissed_it_does_nothing(tmp_path: Path) -> None:
    with Guard(_rescue(tmp_path)) as guard:
        guard.dismiss()
    assert not (tmp_path / "rescued").exists()


def test_left_without_a_word_it_rescues(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="in the middle"), Guard(_rescue(tmp_path)):
        raise RuntimeError("in the middle")
    assert (tmp_path / "rescued").exists()


def test_a_program_runs_with_its_environment_and_its_status_comes_back(tmp_path: Path) -> None:
    with Guard(_rescue(tmp_path)) as guard:
        script = 'echo "$WORD"; echo wrong >&2; exit 3'
        pieces = list(guard.run(["sh", "-c", script], environment={"WORD": "said", "PATH": os.environ["PATH"]}))
        assert "".join(piece for piece in pieces if isinstance(piece, str)) == "said\nwrong\n"
        assert pieces[-1] == 3
        assert list(guard.run(["/nowhere/program"], environment={}))[-1] == 127
        guard.dismiss()


def test_much_output_comes_whole(tmp_path: Path) -> None:
    with Guard(_rescue(tmp_path)) as guard:
        pieces = guard.run(["seq", "1", "300000"], environment={"PATH": os.environ["PATH"]})
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        guard.dismiss()
    assert text == "".join(f"{number}\n" for number in range(1, 300_001))


KILLED = """
import os, signal, sys
from jettison.control.guarded import Guard
with Guard({"command": ["touch", sys.argv[1]]}) as guard:
    for piece in guard.run(["sh", "-c", "echo $$; exec sleep 1000"], environment={"PATH": os.environ["PATH"]}):
        print(piece, end="", flush=True)
"""


def test_a_killed_parent_is_noticed_and_its_program_killed_first(tmp_path: Path) -> None:
    mark = tmp_path / "rescued"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(mark)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        process.kill()
    while not mark.exists():
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()


def test_a_killed_guardian_is_noticed_and_takes_its_program_along(tmp_path: Path) -> None:
    with Guard(_rescue(tmp_path)) as guard:
        pieces = guard.run(["sh", "-c", "echo $$; exec sleep 1000"], environment={"PATH": os.environ["PATH"]})
        pid = int(next(pieces))
        assert guard._process is not None
        guard._process.kill()
        with pytest.raises(ControlError, match="guardian process"):
            list(pieces)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.01)


def test_a_rescue_that_cannot_be_prepared_stops_everything(tmp_path: Path) -> None:
    with (
        pytest.raises(ControlError, match="guardian"),
        Guard({"container": "x", "base_url": f"unix://{tmp_path}/nothing"}),
    ):
        pytest.fail("went on without a guardian")


def test_a_guardian_that_was_killed_need_not_be_dismissed(tmp_path: Path) -> None:
    with Guard(_rescue(tmp_path)) as guard:
        assert guard._process is not None
        guard._process.kill()
        guard._process.wait()
        guard.dismiss()
    assert not (tmp_path / "rescued").exists()
