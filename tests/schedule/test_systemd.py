"""systemd units: their text checked by systemd itself, and the calls that install and remove them.

No systemd runs as a service manager in most places where tests run, so `systemctl` is a program that writes its
arguments down; what systemd makes of the files is asked of `systemd-analyze verify`.
"""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jettison.app import schedule
from jettison.app.schedule import Schedulers
from jettison.errors import ScheduleError, UsageError
from jettison.schedule import units
from jettison.schedule.cron import Cron
from jettison.schedule.crontab import Crontab
from jettison.schedule.model import Job
from jettison.schedule.systemd import Systemd

REGISTRY = "http://registry.example:5000"
ODD = ["a b", "50%", "%n", "$HOME", "${X}", "\\d+", '"', "'", ";", "", "größe", "a\\", "-x", "@y"]


class Calls:
    """A `systemctl` that notes its calls; the calls named in `failing` fail."""

    def __init__(self, folder: Path) -> None:
        self.program = folder / "systemctl"
        self._log = folder / "calls"
        self._failing = folder / "failing"
        self._failing.write_text("nothing")
        self.program.write_text(
            f'#!/bin/sh\necho "$@" >> {shlex.quote(str(self._log))}\n'
            f'if echo "$@" | grep -q "$(cat {shlex.quote(str(self._failing))})"; then\n'
            '  echo "Access denied" >&2\n  exit 1\nfi\n'
        )
        self.program.chmod(0o755)

    def fail(self, verb: str) -> None:
        self._failing.write_text(verb)

    def taken(self) -> list[str]:
        taken = self._log.read_text().splitlines() if self._log.exists() else []
        self._log.unlink(missing_ok=True)
        return taken


@pytest.fixture
def calls(tmp_path: Path) -> Calls:
    return Calls(tmp_path)


@pytest.fixture
def schedulers(tmp_path: Path, calls: Calls) -> Schedulers:
    systemd = Systemd(for_user=False, folder=tmp_path / "units", program=str(calls.program))
    return Schedulers(Crontab(str(tmp_path / "no-crontab")), systemd)


def install(schedulers: Schedulers, cron: str = "30 2 * * *", registry: str = REGISTRY) -> schedule.Installation:
    return schedule.install(
        registry, ["run", registry, "--yes"], cron, kind="systemd", schedulers=schedulers, folder=Path("/srv")
    )


def test_install_show_and_remove(schedulers: Schedulers, calls: Calls, tmp_path: Path) -> None:
    made = install(schedulers)
    unit = "jettison-registry.example-5000"
    timer = tmp_path / "units" / f"{unit}.timer"
    assert made.place == str(timer)
    assert "OnCalendar=*-*-* 02:30:00\nPersistent=true\n" in timer.read_text()
    assert "Type=oneshot\nWorkingDirectory=/srv\n" in timer.with_suffix(".service").read_text()
    assert timer.read_text() in made.text
    quiet = "--no-ask-password"
    assert calls.taken() == [
        f"{quiet} daemon-reload",
        f"{quiet} stop {unit}.timer",
        f"{quiet} clean --what=state {unit}.timer",
        f"{quiet} enable --now {unit}.timer",
    ]
    (shown,) = schedule.show(schedulers=schedulers)
    assert (shown.registry, shown.kind, shown.cron) == (REGISTRY, "systemd", "30 2 * * *")
    assert shown.command == shlex.join(made.job.command)
    calls.taken()

    install(schedulers, "0 4 1 * mon")
    assert "OnCalendar=*-*-01 04:00:00\nOnCalendar=Mon *-*-* 04:00:00\n" in timer.read_text()
    calls.taken()

    assert schedule.remove(REGISTRY, schedulers=schedulers) == ("systemd",)
    assert calls.taken() == [f"{quiet} disable --now {unit}.timer", f"{quiet} daemon-reload"]
    assert list((tmp_path / "units").iterdir()) == []
    with pytest.raises(UsageError, match="nothing is scheduled"):
        schedule.remove(REGISTRY, schedulers=schedulers)


def test_print_only_writes_and_calls_nothing(schedulers: Schedulers, calls: Calls, tmp_path: Path) -> None:
    made = schedule.install(REGISTRY, ["run"], "@daily", kind="systemd", print_only=True, schedulers=schedulers)
    assert "[Timer]" in made.text
    assert "[Service]" in made.text
    assert calls.taken() == []
    assert not (tmp_path / "units").exists()


@pytest.mark.parametrize("verb", ["daemon-reload", "enable"])
def test_what_systemd_refuses_leaves_the_files_as_they_were(
    schedulers: Schedulers, calls: Calls, verb: str, tmp_path: Path
) -> None:
    calls.fail(verb)
    with pytest.raises(ScheduleError, match=f"{verb}.*Access denied.*--kind crontab"):
        install(schedulers)
    assert list((tmp_path / "units").iterdir()) == []
    calls.fail("nothing")
    install(schedulers)
    before = {path: path.read_bytes() for path in (tmp_path / "units").iterdir()}
    calls.fail(verb)
    with pytest.raises(ScheduleError):
        install(schedulers, "@weekly")
    assert {path: path.read_bytes() for path in (tmp_path / "units").iterdir()} == before


def test_a_unit_of_somebody_else_is_left_alone(schedulers: Schedulers, calls: Calls, tmp_path: Path) -> None:
    install(schedulers)
    calls.taken()
    with pytest.raises(ScheduleError, match=f"was made for {REGISTRY}"):
        install(schedulers, registry="https://registry.example:5000")
    assert [job.registry for job in schedule.show(schedulers=schedulers)] == [REGISTRY]
    calls.taken()
    with pytest.raises(UsageError, match="nothing is scheduled"):
        schedule.remove("https://registry.example:5000", schedulers=schedulers)
    (tmp_path / "units" / "jettison-production.timer").write_text("[Timer]\nOnCalendar=daily\n")
    with pytest.raises(ScheduleError, match="was made by hand"):
        install(schedulers, registry="production")
    assert calls.taken() == []


def test_a_machine_without_systemctl_is_told_the_way_out(tmp_path: Path) -> None:
    nothing = Schedulers(
        Crontab(str(tmp_path / "no")), Systemd(folder=tmp_path / "units", program=str(tmp_path / "systemctl"))
    )
    with pytest.raises(ScheduleError, match=r"no `.*systemctl` here: use --kind crontab"):
        install(nothing)
    assert list((tmp_path / "units").iterdir()) == []


def test_users_have_units_of_their_own(tmp_path: Path) -> None:
    systemd = Systemd(for_user=True, environment={"XDG_CONFIG_HOME": str(tmp_path)})
    job = Job("production", Cron.parse("@daily"), ("/usr/bin/jettison", "run"), Path("/"))
    service, timer = systemd.texts(job).items()
    assert service[0] == tmp_path / "systemd" / "user" / "jettison-production.service"
    assert "network-online" not in service[1]
    assert units.facts_of(timer[1]) == units.Facts("production", "0 0 * * *", "/usr/bin/jettison run")
    assert not systemd.is_running()


def test_auto_takes_cron_where_systemd_does_not_run(tmp_path: Path) -> None:
    schedulers = Schedulers(Crontab(), Systemd(folder=tmp_path, program=str(tmp_path / "systemctl")))
    assert schedule.install("x", ["run"], "@daily", print_only=True, schedulers=schedulers).kind == "crontab"


@given(st.text(min_size=1, max_size=30))
def test_unit_names_need_no_escape(registry: str) -> None:
    name = units.unit_name(registry)
    assert (
        name.removeprefix("jettison-").strip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == ""
    )
    assert len(name) > len("jettison-")


@pytest.mark.real
@pytest.mark.parametrize("for_user", [False, True])
def test_systemd_takes_the_units(tmp_path: Path, for_user: bool) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    folder = tmp_path / "50% of a folder"
    folder.mkdir()
    job = Job(
        "production 50%",
        Cron.parse("*/7 3-5 1,15 jan-jun mon,wed-fri"),
        (shutil.which("env") or "/usr/bin/env", *ODD),
        folder,
        {"PATH": "/usr/bin:/bin", "ODD": 'a "b" 50% $x \\ \''},
    )
    paths = []
    for path, text in Systemd(for_user=for_user, folder=tmp_path).texts(job).items():
        path.write_text(text)
        paths.append(path)
    result = subprocess.run(
        ["systemd-analyze", "--user" if for_user else "--system", "verify", "--man=no", *paths],
        capture_output=True,
        text=True,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    told = [line for line in result.stderr.splitlines() if "jettison" in line]
    assert (told, result.returncode) == ([], 0), result.stderr
    # The same check does see a mistake.
    timer = paths[1]
    timer.write_text(timer.read_text().replace("OnCalendar=", "OnCalendar=never "))
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", timer], capture_output=True, text=True)
    assert "never" in result.stderr
