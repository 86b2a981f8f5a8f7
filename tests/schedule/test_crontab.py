"""The crontab program of this machine, on the crontab of a user that has none."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import end, start

from jettison.app import schedule
from jettison.app.schedule import Schedulers
from jettison.errors import ScheduleError, UsageError
from jettison.schedule.crontab import Crontab
from jettison.schedule.systemd import Systemd

REGISTRY = "http://registry.example:5000"
USER = "games"
MINE = b"# mine, not jettison's\nMAILTO=ops@example.com\n\n0 1 * * *\techo 100\\% 'x'\n"


@pytest.fixture
def crontab(tmp_path: Path) -> Iterator[Crontab]:
    if shutil.which("crontab") is None:
        pytest.skip("crontab is not installed")
    if os.geteuid() != 0:
        pytest.skip("crontab -u: another user's crontab needs root")
    if subprocess.run(["crontab", "-u", USER, "-l"], capture_output=True).returncode == 0:
        pytest.skip(f"the user {USER} has a crontab, which a test must not touch")
    program = tmp_path / "crontab"
    program.write_text(f'#!/bin/sh\nexec /usr/bin/crontab -u {USER} "$@"\n')
    program.chmod(0o755)
    yield Crontab(str(program))
    subprocess.run(["crontab", "-u", USER, "-r"], capture_output=True)


@pytest.fixture
def schedulers(crontab: Crontab, tmp_path: Path) -> Schedulers:
    return Schedulers(crontab, Systemd(folder=tmp_path / "units"))


def put(text: bytes) -> None:
    subprocess.run(["crontab", "-u", USER, "-"], input=text, check=True)


def there() -> bytes:
    return subprocess.run(["crontab", "-u", USER, "-l"], capture_output=True).stdout


pytestmark = [pytest.mark.real, pytest.mark.xdist_group("crontab")]


def test_install_show_and_remove(schedulers: Schedulers) -> None:
    put(MINE)
    now = datetime(2026, 11, 24, 5, 30, tzinfo=UTC)
    environment = {"PATH": "/usr/bin:/bin", "JETTISON_CONFIG": "/etc/50% jettison.yaml", "HOME": "/root"}
    made = schedule.install(
        REGISTRY,
        ["run", REGISTRY, "--yes"],
        "30 2 * * *",
        kind="crontab",
        schedulers=schedulers,
        environment=environment,
        folder=Path("/srv"),
        now=now,
    )
    assert made.kind == "crontab"
    assert there() == MINE + made.text.encode()
    assert len(made.next_runs) == 3
    assert all((run.hour, run.minute) == (2, 30) for run in made.next_runs)
    program = made.job.command[0]
    assert Path(program).is_absolute()
    assert os.access(program, os.X_OK)
    (shown,) = schedule.show(schedulers=schedulers, now=now)
    assert (shown.registry, shown.kind, shown.cron, shown.active) == (REGISTRY, "crontab", "30 2 * * *", None)
    assert shown.command == (
        f"cd /srv && PATH=/usr/bin:/bin JETTISON_CONFIG='/etc/50% jettison.yaml' {program} run {REGISTRY} --yes"
    )
    assert shown.next_runs == made.next_runs

    again = schedule.install(REGISTRY + "/", ["gc", REGISTRY], "@weekly", kind="crontab", schedulers=schedulers)
    assert there() == MINE + again.text.encode()
    assert schedule.show("http://other.example", schedulers=schedulers) == []

    assert schedule.remove(REGISTRY, schedulers=schedulers) == ("crontab",)
    assert there() == MINE
    with pytest.raises(UsageError, match="nothing is scheduled for"):
        schedule.remove(REGISTRY, schedulers=schedulers)


def test_a_user_without_crontab_gets_one(schedulers: Schedulers) -> None:
    assert schedule.show(schedulers=schedulers) == []
    made = schedule.install(REGISTRY, ["run"], "@daily", kind="crontab", schedulers=schedulers)
    assert there() == made.text.encode()


def test_print_only_changes_nothing(schedulers: Schedulers) -> None:
    put(MINE)
    made = schedule.install(REGISTRY, ["run"], "@daily", kind="crontab", print_only=True, schedulers=schedulers)
    assert "# jettison: begin" in made.text
    assert there() == MINE


def test_what_cron_refuses_is_told_and_changes_nothing(crontab: Crontab) -> None:
    put(MINE)
    with pytest.raises(ScheduleError, match="cron refused it"):
        crontab.replace(crontab.read(), MINE + b"this is no crontab line\n")
    assert there() == MINE


def test_a_crontab_that_changed_meanwhile_is_left_alone(crontab: Crontab) -> None:
    put(MINE)
    before = crontab.read()
    put(MINE + b"# and more\n")
    with pytest.raises(ScheduleError, match="changed by somebody else"):
        crontab.replace(before, b"# new\n")
    assert there() == MINE + b"# and more\n"


def test_a_machine_without_crontab_is_told_the_way_out(tmp_path: Path) -> None:
    nothing = Schedulers(
        Crontab(str(tmp_path / "crontab")), Systemd(folder=tmp_path, program=str(tmp_path / "systemctl"))
    )
    with pytest.raises(ScheduleError, match=r"no `crontab` program.*--kind systemd.*--print.*/etc/cron.d"):
        schedule.install(REGISTRY, ["run"], "@daily", kind="crontab", schedulers=nothing)
    assert schedule.show(schedulers=nothing) == []
    assert schedule.install(REGISTRY, ["run"], "@daily", kind="crontab", print_only=True, schedulers=nothing).text


def test_a_failing_crontab_is_an_error_not_an_empty_one(tmp_path: Path) -> None:
    program = tmp_path / "crontab"
    program.write_text("#!/bin/sh\necho 'You (ci) are not allowed to use this program (crontab)' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(ScheduleError, match="are not allowed to use this program"):
        Crontab(str(program)).read()


def test_the_commands(crontab: Crontab, tmp_path: Path) -> None:
    put(MINE)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "XDG_STATE_HOME": str(tmp_path)}

    def told(*arguments: str) -> dict[str, Any]:
        ended = end(start("schedule", *arguments, "--json", environment=environment))
        assert ended.status == 0, ended
        return ended.document

    installed = told("install", REGISTRY, "--cron", "@daily", "--keep", "3", "--kind", "crontab")
    (shown,) = told("show", REGISTRY)["jobs"]
    assert shown["cron"] == "0 0 * * *"
    assert shown["command"].endswith(f" run {REGISTRY} --keep 3 --yes")
    moments = [[datetime.fromisoformat(text) for text in runs["next_runs"]] for runs in (installed, shown)]
    assert moments[1][0] in moments[0]
    assert told("remove", REGISTRY)["removed"] == ["crontab"]
    assert told("show")["jobs"] == []
    assert there() == MINE
