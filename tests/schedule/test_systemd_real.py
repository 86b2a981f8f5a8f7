"""A real systemd: a user's manager, started in a mount namespace of its own, so that the machine sees nothing of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MANAGER = "/lib/systemd/systemd"
ODD = ["run", "a b", "50%", "%n", "$HOME", "${X}", "\\d+", '"', "'", ";", "", "größe", "a\\", "-x", "@y", "\\\\", "#"]
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "JETTISON_CONFIG": 'a "b" 50% $x \\ \''}

NAMESPACE = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user/0 && chmod 700 /run/user/0 || exit 77
"$MANAGER" --user --log-target=console >"$HOME/log" 2>&1 &
MANAGER_PID=$!
for _ in $(seq 100); do
    [ -S /run/user/0/systemd/private ] && break
    kill -0 $MANAGER_PID 2>/dev/null || exit 77
    sleep 0.1
done
[ -S /run/user/0/systemd/private ] || exit 77
"$PYTHON" "$PROGRAM"
status=$?
kill $MANAGER_PID
wait $MANAGER_PID
exit $status
"""

# The program that the timer starts is a stand-in, written where jettison would be: it notes what it was given.
PROGRAM = """
import json, os, subprocess, sys
from pathlib import Path
from jettison.app import schedule
from jettison.app.schedule import Schedulers
from jettison.errors import ScheduleError
from jettison.schedule.crontab import Crontab
from jettison.schedule.systemd import Systemd

home = Path(os.environ["HOME"])
given = json.loads((home / "given.json").read_text())
schedule._program = lambda: (str(home / "stand-in"),)
schedulers = Schedulers(Crontab(str(home / "no-crontab")), Systemd(for_user=True))
assert schedulers.systemd.is_running()
told = {}

def timers():
    command = ["systemctl", "--user", "list-timers", "--all", "--output=json"]
    listed = subprocess.run(command, capture_output=True, check=True)
    return {timer["unit"]: timer["next"] for timer in json.loads(listed.stdout)}

def install(cron):
    made = schedule.install(
        "http://registry.example:5000", given["arguments"], cron,
        schedulers=schedulers, environment=given["environment"], folder=home / "50% of a folder",
    )
    # systemd counts microseconds.
    (when,) = timers().values()
    return made.kind, int(made.next_runs[0].timestamp()) * 1000000 == when

told["first"] = install("30 2 * * *")
told["again"] = install("0 4 1 * mon")
subprocess.run(["systemctl", "--user", "start", "jettison-registry.example-5000.service"], check=True)
(job,) = schedule.show(schedulers=schedulers)
told["active"] = job.active
subprocess.run(["systemctl", "--user", "stop", "jettison-registry.example-5000.timer"], check=True)
(job,) = schedule.show(schedulers=schedulers)
told["stopped"] = (job.active, job.next_runs)
told["removed"] = schedule.remove("http://registry.example:5000", schedulers=schedulers)
told["left"] = timers()
(home / "told.json").write_text(json.dumps(told))
"""

STAND_IN = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
Path(os.environ["HOME"], "got.json").write_text(
    json.dumps([os.getcwd(), sys.argv[1:], {{name: os.environ.get(name) for name in {list(ENVIRONMENT)!r}}}])
)
"""


@pytest.mark.real
def test_systemd_runs_the_job(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("unshare: a mount namespace needs root")
    for program in ("unshare", "systemctl", MANAGER):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    (tmp_path / "50% of a folder").mkdir()
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "given.json").write_text(json.dumps({"arguments": ODD, "environment": ENVIRONMENT}))
    (tmp_path / "stand-in").write_text(STAND_IN)
    (tmp_path / "stand-in").chmod(0o755)
    result = subprocess.run(
        ["unshare", "--mount", "/bin/sh", "-c", NAMESPACE],
        env={
            "HOME": str(tmp_path),
            "XDG_RUNTIME_DIR": "/run/user/0",
            "PATH": os.environ["PATH"],
            "MANAGER": MANAGER,
            "PYTHON": sys.executable,
            "PROGRAM": str(tmp_path / "program.py"),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    if result.returncode == 77:
        pytest.skip(f"systemd: a user's manager does not start here: {result.stderr.strip()}")
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "got.json").read_text()) == [str(tmp_path / "50% of a folder"), ODD, ENVIRONMENT]
    assert json.loads((tmp_path / "told.json").read_text()) == {
        "first": ["systemd", True],
        "again": ["systemd", True],
        "active": True,
        "stopped": [False, []],
        "removed": ["systemd"],
        "left": {},
    }
